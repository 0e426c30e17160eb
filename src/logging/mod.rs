//! The log: to standard error, never more than so much, and never waiting for anybody.
//!
//! [`Limit`] says whether a line may be written, env_logger formats it, and an [`Outlet`] takes what
//! has room. The limit is asked before a line is formatted, and by a clock of its own: the log has
//! to serve before and after the loop as well.

pub mod limit;
pub mod piece;

use std::io::{self, Stderr, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use env_logger::fmt::Formatter;
use env_logger::{Logger, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::outlet::{Outlet, is_journal};
use limit::{Limit, Reason};
use piece::Piece;

/// Lines not written since the start, by reason. Not every processor has atomic numbers of 64 bits.
static LOST: Mutex<[u64; Reason::ALL.len()]> = Mutex::new([0; Reason::ALL.len()]);

/// How many lines were not written, by reason.
pub fn lost_lines() -> [(&'static str, u64); Reason::ALL.len()] {
    let lost = LOST.lock().map(|lost| *lost).unwrap_or_default();
    Reason::ALL.map(|reason| (reason.name(), lost[reason as usize]))
}

/// Starts the log. `level` is what the command line asks for; without it, `RUST_LOG` decides, and
/// info is the default.
pub fn init(level: Option<LevelFilter>) {
    let formatted = Formatted::default();
    let mut builder = builder(&formatted);
    match (level, std::env::var("RUST_LOG")) {
        // The flags ask about this program; what its libraries trace is for RUST_LOG to ask.
        (Some(level), _) => builder.filter_module(env!("CARGO_CRATE_NAME"), level),
        (None, Ok(filters)) if !filters.trim().is_empty() => builder.parse_filters(&filters),
        (None, _) => builder.filter_level(LevelFilter::Info),
    };
    let lines = builder.build();
    let notices = self::builder(&formatted)
        .filter_level(LevelFilter::Warn)
        .build();
    log::set_max_level(lines.filter());
    // Fails only where a log has been started already, and then that one serves.
    let _ = log::set_boxed_logger(Box::new(Limited {
        lines,
        notices,
        formatted,
        state: Mutex::new(Inner {
            limit: Limit::default(),
            stderr: Outlet::new(io::stderr()),
            is_cut: false,
        }),
    }));
}

/// What env_logger has formatted, to be taken at once.
#[derive(Clone, Default)]
struct Formatted(Arc<Mutex<Vec<u8>>>);

impl Formatted {
    fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|mut bytes| std::mem::take(&mut *bytes))
            .unwrap_or_default()
    }
}

impl Write for Formatted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut formatted) = self.0.lock() {
            formatted.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn builder(formatted: &Formatted) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    let format = if is_journal() {
        format_for_journal
    } else {
        format
    };
    builder
        .format(format)
        .target(Target::Pipe(Box::new(formatted.clone())));
    builder
}

fn format(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level, what) = (line.timestamp(), record.level(), record.args());
    writeln!(line, "{time} {level:<5} {what}")
}

/// The journal has a time of its own, and takes a line's priority from its beginning: sd-daemon(3).
fn format_for_journal(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (level, what) = (record.level(), record.args());
    writeln!(line, "<{}>{what}", priority(level))
}

/// As syslog(3) counts them.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A log that stops at [`limit::LINES_PER_S`], and says afterwards how many lines it left out.
struct Limited {
    lines: Logger,
    /// Filters nothing: whatever is logged, what is lost of it is told.
    notices: Logger,
    formatted: Formatted,
    state: Mutex<Inner>,
}

struct Inner {
    limit: Limit,
    stderr: Outlet<Stderr>,
    /// The last line has no end: standard error took no more of it.
    is_cut: bool,
}

impl Limited {
    /// Writes what there is to write, and keeps account of it.
    fn write(&self, untold: u64, record: Option<&Record<'_>>) {
        let notice = (untold > 0).then(|| self.notice(untold));
        let line = record.map(|record| self.format(&self.lines, record));
        self.with_state(|state| {
            let mut piece = Piece::new(state.is_cut);
            notice.iter().chain(&line).for_each(|it| piece.push(it));
            let len = state.stderr.write_now(piece.bytes()).len;
            if len > 0 {
                state.is_cut = piece.is_cut(len);
            }
            state.limit.wrote(piece.begun(len), Instant::now());
            if notice.is_some() && piece.is_first_whole(len) {
                state.limit.tell(untold);
            }
            if line.is_some() && len < piece.bytes().len() {
                state.limit.lose(Reason::FullPipe);
            }
        });
    }

    fn notice(&self, untold: u64) -> Vec<u8> {
        let mut record = Record::builder();
        record.level(Level::Warn).target(module_path!());
        let what = format_args!("{untold} log lines were left out");
        self.format(&self.notices, &record.args(what).build())
    }

    fn format(&self, logger: &Logger, record: &Record<'_>) -> Vec<u8> {
        logger.log(record);
        self.formatted.take()
    }

    fn with_state<T: Default>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // It is poisoned by a panic, and that has ended the process.
        let Ok(mut state) = self.state.lock() else {
            return T::default();
        };
        let outcome = work(&mut state);
        if let Ok(mut lost) = LOST.lock() {
            *lost = Reason::ALL.map(|reason| state.limit.lost(reason));
        }
        outcome
    }
}

impl Log for Limited {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.lines.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.lines.matches(record) {
            return;
        }
        if let Some(untold) = self.with_state(|state| state.limit.ask(Instant::now())) {
            self.write(untold, Some(record));
        }
    }

    /// For the end of the process: tells what has been left out since the last line.
    fn flush(&self) {
        if let Some(untold) = self.with_state(|state| state.limit.ask_last(Instant::now())) {
            self.write(untold, None);
        }
    }
}
