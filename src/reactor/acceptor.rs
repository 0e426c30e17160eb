//! Accepting connections, and what to do when that fails.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use log::{debug, info, warn};

use super::attempt::{Attempt, is_about_one_connection, is_exhaustion};
use super::kernel::{Listener, Readiness};
use super::latch::Latched;
use super::outage::Retry;
use crate::reasons::reasons;
use crate::transport::Endpoint;

reasons! {
    /// Why a connection could not be accepted.
    AcceptError {
        /// This process or host is out of descriptors or memory; the connection waits in the backlog.
        Exhausted = "exhausted",
        /// The connection was gone, or refused by the kernel, before it was accepted.
        Connection = "connection",
        /// The kernel would not watch it (epoll_ctl(2)), so it was closed.
        Register = "register",
        /// Any other reason: accepting pauses, as when something has run out.
        Other = "other",
    }
}

/// How many accepts may fail in a row, each because of the one connection that it was to take, until
/// accepting pauses. Which connection an error is about is a guess by its number: EPERM of a
/// firewall has taken the connection off the backlog, EPERM of a security module leaves it there for
/// the next accept to fail on.
pub const FAILURES_MAX: u32 = 16;

/// A connection, and its peer's address.
pub type Accepted<S> = (S, Option<SocketAddr>);

/// A listener, and what is known of it.
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

    /// Takes one connection from the backlog, if there is one: with its peer's address, where it has
    /// one.
    ///
    /// # Errors
    /// Why that was not possible; the log is told.
    pub fn accept(&mut self, now: Instant) -> Result<Option<Accepted<L::Stream>>, AcceptError> {
        while self.is_ready() {
            match self.listener.try_read(Listener::accept) {
                Attempt::Done(accepted) => {
                    self.failures_in_row = 0;
                    return Ok(Some(accepted));
                }
                Attempt::Blocked => {}
                Attempt::Failed(error) => return Err(self.fail(&error, now)),
            }
        }
        Ok(None)
    }

    fn fail(&mut self, error: &io::Error, now: Instant) -> AcceptError {
        self.failures_in_row += 1;
        let reason = if is_about_one_connection(error) {
            AcceptError::Connection
        } else if is_exhaustion(error) {
            AcceptError::Exhausted
        } else {
            AcceptError::Other
        };
        // It has left the backlog, perhaps, and the next may be sound.
        if reason == AcceptError::Connection && self.failures_in_row < FAILURES_MAX {
            debug!("accept: {error}");
            return reason;
        }
        self.failures_in_row = 0;
        if self.retry.pauses(now) {
            warn!("accept: {error}; connections wait in the backlog");
        }
        reason
    }
}
