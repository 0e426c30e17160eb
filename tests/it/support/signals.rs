//! What children inherit of signals.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use nix::sys::signal::SigSet;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// Gives the children of this thread the default for each signal, and an empty mask, whoever started
/// the tests: a shell that runs a command in the background, nohup(1) and `trap '' QUIT` all leave
/// signals ignored, others leave them blocked, and children inherit both. A signal that is caught is
/// not ignored there: execve(2) sets it to its default. So the signals that are ignored here are
/// caught, by a handler that does nothing.
pub(crate) fn make_default_in_children() {
    static ONCE: Once = Once::new();
    SigSet::all().thread_unblock().unwrap();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
            if is_ignored(signal) {
                let nobody_looks = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal, nobody_looks).unwrap();
            }
        }
    });
}

/// proc_pid_status(5), `SigIgn`: a mask whose lowest bit is signal 1.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or_default() >> (signal - 1) & 1 == 1
}
