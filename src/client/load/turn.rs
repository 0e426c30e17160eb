//! One turn of the load client's loop, and what it does for one connection.

use std::io;
use std::time::{Duration, Instant};

use super::conn::{Conn, Mode};
use super::schedule::{Nanos, Schedule};
use super::watch::{Progress, Watch};
use super::{Kernel, Load, OPENING, Phase, REOPENING, REPLY, Readiness, nanos};
use crate::reactor::kernel::Signal;
use crate::reactor::program::Program;
use crate::state::State;

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

impl<K: Kernel, C: Conn<K>, W: Watch> Program for Load<K, C, W> {
    type Kernel = K;
    type Exit = ();

    fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    fn sleep(&mut self) -> Option<Duration> {
        if !self.run_queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let at = |nanos| self.epoch + Duration::from_nanos(nanos);
        let awake = self.next_call().map(|(schedule, due)| {
            let lead = (schedule.period() / AWAKE_SHARE).min(AWAKE_BEFORE_CALL);
            at(due.saturating_sub(nanos(lead)))
        });
        let (begins, ends) = self.shared.stats.window();
        let phase_ends = match self.phase {
            Phase::Idle => None,
            // Nobody is on the way: connecting is over.
            Phase::Connecting => (self.opening == 0).then_some(0),
            Phase::WarmUp => Some(begins),
            Phase::Window => Some(ends),
            Phase::CatchingUp(until) => Some(until),
        };
        let times = [
            self.deadlines.next(),
            phase_ends.map(at),
            self.tick_at.map(at),
            awake,
        ];
        let next: Instant = times.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.now))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Self {
            kernel,
            lanes,
            run_queue,
            ..
        } = self;
        kernel.wait(timeout, |token, ready| {
            if let Some(conn) = lanes.get_mut(token.0).and_then(|it| it.conn.as_mut()) {
                conn.raise(ready);
                run_queue.push(token.0);
            }
        })
    }

    fn begin(&mut self, now: Instant) {
        self.now = now;
    }

    fn obey(&mut self, signal: Signal) -> Option<()> {
        match signal {
            Signal::Stop => self.stops += 1,
            Signal::Report => self.watching(W::tell_so_far),
            // All others come to servers alone.
            _ => {}
        }
        None
    }

    fn work(&mut self) -> Option<()> {
        self.call_due();
        self.serve_all();
        self.expire();
        let end = self.advance();
        self.tick_at = self.watching(W::tick);
        end
    }
}

impl<K: Kernel, C: Conn<K>, W: Watch> Load<K, C, W> {
    /// The timetable, and when it calls next.
    fn next_call(&self) -> Option<(Schedule, Nanos)> {
        let Mode::OpenLoop(schedule) = self.shared.mode else {
            return None;
        };
        let due = schedule.at(self.next_due);
        (due < self.calls_until).then_some((schedule, due))
    }

    /// Hands out the requests that are due, none left out.
    fn call_due(&mut self) {
        let now = self.now_ns();
        for _ in 0..CALLS_PER_TURN {
            let Some((schedule, _)) = self.next_call().filter(|(_, due)| *due <= now) else {
                break;
            };
            let key = self.called[schedule.lane(self.next_due)];
            self.next_due += 1;
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.quota.call();
                self.shared.behind += 1;
                self.run_queue.push(key);
            }
        }
    }

    /// Serves those who stand on the run queue now; who comes to stand on it meanwhile waits for
    /// the next turn.
    fn serve_all(&mut self) {
        for _ in 0..self.run_queue.len() {
            if let Some((key, _)) = self.run_queue.pop() {
                self.serve(key);
            }
        }
    }

    pub(super) fn serve(&mut self, key: usize) {
        let Self {
            kernel,
            lanes,
            shared,
            epoch,
            ..
        } = self;
        let Some(lane) = lanes.get_mut(key) else {
            return;
        };
        let Some(conn) = &mut lane.conn else {
            return;
        };
        let was_ready = conn.is_ready();
        let clock = || nanos(kernel.now().saturating_duration_since(*epoch));
        let work = conn.work(shared, &mut lane.quota, &clock);
        let is_ready = conn.is_ready();
        if conn.state() == State::Closed {
            return self.lose(key);
        }
        if !was_ready && is_ready {
            self.became_ready(key);
        }
        if work.began_to_wait {
            self.deadlines.restart(REPLY, key, self.now);
        }
        if work.more {
            self.run_queue.push(key);
        }
    }

    /// Serves a connection by what there is, whatever events have told.
    pub(super) fn hear_out(&mut self, key: usize) {
        if let Some(conn) = self.lanes.get_mut(key).and_then(|it| it.conn.as_mut()) {
            conn.raise(Readiness::ALL);
            self.serve(key);
        }
    }

    /// Does what it is time for. The clock may be newer than the events, so whoever is late is heard
    /// once more.
    fn expire(&mut self) {
        while let Some((list, key)) = self.deadlines.pop_expired(self.now) {
            if list == REOPENING {
                self.open(key);
                continue;
            }
            self.hear_out(key);
            let Some(conn) = self.lanes.get_mut(key).and_then(|it| it.conn.as_mut()) else {
                continue;
            };
            if list == OPENING {
                if !conn.is_ready() {
                    conn.opening_expired(&mut self.shared);
                    self.lose(key);
                }
                continue;
            }
            let oldest = self.now_ns().saturating_sub(nanos(self.plan.timeout));
            self.give_up(key, oldest, false);
            let waits =
                |lane: &super::Lane<C>| lane.conn.as_ref().is_some_and(|it| it.waiting() > 0);
            if self.lanes.get(key).is_some_and(waits) {
                self.deadlines.restart(REPLY, key, self.now);
            }
            // There is room for another request.
            self.run_queue.push(key);
        }
    }

    fn watching<R>(&mut self, tell: impl FnOnce(&mut W, &Progress<'_>) -> R) -> R {
        let progress = Progress {
            phase: self.phase,
            stats: &self.shared.stats,
            now: nanos(self.now.saturating_duration_since(self.epoch)),
            connections: (self.live - self.opening, self.plan.connections),
            waiting: self.shared.waiting,
        };
        tell(&mut self.watch, &progress)
    }
}
