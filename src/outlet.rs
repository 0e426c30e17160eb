//! Standard output and standard error, written to without ever waiting for who reads them.
//!
//! Making the descriptor non-blocking would do that, but for every process that shares it: the flag
//! belongs to the open file, not to the descriptor (fcntl(2), O_NONBLOCK). So it depends on what the
//! descriptor is, and on what the kernel can do:
//!
//! | what it is | how it is written to |
//! | --- | --- |
//! | a socket | send(2), MSG_DONTWAIT |
//! | a pipe | pwritev2(2), RWF_NOWAIT; where the kernel does not know that of pipes, the pipe opened anew with O_NONBLOCK; where that is refused, poll(2) before each piece |
//! | a terminal | opened anew with O_NONBLOCK, by its descriptor or, if it is the one that controls this process, as /dev/tty; where that is refused, poll(2) before each byte |
//! | a file, a disk, another device | write(2): there is nobody to wait for |
//!
//! poll(2) says what the next write would find, not what it will find: in between, another process
//! may fill the place. Only there can a write still wait, and in a file on a network that is gone.

use std::fs::File;
use std::io::{self, IoSlice, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::SendFlags;

use crate::reactor::attempt::{Attempt, attempt, would_block};
use crate::slices::part;

/// What poll(2) promises room for on a pipe, and what write(2) writes there in one piece or not at
/// all (`PIPE_BUF` on Linux, pipe(7)).
pub const PIPE_PIECE_MAX_BYTES: usize = 4096;

/// What poll(2) promises room for on a terminal. A line feed may become two bytes there (ONLCR,
/// termios(3)), but a pseudo-terminal counts its room in blocks of 256.
const TERMINAL_PIECE_MAX_BYTES: usize = 1;

/// How long a result is kept for a reader who takes nothing: a terminal may have been stopped
/// (Ctrl-S), a pager be waiting for a key.
pub const RESULT_PATIENCE: Duration = Duration::from_secs(60);

/// How long last words are kept for a reader who takes nothing: whoever started the program waits
/// for its exit status.
pub const COMPLAINT_PATIENCE: Duration = Duration::from_secs(1);

/// From one try to the next.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// How a descriptor is written to without waiting.
#[derive(Debug)]
pub enum Way {
    /// send(2) with MSG_DONTWAIT.
    Send,
    /// pwritev2(2) with RWF_NOWAIT.
    NoWait,
    /// An open file of our own, with O_NONBLOCK.
    Own(File),
    /// write(2) of no more than so many bytes, after poll(2) has told of room.
    Ask(usize),
    /// write(2).
    Plain,
}

impl Way {
    /// The best way for a descriptor, as far as can be said without writing. Opens files.
    pub fn of(fd: BorrowedFd<'_>) -> Self {
        let file_type = fstat(fd).map(|it| FileType::from_raw_mode(it.st_mode));
        match file_type {
            Ok(FileType::Socket) => Self::Send,
            Ok(FileType::Fifo) => Self::NoWait,
            _ if fd.is_terminal() => Self::of_terminal(fd),
            _ => Self::Plain,
        }
    }

    /// The way for a terminal.
    pub fn of_terminal(fd: BorrowedFd<'_>) -> Self {
        let device = fstat(fd).map(|stat| (major(stat.st_rdev), minor(stat.st_rdev)));
        let own = match device {
            // The master of a pseudo-terminal: opened anew it would be another one, pts(4).
            Ok((5, 2)) => None,
            // /dev/tty is the terminal that controls whoever opens it, tty(4).
            Ok((5, 0)) => controlling(fd),
            _ => opened_anew(fd).or_else(|| controlling(fd)),
        };
        own.map_or(Self::Ask(TERMINAL_PIECE_MAX_BYTES), Self::Own)
    }

    /// The way for a pipe where the kernel does not know [`Self::NoWait`].
    pub fn of_pipe_without_nowait(fd: BorrowedFd<'_>) -> Self {
        opened_anew(fd).map_or(Self::Ask(PIPE_PIECE_MAX_BYTES), Self::Own)
    }

    fn write(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Send => Ok(rustix::net::send(
                fd,
                bytes,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            )?),
            Self::NoWait => {
                // This offset stands for the place where a write(2) would write.
                let piece = [IoSlice::new(bytes)];
                let written = rustix::io::pwritev2(fd, &piece, u64::MAX, ReadWriteFlags::NOWAIT);
                match written {
                    // Unknown to this kernel, or to what stands before it.
                    Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                        *self = Self::of_pipe_without_nowait(fd);
                        self.write(fd, bytes)
                    }
                    written => Ok(written?),
                }
            }
            Self::Own(file) => file.write(bytes),
            Self::Ask(piece_max_bytes) => {
                if !would_not_wait(fd)? {
                    return Err(would_block());
                }
                let piece = bytes.get(..*piece_max_bytes).unwrap_or(bytes);
                Ok(rustix::io::write(fd, piece)?)
            }
            Self::Plain => Ok(rustix::io::write(fd, bytes)?),
        }
    }
}

/// Whether a write finds room now, or fails now: a reader that is gone is an event too, and the
/// write says which.
fn would_not_wait(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    Ok(poll(&mut fds, Some(&Timespec::default()))? > 0)
}

/// The same pipe or terminal as an open file of our own; `None` without /proc, without permission,
/// or where another file has taken its place.
fn opened_anew(fd: BorrowedFd<'_>) -> Option<File> {
    let own = open(&format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    let identity = |fd: BorrowedFd<'_>| {
        let stat = fstat(fd).ok()?;
        Some((stat.st_dev, stat.st_ino, stat.st_rdev))
    };
    (identity(fd)? == identity(own.as_fd())?).then_some(own)
}

/// The terminal as /dev/tty, which everybody may open, if that is the same one: tcgetsid(3) knows
/// the session of the controlling terminal only.
fn controlling(fd: BorrowedFd<'_>) -> Option<File> {
    nix::sys::termios::tcgetsid(fd).ok()?;
    open("/dev/tty").filter(IsTerminal::is_terminal)
}

fn open(path: &str) -> Option<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .ok()
        .map(File::from)
}

/// How much was written, and why no more was.
#[derive(Debug, Default)]
pub struct Written {
    /// So many bytes.
    pub len: usize,
    /// `None`: all was, or the rest has no room now.
    pub failure: Option<io::Error>,
}

/// A descriptor that is written to without waiting: what has no room is told as "would block".
#[derive(Debug)]
pub struct Outlet<F> {
    fd: F,
    way: Way,
}

impl<F: AsFd> Outlet<F> {
    /// Finds out what the descriptor is. Opens files, so it is made before a loop.
    pub fn new(fd: F) -> Self {
        let way = Way::of(fd.as_fd());
        Self { fd, way }
    }

    /// A descriptor that is to be written to in this way.
    pub fn with_way(fd: F, way: Way) -> Self {
        Self { fd, way }
    }

    /// How it is written to. The first write may change it, as the kernel has the last word.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Writes as much as has room now.
    pub fn write_now(&mut self, bytes: &[u8]) -> Written {
        let mut written = Written::default();
        while let Some(rest) = bytes.get(written.len..).filter(|rest| !rest.is_empty()) {
            match attempt(|| self.write(rest)) {
                Attempt::Done(0) | Attempt::Blocked => break,
                Attempt::Done(len) => written.len += len,
                Attempt::Failed(error) => {
                    written.failure = Some(error);
                    break;
                }
            }
        }
        written
    }

    /// Writes all, and waits for a reader that is slow, but not for one that takes nothing for as
    /// long as `patience`, nor after a signal that did not end the process. Not for a loop.
    ///
    /// # Errors
    /// Not all was written.
    pub fn write_all_within(&mut self, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
        let mut took_at = Instant::now();
        loop {
            let written = self.write_now(bytes);
            if let Some(error) = written.failure {
                return Err(error);
            }
            bytes = part(bytes, written.len..);
            if bytes.is_empty() {
                return Ok(());
            }
            if written.len > 0 {
                took_at = Instant::now();
            }
            // Unlike a sleep, this ends when a signal comes.
            let is_signalled = poll(&mut [], Some(&PAUSE)).is_err();
            if is_signalled || took_at.elapsed() >= patience {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"));
            }
        }
    }
}

impl<F: AsFd> Write for Outlet<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.way.write(self.fd.as_fd(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the text that the user has waited for.
///
/// # Errors
/// It was not written, or not all of it.
pub fn print(text: &str) -> io::Result<()> {
    Outlet::new(io::stdout()).write_all_within(text.as_bytes(), RESULT_PATIENCE)
}

/// Tells on standard error what went wrong. If that fails, nobody is left to tell.
pub fn complain(what: &str) {
    // An error's priority, syslog(3).
    let prefix = if is_journal() { "<3>" } else { "" };
    let what = what.replace('\n', &format!("\n{prefix}"));
    let text = format!("{prefix}pingpong: {what}\n");
    let _ = Outlet::new(io::stderr()).write_all_within(text.as_bytes(), COMPLAINT_PATIENCE);
}

/// Whether standard error is the journal's: its device and inode are those that systemd has told,
/// systemd.exec(5).
#[must_use]
pub fn is_journal() -> bool {
    let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let Some((device, inode)) = told.split_once(':') else {
        return false;
    };
    let told = (device.parse().ok(), inode.parse().ok());
    fstat(io::stderr()).is_ok_and(|found| told == (Some(found.st_dev), Some(found.st_ino)))
}
