//! HTTP/1.1 beside the main business, on the same loop: who runs the program, and what watches it,
//! asks here how it does.
//!
//! It knows no metrics: who owns it hands it a function from a request to a page when its phase comes.
//! Everything is bounded, and it has a phase of its own behind all others. When all of its connections
//! are taken, the one that has waited longest makes room for the next: a thousand that say nothing
//! keep no health check out.

pub mod conn;
pub mod http;
pub mod metrics;

use std::io;
use std::time::{Duration, Instant};

use log::debug;
use slab::Slab;

use crate::reactor::acceptor::Acceptor;
use crate::reactor::kernel::{Kernel, Readiness, Token};
use crate::reactor::program::Program;
use crate::transport::Endpoint;
use conn::HttpConn;
use http::{Page, Request};

/// How many connections there are at once: a few of Prometheus, probes and people.
pub const CONNECTIONS_MAX: usize = 32;

/// How many descriptors it takes beside those of its listeners: a connection is accepted before another
/// makes room for it.
pub const DESCRIPTORS_MAX: usize = CONNECTIONS_MAX + 1;

/// A program that has pages.
pub trait Site: Program {
    /// The page that a request is for; there are so many connections like the one that it came on.
    fn page(&mut self, request: &Request<'_>, connections: usize) -> Page;
}

/// The HTTP side of a program.
pub struct Admin<K: Kernel> {
    acceptors: Vec<Acceptor<K::Listener>>,
    conns: Slab<HttpConn<K::Stream>>,
    /// The token of a place in here.
    token: fn(usize) -> Token,
    /// No answer leaves a connection open any more.
    is_closing: bool,
}

impl<K: Kernel> Admin<K> {
    /// On listening sockets. `token` makes the token of each place in here, which comes back in
    /// [`Admin::raise`].
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn new(
        kernel: &mut K,
        listeners: Vec<(K::Listener, Endpoint)>,
        token: fn(usize) -> Token,
    ) -> io::Result<Self> {
        let mut acceptors = Vec::new();
        for (listener, at) in listeners {
            let mut acceptor = Acceptor::new(listener, at);
            kernel.register_listener(acceptor.io(), token(place_of_acceptor(acceptors.len())))?;
            acceptors.push(acceptor);
        }
        Ok(Self {
            acceptors,
            conns: Slab::new(),
            token,
            is_closing: false,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = &Endpoint> {
        self.acceptors.iter().map(Acceptor::local)
    }

    /// Its listening sockets.
    pub fn listeners(&self) -> impl Iterator<Item = &K::Listener> {
        self.acceptors.iter().map(Acceptor::get)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Takes note of an event.
    pub fn raise(&mut self, place: usize, ready: Readiness) {
        let index = place / 2;
        if place == place_of_acceptor(index) {
            if let Some(acceptor) = self.acceptors.get_mut(index) {
                acceptor.raise(ready);
            }
        } else if let Some(conn) = self.conns.get_mut(index) {
            conn.raise(ready);
        }
    }

    /// There is something to do now.
    pub fn is_ready(&self) -> bool {
        self.acceptors.iter().any(Acceptor::is_ready)
            || self.conns.iter().any(|(_, conn)| conn.has_work())
    }

    /// The same, or it is time for something.
    pub fn is_ready_at(&self, now: Instant) -> bool {
        self.is_ready() || self.next_deadline().is_some_and(|at| at <= now)
    }

    /// When there is something to do for its own sake.
    pub fn next_deadline(&self) -> Option<Instant> {
        let pauses = self.acceptors.iter().filter_map(Acceptor::next_deadline);
        let ends = self.conns.iter().map(|(_, conn)| conn.deadline());
        pauses.chain(ends).min()
    }

    /// Something was freed: accepting may work again.
    pub fn resume(&mut self) {
        self.acceptors.iter_mut().for_each(Acceptor::resume);
    }

    /// Other programs have its sockets from now on; who is connected has one more answer.
    pub fn close(&mut self, kernel: &mut K) {
        for acceptor in &mut self.acceptors {
            kernel.forget_listener(acceptor.io());
        }
        self.acceptors.clear();
        self.is_closing = true;
        self.conns.retain(|_, conn| !conn.is_idle());
    }

    /// Works for `phase_max` at most, and for one answer.
    pub fn work(&mut self, site: &mut impl Site<Kernel = K>, phase_max: Duration) {
        let begins = site.kernel().now();
        self.accept(site.kernel(), begins);
        self.expire(site, begins);
        let mut now = begins;
        // The one that has waited longest goes first.
        while now.saturating_duration_since(begins) < phase_max {
            let waiting = self.conns.iter().filter(|(_, conn)| conn.has_work());
            let Some((key, _)) = waiting.min_by_key(|(_, conn)| conn.deadline()) else {
                break;
            };
            let has_answered = self.serve(key, site, now);
            now = site.kernel().now();
            if has_answered {
                break;
            }
        }
    }

    /// Takes one connection in from each listener: nobody needs more of a turn. A failure is told by
    /// the log.
    fn accept(&mut self, kernel: &mut K, now: Instant) {
        for acceptor in &mut self.acceptors {
            acceptor.keep_deadlines(now);
            let Ok(Some((mut stream, _))) = acceptor.accept(now) else {
                continue;
            };
            if self.conns.len() >= CONNECTIONS_MAX {
                let oldest = self.conns.iter().min_by_key(|(_, conn)| conn.deadline());
                let oldest = oldest.map(|(key, _)| key);
                oldest.and_then(|key| self.conns.try_remove(key));
            }
            let entry = self.conns.vacant_entry();
            let token = (self.token)(place_of_conn(entry.key()));
            match kernel.register_stream(&mut stream, token) {
                Ok(()) => _ = entry.insert(HttpConn::new(stream, now)),
                Err(error) => debug!("admin: a connection is turned away: {error}"),
            }
        }
    }

    /// Closes one whose time is over. The clock may be newer than the events, so it is heard once more
    /// before.
    fn expire(&mut self, site: &mut impl Site<Kernel = K>, now: Instant) {
        let mut all = self.conns.iter();
        let Some((key, _)) = all.find(|(_, conn)| conn.deadline() <= now) else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.raise(Readiness::ALL);
        }
        self.serve(key, site, now);
        let is_overdue = |conn: &HttpConn<_>| conn.deadline() <= now;
        if self.conns.get(key).is_some_and(is_overdue) {
            self.conns.remove(key);
        }
    }

    /// Serves a connection once, and says whether it was answered.
    fn serve(&mut self, key: usize, site: &mut impl Site<Kernel = K>, now: Instant) -> bool {
        let connections = self.conns.len();
        let Some(conn) = self.conns.get_mut(key) else {
            return false;
        };
        let page = |request: &Request<'_>| site.page(request, connections);
        let has_answered = conn.work(now, self.is_closing, page);
        if conn.is_closed() || (self.is_closing && conn.is_idle()) {
            self.conns.remove(key);
        }
        has_answered
    }
}

const fn place_of_acceptor(index: usize) -> usize {
    index * 2
}

const fn place_of_conn(key: usize) -> usize {
    key * 2 + 1
}
