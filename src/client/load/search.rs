//! `--find-max`: the highest rate that keeps a goal for latency. Pure.

use std::fmt;
use std::str::FromStr;

use super::latency::Hundredths;
use super::schedule::Nanos;
use super::stats::Stats;
use crate::units::parse_duration;

/// The first rate that is tried.
const FIRST_PER_S: u64 = 1000;
/// The highest.
pub const RATE_MAX_PER_S: u64 = 1_000_000_000;
/// The search ends when the rates that keep and break the promise are as near as one part in so
/// many.
const NEARNESS: u64 = 50;
/// And after so many steps, whatever has come of it.
const STEPS_MAX: u32 = 40;

/// So many of a hundred requests get their reply within a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Of a hundred.
    pub percentile: f64,
    /// The time, from the intended send time.
    pub latency_ns: Nanos,
}

impl Goal {
    /// The percentile, in hundredths of a percent.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 100 percent"
    )]
    pub fn hundredths(&self) -> Hundredths {
        (self.percentile * 100.0).round() as Hundredths
    }

    /// Says whether a run kept it. A request that was due and had no reply did not.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn is_kept_by(&self, stats: &Stats) -> bool {
        let in_time = stats.latency.within(self.latency_ns);
        let all = stats.due.max(stats.requests);
        stats.wrong == 0 && all > 0 && in_time as f64 >= self.percentile / 100.0 * all as f64
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let understood = text.split_once('=').and_then(|(percentile, latency)| {
            let percentile: f64 = match percentile {
                "max" => 100.0,
                _ => percentile.strip_prefix('p')?.parse().ok()?,
            };
            let latency_ns = Nanos::try_from(parse_duration(latency)?.as_nanos()).ok()?;
            let is_right = percentile > 0.0 && percentile <= 100.0 && latency_ns > 0;
            is_right.then_some(Self {
                percentile,
                latency_ns,
            })
        });
        understood.ok_or_else(|| "it takes a percentile and a latency, such as p99=1ms".into())
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = super::report::time(self.latency_ns);
        write!(f, "p{} within {latency}", self.percentile)
    }
}

/// Doubles the rate until the goal is missed, then halves the distance. A rate that missed it once
/// may have met a cold server or a moment's noise: so the lowest of those is tried once more at the
/// end, and if it keeps the goal then, the search goes on upwards from there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search {
    /// The highest rate that has kept it.
    kept_per_s: u64,
    /// The lowest rate that has missed it.
    missed_per_s: Option<u64>,
    /// That one has been tried once more.
    is_confirmed: bool,
    steps: u32,
}

impl Search {
    /// The rate to try next; `None` when the answer is known.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        if self.steps >= STEPS_MAX {
            return None;
        }
        let kept_per_s = self.kept_per_s;
        match self.missed_per_s {
            None if kept_per_s >= RATE_MAX_PER_S => None,
            None => Some((kept_per_s * 2).clamp(FIRST_PER_S, RATE_MAX_PER_S)),
            Some(missed) => {
                let distance = missed.saturating_sub(kept_per_s);
                if distance > (kept_per_s / NEARNESS).max(1) {
                    Some(kept_per_s + distance / 2)
                } else {
                    (!self.is_confirmed).then_some(missed)
                }
            }
        }
    }

    /// What came of trying a rate.
    pub fn tell(&mut self, rate_per_s: u64, is_kept: bool) {
        self.steps += 1;
        let is_second_try = self.missed_per_s == Some(rate_per_s);
        self.is_confirmed = is_second_try && !is_kept;
        if is_kept {
            self.kept_per_s = self.kept_per_s.max(rate_per_s);
            self.missed_per_s = self.missed_per_s.filter(|missed| *missed > rate_per_s);
        } else {
            let lowest = self
                .missed_per_s
                .map_or(rate_per_s, |it| it.min(rate_per_s));
            self.missed_per_s = Some(lowest);
        }
    }

    /// The answer; 0 if no rate has kept it.
    #[must_use]
    pub fn highest_per_s(&self) -> u64 {
        self.kept_per_s
    }
}
