//! The links of a lane: one that takes the next ping, and those that may still bring an answer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::client::ping::failure::Failure;
use crate::client::ping::link::Link;
use crate::reactor::kernel::{Kernel, Token};
use crate::transport::Transport;

/// How many links there are at once, at most, for each transport; both together stay below the 1024
/// descriptors that a process usually has.
pub const LINKS_MAX: usize = 400;

/// How many links that carry no waiting ping are still listened to, for late replies and
/// duplicates.
pub const IDLE_LINKS_MAX: usize = 8;

/// How many bits of a token tell the lane: the lowest.
pub const LANE_BITS: u32 = 1;

/// The links to a target that may have several addresses.
///
/// Not every address of a name need be served: localhost is often two. As long as none has worked,
/// whatever one of them refuses goes to the next, within the same ping.
pub struct Links<K: Kernel> {
    transport: Transport,
    lane: usize,
    addresses: Vec<SocketAddr>,
    /// Which address is tried.
    address: usize,
    /// This address works.
    settled: bool,
    /// In the order of their ids.
    open: VecDeque<Link<K>>,
    next_id: usize,
}

impl<K: Kernel> Links<K> {
    /// No links yet, for the lane of this number.
    pub fn new(transport: Transport, lane: usize, addresses: Vec<SocketAddr>) -> Self {
        Self {
            transport,
            lane,
            addresses,
            address: 0,
            settled: false,
            open: VecDeque::new(),
            next_id: 0,
        }
    }

    /// A link by its id.
    pub fn get(&mut self, id: usize) -> Option<&mut Link<K>> {
        let at = self.position(id)?;
        self.open.get_mut(at)
    }

    /// A link by its place, from the oldest on.
    pub fn at(&mut self, place: usize) -> Option<&mut Link<K>> {
        self.open.get_mut(place)
    }

    /// All links, from the oldest on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link<K>> {
        self.open.iter_mut()
    }

    /// A link has more to be read.
    pub fn any_has_more(&self) -> bool {
        self.open.iter().any(Link::has_more)
    }

    /// An id that no link has, for a ping that no link takes.
    pub fn no_link(&mut self) -> usize {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Closes a link.
    pub fn remove(&mut self, id: usize) {
        if let Some(at) = self.position(id) {
            self.open.remove(at);
        }
    }

    fn position(&self, id: usize) -> Option<usize> {
        self.open.binary_search_by_key(&id, |link| link.id).ok()
    }

    /// Where a link leads to, and its port at this end. Without a link: the address that is tried.
    pub fn ends(&self, id: usize) -> (SocketAddr, Option<u16>) {
        let link = self.position(id).and_then(|at| self.open.get(at));
        link.map_or_else(
            || (self.tried_address(), None),
            |link| (link.peer, Some(link.port)),
        )
    }

    fn tried_address(&self) -> SocketAddr {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        self.addresses.get(self.address).copied().unwrap_or(nobody)
    }

    /// Takes note that the address works: from now on it is this one.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// There are several addresses, and none has worked.
    pub fn is_searching(&self) -> bool {
        !self.settled && self.addresses.len() > 1
    }

    /// Goes over to the next address after a refusal, if there is one; else the next ping begins
    /// from the first.
    pub fn try_next_address(&mut self) -> bool {
        if self.settled {
            return false;
        }
        let has_next = self.address + 1 < self.addresses.len();
        self.address = if has_next { self.address + 1 } else { 0 };
        has_next
    }

    /// The link that takes the next ping, if there is one.
    pub fn current(&self) -> Option<usize> {
        self.open
            .back()
            .filter(|link| link.is_current())
            .map(|link| link.id)
    }

    /// The newest link takes no more pings.
    pub fn retire_current(&mut self) {
        if let Some(link) = self.open.back_mut() {
            link.retire();
        }
    }

    /// A link takes no more pings.
    pub fn retire(&mut self, id: usize) {
        if let Some(link) = self.get(id) {
            link.retire();
        }
    }

    /// A link has more pings to carry.
    pub fn join(&mut self, id: usize, pings: usize) {
        if let Some(link) = self.get(id) {
            link.waiting += pings;
        }
    }

    /// A link has brought a reply.
    pub fn repay(&mut self, id: usize) {
        if let Some(link) = self.get(id) {
            link.owed = link.owed.saturating_sub(1);
        }
    }

    /// One of a link's pings waits no longer.
    pub fn leave(&mut self, id: usize) {
        if let Some(link) = self.get(id) {
            link.waiting = link.waiting.saturating_sub(1);
            if !link.is_current() {
                link.retire();
            }
        }
    }

    /// Opens a link to the address that is tried, or to the next ones where that fails at once.
    ///
    /// # Errors
    /// None of them can be had.
    pub fn open(&mut self, kernel: &mut K) -> Result<usize, Failure> {
        loop {
            let id = self.no_link();
            let token = Token(id << LANE_BITS | self.lane);
            let peer = self.tried_address();
            match Link::open(kernel, self.transport, peer, (id, token)) {
                Ok(link) => {
                    self.open.push_back(link);
                    return Ok(id);
                }
                Err(Failure::Other(error)) if is_exhausted(&error) => return Err(error.into()),
                Err(failure) => {
                    if !self.try_next_address() {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Closes links that carry nothing, beyond the few that may still bring something late; and
    /// says which link has to go, if there are too many all the same.
    pub fn make_room(&mut self) -> Option<usize> {
        let mut idle = self.open.iter().filter(|link| link.waiting == 0).count();
        self.open.retain(|link| {
            let goes = link.waiting == 0 && !link.is_current() && idle > IDLE_LINKS_MAX;
            idle -= usize::from(goes);
            !goes
        });
        let oldest = self.open.front().map(|link| link.id);
        oldest.filter(|_| self.open.len() >= LINKS_MAX)
    }
}

/// No address would do better.
fn is_exhausted(error: &io::Error) -> bool {
    crate::reactor::attempt::is_exhaustion(error)
}
