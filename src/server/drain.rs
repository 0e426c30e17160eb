//! Stopping gracefully: who has sent something gets its reply, but nobody can hold up the end.

use std::time::Instant;

use log::info;

use super::Server;
use super::counters::CloseReason;
use crate::reactor::kernel::{Kernel, Notice, Readiness};

/// How far a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Who has something to say is read from.
    Reading,
    /// Replies leave, and peers close.
    Sending,
    /// Everybody has been closed.
    Over,
}

/// What a stop has to be done by, and how far it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    stage: Stage,
    /// Who is still being read from then is read from no more, so that its replies can leave in
    /// time.
    reads_until: Instant,
    ends_at: Instant,
    /// Who is next to be told that the stage is over: a phase at a time, as they may be many.
    next_key: usize,
}

impl Drain {
    /// When the drain next has something to do; in the past while it has not done all of it.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Reading => Some(self.reads_until),
            Stage::Sending => Some(self.ends_at),
            Stage::Over => None,
        }
    }
}

impl<K: Kernel> Server<K> {
    /// Stops to accept, and gives everybody who is there one more read: it ends a connection's turn
    /// when it finds no more. What waits in the backlog is reset as the listeners close.
    pub(super) fn begin_drain(&mut self) {
        info!("stopping: {} connections to drain", self.connections.len());
        if !self.upgrade.is_done() {
            self.kernel.notify(Notice::Stopping);
        }
        self.give_up_upgrade();
        let timeout = self.settings.drain_timeout;
        self.drain = Some(Drain {
            stage: Stage::Reading,
            reads_until: self.now + timeout / 2,
            ends_at: self.now + timeout,
            next_key: 0,
        });
        self.acceptors.clear();
        self.raise_sockets();
        for (key, connection) in &mut self.connections {
            connection.drain();
            self.run_queue.push(key);
        }
    }

    /// Keeps the drain's two deadlines. As with every deadline, the clock may be newer than the
    /// events: so everybody is heard once more, before the first ends their reading and the second
    /// their connection.
    pub(super) fn keep_drain_deadlines(&mut self) {
        let phase_end = self.phase_end();
        while let Some((stage, key)) = self.next_to_tell() {
            self.hear_out(key, self.sizes.window_bytes);
            if stage == Stage::Sending {
                self.expel(key, CloseReason::DrainTimeout);
            } else if let Some(connection) = self.connections.get_mut(key) {
                connection.drained();
                self.run_queue.push(key);
            }
            if self.now >= phase_end {
                break;
            }
        }
    }

    /// Who is next to be told that a stage is over, and which.
    fn next_to_tell(&mut self) -> Option<(Stage, usize)> {
        loop {
            let drain = self.drain.as_mut()?;
            if drain.next_deadline()? > self.now {
                return None;
            }
            let mut keys = drain.next_key..self.connections.capacity();
            if let Some(key) = keys.find(|key| self.connections.contains(*key)) {
                drain.next_key = key + 1;
                return Some((drain.stage, key));
            }
            drain.next_key = 0;
            if drain.stage == Stage::Sending {
                drain.stage = Stage::Over;
                return None;
            }
            drain.stage = Stage::Sending;
            self.raise_sockets();
            self.serve_datagrams();
            self.sockets.clear();
        }
    }

    fn raise_sockets(&mut self) {
        for socket in &mut self.sockets {
            socket.raise(Readiness::ALL);
        }
    }

    /// Says whether everybody has what they are due, or its time is over.
    pub(super) fn is_drained(&mut self) -> bool {
        if self.drain.is_none() {
            return false;
        }
        // Those behind it change their index, and so lose their events; they need none, as a port
        // whose latch is clear goes in the same way.
        self.sockets.retain(|socket| !socket.is_drained());
        self.connections.is_empty() && self.sockets.is_empty()
    }
}
