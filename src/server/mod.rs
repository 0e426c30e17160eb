//! The server: accepts, connections and datagrams on one loop.
//!
//! One turn (`turn.rs`) waits, latches what the kernel tells, and then works in phases, each for
//! so long at most and for one piece of work at least. Who has work left is served again in the next
//! turn, whose wait does not sleep.

pub mod accept;
pub mod admission;
pub mod connection;
pub mod counters;
pub mod datagrams;
mod drain;
mod expiry;
mod kept;
#[cfg(feature = "admin")]
mod pages;
pub mod peer;
pub mod settings;
mod source;
mod turn;
pub mod upgrade;

use std::io;
use std::time::Instant;

use log::info;
use slab::Slab;

#[cfg(feature = "admin")]
use crate::admin::Admin;
use crate::logging::lost_lines;
use crate::reactor::acceptor::Acceptor;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::kernel::{Kernel, RecvSlots};
use crate::reactor::os::Os;
use crate::reactor::outage::Outage;
use crate::reactor::run_queue::{RunQueue, Standing};
use crate::state::State;
use crate::transport::Endpoint;
use accept::Fullness;
use admission::Admission;
use connection::{Connection, Workbench};
use counters::Counters;
use datagrams::{DatagramSocket, DatagramWorkbench, RECEIVES_PER_TURN};
use drain::Drain;
#[cfg(feature = "admin")]
use pages::Pages;
pub use settings::{LINGER_TIMEOUT, PHASE_MAX, Settings, Sizes};
use source::Source;
use upgrade::Upgrade;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everybody had their replies, or the time for that was over.
    Drained,
    /// Another process serves in its place, and its own connections have come to their end.
    Replaced,
    /// A second signal came while the first was obeyed.
    Aborted,
}

/// The lists of deadlines that a connection can stand on.
const IDLE: u8 = 0;
const LINGER: u8 = 1;

/// Tables with room for so many connections are kept when the last has gone: a few pages.
const TABLE_KEPT: usize = 256;

/// The server, on any kernel.
pub struct Server<K: Kernel = Os> {
    kernel: K,
    settings: Settings,
    sizes: Sizes,
    acceptors: Vec<Acceptor<K::Listener>>,
    sockets: Vec<DatagramSocket<K::Datagrams>>,
    connections: Slab<Connection<K::Stream>>,
    deadlines: Deadlines<2>,
    run_queue: RunQueue,
    bench: Workbench,
    counters: Counters,
    datagram_bench: DatagramWorkbench,
    /// The kernel would not watch a connection.
    register_outage: Outage,
    drain: Option<Drain>,
    upgrade: Upgrade,
    fullness: Fullness,
    admission: Admission,
    /// The time: read when a turn begins, and again after each piece of work, as that is when the
    /// deadlines begin that it sets.
    now: Instant,
    /// The kernel has told of something in this turn.
    woken: bool,
    /// When the turn began in which it last did, for `busy_poll`.
    worked_at: Instant,
    /// A drain was on when the turn began.
    was_draining: bool,
    /// When a service manager is next told that the loop turns.
    alive_at: Option<Instant>,
    #[cfg(feature = "admin")]
    pages: Pages<K>,
}

impl<K: Kernel> Server<K> {
    /// A server on sockets that are bound, each with the address that it is bound to.
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn new(
        kernel: K,
        settings: Settings,
        listeners: Vec<(K::Listener, Endpoint)>,
        datagrams: Vec<(K::Datagrams, Endpoint)>,
    ) -> io::Result<Self> {
        Self::with_sizes(kernel, settings, Sizes::default(), listeners, datagrams)
    }

    /// As [`Server::new`], with other sizes than those that ship.
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn with_sizes(
        mut kernel: K,
        settings: Settings,
        sizes: Sizes,
        listeners: Vec<(K::Listener, Endpoint)>,
        datagrams: Vec<(K::Datagrams, Endpoint)>,
    ) -> io::Result<Self> {
        let now = kernel.now();
        let mut acceptors: Vec<_> = listeners
            .into_iter()
            .map(|(listener, local)| Acceptor::new(listener, local))
            .collect();
        for (index, acceptor) in acceptors.iter_mut().enumerate() {
            kernel.register_listener(acceptor.io(), Source::Listener(index).token())?;
        }
        let mut sockets: Vec<_> = datagrams
            .into_iter()
            .map(|(socket, local)| DatagramSocket::new(socket, local))
            .collect();
        for (index, socket) in sockets.iter_mut().enumerate() {
            kernel.register_datagrams(socket.io(), Source::Datagrams(index).token())?;
        }
        let datagram_bench = DatagramWorkbench::new(
            RecvSlots::with_slots(sizes.slot_bytes),
            settings.rules.strict,
            settings.allowed.clone(),
            settings.other_rate_per_s,
            now,
        );
        Ok(Self {
            kernel,
            acceptors,
            sockets,
            connections: Slab::new(),
            deadlines: Self::no_deadlines(&settings, now),
            run_queue: RunQueue::new(sizes.share_bytes),
            bench: Workbench::new(sizes.window_bytes, settings.rules),
            counters: Counters::default(),
            datagram_bench,
            register_outage: Outage::default(),
            drain: None,
            upgrade: Upgrade::None,
            fullness: Fullness::default(),
            admission: Admission::new(settings.allowed.clone(), settings.max_per_client),
            now,
            woken: false,
            worked_at: now,
            was_draining: false,
            #[cfg(feature = "admin")]
            pages: Pages::new(now),
            alive_at: settings.watchdog_interval.map(|interval| now + interval),
            settings,
            sizes,
        })
    }

    /// Who waits in the backlog takes the place of who has just gone, in the next turn: until then
    /// nothing has changed.
    fn note_fullness(&mut self) {
        let is_awaited = self.acceptors.iter().any(Acceptor::is_ready);
        if self.drain.is_none() && !(is_awaited && self.has_room()) {
            let max = self.settings.max_connections;
            self.fullness.note(self.connections.len(), max);
        }
    }

    /// Where it listens: the true ports, also where 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = &Endpoint> {
        let listeners = self.acceptors.iter().map(Acceptor::local);
        listeners.chain(self.sockets.iter().map(DatagramSocket::local))
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many bytes each connection owns beside itself.
    pub fn kept_bytes(&self) -> impl Iterator<Item = usize> {
        self.connections
            .iter()
            .map(|(_, connection)| connection.kept_bytes(&self.bench))
    }

    fn has_room(&self) -> bool {
        self.connections.len() < self.settings.max_connections
    }

    /// When the phase that begins now has to end.
    fn phase_end(&self) -> Instant {
        self.now + self.sizes.phase_max
    }

    /// A piece of work is done. Says whether the phase that ends then may go on.
    fn may_go_on(&mut self, phase_end: Instant) -> bool {
        self.now = self.kernel.now();
        self.now < phase_end
    }

    /// Serves those who stand on the run queue, until nobody does or the phase is over.
    fn serve_connections(&mut self) {
        let phase_end = self.phase_end();
        while let Some((key, standing)) = self.run_queue.pop() {
            let read_max_bytes = match standing {
                Standing::Fresh if !self.run_queue.is_empty() => self.sizes.fresh_read_bytes,
                Standing::Fresh | Standing::Spent => self.sizes.window_bytes,
            };
            self.serve_connection(key, read_max_bytes);
            if self.now >= phase_end {
                break;
            }
        }
    }

    /// Serves a connection once. Says whether a timeout of its own began anew with that.
    fn serve_connection(&mut self, key: usize, read_max_bytes: usize) -> bool {
        let Some(connection) = self.connections.get_mut(key) else {
            return false;
        };
        let before = connection.state();
        let work = connection.work(&mut self.bench, read_max_bytes);
        let (after, transport) = (connection.state(), connection.transport());
        self.now = self.kernel.now();
        self.counters.traffic_mut(transport).add(&work.traffic);
        self.run_queue.charge(key, work.traffic.moved_bytes());
        if after == State::Closed {
            self.close(key);
            return false;
        }
        if work.more {
            self.run_queue.push(key);
        }
        let list = match after {
            State::Lingering if before == State::Lingering => return false,
            State::Lingering => LINGER,
            _ if work.progress => IDLE,
            _ => return false,
        };
        self.deadlines.restart(list, key, self.now);
        true
    }

    fn serve_datagrams(&mut self) {
        let phase_end = self.phase_end();
        let first = self.first_of(self.sockets.len());
        for index in (first..self.sockets.len()).chain(0..first) {
            for _ in 0..RECEIVES_PER_TURN {
                if !self.sockets[index].is_ready() {
                    break;
                }
                let (kernel, bench) = (&self.kernel, &mut self.datagram_bench);
                let is_local = |address| kernel.is_local(address);
                self.sockets[index].work(bench, &mut self.counters, self.now, is_local);
                if !self.may_go_on(phase_end) {
                    return;
                }
            }
        }
    }

    /// Each turn begins with another of several, so that none is always the last.
    fn first_of(&self, count: usize) -> usize {
        let turns = usize::try_from(self.counters.loop_turns).unwrap_or(0);
        turns.checked_rem(count).unwrap_or(0)
    }

    /// Closes a connection. Its descriptor may be what an acceptor waits for.
    fn close(&mut self, key: usize) {
        self.deadlines.cancel(key);
        if let Some(connection) = self.connections.try_remove(key) {
            self.admission.leave(connection.peer().ip());
            let reason = connection.close(&mut self.bench);
            self.counters.count_closed(reason);
        }
        self.acceptors.iter_mut().for_each(Acceptor::resume);
        #[cfg(feature = "admin")]
        self.pages.admin.iter_mut().for_each(Admin::resume);
        if self.connections.is_empty() && self.connections.capacity() > TABLE_KEPT {
            self.give_tables_back();
        }
    }

    /// After a storm, what it took goes back to the system.
    fn give_tables_back(&mut self) {
        self.connections = Slab::new();
        self.run_queue = RunQueue::new(self.sizes.share_bytes);
        self.deadlines = Self::no_deadlines(&self.settings, self.now);
    }

    fn no_deadlines(settings: &Settings, now: Instant) -> Deadlines<2> {
        Deadlines::new(now, [settings.idle_timeout, Some(LINGER_TIMEOUT)])
    }

    fn count_kernel_drops(&mut self) {
        for socket in &mut self.sockets {
            socket.count_kernel_drops(&mut self.counters);
        }
    }

    /// SIGUSR1: a line for each counter that is not zero.
    fn report(&mut self) {
        self.count_kernel_drops();
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
