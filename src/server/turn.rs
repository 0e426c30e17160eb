//! The server's turn: how long it sleeps, what an event latches, what a signal asks for, and the phases
//! in their order.

use std::io;
use std::time::{Duration, Instant};

use log::info;

use super::datagrams::DatagramSocket;
use super::drain::Drain;
use super::source::Source;
use super::{Exit, Server};
#[cfg(feature = "admin")]
use crate::admin::Admin;
use crate::reactor::acceptor::Acceptor;
use crate::reactor::kernel::{Kernel, Signal};
use crate::reactor::program::Program;

impl<K: Kernel> Program for Server<K> {
    type Kernel = K;
    type Exit = Exit;

    fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    fn sleep(&mut self) -> Option<Duration> {
        let work_left = !self.run_queue.is_empty()
            || self.sockets.iter().any(DatagramSocket::is_ready)
            || (self.has_room() && self.acceptors.iter().any(Acceptor::is_ready));
        #[cfg(feature = "admin")]
        let work_left = work_left || self.pages.admin.as_ref().is_some_and(Admin::is_ready);
        if work_left || self.now.saturating_duration_since(self.worked_at) < self.settings.busy_poll
        {
            return Some(Duration::ZERO);
        }
        let pauses = self.acceptors.iter().filter_map(Acceptor::next_deadline);
        let pauses = pauses.chain(
            self.sockets
                .iter()
                .filter_map(DatagramSocket::next_deadline),
        );
        let pauses = pauses.chain(self.register_outage.over_at());
        let pauses = pauses.chain(self.alive_at);
        let drain = self.drain.as_ref().and_then(Drain::next_deadline);
        let pauses = pauses.chain(self.upgrade.next_deadline());
        #[cfg(feature = "admin")]
        let pauses = pauses.chain(self.pages.admin.as_ref().and_then(Admin::next_deadline));
        let next = pauses.chain(self.deadlines.next()).chain(drain).min()?;
        Some(next.saturating_duration_since(self.now))
    }

    /// An event may be old by the time that it is read, and its key may be another connection's by
    /// then, which costs that one a try that finds nothing.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Self {
            kernel,
            acceptors,
            sockets,
            connections,
            run_queue,
            woken,
            #[cfg(feature = "admin")]
            pages,
            ..
        } = self;
        *woken = false;
        kernel.wait(timeout, |token, ready| {
            *woken = true;
            match Source::of(token) {
                Source::Listener(index) => {
                    if let Some(acceptor) = acceptors.get_mut(index) {
                        acceptor.raise(ready);
                    }
                }
                Source::Datagrams(index) => {
                    if let Some(socket) = sockets.get_mut(index) {
                        socket.raise(ready);
                    }
                }
                Source::Connection(key) => {
                    if let Some(connection) = connections.get_mut(key) {
                        connection.raise(ready);
                        run_queue.push(key);
                    }
                }
                #[cfg(feature = "admin")]
                Source::Admin(place) => {
                    if let Some(admin) = &mut pages.admin {
                        admin.raise(place, ready);
                    }
                }
                #[cfg(not(feature = "admin"))]
                Source::Admin(_) => {}
            }
        })
    }

    fn begin(&mut self, now: Instant) {
        self.now = now;
        if self.woken {
            self.worked_at = now;
        }
        self.counters.loop_turns += 1;
        #[cfg(feature = "admin")]
        self.pages.begin_turn(now);
        self.was_draining = self.drain.is_some();
    }

    /// A second stop ends the server at once; but of several that one turn finds, however many and
    /// of whatever kind, nobody can say that they did not mean the same.
    fn obey(&mut self, signal: Signal) -> Option<Exit> {
        match signal {
            Signal::Report => self.report(),
            Signal::Stop if self.was_draining => return Some(Exit::Aborted),
            Signal::Stop | Signal::HangUp if self.drain.is_some() => {}
            Signal::Stop | Signal::HangUp => self.begin_drain(),
            Signal::Upgrade => self.begin_upgrade(),
            Signal::Replaced(pid) => self.end_upgrade(pid),
            Signal::NotReplaced => self.fail_upgrade(),
            Signal::Unused(name) => info!("{name}: nothing to do"),
        }
        None
    }

    fn work(&mut self) -> Option<Exit> {
        self.serve_datagrams();
        self.accept();
        self.serve_connections();
        self.expire();
        self.keep_drain_deadlines();
        self.note_fullness();
        #[cfg(feature = "admin")]
        self.serve_pages();
        #[cfg(feature = "admin")]
        self.pages.end_turn(self.now);
        if self.upgrade.is_done() && self.connections.is_empty() && self.drain.is_none() {
            return Some(Exit::Replaced);
        }
        self.is_drained().then_some(Exit::Drained)
    }
}
