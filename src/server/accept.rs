//! Accepting connections, and what to do when that fails.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use log::{debug, info, warn};

use super::connection::Connection;
use super::counters::{AcceptError, Counters};
use super::peer::Peer;
use super::source::Source;
use super::{IDLE, Server};
use crate::reactor::attempt::{Attempt, is_about_one_connection, is_exhaustion};
use crate::reactor::kernel::{Kernel, Listener, Readiness};
use crate::reactor::latch::Latched;
use crate::reactor::outage::Retry;
use crate::transport::Endpoint;

/// How many accepts may fail in a row, each because of the one connection that it was to take, until
/// accepting pauses. Which connection an error is about is a guess by its number: EPERM of a
/// firewall has taken the connection off the backlog, EPERM of a security module leaves it there for
/// the next accept to fail on.
pub const FAILURES_MAX: u32 = 16;

/// A listener of the server.
///
/// When descriptors have run out, accept fails, and no new edge will come for the connections that
/// wait. So the latch stays set and accepting pauses ([`Retry`]): until a connection of ours closes, or
/// until its time is over, as somebody else may have freed one. The same goes for an error that nobody
/// foresaw, and for any run of failures.
#[derive(Debug)]
pub struct Acceptor<L> {
    listener: Latched<L>,
    local: Endpoint,
    retry: Retry,
    failures_in_row: u32,
}

impl<L: Listener> Acceptor<L> {
    /// An acceptor on a listening socket, and the address that this is bound to.
    pub fn new(listener: L, local: Endpoint) -> Self {
        Self {
            listener: Latched::new(listener),
            local,
            retry: Retry::default(),
            failures_in_row: 0,
        }
    }

    /// The address that it is bound to.
    pub fn local(&self) -> &Endpoint {
        &self.local
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.listener.raise(ready);
    }

    /// The listener itself, to look at.
    pub fn get(&self) -> &L {
        self.listener.get()
    }

    /// The listener itself, to register it.
    pub fn io(&mut self) -> &mut L {
        self.listener.io()
    }

    /// There may be a connection to accept, and nothing is known to be in the way.
    pub fn is_ready(&self) -> bool {
        self.listener.is_readable() && !self.retry.is_paused()
    }

    /// When it next has something to do for its own sake.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.retry.next_deadline()
    }

    /// Does what it is time for.
    pub fn keep_deadlines(&mut self, now: Instant) {
        if self.retry.keep_deadlines(now) {
            info!("accept works again");
        }
    }

    /// Something was freed: accepting may work again.
    pub fn resume(&mut self) {
        self.retry.resume();
    }

    /// Takes one connection from the backlog, if that is possible now.
    pub fn accept(
        &mut self,
        counters: &mut Counters,
        now: Instant,
    ) -> Option<(L::Stream, Option<SocketAddr>)> {
        while self.is_ready() {
            match self.listener.try_read(Listener::accept) {
                Attempt::Done(accepted) => {
                    self.failures_in_row = 0;
                    return Some(accepted);
                }
                Attempt::Blocked => {}
                Attempt::Failed(error) => {
                    self.fail(&error, counters, now);
                    return None;
                }
            }
        }
        None
    }

    fn fail(&mut self, error: &io::Error, counters: &mut Counters, now: Instant) {
        self.failures_in_row += 1;
        let reason = if is_about_one_connection(error) {
            AcceptError::Connection
        } else if is_exhaustion(error) {
            AcceptError::Exhausted
        } else {
            AcceptError::Other
        };
        counters.count_accept_error(reason);
        // It has left the backlog, perhaps, and the next may be sound.
        if reason == AcceptError::Connection && self.failures_in_row < FAILURES_MAX {
            debug!("accept: {error}");
            return;
        }
        self.failures_in_row = 0;
        if self.retry.pauses(now) {
            warn!("accept: {error}; connections wait in the backlog");
        }
    }
}

impl<K: Kernel> Server<K> {
    /// Takes connections from the backlogs, until they are empty, the server is full or the phase is
    /// over.
    pub(super) fn accept(&mut self) {
        let phase_end = self.phase_end();
        let first = self.first_of(self.acceptors.len());
        for index in (first..self.acceptors.len()).chain(0..first) {
            while self.has_room() && self.acceptors[index].is_ready() {
                let accepted = self.acceptors[index].accept(&mut self.counters, self.now);
                if let Some((stream, peer)) = accepted {
                    self.admit(stream, peer);
                }
                if !self.may_go_on(phase_end) {
                    return;
                }
            }
        }
    }

    /// Takes a connection in and serves it at once: its first message is often there already.
    fn admit(&mut self, mut stream: K::Stream, peer: Option<SocketAddr>) {
        let peer = Peer::from(peer);
        if let Err(reason) = self.admission.enter(peer.ip()) {
            debug!("{peer} refused: {}", reason.name());
            return self.counters.count_refused(reason);
        }
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        if let Err(error) = self
            .kernel
            .register_stream(&mut stream, Source::Connection(key).token())
        {
            debug!("{peer} turned away: {error}");
            self.admission.leave(peer.ip());
            if self.register_outage.begins(self.now) {
                warn!("connections are turned away: {error}");
            }
            let counters = &mut self.counters;
            return counters.count_accept_error(AcceptError::Register);
        }
        self.counters.accepted += 1;
        entry.insert(Connection::new(stream, peer));
        self.now = self.kernel.now();
        self.deadlines.restart(IDLE, key, self.now);
        self.serve_connection(key, self.sizes.fresh_read_bytes);
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
