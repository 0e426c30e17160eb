//! The connections or sockets of a probe: those that take the next ping, and those that may still
//! bring an answer.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::client::ping::conn::PingConn;
use crate::client::ping::failure::Failure;
use crate::reactor::kernel::{Kernel, Token};
use crate::transport::Transport;

/// How many connections or sockets there are at once, at most, for each transport; both together
/// stay below the 1024 descriptors that a process usually has.
pub const LINKS_MAX: usize = 400;

/// How many of them that carry no waiting ping are still listened to, for late replies and
/// duplicates.
pub const IDLE_LINKS_MAX: usize = 8;

/// How many bits of a token tell the probe: the lowest.
pub(crate) const PROBE_BITS: u32 = 1;

/// All of them, in the order of their ids.
pub(super) struct Conns<K: Kernel> {
    transport: Transport,
    probe: usize,
    open: VecDeque<PingConn<K>>,
    next_id: usize,
}

impl<K: Kernel> Conns<K> {
    /// None yet, for the probe of this number.
    pub(super) fn new(transport: Transport, probe: usize) -> Self {
        Self {
            transport,
            probe,
            open: VecDeque::new(),
            next_id: 0,
        }
    }

    pub(super) fn get(&self, id: usize) -> Option<&PingConn<K>> {
        self.open.get(self.place(id).ok()?)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut PingConn<K>> {
        let place = self.place(id).ok()?;
        self.open.get_mut(place)
    }

    /// The first one whose id is this or a higher one.
    pub(super) fn first_from(&mut self, id: usize) -> Option<&mut PingConn<K>> {
        let place = self.place(id).unwrap_or_else(|place| place);
        self.open.get_mut(place)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PingConn<K>> {
        self.open.iter_mut()
    }

    /// One of them has more to be read.
    pub(super) fn any_has_more(&self) -> bool {
        self.open.iter().any(PingConn::has_more)
    }

    /// Closes one.
    pub(super) fn remove(&mut self, id: usize) {
        if let Ok(place) = self.place(id) {
            self.open.remove(place);
        }
    }

    /// Closes all that lead to another address.
    pub(super) fn keep_only(&mut self, peer: SocketAddr) {
        self.open.retain(|conn| conn.peer == peer);
    }

    fn place(&self, id: usize) -> Result<usize, usize> {
        self.open.binary_search_by_key(&id, |conn| conn.id)
    }

    /// The one that takes the next ping to an address.
    pub(super) fn current_to(&self, peer: SocketAddr) -> Option<usize> {
        let mut newest_first = self.open.iter().rev();
        newest_first
            .find(|conn| conn.is_current() && conn.peer == peer)
            .map(|conn| conn.id)
    }

    /// One has brought a reply.
    pub(super) fn repay(&mut self, id: usize) {
        if let Some(conn) = self.get_mut(id) {
            conn.owed = conn.owed.saturating_sub(1);
            if !conn.is_current() {
                conn.retire();
            }
        }
    }

    /// One of its pings waits no longer.
    pub(super) fn leave(&mut self, id: usize) {
        if let Some(conn) = self.get_mut(id) {
            debug_assert!(conn.waiting > 0);
            conn.waiting = conn.waiting.saturating_sub(1);
            if !conn.is_current() {
                conn.retire();
            }
        }
    }

    /// Opens one to an address.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn open(&mut self, kernel: &mut K, peer: SocketAddr) -> Result<usize, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        let token = Token(id << PROBE_BITS | self.probe);
        let conn = PingConn::open(kernel, self.transport, peer, (id, token))?;
        self.open.push_back(conn);
        Ok(id)
    }

    /// Closes those that carry nothing, beyond the few that may still bring something late; and
    /// says which one has to go, if there are too many all the same.
    pub(super) fn make_room(&mut self) -> Option<usize> {
        let mut idle = self.open.iter().filter(|conn| conn.waiting == 0).count();
        self.open.retain(|conn| {
            let goes = conn.waiting == 0 && !conn.is_current() && idle > IDLE_LINKS_MAX;
            idle -= usize::from(goes);
            !goes
        });
        let oldest = self.open.front().map(|conn| conn.id);
        oldest.filter(|_| self.open.len() >= LINKS_MAX)
    }
}
