//! SIGUSR2: the server is replaced by the program that lies at its path, and nobody notices.
//!
//! The new one has the same sockets, so what waits in a backlog or a buffer is served by the one or
//! the other. This one goes on until the new one says that it serves; then it lets go of them, and
//! serves the connections that it has to their own end.

use std::time::{Duration, Instant};

use log::{info, warn};

use super::Server;
#[cfg(feature = "admin")]
use crate::admin::Admin;
use crate::reactor::kernel::{HandedOver, Kernel, Notice};

/// How long the new program may take until it serves.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// Nobody has asked for it.
    #[default]
    None,
    /// The new program has been started, and has so long.
    Starting { until: Instant },
    /// It has not got ready in time, and is being ended.
    Failing,
    /// It serves.
    Done { pid: u32 },
}

impl Upgrade {
    /// When there is something to do for it.
    pub(super) fn next_deadline(self) -> Option<Instant> {
        match self {
            Self::Starting { until } => Some(until),
            Self::None | Self::Failing | Self::Done { .. } => None,
        }
    }

    /// Another process has the sockets.
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl<K: Kernel> Server<K> {
    /// Starts the program that is to replace this one.
    pub(super) fn begin_upgrade(&mut self) {
        match self.upgrade {
            _ if self.drain.is_some() => return info!("no upgrade: stopping"),
            Upgrade::Starting { .. } | Upgrade::Failing => {
                return info!("no upgrade: the last one goes on");
            }
            Upgrade::Done { pid } => return info!("no upgrade: process {pid} is the server now"),
            Upgrade::None => {}
        }
        let listeners = self
            .acceptors
            .iter()
            .map(|it| HandedOver::Listener(it.get()));
        let datagrams = self
            .sockets
            .iter()
            .map(|it| HandedOver::Datagrams(it.get()));
        let sockets = listeners.chain(datagrams);
        #[cfg(feature = "admin")]
        let sockets = {
            let admin = self.pages.admin.iter().flat_map(Admin::listeners);
            sockets.chain(admin.map(HandedOver::Admin))
        };
        let sockets: Vec<_> = sockets.collect();
        match self.kernel.start_successor(&sockets) {
            Ok(_) => {
                self.kernel.notify(Notice::Reloading);
                let until = self.now + START_TIMEOUT;
                self.upgrade = Upgrade::Starting { until };
            }
            Err(error) => warn!("no upgrade: cannot start the new program: {error}"),
        }
    }

    /// The new program serves: what is left to do here are the connections that are there.
    pub(super) fn end_upgrade(&mut self, pid: u32) {
        for acceptor in &mut self.acceptors {
            self.kernel.forget_listener(acceptor.io());
        }
        for socket in &mut self.sockets {
            socket.count_kernel_drops(&mut self.counters);
            self.kernel.forget_datagrams(socket.io());
        }
        self.acceptors.clear();
        self.sockets.clear();
        #[cfg(feature = "admin")]
        if let Some(admin) = &mut self.pages.admin {
            admin.close(&mut self.kernel);
        }
        self.alive_at = None;
        self.upgrade = Upgrade::Done { pid };
        self.kernel.notify(Notice::ReplacedBy(pid));
        let left = self.connections.len();
        info!("process {pid} is the server now; {left} connections go on here to their end");
    }

    /// The new program has ended without having served.
    pub(super) fn fail_upgrade(&mut self) {
        self.upgrade = Upgrade::None;
        if self.drain.is_none() {
            self.kernel.notify(Notice::Ready);
        }
    }

    /// Ends the new program where it takes too long, or nobody wants it any more.
    pub(super) fn give_up_upgrade(&mut self) {
        if let Upgrade::Starting { .. } = self.upgrade {
            self.upgrade = Upgrade::Failing;
            self.kernel.end_successor();
        }
    }
}
