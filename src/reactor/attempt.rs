//! The three ways in which a non-blocking call can end, and what error numbers mean.
//!
//! This is the only file that names `WouldBlock` and `Interrupted`: the rest of the code speaks of
//! Done, Blocked and Failed.

use std::io;

use rustix::io::Errno;

/// How a non-blocking call ended.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It did its work.
    Done(T),
    /// The kernel would have blocked; it will raise an event when that has changed.
    Blocked,
    /// It failed, and would again.
    Failed(io::Error),
}

/// Makes a non-blocking call, again as often as a signal cuts it short.
pub fn attempt<T>(mut call: impl FnMut() -> io::Result<T>) -> Attempt<T> {
    loop {
        return match call() {
            Ok(value) => Attempt::Done(value),
            Err(error) if is_interrupted(&error) => continue,
            Err(error) if is_would_block(&error) => Attempt::Blocked,
            Err(error) => Attempt::Failed(error),
        };
    }
}

/// What a call says that would block: for those who ask first, with poll(2).
#[must_use]
pub fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

/// Says whether a call would have blocked.
#[must_use]
pub fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Says whether a signal cut a call short.
#[must_use]
pub fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

/// What getpeername(2) says of a connection that is not there yet (ENOTCONN), as what it means:
/// would block.
#[must_use]
pub fn still_connecting(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotConnected => io::ErrorKind::WouldBlock.into(),
        _ => error,
    }
}

/// Says whether an accept failed because this process or host is out of something: accept(2) lists
/// them. The connection is then still in the backlog.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Says whether an accept failed because of the one connection that it took from the backlog: Linux
/// passes on what the network has said of it, and a firewall may forbid it, accept(2).
#[must_use]
pub fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::PERM
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NONET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::TIMEDOUT
        )
    )
}

/// Says whether the peer tore the connection down, rather than something here having failed.
#[must_use]
pub fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}
