//! A fault that goes on: the log is told when it begins and when it is over, not each time; and the
//! call that failed is made again, but not at once.

use std::time::{Duration, Instant};

use super::deadlines::RETRY_AFTER;

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

/// A call that failed for want of something, or for a reason that nobody foresaw: asking again at
/// once would spin, and nobody tells when it would work. So it pauses for [`RETRY_AFTER`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Retry {
    paused_until: Option<Instant>,
    outage: Outage,
}

impl Retry {
    /// The call has failed. Says whether an outage begins with that.
    #[must_use]
    pub fn pauses(&mut self, now: Instant) -> bool {
        self.paused_until = Some(now + RETRY_AFTER);
        self.outage.begins(now)
    }

    /// The call is not to be made now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// What was wanting may be there: the call may be made again.
    pub fn resume(&mut self) {
        self.paused_until = None;
    }

    /// When there is something to do: to try again, or to tell that the outage is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.paused_until
            .into_iter()
            .chain(self.outage.over_at())
            .min()
    }

    /// Ends the pause if it is time for that. Says once that the outage is over.
    #[must_use]
    pub fn keep_deadlines(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|at| *at <= now);
        self.outage.ends(now)
    }
}
