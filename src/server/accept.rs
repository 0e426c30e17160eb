//! Accepting connections, and who is let in.

use std::net::SocketAddr;

use log::{debug, info, warn};

use super::connection::Connection;
use super::peer::Peer;
use super::source::Source;
use super::{IDLE, Server};
use crate::reactor::acceptor::AcceptError;
use crate::reactor::kernel::Kernel;

impl<K: Kernel> Server<K> {
    /// Takes connections from the backlogs, until they are empty, the server is full or the phase is
    /// over.
    pub(super) fn accept(&mut self) {
        let phase_end = self.phase_end();
        let first = self.first_of(self.acceptors.len());
        for index in (first..self.acceptors.len()).chain(0..first) {
            while self.has_room() && self.acceptors[index].is_ready() {
                match self.acceptors[index].accept(self.now) {
                    Ok(Some((stream, peer))) => self.admit(stream, peer),
                    Ok(None) => {}
                    Err(reason) => self.counters.count_accept_error(reason),
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
