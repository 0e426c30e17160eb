//! `pingpong load`: asks as much as it was told to, and measures what comes back.
//!
//! In reading order: [`schedule`] (when),
//! [`ledger`] (what became of it) and [`figures`] (what that adds up to) are pure. A [`lane`] is a
//! connection ([`stream`]) or a datagram socket ([`flow`]). [`Load`] drives all of them. [`search`]
//! runs it again and again for `--find-max`; [`watch`], [`report`] and [`hgrm`] show what it
//! measured, and [`session`] ties them together.

pub mod figures;
pub mod flow;
pub mod hgrm;
pub mod lane;
pub mod ledger;
pub mod report;
pub mod schedule;
pub mod screen;
pub mod search;
pub mod session;
pub mod stream;
mod turn;
pub mod watch;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use figures::Figures;
use lane::{Bench, Lane, Quota, Sending};
use schedule::{Nanos, Schedule};
use watch::Watch;

use crate::client::script::Script;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::kernel::Kernel;
use crate::reactor::run_queue::RunQueue;
use crate::state::State;

/// How long one of several addresses of a name has to answer the first datagram, before the next is
/// tried.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// What is asked of whom, for all runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to send, and what has to come back.
    pub script: Script,
    /// Where the target may be, in the order in which to try.
    pub addresses: Vec<SocketAddr>,
    /// How many lanes.
    pub lanes: usize,
    /// How many requests may wait on one lane.
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
    /// What is due and could not be sent by the end is sent after it, so that the worst is measured
    /// too.
    pub catch_up: bool,
}

/// How the lanes came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many of them are ready.
    pub ready: usize,
    /// How long it took until the last was.
    pub took: Duration,
    /// Where they lead to.
    pub peer: Option<SocketAddr>,
}

/// The load client, on any kernel, with lanes of one kind.
pub struct Load<K: Kernel, L> {
    kernel: K,
    plan: Plan,
    /// `None`: closed.
    lanes: Vec<Option<L>>,
    /// How many are not closed, and how many of those are not ready yet.
    live: usize,
    opening: usize,
    /// Which of the addresses is tried, and whether it is the one to stay with.
    address: usize,
    is_settled: bool,
    /// Those that the timetable calls on, in turn.
    called: Vec<usize>,
    /// The next request of the timetable, and until when it calls.
    next_due: u64,
    calls_until: Nanos,
    bench: Bench,
    deadlines: Deadlines<2>,
    run_queue: RunQueue,
    epoch: Instant,
    /// When the turn began: the clock is read once in each, and once for each batch of replies.
    now: Instant,
    /// When there is something else to do than to answer events.
    wake_at: Option<Nanos>,
    /// How many signals asked to stop.
    stops: u32,
    /// A signal asked for the figures so far.
    is_asked: bool,
}

impl<K: Kernel, L: Lane<K>> Load<K, L> {
    /// A client that has not begun to connect.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub fn new(kernel: K, plan: Plan) -> io::Result<Self> {
        let now = kernel.now();
        let timeouts = if L::LOSES_NOTHING {
            [Some(plan.timeout), None]
        } else {
            [Some(PROBE_TIMEOUT), Some(plan.timeout)]
        };
        Ok(Self {
            kernel,
            lanes: Vec::with_capacity(plan.lanes),
            live: 0,
            opening: 0,
            address: 0,
            is_settled: plan.addresses.len() == 1,
            called: Vec::with_capacity(plan.lanes),
            next_due: 0,
            calls_until: 0,
            bench: Bench::new(plan.script.clone())?,
            deadlines: Deadlines::new(now, timeouts),
            run_queue: RunQueue::new(usize::MAX),
            epoch: now,
            now,
            wake_at: None,
            stops: 0,
            is_asked: false,
            plan,
        })
    }

    /// Opens all lanes, at the first of the addresses that answers. One that fails is not tried
    /// again.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn open(&mut self) -> io::Result<Opened> {
        let began = self.now;
        loop {
            self.open_more();
            if self.opening == 0 {
                break;
            }
            self.turn()?;
            if self.stops > 0 {
                break;
            }
        }
        Ok(Opened {
            ready: self.live - self.opening,
            took: self.kernel.now().saturating_duration_since(began),
            peer: self.plan.addresses.get(self.address).copied(),
        })
    }

    /// One run over all lanes that are there. `watch` is told how it goes.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn run(&mut self, run: Run, watch: &mut impl Watch) -> io::Result<Figures> {
        let begins = self.begin(run);
        let ends = begins + nanos(run.duration);
        let mut is_counting = false;
        while self.stops == 0 && self.live > 0 && self.now_ns() < ends {
            let now = self.now_ns();
            if !is_counting && now >= begins {
                is_counting = true;
                watch.begin();
            }
            if std::mem::take(&mut self.is_asked) {
                watch.tell_so_far(&self.bench.figures, now, begins);
            }
            let next = if is_counting { ends } else { begins };
            let tick = watch.tick(&self.bench.figures, now, (begins, ends));
            self.wake_at = Some(tick.map_or(next, |tick| tick.min(next)));
            self.turn()?;
        }
        watch.end();
        self.finish(run)
    }

    /// A signal has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stops > 0
    }

    /// How many lanes are still there.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Sets everybody to work, and says when it begins to count.
    fn begin(&mut self, run: Run) -> Nanos {
        self.now = self.kernel.now();
        let starts = self.now_ns();
        let begins = starts + nanos(run.warmup);
        let ends = begins + nanos(run.duration);
        self.bench
            .figures
            .open_window((begins, ends), run.rate_per_s.is_some());
        self.called.clear();
        for (key, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(lane) = lane {
                *lane.quota() = Quota::new(self.called.len());
                self.called.push(key);
                self.run_queue.push(key);
            }
        }
        self.next_due = 0;
        self.calls_until = ends;
        self.bench.behind = 0;
        self.bench.sending = match run.rate_per_s {
            None => Sending::ClosedLoop,
            Some(rate_per_s) => {
                Sending::OpenLoop(Schedule::new(starts, rate_per_s, self.called.len()))
            }
        };
        begins
    }

    /// Waits for the replies that are still owed, and hands out what was measured.
    fn finish(&mut self, run: Run) -> io::Result<Figures> {
        let ended = self.now_ns();
        if let Sending::OpenLoop(schedule) = self.bench.sending {
            let until = ended.min(self.calls_until);
            self.bench
                .figures
                .never_called(&schedule, self.next_due, until);
        }
        self.bench.figures.close_window(ended);
        self.calls_until = 0;
        if run.rate_per_s.is_none() || !run.catch_up || self.stops > 0 {
            self.bench.sending = Sending::Not;
            self.bench.behind = 0;
        }
        let until = ended + nanos(self.plan.timeout);
        while self.bench.waiting > 0 || self.bench.behind > 0 {
            if self.now_ns() >= until || self.stops > 1 || self.live == 0 {
                break;
            }
            self.wake_at = Some(until);
            self.turn()?;
        }
        self.bench.sending = Sending::Not;
        self.give_up_the_rest();
        Ok(std::mem::replace(&mut self.bench.figures, Figures::new()?))
    }

    fn give_up_the_rest(&mut self) {
        for key in 0..self.lanes.len() {
            let Some(Some(lane)) = self.lanes.get_mut(key) else {
                continue;
            };
            let given_up = lane.give_up(Nanos::MAX);
            self.bench.waiting -= given_up;
            // Whoever breaks the wait off does not know whether they were lost.
            if self.stops > 1 {
                self.bench.figures.abandoned += given_up as u64;
            } else {
                self.bench.figures.lost += given_up as u64;
            }
            if lane.state() == State::Closed {
                self.close(key);
            }
        }
    }

    fn now_ns(&self) -> Nanos {
        nanos(self.now.saturating_duration_since(self.epoch))
    }
}

/// A duration, as far as it fits: 584 years.
fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
