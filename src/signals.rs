//! What a parent may have left of signals, put right before anything else is done: signal(7).
//!
//! A mask and ignored signals outlive execve(2). A blocked SIGTERM would never come, so nothing
//! stays blocked; and what stops a process is taken over by [`Os`](crate::reactor::os::Os) whether
//! it was ignored or not. One that was meant to survive its terminal (nohup) still does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::signal::{SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;

/// Prepares a server.
///
/// # Errors
/// As sigaction(2) and pthread_sigmask(3).
pub fn prepare_server() -> io::Result<()> {
    // These ask something of a server. Until it listens, nothing is done about them; but they do
    // not end it, as they would by themselves.
    let asks_or_tells = [SIGUSR1, SIGUSR2];
    let hang_up = (!is_hang_up_ignored()).then_some(SIGHUP);
    for signal in asks_or_tells.into_iter().chain(hang_up) {
        note(signal)?;
    }
    prepare()?;
    // `stty tostop` stops who writes to its terminal from the background, tty_ioctl(4), unless it
    // blocks the signal. The log is no reason to stop serving.
    let mut background_write = SigSet::empty();
    background_write.add(Signal::SIGTTOU);
    Ok(background_write.thread_block()?)
}

/// Prepares a client.
///
/// # Errors
/// As [`prepare_server`].
pub fn prepare_client() -> io::Result<()> {
    prepare()
}

fn prepare() -> io::Result<()> {
    // A file that reaches its limit (RLIMIT_FSIZE) is an error of write(2), and no more.
    note(SIGXFSZ)?;
    Ok(SigSet::all().thread_unblock()?)
}

/// Has a signal do nothing but set a flag, at which nobody looks.
fn note(signal: i32) -> io::Result<()> {
    flag::register(signal, Arc::new(AtomicBool::new(false))).map(drop)
}

/// Whether SIGHUP was ignored when the program began; false where /proc does not tell. To be asked
/// before anybody handles it.
pub(crate) fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}
