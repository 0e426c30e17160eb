//! The network: its hosts, each with a clock of its own, and what is on its way between them.
//!
//! A packet is a [`Event`] in the queue of the host that it goes to. A host takes it when its clock
//! comes there: while its program works, that is with each call. So a host whose turn takes long
//! never shows another what has not happened yet; at worst it finds a packet later than it came.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use pingpong::inside::reactor::kernel::Signal;

use super::actor::Actor;
use super::packets::Port;
use super::streams::{Listener, Stream};
use super::truth::Truth;
use crate::sim::rng::Rng;

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    Listener(usize),
    Stream(usize),
    Port(usize),
}

/// How a host hangs on the network: what befalls each packet that it sends or gets. `one_in`: once
/// in so many; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub latency_ns: u64,
    pub jitter_ns: u64,
    pub loss_one_in: usize,
    pub duplicate_one_in: usize,
    pub reorder_one_in: usize,
    /// What was written with one call comes in two pieces.
    pub split_one_in: usize,
    /// A connection is torn down from between its ends.
    pub reset_one_in: usize,
}

/// What goes wrong in a host's calls. As for [`Link`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub short_one_in: usize,
    pub would_block_one_in: usize,
    pub interrupted_one_in: usize,
    /// In a call, or before a wait returns.
    pub standstill_one_in: usize,
    pub standstill_max_ns: u64,
}

/// What a host takes for a call, and what it has room for.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// To ask for the time.
    pub clock_ns: u64,
    pub call_ns: u64,
    /// What a receiving call that finds something takes more.
    pub find_ns: u64,
    pub events_per_wait: usize,
    /// What is written to a connection and not read yet, at most.
    pub stream_bytes: usize,
    /// Super-packets that wait in one datagram socket, at most.
    pub queue_max: usize,
    pub gso_segments: usize,
    /// Datagrams of one length from one peer are received as one.
    pub coalesces: bool,
    /// How long a call that connects takes.
    pub connect_ns: u64,
}

impl Machine {
    /// No call takes any time, and there is room.
    pub const IDEAL: Self = Self {
        clock_ns: 0,
        call_ns: 0,
        connect_ns: 0,
        find_ns: 0,
        events_per_wait: usize::MAX,
        stream_bytes: 1 << 20,
        queue_max: 1000,
        gso_segments: 1,
        coalesces: false,
    };
}

/// What happens to a host.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants a connection.
    Syn {
        client: usize,
        to: SocketAddr,
    },
    /// Connecting has ended: with the other end, or not.
    Connected {
        stream: usize,
        outcome: Result<usize, io::ErrorKind>,
    },
    Data {
        stream: usize,
        bytes: Vec<u8>,
    },
    /// The other end has read so much.
    Credit {
        stream: usize,
        bytes: usize,
    },
    Fin {
        stream: usize,
    },
    Reset {
        stream: usize,
    },
    Datagram {
        from: usize,
        source: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// What the network says of a datagram that was sent from this port.
    Unreachable {
        port: usize,
        kind: io::ErrorKind,
    },
    /// What a call has missed by a hair.
    Edge(Id),
    Signal(Signal),
}

pub struct Host {
    pub ips: Vec<IpAddr>,
    pub link: Link,
    pub faults: Faults,
    pub machine: Machine,
    pub clock_ns: u64,
    /// When the last wait ended.
    pub woken_ns: u64,
    /// When the wait that comes next ends, where a driver has said so.
    pub decided_ns: Option<u64>,
    /// Who has an event, in order, and since when anybody has.
    pub ready: VecDeque<Id>,
    pub ready_ns: Option<u64>,
    pub signals: VecDeque<Signal>,
    pub queue: BTreeMap<(u64, u64), Event>,
    pub actor: Option<Actor>,
    pub truth: Truth,
    pub opened: usize,
    pub open: usize,
    pub shut_down: usize,
    /// Datagrams that found no room.
    pub drops: usize,
    pub stood_still: bool,
}

/// The kinds of calls that chance treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Nothing goes wrong with these.
    Sure,
    Accept,
    Read,
    Write,
    Send,
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Short,
    WouldBlock,
    Interrupted,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub calls: usize,
    pub waits: usize,
    pub packets: usize,
    pub faults: usize,
    pub losses: usize,
    pub duplicates: usize,
    pub resets: usize,
}

pub struct Net {
    pub base: Instant,
    pub rng: Rng,
    pub hosts: Vec<Host>,
    pub listeners: Vec<Listener>,
    pub streams: Vec<Stream>,
    pub ports: Vec<Port>,
    /// Nothing that is sent there is ever answered.
    pub silent: Vec<SocketAddr>,
    /// Datagrams find no open port there, whoever has the address.
    pub closed: Vec<SocketAddr>,
    /// Who has all addresses that nobody else has.
    pub elsewhere: Option<usize>,
    pub has_route: bool,
    pub stats: Stats,
    /// Until then things go wrong.
    pub faulty_until_ns: u64,
    pub trace: Option<Vec<String>>,
    planned: u64,
}

impl Net {
    pub fn new(rng: Rng) -> Self {
        Self {
            base: Instant::now(),
            rng,
            hosts: Vec::new(),
            listeners: Vec::new(),
            streams: Vec::new(),
            ports: Vec::new(),
            silent: Vec::new(),
            closed: Vec::new(),
            elsewhere: None,
            has_route: true,
            stats: Stats::default(),
            faulty_until_ns: u64::MAX,
            trace: None,
            planned: 0,
        }
    }

    pub fn add(&mut self, ips: Vec<IpAddr>, machine: Machine, link: Link, faults: Faults) -> usize {
        self.hosts.push(Host {
            ips,
            link,
            faults,
            machine,
            clock_ns: 0,
            woken_ns: 0,
            decided_ns: None,
            ready: VecDeque::new(),
            ready_ns: None,
            signals: VecDeque::new(),
            queue: BTreeMap::new(),
            actor: None,
            truth: Truth::default(),
            opened: 0,
            open: 0,
            shut_down: 0,
            drops: 0,
            stood_still: false,
        });
        self.hosts.len() - 1
    }

    /// A line of the trace, by a host's clock.
    pub fn say(&mut self, host: usize, what: std::fmt::Arguments<'_>) {
        self.say_at(host, self.hosts[host].clock_ns, what);
    }

    /// Of what happens to it while it sleeps.
    pub fn say_at(&mut self, host: usize, at_ns: u64, what: std::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            let (us, ns) = (at_ns / US, at_ns % US);
            trace.push(format!("{us:>10}.{ns:03} us  host {host}: {what}"));
        }
    }

    /// Who has this address.
    pub fn host_of(&self, ip: IpAddr) -> Option<usize> {
        let is_its = |host: &Host| host.ips.contains(&ip);
        self.hosts.iter().position(is_its).or(self.elsewhere)
    }

    /// Puts something into a host's queue.
    pub fn post(&mut self, host: usize, at_ns: u64, event: Event) {
        self.planned += 1;
        self.hosts[host].queue.insert((at_ns, self.planned), event);
    }

    pub fn is_faulty(&self, at_ns: u64) -> bool {
        at_ns < self.faulty_until_ns
    }

    /// Whether chance strikes now.
    pub fn strikes(&mut self, host: usize, one_in: impl Fn(&Host) -> usize) -> bool {
        let host = &self.hosts[host];
        self.is_faulty(host.clock_ns) && self.rng.one_in(one_in(host))
    }

    /// How long a packet takes from one host to another.
    pub fn delay_ns(&mut self, from: usize, to: usize) -> u64 {
        let mut delay_ns = 0;
        for host in [from, to] {
            let link = self.hosts[host].link;
            delay_ns += link.latency_ns;
            if link.jitter_ns > 0 {
                delay_ns += self.rng.below(usize::try_from(link.jitter_ns).unwrap()) as u64;
            }
        }
        delay_ns
    }

    /// A program makes a call: time passes, what has come meanwhile has come, and perhaps it goes
    /// wrong.
    pub fn enter(&mut self, host: usize, call: Call) -> Option<Fault> {
        self.stats.calls += 1;
        let call_ns = self.hosts[host].machine.call_ns;
        self.hosts[host].clock_ns += call_ns;
        self.maybe_stand_still(host);
        self.settle(host);
        if call == Call::Sure || !self.is_faulty(self.hosts[host].clock_ns) {
            return None;
        }
        let faults = self.hosts[host].faults;
        let fault = if self.rng.one_in(faults.interrupted_one_in) {
            Some(Fault::Interrupted)
        } else if call != Call::Wait && self.rng.one_in(faults.would_block_one_in) {
            Some(Fault::WouldBlock)
        } else if matches!(call, Call::Read | Call::Write) && self.rng.one_in(faults.short_one_in) {
            Some(Fault::Short)
        } else {
            None
        };
        if let Some(fault) = fault {
            self.stats.faults += 1;
            self.say(host, format_args!("FAULT: {call:?} {fault:?}"));
        }
        fault
    }

    /// The process is stopped for a while, perhaps, and the world goes on.
    pub fn maybe_stand_still(&mut self, host: usize) {
        if self.strikes(host, |host| host.faults.standstill_one_in) {
            let max_ns = usize::try_from(self.hosts[host].faults.standstill_max_ns).unwrap();
            let ns = self.rng.below(max_ns + 1) as u64;
            self.say(host, format_args!("stands still for {} us", ns / US));
            self.hosts[host].clock_ns += ns;
            self.hosts[host].stood_still = true;
            self.stats.faults += 1;
        }
    }

    /// Whatever has come to a host by its own clock.
    pub fn settle(&mut self, host: usize) {
        let clock_ns = self.hosts[host].clock_ns;
        while let Some(at_ns) = self.next_event_ns(host).filter(|at| *at <= clock_ns) {
            self.happen(host, at_ns);
        }
    }

    pub fn next_event_ns(&self, host: usize) -> Option<u64> {
        let first = self.hosts[host].queue.first_key_value();
        first.map(|(&(at_ns, _), _)| at_ns)
    }

    /// The next thing in a host's queue happens.
    pub fn happen(&mut self, host: usize, at_ns: u64) {
        let Some((_, event)) = self.hosts[host].queue.pop_first() else {
            return;
        };
        self.stats.packets += 1;
        match event {
            Event::Syn { client, to } => self.syn(host, at_ns, client, to),
            Event::Connected { stream, outcome } => self.connected(stream, at_ns, outcome),
            Event::Data { stream, bytes } => self.data(stream, at_ns, bytes),
            Event::Credit { stream, bytes } => self.credit(stream, at_ns, bytes),
            Event::Fin { stream } => self.fin(stream, at_ns),
            Event::Reset { stream } => self.reset(stream, at_ns),
            Event::Datagram {
                from,
                source,
                to,
                bytes,
            } => self.datagram(host, at_ns, from, (source, to), bytes),
            Event::Unreachable { port, kind } => self.unreachable(port, at_ns, kind),
            Event::Edge(id) => self.edge(id, at_ns),
            Event::Signal(signal) => {
                let host = &mut self.hosts[host];
                host.signals.push_back(signal);
                host.ready_ns.get_or_insert(at_ns);
            }
        }
    }

    /// What this kernel calls the time.
    pub fn instant(&self, ns: u64) -> Instant {
        self.base + Duration::from_nanos(ns)
    }
}
