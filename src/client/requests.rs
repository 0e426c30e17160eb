//! Requests on their way, by number: which reply belongs to which, and which are late, lost or came
//! twice. Pure.

use std::collections::VecDeque;

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its reply may come.
    Waiting,
    /// It was told as lost, or as failed.
    GivenUp,
    /// Its reply has come.
    Answered,
}

/// The latest requests, in the order of their numbers, which count up from a first one without a
/// gap. What is kept of each is a `T`.
#[derive(Debug)]
pub struct Requests<T> {
    entries: VecDeque<(T, Fate)>,
    remembered_max: usize,
    /// The number of the front entry.
    first: u64,
    waiting: usize,
    /// No request before this one waits.
    none_waits_before: u64,
    /// One more than the highest number that was answered.
    answered_below: u64,
}

impl<T> Requests<T> {
    /// No requests yet. The first will have the number `first`; so many of the latest are
    /// remembered, one at least.
    #[must_use]
    pub fn new(first: u64, remembered_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            remembered_max: remembered_max.max(1),
            first,
            waiting: 0,
            none_waits_before: first,
            answered_below: first,
        }
    }

    /// The number of the next request.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// How many requests wait for their reply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The request that the next one pushes out of memory, if that still waits.
    #[must_use]
    pub fn overtaken(&self) -> Option<(u64, &T)> {
        let (what, fate) = self.entries.front()?;
        let is_full = self.entries.len() >= self.remembered_max;
        (is_full && *fate == Fate::Waiting).then_some((self.first, what))
    }

    /// The next request leaves. Whoever is [overtaken](Requests::overtaken) waits no longer.
    pub fn push(&mut self, what: T) -> u64 {
        let number = self.next();
        if self.entries.len() >= self.remembered_max
            && let Some((_, fate)) = self.entries.pop_front()
        {
            self.waiting -= usize::from(fate == Fate::Waiting);
            self.first += 1;
        }
        self.entries.push_back((what, Fate::Waiting));
        self.waiting += 1;
        number
    }

    /// A request that is remembered.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<(&T, Fate)> {
        let (what, fate) = self.entries.get(self.place(number)?)?;
        Some((what, *fate))
    }

    /// What is kept of a request that is remembered.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number)?;
        self.entries.get_mut(place).map(|(what, _)| what)
    }

    /// A reply came. Says what had become of its request, and what is kept of it; `None` if that is
    /// not remembered.
    pub fn answer(&mut self, number: u64) -> Option<(Fate, &T)> {
        let place = self.place(number)?;
        let (what, fate) = self.entries.get_mut(place)?;
        let before = std::mem::replace(fate, Fate::Answered);
        self.waiting -= usize::from(before == Fate::Waiting);
        self.answered_below = self.answered_below.max(number + 1);
        Some((before, what))
    }

    /// The reply of a later request than this one is here already (RFC 4737 section 3).
    #[must_use]
    pub fn is_behind(&self, number: u64) -> bool {
        number < self.answered_below
    }

    /// A request waits no longer. Says whether it did.
    pub fn give_up(&mut self, number: u64) -> bool {
        let entry = self.place(number).and_then(|it| self.entries.get_mut(it));
        let Some((_, fate @ Fate::Waiting)) = entry else {
            return false;
        };
        *fate = Fate::GivenUp;
        self.waiting -= 1;
        true
    }

    /// The request that has waited longest.
    pub fn oldest_waiting(&mut self) -> Option<(u64, &T)> {
        if self.waiting == 0 {
            return None;
        }
        self.none_waits_before = self.none_waits_before.max(self.first);
        let from = self.place(self.none_waits_before)?;
        let skipped = self.entries.range(from..).position(waits)?;
        self.none_waits_before += skipped as u64;
        let (what, _) = self.entries.get(from + skipped)?;
        Some((self.none_waits_before, what))
    }

    /// Those that wait, the oldest first.
    pub fn iter_waiting(&self) -> impl Iterator<Item = (u64, &T)> {
        let numbered = self.entries.iter().zip(self.first..);
        numbered
            .filter(|(entry, _)| waits(entry))
            .map(|((what, _), number)| (number, what))
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

fn waits<T>((_, fate): &(T, Fate)) -> bool {
    *fate == Fate::Waiting
}
