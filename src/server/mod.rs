//! The server: accepts, connections and datagrams on one loop.
//!
//! One [turn](Server::turn) waits, latches what the kernel tells, and then works in phases, each
//! under a budget. Who has work left is served again in the next turn, whose wait does not sleep.

pub mod accept;
pub mod config;
pub mod connection;
pub mod counters;
pub mod datagrams;
mod drain;
pub mod peer;
mod source;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{info, warn};
use slab::Slab;

use crate::logging::lost_lines;
use crate::protocol::stream::Batch;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::kernel::{Arrivals, Kernel, Signal};
use crate::reactor::run_queue::RunQueue;
use crate::state::State;
use accept::Acceptor;
pub use config::{ACCEPTS_PER_TURN, Config, EXPIRIES_PER_TURN, LINGER_TIMEOUT, Sizes};
use connection::{Bench, Connection};
use counters::{AcceptError, CloseReason, Counters};
use datagrams::{DatagramBench, DatagramPort};
use drain::Drain;
use source::Source;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everybody had their replies, or the time for that was over.
    Drained,
    /// A second signal came while the first was obeyed.
    Aborted,
}

/// The lists of deadlines that a connection can stand on.
const IDLE: u8 = 0;
const LINGER: u8 = 1;

/// The server, on any kernel.
pub struct Server<K: Kernel> {
    kernel: K,
    config: Config,
    sizes: Sizes,
    acceptors: Vec<Acceptor<K::Listener>>,
    ports: Vec<DatagramPort<K::Datagrams>>,
    connections: Slab<Connection<K::Stream>>,
    deadlines: Deadlines<2>,
    run_queue: RunQueue,
    bench: Bench,
    datagram_bench: DatagramBench,
    drain: Option<Drain>,
    /// When the turn began: the clock is read once in each.
    now: Instant,
    /// The turn in which the kernel last told of something, for `busy_poll`.
    worked_at: Instant,
}

impl<K: Kernel> Server<K> {
    /// A server on sockets that are bound; those for datagrams come with the address that they are
    /// bound to.
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn new(
        kernel: K,
        config: Config,
        listeners: Vec<K::Listener>,
        datagrams: Vec<(K::Datagrams, SocketAddr)>,
    ) -> io::Result<Self> {
        Self::with_sizes(kernel, config, Sizes::default(), listeners, datagrams)
    }

    /// As [`Server::new`], with other sizes than those that ship.
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn with_sizes(
        mut kernel: K,
        config: Config,
        sizes: Sizes,
        listeners: Vec<K::Listener>,
        datagrams: Vec<(K::Datagrams, SocketAddr)>,
    ) -> io::Result<Self> {
        let now = kernel.now();
        let mut acceptors: Vec<_> = listeners.into_iter().map(Acceptor::new).collect();
        for (index, acceptor) in acceptors.iter_mut().enumerate() {
            kernel.register_listener(acceptor.io(), Source::Listener(index).token())?;
        }
        let mut ports: Vec<_> = datagrams
            .into_iter()
            .map(|(socket, local)| DatagramPort::new(socket, local))
            .collect();
        for (index, port) in ports.iter_mut().enumerate() {
            kernel.register_datagrams(port.io(), Source::Port(index).token())?;
        }
        let bench = Bench {
            batch: Batch::new(sizes.window_bytes, config.rules.max_message_bytes),
            rules: config.rules,
            turn_budget_bytes: sizes.turn_budget_bytes,
            counters: Counters::default(),
        };
        let datagram_bench = DatagramBench::new(
            Arrivals::with_slots(sizes.arrival_bytes),
            config.rules.strict,
            config.other_rate_per_s,
            now,
        );
        Ok(Self {
            kernel,
            acceptors,
            ports,
            connections: Slab::new(),
            deadlines: Deadlines::new(now, [config.idle_timeout, Some(LINGER_TIMEOUT)]),
            run_queue: RunQueue::default(),
            bench,
            datagram_bench,
            drain: None,
            now,
            worked_at: now,
            config,
            sizes,
        })
    }

    /// Serves until a signal stops it.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn run(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.turn()? {
                return Ok(exit);
            }
        }
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn turn(&mut self) -> io::Result<Option<Exit>> {
        let woken = self.wait()?;
        self.now = self.kernel.now();
        if woken {
            self.worked_at = self.now;
        }
        self.bench.counters.loop_turns += 1;
        if let Some(exit) = self.obey_signals() {
            return Ok(Some(exit));
        }
        self.serve_connections();
        self.serve_datagrams();
        self.accept();
        self.expire();
        Ok(self.drain_is_over().then_some(Exit::Drained))
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.bench.counters
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many bytes each connection owns beside itself.
    pub fn kept_bytes(&self) -> impl Iterator<Item = usize> {
        self.connections
            .iter()
            .map(|(_, connection)| connection.kept_bytes())
    }

    /// Sleeps until there is something to do, and latches what the kernel tells. No IO happens in
    /// here: an event may be old by the time that it is read, and its key may be another
    /// connection's by then, which costs that one a try without need. Says whether any came.
    fn wait(&mut self) -> io::Result<bool> {
        let timeout = self.sleep();
        let mut woken = false;
        let Self {
            kernel,
            acceptors,
            ports,
            connections,
            run_queue,
            ..
        } = self;
        kernel.wait(timeout, |token, ready| {
            woken = true;
            match Source::of(token) {
                Source::Listener(index) => {
                    if let Some(acceptor) = acceptors.get_mut(index) {
                        acceptor.raise(ready);
                    }
                }
                Source::Port(index) => {
                    if let Some(port) = ports.get_mut(index) {
                        port.raise(ready);
                    }
                }
                Source::Connection(key) => {
                    if let Some(connection) = connections.get_mut(key) {
                        connection.raise(ready);
                        run_queue.push(key);
                    }
                }
            }
        })?;
        Ok(woken)
    }

    /// How long to sleep: not at all while there is work left, else until the next deadline.
    fn sleep(&self) -> Option<Duration> {
        let work_left = !self.run_queue.is_empty()
            || self.ports.iter().any(DatagramPort::is_ready)
            || (self.has_room() && self.acceptors.iter().any(Acceptor::is_ready));
        if work_left || self.now.saturating_duration_since(self.worked_at) < self.config.busy_poll {
            return Some(Duration::ZERO);
        }
        let pauses = self.acceptors.iter().filter_map(Acceptor::paused_until);
        let pauses = pauses.chain(self.ports.iter().filter_map(DatagramPort::paused_until));
        let drain = self.drain.as_ref().map(Drain::next_deadline);
        let next = pauses.chain(self.deadlines.next()).chain(drain).min()?;
        Some(next.saturating_duration_since(self.now))
    }

    fn has_room(&self) -> bool {
        self.connections.len() < self.config.max_connections
    }

    fn obey_signals(&mut self) -> Option<Exit> {
        while let Some(signal) = self.kernel.next_signal() {
            match signal {
                Signal::Report => self.report(),
                Signal::Stop if self.drain.is_some() => return Some(Exit::Aborted),
                Signal::Stop => self.begin_drain(),
            }
        }
        None
    }

    /// Serves those who stand on the run queue now; who comes to stand on it meanwhile waits for
    /// the next turn.
    fn serve_connections(&mut self) {
        for _ in 0..self.run_queue.len() {
            if let Some(key) = self.run_queue.pop() {
                self.serve_connection(key);
            }
        }
    }

    fn serve_connection(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let before = connection.state();
        let work = connection.work(&mut self.bench);
        match connection.state() {
            State::Closed => return self.close(key),
            State::Lingering if before != State::Lingering => {
                self.deadlines.restart(LINGER, key, self.now);
            }
            State::Lingering => {}
            _ if work.progress => self.deadlines.restart(IDLE, key, self.now),
            _ => {}
        }
        if work.more {
            self.run_queue.push(key);
        }
    }

    fn serve_datagrams(&mut self) {
        let Self {
            kernel,
            ports,
            bench,
            datagram_bench,
            now,
            ..
        } = self;
        for port in ports {
            port.work(datagram_bench, &mut bench.counters, *now, |address| {
                kernel.is_local(address)
            });
        }
    }

    fn accept(&mut self) {
        for index in 0..self.acceptors.len() {
            for _ in 0..self.sizes.accepts_per_turn {
                if !self.has_room() || !self.acceptors[index].is_ready() {
                    break;
                }
                let accepted = self.acceptors[index].accept(&mut self.bench.counters, self.now);
                if let Some((stream, peer)) = accepted {
                    self.admit(stream, peer);
                }
            }
        }
    }

    /// Takes a connection in and serves it at once: its first message is often there already.
    fn admit(&mut self, mut stream: K::Stream, peer: SocketAddr) {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        if let Err(error) = self
            .kernel
            .register_stream(&mut stream, Source::Connection(key).token())
        {
            warn!("{peer} turned away: {error}");
            self.bench
                .counters
                .count_accept_error(AcceptError::Register);
            return;
        }
        self.bench.counters.accepted += 1;
        entry.insert(Connection::new(stream, peer.into()));
        self.deadlines.restart(IDLE, key, self.now);
        self.serve_connection(key);
    }

    /// Closes a connection. Its descriptor may be what an acceptor waits for.
    fn close(&mut self, key: usize) {
        self.deadlines.cancel(key);
        if let Some(connection) = self.connections.try_remove(key) {
            connection.close(&mut self.bench.counters);
        }
        self.acceptors.iter_mut().for_each(Acceptor::resume);
    }

    /// Does what it is time for. What the budget leaves is overdue, so the next wait does not
    /// sleep.
    fn expire(&mut self) {
        for _ in 0..self.sizes.expiries_per_turn {
            let Some((_, key)) = self.deadlines.pop_expired(self.now) else {
                break;
            };
            if let Some(connection) = self.connections.get_mut(key) {
                connection.expire(CloseReason::IdleTimeout);
                self.close(key);
            }
        }
        let now = self.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        self.acceptors
            .iter_mut()
            .filter(|it| is_due(it.paused_until()))
            .for_each(Acceptor::resume);
        self.ports
            .iter_mut()
            .filter(|it| is_due(it.paused_until()))
            .for_each(DatagramPort::resume);
    }

    /// SIGUSR1: a line for each counter that is not zero.
    fn report(&self) {
        info!("connections {}", self.connections.len());
        self.counters().each(|name, label, count| match label {
            _ if count == 0 => {}
            None => info!("{name} {count}"),
            Some((key, value)) => info!("{name}{{{key}=\"{value}\"}} {count}"),
        });
        for (reason, count) in lost_lines().into_iter().filter(|(_, count)| *count > 0) {
            info!("log_lines_lost_total{{reason=\"{reason}\"}} {count}");
        }
    }
}
