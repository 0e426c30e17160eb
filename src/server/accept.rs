//! Accepting connections, and what to do when that fails.

use std::net::SocketAddr;
use std::time::Instant;

use log::{debug, info, warn};

use super::counters::{AcceptError, Counters};
use crate::reactor::attempt::{Attempt, is_about_one_connection, is_exhaustion};
use crate::reactor::deadlines::RETRY_AFTER;
use crate::reactor::kernel::{Listener, Readiness};
use crate::reactor::latch::Latched;

/// A listener of the server.
///
/// When descriptors have run out, accept fails, and no new edge will come for the connections that
/// wait. So the latch stays set and accepting pauses: until a connection of ours closes, or until
/// [`RETRY_AFTER`], as somebody else may have freed one. The same goes for an error that nobody
/// foresaw: asking again at once would spin.
#[derive(Debug)]
pub struct Acceptor<L> {
    listener: Latched<L>,
    paused_until: Option<Instant>,
    /// The log knows that accepting pauses.
    told: bool,
}

impl<L: Listener> Acceptor<L> {
    /// An acceptor on a listening socket.
    pub fn new(listener: L) -> Self {
        Self {
            listener: Latched::new(listener),
            paused_until: None,
            told: false,
        }
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.listener.raise(ready);
    }

    /// The listener itself, to register it.
    pub fn io(&mut self) -> &mut L {
        self.listener.io()
    }

    /// There may be a connection to accept, and nothing is known to be in the way.
    pub fn is_ready(&self) -> bool {
        self.listener.is_readable() && self.paused_until.is_none()
    }

    /// When to try again, if accepting pauses.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Something was freed, or time has passed: accepting may work again.
    pub fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Takes one connection from the backlog, if that is possible now.
    pub fn accept(
        &mut self,
        counters: &mut Counters,
        now: Instant,
    ) -> Option<(L::Stream, SocketAddr)> {
        while self.is_ready() {
            match self.listener.try_read(Listener::accept) {
                Attempt::Done(accepted) => {
                    self.told = false;
                    return Some(accepted);
                }
                Attempt::Blocked => {}
                // It has left the backlog, the next may be sound.
                Attempt::Failed(error) if is_about_one_connection(&error) => {
                    counters.count_accept_error(AcceptError::Connection);
                    debug!("accept: {error}");
                    return None;
                }
                Attempt::Failed(error) => {
                    let reason = if is_exhaustion(&error) {
                        AcceptError::Exhausted
                    } else {
                        AcceptError::Other
                    };
                    counters.count_accept_error(reason);
                    self.paused_until = Some(now + RETRY_AFTER);
                    if !std::mem::replace(&mut self.told, true) {
                        warn!("accept: {error}; connections wait in the backlog");
                    }
                }
            }
        }
        None
    }
}

/// Tells the log when all connections that may be are there, and when that is over: once each,
/// however many come and go meanwhile.
#[derive(Debug, Default)]
pub struct Fullness {
    is_full: bool,
}

impl Fullness {
    /// It is over when this part of the connections has gone, and one at least: a server that goes
    /// on at its limit is full all the time.
    const PART_GONE: usize = 16;

    /// Takes note of how many there are, of how many there may be, and tells of a change: whether
    /// it is full now.
    pub fn note(&mut self, connections: usize, max: usize) -> Option<bool> {
        if !self.is_full && connections >= max {
            warn!("full: {connections} connections; further ones wait in the backlog");
        } else if self.is_full && connections < max - max / Self::PART_GONE {
            info!("no longer full: {connections} connections of {max}");
        } else {
            return None;
        }
        self.is_full = !self.is_full;
        Some(self.is_full)
    }
}
