//! A fault that goes on: the log is told when it begins and when it is over, not each time.

use std::time::{Duration, Instant};

/// A fault is over when it has not come for so long. At the edge of a limit, where calls fail and
/// work in turn, that is one outage and not a thousand.
pub const OVER_AFTER: Duration = Duration::from_secs(1);

/// Whether a fault goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage {
    over_at: Option<Instant>,
}

impl Outage {
    /// The fault has come. Says whether it begins with that.
    #[must_use]
    pub fn begins(&mut self, now: Instant) -> bool {
        self.over_at.replace(now + OVER_AFTER).is_none()
    }

    /// When it is over, if it does not come again.
    #[must_use]
    pub fn over_at(&self) -> Option<Instant> {
        self.over_at
    }

    /// Says once that it is over.
    #[must_use]
    pub fn ends(&mut self, now: Instant) -> bool {
        self.over_at.take_if(|at| *at <= now).is_some()
    }
}
