//! The open loop's timetable. Pure.

use std::time::Duration;

/// A time, in nanoseconds since the run began.
pub type Nanos = u64;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;

/// Requests at even distances, none left out, whatever has become of those before.
///
/// They go to the lanes in turn, so each lane has an even timetable too, and knows it without being
/// told.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    begins: Nanos,
    rate_per_s: u64,
    lanes: u64,
}

impl Schedule {
    /// So many requests a second in all, for so many lanes.
    #[must_use]
    pub const fn new(begins: Nanos, rate_per_s: u64, lanes: usize) -> Self {
        Self {
            begins,
            rate_per_s: if rate_per_s == 0 { 1 } else { rate_per_s },
            lanes: if lanes == 0 { 1 } else { lanes as u64 },
        }
    }

    /// When a request is due, counted over all lanes. Never off by more than a nanosecond, however
    /// many have gone before.
    #[must_use]
    pub const fn at(&self, request: u64) -> Nanos {
        let (seconds, rest) = (request / self.rate_per_s, request % self.rate_per_s);
        self.begins + seconds * SECOND + rest * SECOND / self.rate_per_s
    }

    /// How many requests are due before a time.
    #[must_use]
    pub fn before(&self, time: Nanos) -> u64 {
        let age = u128::from(time.saturating_sub(self.begins));
        let requests = (age * u128::from(self.rate_per_s)).div_ceil(u128::from(SECOND));
        u64::try_from(requests).unwrap_or(u64::MAX)
    }

    /// The time between two requests.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(SECOND / self.rate_per_s)
    }

    /// When a lane's own request is due. Lanes are counted from 0.
    #[must_use]
    pub const fn at_lane(&self, lane: usize, request: u64) -> Nanos {
        self.at(request * self.lanes + lane as u64)
    }

    /// Which lane a request belongs to.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "it is less than a usize")]
    pub const fn lane(&self, request: u64) -> usize {
        (request % self.lanes) as usize
    }
}
