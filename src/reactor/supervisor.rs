//! The service manager that started the program, and what it is told: sd_notify(3).
//!
//! Its own library waits where the manager's queue is full, and the loop never does. The protocol is a
//! datagram of lines.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use log::debug;
use rustix::time::{ClockId, clock_gettime};

use super::kernel::Notice;

/// Where it listens.
const ADDRESS: &str = "NOTIFY_SOCKET";

/// How long it waits for a sign of life, in microseconds, and of whom.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Who is told.
#[derive(Debug)]
pub struct Supervisor {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Supervisor {
    /// The one that the environment names, if it does.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let name = std::env::var_os(ADDRESS).filter(|name| !name.is_empty())?;
        let opened = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok(Self { socket, address })
        });
        opened
            .inspect_err(|error| debug!("{ADDRESS}: {error}; going on without"))
            .ok()
    }

    /// Tells it. A message that has no room is lost: the next sign of life comes soon.
    pub fn tell(&self, notice: Notice) {
        let message = message(notice);
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            debug!("{ADDRESS}: {error}");
        }
    }
}

/// How often it wants a sign of life, if it does: twice in the time that it waits for one.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_about_another =
        number(WATCHDOG_PID).is_some_and(|pid| pid != u64::from(std::process::id()));
    let patience = number(WATCHDOG_USEC).filter(|usec| *usec > 0 && !is_about_another)?;
    Some(Duration::from_micros(patience) / 2)
}

/// A name that begins with @ is one without a file, unix(7).
fn address(name: &OsStr) -> std::io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn message(notice: Notice) -> String {
    match notice {
        Notice::Ready => "READY=1\n".into(),
        Notice::Stopping => "STOPPING=1\n".into(),
        Notice::Alive => "WATCHDOG=1\n".into(),
        Notice::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
            format!("RELOADING=1\nMONOTONIC_USEC={usec}\n")
        }
        Notice::ReplacedBy(pid) => {
            let mut message = message(Notice::Ready);
            let _ = writeln!(message, "MAINPID={pid}");
            message
        }
    }
}
