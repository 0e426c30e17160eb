//! The log: to standard error, never more than so much, and never waiting for anybody.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use crate::reactor::bucket::Bucket;

/// How many lines a second are written, and how many at once, at most. A storm of connections at
/// debug level must not cost more than serving them.
pub const LINES_PER_S: u32 = 1000;

/// How much of a line is written, at most: what poll(2) promises room for on a pipe, and write(2)
/// writes in one piece (`PIPE_BUF` on Linux).
const LINE_MAX_BYTES: usize = 4096;

/// Lines not written since the start, because there were too many.
static LOST_TO_STORM: AtomicUsize = AtomicUsize::new(0);
/// Lines not written since the start, because standard error took no more.
static LOST_TO_FULL_PIPE: AtomicUsize = AtomicUsize::new(0);

/// How many lines were not written, by reason.
pub fn lost_lines() -> [(&'static str, usize); 2] {
    [("storm", &LOST_TO_STORM), ("full_pipe", &LOST_TO_FULL_PIPE)]
        .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
}

/// Starts the log. `level` is what the command line asks for; without it, `RUST_LOG` decides, and
/// info is the default.
pub fn init(level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    match (level, std::env::var("RUST_LOG")) {
        // The flags ask about this program; what its libraries trace is for RUST_LOG to ask.
        (Some(level), _) => builder.filter_module(env!("CARGO_CRATE_NAME"), level),
        (None, Ok(filters)) if !filters.trim().is_empty() => builder.parse_filters(&filters),
        (None, _) => builder.filter_level(LevelFilter::Info),
    };
    let inner = builder
        .format(|line, record| {
            writeln!(
                line,
                "{} {:<5} {}",
                line.timestamp(),
                record.level(),
                record.args()
            )
        })
        .target(env_logger::Target::Pipe(Box::new(Stderr::new())))
        .build();
    log::set_max_level(inner.filter());
    let bucket = Mutex::new(Bucket::new(LINES_PER_S, Instant::now()));
    // Fails only where a log has been started already, and then that one serves.
    let _ = log::set_boxed_logger(Box::new(Limited {
        inner,
        bucket,
        told: AtomicUsize::new(0),
    }));
}

/// Standard error, as a place where a line is written at once or not at all.
///
/// Making it non-blocking would do that, but for every process that shares it: the flag belongs to
/// the open file, not to the descriptor (fcntl(2), O_NONBLOCK). poll(2) tells of room for
/// `PIPE_BUF` bytes on a pipe. On a terminal it tells of room for one, and a longer write waits; so
/// a terminal is opened once more, which makes an open file of our own.
struct Stderr {
    terminal: Option<File>,
}

impl Stderr {
    fn new() -> Self {
        let open = || {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::open("/proc/self/fd/2", flags, Mode::empty())
        };
        let terminal = io::stderr().is_terminal().then(open);
        Self {
            terminal: terminal.and_then(Result::ok).map(File::from),
        }
    }

    fn write_piece(&mut self, piece: &[u8]) -> bool {
        if let Some(terminal) = &mut self.terminal {
            return terminal.write(piece).is_ok();
        }
        let stderr = io::stderr();
        let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
        let is_ready = poll(&mut fds, Some(&Timespec::default())).is_ok()
            && fds.iter().all(|fd| fd.revents().contains(PollFlags::OUT));
        is_ready && rustix::io::write(&stderr, piece).is_ok()
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.write_piece(line.get(..LINE_MAX_BYTES).unwrap_or(line)) {
            LOST_TO_FULL_PIPE.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log that stops at [`LINES_PER_S`], and says afterwards how many lines it left out. The limit
/// is asked before a line is formatted, and by a clock of its own: the log has to serve before and
/// after the loop as well.
struct Limited {
    inner: env_logger::Logger,
    bucket: Mutex<Bucket>,
    /// How many lost lines have been told.
    told: AtomicUsize,
}

impl Limited {
    fn may_write(&self) -> bool {
        self.bucket
            .lock()
            .is_ok_and(|mut bucket| bucket.take(Instant::now()))
    }

    fn tell_lost(&self) {
        let lost = lost_lines().iter().map(|(_, count)| count).sum();
        let told = self.told.swap(lost, Ordering::Relaxed);
        if lost > told {
            let count = lost - told;
            self.inner.log(
                &Record::builder()
                    .level(log::Level::Warn)
                    .target(module_path!())
                    .args(format_args!("{count} log lines were left out"))
                    .build(),
            );
        }
    }
}

impl Log for Limited {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.inner.matches(record) {
            return;
        }
        if self.may_write() {
            self.tell_lost();
            self.inner.log(record);
        } else {
            LOST_TO_STORM.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}
