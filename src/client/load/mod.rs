//! `pingpong load`: asks as much as it was told to, and measures what comes back.
//!
//! In reading order: [`schedule`] (when requests are due), [`latency`] and [`stats`] (what became of
//! them) are pure. A [`conn`] is a connection ([`stream`]) or a datagram socket ([`datagrams`]).
//! [`Load`] drives all of them, as a [`Program`]. [`search`] runs it again and again for
//! `--find-max`; [`watch`], [`report`] and [`hgrm`] show what it measured, and [`session`] ties
//! them together.
//!
//! A run goes through four phases. While it is *connecting*, connections are opened, some at a time.
//! In the *warm-up* nothing counts. The *window* is what is measured: it begins with a timetable of
//! its own, so that what the warm-up could not send is not in its way. In *catching up* replies are
//! waited for, and what was due and has not left is sent, so that the worst is measured too.
//!
//! A connection that is lost is opened again, and goes on with the timetable where the lost one
//! stood: an outage of the server shows up as its length.

pub mod conn;
pub mod datagrams;
pub mod hgrm;
pub mod latency;
mod opening;
pub mod options;
mod phases;
pub mod report;
pub mod schedule;
pub mod screen;
pub mod search;
pub mod session;
pub mod stats;
pub mod stream;
mod turn;
pub mod watch;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use conn::{Conn, Quota, Shared};
use schedule::Nanos;
use stats::Stats;
use watch::Watch;

use super::candidates::{self, Candidates};
use crate::client::script::Script;
use crate::reactor::deadlines::{Deadlines, RETRY_AFTER};
use crate::reactor::kernel::{Kernel, Readiness};
use crate::reactor::program::Program;
use crate::reactor::run_queue::RunQueue;

/// What is asked of whom, for all runs.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// What to send, and what has to come back.
    pub script: Script,
    /// Where the target may be, in the order in which to try.
    pub addresses: Vec<SocketAddr>,
    /// How many connections, or over UDP sockets.
    pub connections: usize,
    /// How many requests may wait on one.
    pub pipeline: usize,
    /// How many lines a peer says before it listens.
    pub skip_lines: u32,
    /// How long a connection may take to come, and a reply.
    pub timeout: Duration,
    /// The highest rate of any run; `None` for closed loops.
    pub rate_max_per_s: Option<u64>,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// `None`: a closed loop.
    pub rate_per_s: Option<u64>,
    /// How long to run before it counts.
    pub warmup: Duration,
    /// How long it counts.
    pub duration: Duration,
    /// What is due and could not be sent by the end is sent after it.
    pub catch_up: bool,
    /// In a closed loop: how many requests are sent while it counts, at most; then it ends.
    pub requests_max: Option<u64>,
}

impl Default for Run {
    /// A closed loop that counts from its begin.
    fn default() -> Self {
        Self {
            rate_per_s: None,
            warmup: Duration::ZERO,
            duration: Duration::ZERO,
            catch_up: true,
            requests_max: None,
        }
    }
}

/// How long a run lasts that ends by something else: a year.
pub const UNENDING: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the connections came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many of them were ready when the first run began.
    pub ready: usize,
    /// How long it took until the last was.
    pub took: Duration,
    /// Where they lead to.
    pub peer: Option<SocketAddr>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No run.
    Idle,
    /// Connections come about.
    Connecting,
    /// It goes on, and does not count yet.
    WarmUp,
    /// It counts.
    Window,
    /// It is over but for replies that are owed, until this time at the latest.
    CatchingUp(Nanos),
}

/// A place on the timetable, and the connection that has it.
#[derive(Debug)]
struct Lane<C> {
    quota: Quota,
    /// `None`: it did not come about, or is lost and waits to be opened again.
    conn: Option<C>,
    /// It is there, and has not been seen ready.
    is_opening: bool,
}

/// The lists of deadlines that a lane can stand on.
const OPENING: u8 = 0;
const REPLY: u8 = 1;
const REOPENING: u8 = 2;

/// The load client, on any kernel, with connections of one kind.
pub struct Load<K: Kernel, C, W> {
    kernel: K,
    plan: LoadPlan,
    watch: W,
    lanes: Vec<Lane<C>>,
    candidates: Candidates,
    /// How many connections are there, and how many of those are not ready yet.
    live: usize,
    opening: usize,
    opened: Option<Opened>,
    run: Run,
    phase: Phase,
    /// The next request of the timetable, and until when it calls.
    next_due: u64,
    calls_until: Nanos,
    /// Those that the timetable calls on, in turn.
    called: Vec<usize>,
    shared: Shared,
    deadlines: Deadlines<3>,
    run_queue: RunQueue,
    epoch: Instant,
    /// When the turn began: the clock is read once in each, and once for each batch of replies.
    now: Instant,
    /// When the watch wants to be told again.
    tick_at: Option<Nanos>,
    /// How many signals asked to stop.
    stops: u32,
}

impl<K: Kernel, C: Conn<K>, W: Watch> Load<K, C, W> {
    /// A client that has not begun to connect. `watch` is told how its runs go.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub fn new(kernel: K, plan: LoadPlan, watch: W) -> io::Result<Self> {
        let now = kernel.now();
        let (opening, reply) = if C::RELIABLE {
            (plan.timeout, None)
        } else {
            (candidates::PATIENCE, Some(plan.timeout))
        };
        let timeouts = [Some(opening), reply, Some(RETRY_AFTER)];
        Ok(Self {
            kernel,
            watch,
            lanes: Vec::with_capacity(plan.connections),
            candidates: Candidates::new(plan.addresses.clone()),
            live: 0,
            opening: 0,
            opened: None,
            run: Run::default(),
            phase: Phase::Idle,
            next_due: 0,
            calls_until: 0,
            called: Vec::with_capacity(plan.connections),
            shared: Shared::new(plan.script.clone())?,
            deadlines: Deadlines::new(now, timeouts),
            run_queue: RunQueue::new(usize::MAX),
            epoch: now,
            now,
            tick_at: None,
            stops: 0,
            plan,
        })
    }

    /// One run, over the connections that are there; the first opens them.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn measure(&mut self, run: Run) -> io::Result<Stats> {
        self.start(run);
        self.run()?;
        self.take_stats()
    }

    /// What the run has measured, once it is over.
    ///
    /// # Errors
    /// There is no memory for those of the next.
    pub fn take_stats(&mut self) -> io::Result<Stats> {
        Ok(std::mem::replace(&mut self.shared.stats, Stats::new()?))
    }

    /// Has the next turns be those of a run.
    pub fn start(&mut self, run: Run) {
        self.now = self.kernel.now();
        self.run = run;
        if self.opened.is_some() {
            self.begin_run();
        } else {
            self.phase = Phase::Connecting;
            self.open_more();
        }
    }

    /// How the connections came to be, once a run has begun.
    pub fn opened(&self) -> Opened {
        self.opened.unwrap_or_default()
    }

    /// A signal has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stops > 0
    }

    /// What watches the runs.
    pub fn watch(&mut self) -> &mut W {
        &mut self.watch
    }

    fn now_ns(&self) -> Nanos {
        nanos(self.now.saturating_duration_since(self.epoch))
    }
}

/// A duration, as far as it fits: 584 years.
fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// An error for people: with what to do, where the kernel's words do not say so.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "no local port is left for another connection there: use fewer connections, or wait until the \
             old ones are out of TIME-WAIT (a minute)"
                .into()
        }
        io::ErrorKind::ConnectionRefused => "refused: nobody listens there".into(),
        _ => error.to_string(),
    }
}
