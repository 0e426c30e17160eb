//! What became of each datagram: answered, lost, duplicated, reordered. Pure.

use super::schedule::Nanos;

/// When a request was meant to leave, and when it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By the timetable; in a closed loop, the time of sending.
    pub intended: Nanos,
    /// When it was handed to the kernel.
    pub sent: Nanos,
}

/// What a reply means for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first reply. Reordered: a later request's reply was here before it (RFC 4737 section 3).
    Answered {
        /// When its request left.
        stamp: Stamp,
        /// It came behind the reply of a later request.
        reordered: bool,
    },
    /// There was one already.
    Duplicate,
    /// Its request had been given up, or is too long ago to be known.
    Late,
    /// No such request was ever sent.
    NeverAsked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Unused,
    Waiting,
    Answered,
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    stamp: Stamp,
    fate: Fate,
}

/// The requests of one lane, by number. It remembers as many of the latest as it has entries.
#[derive(Debug)]
pub struct Ledger {
    entries: Box<[Entry]>,
    /// The number of the next request.
    next: u64,
    /// No request before this one waits for its reply.
    oldest: u64,
    waiting: usize,
    /// One more than the highest number that was answered.
    answered_below: u64,
}

impl Ledger {
    /// Remembers at least so many requests.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self {
            entries: vec![Entry::default(); entries.next_power_of_two()].into_boxed_slice(),
            next: 0,
            oldest: 0,
            waiting: 0,
            answered_below: 0,
        }
    }

    /// How many requests wait for their reply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The number of the next request.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next request leaves. Says how many requests that gives up: the one whose entry it takes,
    /// if that still waits, while all these later ones were sent.
    pub fn send(&mut self, stamp: Stamp) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let entry = self.entry(number);
        let given_up = entry.fate == Fate::Waiting;
        *entry = Entry {
            stamp,
            fate: Fate::Waiting,
        };
        self.waiting -= usize::from(given_up);
        u64::from(given_up)
    }

    /// A reply came.
    pub fn receive(&mut self, number: u64) -> Verdict {
        if number >= self.next {
            return Verdict::NeverAsked;
        }
        if self.next - number > self.entries.len() as u64 {
            return Verdict::Late;
        }
        let entry = self.entry(number);
        let stamp = entry.stamp;
        match entry.fate {
            Fate::Waiting => entry.fate = Fate::Answered,
            Fate::Answered => return Verdict::Duplicate,
            Fate::Lost => {
                // Whatever comes for it from now on comes twice.
                entry.fate = Fate::Answered;
                return Verdict::Late;
            }
            Fate::Unused => return Verdict::NeverAsked,
        }
        self.waiting -= 1;
        let reordered = number < self.answered_below;
        self.answered_below = self.answered_below.max(number + 1);
        Verdict::Answered { stamp, reordered }
    }

    /// Gives up what was sent before `before`, and says how many those were.
    pub fn give_up(&mut self, before: Nanos) -> usize {
        let mut given_up = 0;
        self.oldest = self
            .oldest
            .max(self.next.saturating_sub(self.entries.len() as u64));
        while self.oldest < self.next && self.waiting > 0 {
            let entry = self.entry(self.oldest);
            if entry.fate == Fate::Waiting {
                if entry.stamp.sent >= before {
                    break;
                }
                entry.fate = Fate::Lost;
                given_up += 1;
                self.waiting -= 1;
            }
            self.oldest += 1;
        }
        given_up
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mask leaves less than a usize"
    )]
    fn entry(&mut self, number: u64) -> &mut Entry {
        let mask = self.entries.len() - 1;
        &mut self.entries[number as usize & mask]
    }
}
