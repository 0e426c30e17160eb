//! The simulated kernel's state and its clock.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use pingpong::inside::reactor::kernel::{Notice, Signal, Token};
use rustix::io::Errno;

use super::faults::{Call, Fault, Faults};
use super::peer::Peer;
use super::plan::{MS, Plan};
use super::rng::Rng;
use super::socket::{Conn, Id, ListenSocket, PortSocket, Watch};

/// The port that the server is on.
pub const PORT: u16 = 8888;

/// What a schedule came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub calls: usize,
    pub faults: usize,
    pub waits: usize,
    pub events: usize,
    /// Calls that did something.
    pub successes: usize,
    pub accepted: u64,
    pub closed: u64,
    /// Those that were closed for want of progress, and nothing else.
    pub timed_out: u64,
    /// The most that a connection owned.
    pub kept_max_bytes: usize,
}

impl Stats {
    pub fn add(&mut self, more: Self) {
        self.calls += more.calls;
        self.faults += more.faults;
        self.waits += more.waits;
        self.events += more.events;
        self.successes += more.successes;
        self.accepted += more.accepted;
        self.closed += more.closed;
        self.timed_out += more.timed_out;
        self.kept_max_bytes = self.kept_max_bytes.max(more.kept_max_bytes);
    }
}

/// The clock of a schedule starts here.
pub const START_NS: u64 = 0;

/// When nothing moves but the server's own timeouts, the operator stops it after this long: all
/// deadlines have passed by then.
pub const PATIENCE_NS: u64 = 15_000 * MS;

/// For how long a process may stand still: a moment, longer than a short timeout, than a long one.
const STANDSTILLS_MS: [u64; 4] = [1, 30, 200, 3100];

/// No schedule makes so many calls: their peers have little to say.
const CALLS_MAX: usize = 100_000;

pub struct World {
    pub plan: Plan,
    pub base: Instant,
    pub now_ns: u64,
    /// What the server was last told the time is.
    pub turn_ns: u64,
    /// What it was told first in this turn; `None`: nothing yet.
    pub turn_began_ns: Option<u64>,
    /// What it knew of the time when it first called accept in this turn.
    pub accepts_began_ns: Option<u64>,
    /// How long the process has stood still in this turn.
    pub stood_still_ns: u64,
    /// When calls failed whose fault the log is told of, and of whose end.
    pub failures_ns: Vec<u64>,
    /// How much of this turn went into receiving and sending datagrams.
    pub datagrams_ns: u64,
    /// How many turns began after the end of the drain.
    pub turns_after_drain: usize,
    pub rng: Rng,
    pub peers: Vec<Peer>,
    pub listeners: Vec<ListenSocket>,
    pub ports: Vec<PortSocket>,
    pub conns: Vec<Conn>,
    /// The ready list, in the order of the edges, and those edges that come with the next wait
    /// only.
    pub ready: Vec<Id>,
    pub late: Vec<Id>,
    /// Tokens that were ever registered, for events that nobody asked for.
    pub tokens: Vec<Token>,
    pub signals_to_come: Vec<(u64, Signal)>,
    pub signals: VecDeque<Signal>,
    /// When the server was told to stop.
    pub stop_told_ns: Option<u64>,
    /// How many waits there had been by then.
    pub stop_told_wait: usize,
    /// How often it was told again, in a later turn.
    pub later_stops: usize,
    /// The server is over: what it still holds, it drops.
    pub is_over: bool,
    /// What pays for replies to what is not a ping.
    pub tokens_left: f64,
    pub tokens_at_ns: u64,
    pub stats: Stats,
    /// Every call so far.
    pub calls: Vec<Call>,
    /// The turn in which an event was last told of, and how many there were before.
    pub worked_ns: u64,
    pub events_before: usize,
    /// Waits without sleep in a row, with nothing done between them.
    pub idle_waits: usize,
    /// What had been done when the last wait ended: events, successes and faults.
    pub done_before: usize,
    /// The programs that were started to replace the server: how many sockets each was handed, and
    /// when it was ended.
    pub successors: Vec<(usize, Option<u64>)>,
    /// Why none can be started.
    pub start_error: Option<Errno>,
    /// What the service manager was told.
    pub notices: Vec<Notice>,
    /// Not a server makes the calls, but a test of this kernel.
    pub is_unchecked: bool,
    /// What went wrong first.
    pub violation: Option<String>,
    pub trace: Option<Vec<String>>,
}

/// Tells the trace, if anybody listens.
macro_rules! say {
    ($world:expr, $($arg:tt)*) => {
        if $world.trace.is_some() {
            $world.tell(format_args!($($arg)*));
        }
    };
}
pub(crate) use say;

impl World {
    pub fn new(plan: Plan, base: Instant, is_traced: bool) -> Self {
        let mut signals_to_come = Vec::new();
        let at = |ns: Option<u64>, signal| ns.map(|ns| (ns, signal));
        signals_to_come.extend(at(plan.stop_ns, Signal::Stop));
        signals_to_come.extend(at(plan.second_stop_ns, Signal::Stop));
        signals_to_come.extend(at(plan.report_ns, Signal::Report));
        let listeners = (0..plan.listeners).map(|_| ListenSocket {
            watch: Watch::default(),
            is_open: true,
            backlog: VecDeque::new(),
            is_refusing: false,
        });
        let ports = (0..plan.ports).map(|number| PortSocket {
            watch: Watch::default(),
            is_open: true,
            bound: Self::bound(number),
            queue: VecDeque::new(),
            lost: 0,
            lost_told: 0,
            lost_at_report: 0,
            queue_max: plan.kernel.queue_max,
            gso_segments: plan.kernel.gso_segments,
            is_failing: false,
            receives_in_turn: 0,
            owed: Vec::new(),
            received: 0,
            sent: 0,
            received_packets: 0,
            due_at_stop: 0,
        });
        Self {
            base,
            now_ns: START_NS,
            turn_ns: START_NS,
            turn_began_ns: None,
            accepts_began_ns: None,
            stood_still_ns: 0,
            failures_ns: Vec::new(),
            datagrams_ns: 0,
            turns_after_drain: 0,
            rng: plan.rng.clone(),
            peers: plan.peers.clone(),
            listeners: listeners.collect(),
            ports: ports.collect(),
            conns: Vec::new(),
            ready: Vec::new(),
            late: Vec::new(),
            tokens: Vec::new(),
            signals_to_come,
            signals: VecDeque::new(),
            stop_told_ns: None,
            stop_told_wait: 0,
            later_stops: 0,
            is_over: false,
            tokens_left: f64::from(plan.config.other_rate_per_s),
            tokens_at_ns: START_NS,
            stats: Stats::default(),
            calls: Vec::new(),
            worked_ns: START_NS,
            events_before: 0,
            idle_waits: 0,
            done_before: 0,
            successors: Vec::new(),
            start_error: None,
            notices: Vec::new(),
            is_unchecked: false,
            violation: None,
            trace: is_traced.then(Vec::new),
            plan,
        }
    }

    /// The first port is bound to every address, the second to one.
    pub fn bound(number: usize) -> SocketAddr {
        let ip = if number == 0 {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        SocketAddr::new(IpAddr::V4(ip), PORT)
    }

    pub fn tell(&mut self, what: fmt::Arguments<'_>) {
        let (ms, us) = (self.now_ns / MS, self.now_ns / 1000 % 1000);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{ms:>6}.{us:03} ms  {what}"));
        }
    }

    /// Something that must never happen has happened.
    pub fn violated(&mut self, what: fmt::Arguments<'_>) {
        if self.is_unchecked {
            return;
        }
        if self.violation.is_none() {
            self.tell(format_args!("VIOLATION: {what}"));
            self.violation = Some(what.to_string());
        }
    }

    /// Faults still happen.
    pub fn is_faulty(&self) -> bool {
        let kernel = &self.plan.kernel;
        match &kernel.faults {
            Faults::At(faults) => faults.iter().any(|(number, _)| *number >= self.stats.calls),
            _ => kernel
                .faults_until_ns
                .is_none_or(|until| self.now_ns < until),
        }
    }

    /// A call begins: time passes, a peer may move meanwhile, and the call may be one that goes
    /// wrong.
    pub fn enter(&mut self, call: Call) -> Option<Fault> {
        self.stats.calls += 1;
        assert!(
            self.stats.calls < CALLS_MAX,
            "{CALLS_MAX} calls, and no end"
        );
        self.calls.push(call);
        self.now_ns += 1000;
        if matches!(call, Call::Receive | Call::Send) {
            self.datagrams_ns += 1000;
        }
        if self.is_faulty() && self.rng.one_in(self.plan.kernel.stalls_one_in) {
            self.stand_still();
        }
        for place in 0..self.plan.kernel.races_at.len() {
            if self.plan.kernel.races_at[place] == self.stats.calls {
                self.move_soonest();
            }
        }
        if self.is_faulty() && self.rng.one_in(self.plan.kernel.races_one_in) {
            self.move_soonest();
        }
        if !self.is_faulty() {
            return None;
        }
        let fault = self
            .plan
            .kernel
            .faults
            .next(self.stats.calls, call, &mut self.rng);
        if let Some(fault) = fault {
            self.stats.faults += 1;
            say!(self, "FAULT: the next {call:?} goes wrong: {fault:?}");
        }
        fault
    }

    /// The process is stopped for a while, and the world goes on.
    pub fn stand_still(&mut self) {
        let ns = self.rng.pick(&STANDSTILLS_MS) * MS;
        say!(self, "the process stands still for {} ms", ns / MS);
        self.now_ns += ns;
        self.stood_still_ns += ns;
        self.stats.faults += 1;
        self.move_who_is_due();
    }

    /// The server asks for the time.
    pub fn read_clock(&mut self) {
        self.turn_ns = self.now_ns;
        if self.turn_began_ns.is_none() {
            self.turn_began_ns = Some(self.now_ns);
            self.stood_still_ns = 0;
            if self.stats.events > self.events_before {
                self.events_before = self.stats.events;
                self.worked_ns = self.now_ns;
            }
        }
        for conn in &mut self.conns {
            if std::mem::take(&mut conn.is_progress_untimed) {
                conn.maybe_progress_ns = self.now_ns;
            }
        }
    }

    /// The peer that is to move next does so now.
    pub fn move_soonest(&mut self) {
        let soonest = self.peers.iter().enumerate();
        let soonest = soonest.filter_map(|(number, peer)| Some((peer.next_ns?, number)));
        if let Some((_, number)) = soonest.min() {
            self.move_peer(number);
        }
    }

    pub fn open_conns(&self) -> usize {
        self.conns.iter().filter(|conn| conn.is_open).count()
    }

    /// Descriptors of sockets that are open.
    pub fn open_descriptors(&self) -> usize {
        let listeners = self.listeners.iter().filter(|socket| socket.is_open);
        let ports = self.ports.iter().filter(|socket| socket.is_open);
        listeners.count() + ports.count() + self.open_conns()
    }
}
