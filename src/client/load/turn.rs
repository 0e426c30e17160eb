//! One turn of the load client's loop, and what it does for one lane.

use std::io;
use std::time::{Duration, Instant};

use super::figures::LaneEnd;
use super::lane::{Lane, Opening, Sending};
use super::schedule::{Nanos, Schedule};
use super::{Load, nanos};
use crate::reactor::kernel::{Kernel, Signal, Token};
use crate::state::State;

/// How many lanes are being connected at the same time: few enough for any server's backlog.
const OPENING_AT_ONCE: usize = 64;

/// How many requests a datagram lane remembers for each that may wait, so that duplicates are known
/// again.
const REMEMBERED_PER_WAITING: usize = 16;
/// How many requests all of them together remember beyond those that may wait: 24 MiB.
const REMEMBERED_FOR_RATE_MAX: usize = 1 << 20;

/// How long before the timetable calls the loop no longer sleeps: a timer wakes a process 30 to 50
/// us late, which would be a third of a latency on one host, and the client's own.
const AWAKE_BEFORE_CALL: Duration = Duration::from_micros(60);
/// But no more than one part in so many of the time between two calls: who never sleeps is made to
/// wait by the scheduler, for milliseconds, as soon as somebody else wants the CPU.
const AWAKE_SHARE: u32 = 4;

/// How many requests the timetable hands out in one turn of the loop, at most; what is left is due, so
/// the next turn does not sleep. Without it a rate that cannot be kept makes each turn longer than the
/// last, and nobody hears a signal or receives.
const CALLS_PER_TURN: usize = 1 << 16;

/// The lists of deadlines that a lane can stand on.
const OPENING: u8 = 0;
const REPLY: u8 = 1;

impl<K: Kernel, L: Lane<K>> Load<K, L> {
    /// One turn of the loop.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.wait(self.sleep())?;
        self.now = self.kernel.now();
        while let Some(signal) = self.kernel.next_signal() {
            self.stops += u32::from(signal == Signal::Stop);
            self.is_asked |= signal == Signal::Report;
        }
        self.call_due();
        self.serve_lanes();
        if self.time_is_up() {
            // A wait that was interrupted (SIGSTOP and SIGCONT, a frozen host) has told nothing, and
            // the clock has gone on: look what came by now, before anything is called lost.
            self.wait(Some(Duration::ZERO))?;
            self.serve_lanes();
        }
        self.expire();
        Ok(())
    }

    /// A request, or the run, has waited long enough.
    fn time_is_up(&self) -> bool {
        let now = self.now_ns();
        let of_requests = self.deadlines.next().is_some_and(|at| at <= self.now);
        of_requests || self.wake_at.is_some_and(|at| at <= now)
    }

    /// Sleeps until there is something to do, and latches what the kernel tells.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Self {
            kernel,
            lanes,
            run_queue,
            ..
        } = self;
        kernel.wait(timeout, |token, ready| {
            if let Some(Some(lane)) = lanes.get_mut(token.0) {
                lane.raise(ready);
                run_queue.push(token.0);
            }
        })
    }

    fn sleep(&self) -> Option<Duration> {
        if !self.run_queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let at = |nanos| self.epoch + Duration::from_nanos(nanos);
        let awake = self.next_call().map(|(schedule, due)| {
            let lead = (schedule.period() / AWAKE_SHARE).min(AWAKE_BEFORE_CALL);
            at(due.saturating_sub(nanos(lead)))
        });
        let times = [self.deadlines.next(), self.wake_at.map(at), awake];
        let next: Instant = times.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.now))
    }

    /// The timetable, and when it calls next.
    fn next_call(&self) -> Option<(Schedule, Nanos)> {
        let Sending::OpenLoop(schedule) = self.bench.sending else {
            return None;
        };
        let due = schedule.at(self.next_due);
        (due < self.calls_until).then_some((schedule, due))
    }

    /// Hands out the requests that are due, none left out.
    fn call_due(&mut self) {
        let now = self.now_ns();
        for _ in 0..CALLS_PER_TURN {
            let Some((schedule, due)) = self.next_call().filter(|(_, due)| *due <= now) else {
                break;
            };
            self.bench.figures.called(due);
            let key = self.called[schedule.lane(self.next_due)];
            self.next_due += 1;
            if let Some(Some(lane)) = self.lanes.get_mut(key) {
                lane.quota().call();
                self.bench.behind += 1;
                self.run_queue.push(key);
            }
        }
    }

    /// Serves those who stand on the run queue now; who comes to stand on it meanwhile waits for
    /// the next turn.
    fn serve_lanes(&mut self) {
        for _ in 0..self.run_queue.len() {
            if let Some((key, _)) = self.run_queue.pop() {
                self.serve_lane(key);
            }
        }
    }

    fn serve_lane(&mut self, key: usize) {
        let Self {
            kernel,
            lanes,
            bench,
            epoch,
            ..
        } = self;
        let Some(Some(lane)) = lanes.get_mut(key) else {
            return;
        };
        let was_ready = lane.is_ready();
        let clock = || nanos(kernel.now().saturating_duration_since(*epoch));
        let work = lane.work(bench, &clock);
        if lane.state() == State::Closed {
            return self.close(key);
        }
        if !was_ready && lane.is_ready() {
            self.opening -= 1;
            self.deadlines.cancel(key);
            self.settle();
        }
        if work.began_to_wait {
            self.deadlines.restart(REPLY, key, self.now);
        }
        if work.more {
            self.run_queue.push(key);
        }
    }

    /// Opens as many lanes as may be on their way at once; until it is known where somebody
    /// answers, one.
    pub(super) fn open_more(&mut self) {
        while self.lanes.len() < self.plan.lanes
            && self.opening < OPENING_AT_ONCE
            && (self.is_settled || self.lanes.is_empty())
        {
            self.open_lane();
        }
    }

    fn open_lane(&mut self) {
        let Some(peer) = self.plan.addresses.get(self.address).copied() else {
            return self.lanes.push(None);
        };
        let number = self.lanes.len();
        let opening = Opening {
            number,
            token: Token(number),
            peer,
            probe: !self.is_settled,
            remembered: self.remembered(),
            waiting_max: self.plan.pipeline,
            skip_lines: self.plan.skip_lines,
            timeout: nanos(self.plan.timeout),
        };
        match L::open(&mut self.kernel, opening) {
            Ok(lane) => {
                self.live += 1;
                if !lane.is_ready() {
                    self.opening += 1;
                    self.deadlines.restart(OPENING, number, self.now);
                }
                self.lanes.push(Some(lane));
                self.serve_lane(number);
            }
            Err(error) => {
                self.bench
                    .lane_ended(LaneEnd::NotConnected, || format!("{peer}: {error}"));
                self.lanes.push(None);
                self.try_next_address();
            }
        }
    }

    /// How many requests a datagram lane remembers. In an open loop none waits for another, so they
    /// are as many as one lane sends before the first of them is given up.
    fn remembered(&self) -> usize {
        let lanes = self.plan.lanes.max(1);
        let for_rate = self.plan.rate_max_per_s.map_or(0, |rate_per_s| {
            let of_lane = rate_per_s / lanes as u64 + 1;
            let seconds = self.plan.timeout.as_secs() + 1;
            usize::try_from(of_lane.saturating_mul(2 * seconds)).unwrap_or(usize::MAX)
        });
        let for_rate = for_rate.min(REMEMBERED_FOR_RATE_MAX / lanes);
        let pipeline = self.plan.pipeline;
        let for_duplicates = pipeline * REMEMBERED_PER_WAITING;
        for_rate.max(for_duplicates.min(pipeline.max(REMEMBERED_FOR_RATE_MAX / lanes)))
    }

    /// Somebody answers: this is the address, and what was said about others is of no interest.
    fn settle(&mut self) {
        if !self.is_settled {
            self.is_settled = true;
            self.bench.figures.not_connected = 0;
            self.bench.figures.first_error = None;
        }
    }

    /// The first lane has failed, and there may be another address to try.
    fn try_next_address(&mut self) {
        if self.is_settled {
            return;
        }
        self.address += 1;
        if self.address < self.plan.addresses.len() {
            self.lanes.clear();
        } else if !L::LOSES_NOTHING {
            // Silence proves nothing about datagrams.
            self.address = 0;
            self.lanes.clear();
            self.settle();
        }
    }

    /// Closes a lane. What the timetable still wants of it will not be sent.
    pub(super) fn close(&mut self, key: usize) {
        self.deadlines.cancel(key);
        let Some(mut lane) = self.lanes.get_mut(key).and_then(Option::take) else {
            return;
        };
        self.live -= 1;
        self.bench.behind = self.bench.behind.saturating_sub(lane.quota().unsent());
        if !lane.was_ready() {
            self.opening -= 1;
            self.try_next_address();
        }
    }

    /// Does what it is time for.
    fn expire(&mut self) {
        while let Some((list, key)) = self.deadlines.pop_expired(self.now) {
            let Some(Some(lane)) = self.lanes.get_mut(key) else {
                continue;
            };
            if list == OPENING {
                lane.opening_expired(&mut self.bench);
                self.close(key);
                continue;
            }
            let timeout = nanos(self.plan.timeout);
            let now = nanos(self.now.saturating_duration_since(self.epoch));
            let given_up = lane.give_up(now.saturating_sub(timeout));
            self.bench.waiting -= given_up;
            self.bench.figures.lost += given_up as u64;
            if lane.waiting() > 0 {
                self.deadlines.restart(REPLY, key, self.now);
            }
            // There is room for another request.
            self.run_queue.push(key);
        }
    }
}
