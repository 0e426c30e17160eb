//! How many lines are written, and what became of those that were not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many lines are written in any one second, at most. A storm of connections at debug level must
/// not cost more than serving them.
pub const LINES_PER_S: usize = 1000;

/// One of them is kept for the last notice, when the process ends in a storm.
const RESERVED_LINES: usize = 1;

/// Once lines have been left out, none is written before so many have room: a storm's notices are
/// few among its lines, not every other one.
const RESUMING_LINES: usize = 50;

const SECOND: Duration = Duration::from_secs(1);

/// Why a line was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There were too many.
    Storm,
    /// Standard error took no more, or not all of it: a full pipe, terminal or disk, a reader that is
    /// gone.
    FullPipe,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 2] = [Self::Storm, Self::FullPipe];

    /// Its name in the counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::FullPipe => "full_pipe",
        }
    }
}

/// The limit, and the account of the lines that are lost.
///
/// A line's time is when it had been written, and the next ones are asked for before they are: so
/// neither a reader nor the lines' own timestamps ever see more than [`LINES_PER_S`] in a second.
#[derive(Debug, Default)]
pub struct Limit {
    /// When the lines of the last second had been written.
    written_at: VecDeque<Instant>,
    lost: [u64; Reason::ALL.len()],
    /// How many of the lost ones have been told.
    told: u64,
}

impl Limit {
    /// Whether a line may be written now, and how many lost ones are to be told before it. If not,
    /// it is counted.
    pub fn ask(&mut self, now: Instant) -> Option<u64> {
        let untold = self.untold();
        let room = self.room(now).saturating_sub(RESERVED_LINES);
        let needed = if untold > 0 { RESUMING_LINES } else { 1 };
        if room < needed {
            self.lose(Reason::Storm);
            return None;
        }
        Some(untold)
    }

    /// How many lost lines are to be told at the end, if any, and if there is room for that.
    pub fn ask_last(&mut self, now: Instant) -> Option<u64> {
        let untold = self.untold();
        (untold > 0 && self.room(now) > 0).then_some(untold)
    }

    /// So many lines, notices among them, have been written by now.
    pub fn wrote(&mut self, lines: usize, now: Instant) {
        self.written_at.extend(std::iter::repeat_n(now, lines));
    }

    /// A line was not written.
    pub fn lose(&mut self, reason: Reason) {
        self.lost[reason as usize] += 1;
    }

    /// A notice of so many lost lines has been written.
    pub fn tell(&mut self, lost: u64) {
        self.told += lost;
    }

    /// How many lines were lost for this reason.
    #[must_use]
    pub fn lost(&self, reason: Reason) -> u64 {
        self.lost[reason as usize]
    }

    fn untold(&self) -> u64 {
        self.lost.iter().sum::<u64>() - self.told
    }

    fn room(&mut self, now: Instant) -> usize {
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= SECOND;
        while self.written_at.front().is_some_and(is_over) {
            self.written_at.pop_front();
        }
        LINES_PER_S.saturating_sub(self.written_at.len())
    }
}
