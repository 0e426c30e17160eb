//! The phases of a run, and what turns one into the next.

use super::conn::{Conn, Mode, Quota, Shared};
use super::schedule::{Nanos, Schedule};
use super::stats::Ended;
use super::watch::Watch;
use super::{Kernel, Load, Opened, Phase, REOPENING, nanos};
use crate::state::State;

impl<K: Kernel, C: Conn<K>, W: Watch> Load<K, C, W> {
    /// Goes on to the phase that it is time for; says so when the last is over.
    pub(super) fn advance(&mut self) -> Option<()> {
        let now = self.now_ns();
        let (begins, ends) = self.shared.stats.window();
        let is_stopped = self.stops > 0;
        match self.phase {
            Phase::Connecting => {
                self.open_more();
                if self.opening == 0 || is_stopped {
                    self.note_opened();
                    if self.live == self.opening {
                        self.end(Ended::NoConnection);
                        return Some(());
                    }
                    self.begin_run();
                }
            }
            Phase::WarmUp if now >= begins || is_stopped => self.open_window(),
            Phase::Window if now >= ends || is_stopped || self.has_all() => {
                self.close_window();
                // Nobody may be owed anything by now, and then nothing would wake it up.
                return self.advance();
            }
            Phase::CatchingUp(until) => {
                let is_owed = self.shared.waiting > 0 || self.shared.behind > 0;
                if !is_owed || now >= until || self.stops > 1 {
                    self.hear_everybody_out();
                    self.give_up_the_rest();
                    let ended = if is_stopped {
                        Ended::BrokenOff
                    } else {
                        Ended::Complete
                    };
                    self.end(ended);
                    return Some(());
                }
            }
            Phase::Idle | Phase::WarmUp | Phase::Window => {}
        }
        None
    }

    /// All requests that there are to be have been sent, and have what they will have of replies.
    fn has_all(&self) -> bool {
        self.shared.left == 0 && self.shared.waiting == 0
    }

    fn note_opened(&mut self) {
        let took = self.kernel.now().saturating_duration_since(self.epoch);
        let ready = self.live - self.opening;
        self.opened = Some(Opened {
            ready,
            took,
            peer: (ready > 0).then(|| self.candidates.current()),
        });
    }

    /// Sets everybody to work.
    pub(super) fn begin_run(&mut self) {
        let starts = self.now_ns();
        let begins = starts + nanos(self.run.warmup);
        let ends = begins + nanos(self.run.duration);
        let is_open_loop = self.run.rate_per_s.is_some();
        self.shared.stats.open_window((begins, ends), is_open_loop);
        self.called.clear();
        for (key, lane) in self.lanes.iter().enumerate() {
            let is_reopened = self.deadlines.list_of(key) == Some(REOPENING);
            if lane.conn.is_some() || is_reopened {
                self.called.push(key);
            }
        }
        self.phase = Phase::WarmUp;
        self.shared.left = u64::MAX;
        self.begin_timetable(starts, begins);
        if starts == begins {
            self.open_window();
        }
    }

    /// From now on it counts: with a timetable of its own, so that what the warm-up could not send
    /// is not in its way.
    fn open_window(&mut self) {
        let (begins, ends) = self.shared.stats.window();
        self.phase = Phase::Window;
        // Some may have left between its begin and now.
        let begun = self.shared.stats.requests;
        let left = self.run.requests_max.map(|most| most.saturating_sub(begun));
        self.shared.left = left.unwrap_or(u64::MAX);
        self.begin_timetable(begins, ends);
        self.watch.open_window();
    }

    fn begin_timetable(&mut self, starts: Nanos, until: Nanos) {
        for (place, key) in self.called.iter().enumerate() {
            if let Some(lane) = self.lanes.get_mut(*key) {
                lane.quota = Quota::new(place);
                self.run_queue.push(*key);
            }
        }
        self.next_due = 0;
        self.calls_until = until;
        self.shared.behind = 0;
        self.shared.mode = match self.run.rate_per_s {
            None => Mode::ClosedLoop,
            Some(rate_per_s) => {
                Mode::OpenLoop(Schedule::new(starts, rate_per_s, self.called.len()))
            }
        };
    }

    /// What is due by now has been handed out but for what one turn cannot; it stays unsent.
    fn close_window(&mut self) {
        let (_, ends) = self.shared.stats.window();
        let ended = self.now_ns().min(ends);
        let due = match self.shared.mode {
            Mode::OpenLoop(schedule) => Some(schedule.before(ended)),
            Mode::ClosedLoop | Mode::Quiet => None,
        };
        self.shared.stats.close_window(ended, due);
        self.watch.close_window();
        self.calls_until = 0;
        if self.run.rate_per_s.is_none() || !self.run.catch_up || self.stops > 0 {
            self.shared.mode = Mode::Quiet;
            self.shared.behind = 0;
        }
        self.phase = Phase::CatchingUp(self.now_ns() + nanos(self.plan.timeout));
    }

    /// Whatever events have told: what came by now is looked for before it is called lost.
    fn hear_everybody_out(&mut self) {
        for key in 0..self.lanes.len() {
            self.hear_out(key);
        }
    }

    fn give_up_the_rest(&mut self) {
        self.shared.mode = Mode::Quiet;
        self.shared.behind = 0;
        // Whoever breaks the wait off does not know whether they were lost.
        let is_broken_off = self.stops > 1;
        for key in 0..self.lanes.len() {
            self.give_up(key, Nanos::MAX, is_broken_off);
        }
    }

    /// A lane's requests that were sent before a time wait no longer.
    pub(super) fn give_up(&mut self, key: usize, before: Nanos, is_broken_off: bool) {
        let Shared { stats, waiting, .. } = &mut self.shared;
        let Some(conn) = self.lanes.get_mut(key).and_then(|it| it.conn.as_mut()) else {
            return;
        };
        conn.give_up(before, |stamp| {
            *waiting -= 1;
            if is_broken_off {
                stats.abandoned(stamp);
            } else {
                stats.lost(stamp);
            }
        });
        if conn.state() == State::Closed {
            self.lose(key);
        }
    }

    fn end(&mut self, ended: Ended) {
        self.phase = Phase::Idle;
        self.watch.end();
        self.shared.stats.ended = ended;
    }
}
