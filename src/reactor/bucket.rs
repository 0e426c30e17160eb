//! A token bucket.

use std::time::{Duration, Instant};

/// Lets so many things a second happen, and as many at once as one second's worth.
#[derive(Debug)]
pub struct Bucket {
    /// `None`: no limit.
    period: Option<Duration>,
    /// The time at which the bucket was empty, had it filled without pause since: every token taken
    /// moves it one period on, and it never lies more than [`FULL`] back.
    empty_at: Instant,
}

/// What the bucket holds, as the time in which it fills.
const FULL: Duration = Duration::from_secs(1);

impl Bucket {
    /// A full bucket of `rate_per_s` tokens; 0 stands for no limit.
    #[must_use]
    pub fn new(rate_per_s: u32, now: Instant) -> Self {
        let period = (rate_per_s > 0).then(|| FULL / rate_per_s);
        Self {
            period,
            empty_at: now.checked_sub(FULL).unwrap_or(now),
        }
    }

    /// Takes a token, or says that there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let Some(period) = self.period else {
            return true;
        };
        if now.saturating_duration_since(self.empty_at) > FULL {
            self.empty_at = now.checked_sub(FULL).unwrap_or(now);
        }
        let next = self.empty_at + period;
        let there = next <= now;
        if there {
            self.empty_at = next;
        }
        there
    }
}
