//! Stopping gracefully: who has sent something gets its reply, but nobody can hold up the end.

use std::time::Instant;

use log::info;

use super::Server;
use super::counters::CloseReason;
use crate::reactor::kernel::{Kernel, Readiness};

/// What a stop has to be done by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// Who is still being read from then is read from no more, so that its replies can leave in
    /// time.
    reads_until: Option<Instant>,
    ends_at: Instant,
}

impl Drain {
    /// When the drain next has something to do.
    pub(super) fn next_deadline(&self) -> Instant {
        self.reads_until.unwrap_or(self.ends_at)
    }
}

impl<K: Kernel> Server<K> {
    /// Stops to accept, and gives everybody who is there one more read: it ends a connection's turn
    /// when it finds no more. What waits in the backlog is reset as the listeners close.
    pub(super) fn begin_drain(&mut self) {
        info!("stopping: {} connections to drain", self.connections.len());
        let timeout = self.config.drain_timeout;
        self.drain = Some(Drain {
            reads_until: Some(self.now + timeout / 2),
            ends_at: self.now + timeout,
        });
        self.acceptors.clear();
        self.ports
            .iter_mut()
            .for_each(|port| port.raise(Readiness::ALL));
        for (key, connection) in &mut self.connections {
            connection.drain();
            self.run_queue.push(key);
        }
    }

    /// Keeps the drain's two deadlines, and says whether it has come to its end.
    pub(super) fn drain_is_over(&mut self) -> bool {
        let Some(drain) = &mut self.drain else {
            return false;
        };
        if drain.reads_until.take_if(|at| *at <= self.now).is_some() {
            self.ports.clear();
            for (key, connection) in &mut self.connections {
                connection.drained();
                self.run_queue.push(key);
            }
        }
        if drain.ends_at <= self.now {
            for mut connection in self.connections.drain() {
                connection.expire(CloseReason::DrainTimeout);
                connection.close(&mut self.bench.counters);
            }
        }
        // Those behind it change their index, and so lose their events; they need none, as a port
        // whose latch is clear goes in the same way.
        self.ports.retain(|port| !port.is_drained());
        self.connections.is_empty() && self.ports.is_empty()
    }
}
