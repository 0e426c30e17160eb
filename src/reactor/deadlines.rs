//! Deadlines in constant time: one length of timeout is one list, in the order in which it runs
//! out.
//!
//! Whoever makes progress moves to the end of its list, so the front is always the next to expire,
//! and nobody else need be looked at: no heap, no wheel, and no wake-up but for a deadline that has
//! really come. Time counts in ticks of [`TICK`]: within one, a busy connection moves at most once.

use std::time::{Duration, Instant};

use super::short;

/// Deadlines are kept to this: they pass at most one tick late, and never early.
pub const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_S);
const TICKS_PER_S: u64 = 10;

/// How long to wait before a call is made again that failed for want of something which others may
/// free.
pub const RETRY_AFTER: Duration = Duration::from_millis(100);

/// No key: the end of a list.
const NONE: u32 = u32::MAX;
/// No list: the key has no deadline.
const NO_LIST: u8 = u8::MAX;

/// Sixteen bytes a key, as the whole of a deadline's memory.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// The tick in which the timeout last began; 13 years of them.
    since: u32,
    list: u8,
}

const UNLINKED: Link = Link {
    previous: NONE,
    next: NONE,
    since: 0,
    list: NO_LIST,
};

#[derive(Clone, Copy, Debug)]
struct List {
    timeout: Option<Duration>,
    first: u32,
    last: u32,
}

/// `N` lists, each with a timeout of its own. A key stands on at most one of them.
#[derive(Debug)]
pub struct Deadlines<const N: usize> {
    epoch: Instant,
    links: Vec<Link>,
    lists: [List; N],
}

impl<const N: usize> Deadlines<N> {
    /// Lists with these timeouts; one with `None` never expires and keeps nobody.
    #[must_use]
    pub fn new(epoch: Instant, timeouts: [Option<Duration>; N]) -> Self {
        let lists = timeouts.map(|timeout| List {
            timeout,
            first: NONE,
            last: NONE,
        });
        Self {
            epoch,
            links: Vec::new(),
            lists,
        }
    }

    /// The key's timeout on this list begins anew. It leaves any other list.
    pub fn restart(&mut self, list: u8, key: usize, now: Instant) {
        if self.lists[usize::from(list)].timeout.is_none() {
            return self.cancel(key);
        }
        let since = self.tick(now);
        if key >= self.links.len() {
            self.links.resize(key + 1, UNLINKED);
        }
        if self.links[key].list == list && self.links[key].since == since {
            return;
        }
        self.cancel(key);
        let previous = std::mem::replace(&mut self.lists[usize::from(list)].last, short(key));
        *self.next_of(previous, list) = short(key);
        self.links[key] = Link {
            previous,
            next: NONE,
            since,
            list,
        };
    }

    /// The key has no deadline any more.
    pub fn cancel(&mut self, key: usize) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        let Link {
            previous,
            next,
            list,
            ..
        } = std::mem::replace(link, UNLINKED);
        if list == NO_LIST {
            return;
        }
        *self.next_of(previous, list) = next;
        match next {
            NONE => self.lists[usize::from(list)].last = previous,
            next => self.links[next as usize].previous = previous,
        }
    }

    /// The list that a key stands on.
    #[must_use]
    pub fn list_of(&self, key: usize) -> Option<u8> {
        let list = self.links.get(key)?.list;
        (list != NO_LIST).then_some(list)
    }

    /// When the next deadline passes.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.fronts().map(|(at, _, _)| at).min()
    }

    /// Takes a key whose deadline has passed off its list, and says which list that was.
    pub fn pop_expired(&mut self, now: Instant) -> Option<(u8, usize)> {
        let (_, list, key) = self.fronts().find(|(at, _, _)| *at <= now)?;
        self.cancel(key);
        Some((list, key))
    }

    /// The front of each list that has one: its deadline, the list, its key.
    fn fronts(&self) -> impl Iterator<Item = (Instant, u8, usize)> {
        self.lists.iter().zip(0u8..).filter_map(|(list, number)| {
            let timeout = list.timeout?;
            let key = list.first as usize;
            // The timeout began somewhere within its tick: counted from that one's end it is never
            // early.
            let tick_end = TICK.checked_mul(self.links.get(key)?.since + 1)?;
            let at = self.epoch.checked_add(tick_end)?.checked_add(timeout)?;
            Some((at, number, key))
        })
    }

    fn tick(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.epoch);
        let ticks =
            age.as_secs() * TICKS_PER_S + u64::from(age.subsec_nanos() / TICK.subsec_nanos());
        u32::try_from(ticks).unwrap_or(NONE - 1)
    }

    /// The place that names the key after `previous`: its link, or the list's front.
    fn next_of(&mut self, previous: u32, list: u8) -> &mut u32 {
        match previous {
            NONE => &mut self.lists[usize::from(list)].first,
            previous => &mut self.links[previous as usize].next,
        }
    }
}
