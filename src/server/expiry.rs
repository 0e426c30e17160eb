//! What is done when its time has come: whose timeout has passed, and what waited to be tried again.

use log::info;

use super::Server;
use super::counters::CloseReason;
use crate::reactor::kernel::{Kernel, Notice, Readiness};

impl<K: Kernel> Server<K> {
    /// Does what it is time for. What is left is overdue, so the next wait does not sleep.
    pub(super) fn expire(&mut self) {
        let phase_end = self.phase_end();
        let now = self.now;
        self.acceptors
            .iter_mut()
            .for_each(|acceptor| acceptor.keep_deadlines(now));
        if self.alive_at.is_some_and(|at| at <= now) {
            self.kernel.notify(Notice::Alive);
            self.alive_at = self.settings.watchdog_interval.map(|it| now + it);
        }
        if self.upgrade.next_deadline().is_some_and(|at| at <= now) {
            self.give_up_upgrade();
        }
        if self.register_outage.ends(now) {
            info!("connections are taken in again");
        }
        self.sockets
            .iter_mut()
            .for_each(|socket| socket.keep_deadlines(now));
        while let Some((_, key)) = self.deadlines.pop_expired(now) {
            self.expire_connection(key);
            if self.now >= phase_end {
                break;
            }
        }
    }

    /// A connection's time is over by the clock. But the clock may be newer than the events: the
    /// process may have stood still, or more be ready than one wait fetches. So it is heard once
    /// more before it is closed, for a byte more than the longest message: whatever line has come is
    /// answered or refused then.
    fn expire_connection(&mut self, key: usize) {
        if !self.hear_out(key, self.settings.rules.max_message_bytes + 1) {
            self.expel(key, CloseReason::IdleTimeout);
        }
    }

    /// Serves a connection by what there is, whatever events have told. Says whether a timeout of
    /// its own began anew with that.
    pub(super) fn hear_out(&mut self, key: usize, read_max_bytes: usize) -> bool {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.raise(Readiness::ALL);
        }
        self.serve_connection(key, read_max_bytes)
    }

    /// Closes a connection, if it is still there, as its time is over.
    pub(super) fn expel(&mut self, key: usize, reason: CloseReason) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.expire(reason);
            self.close(key);
        }
    }
}
