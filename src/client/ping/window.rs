//! The last pings of one transport: which reply belongs to which, and whose time is up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::client::message::Template;

/// How many pings are remembered, to tell late replies and duplicates from wrong ones. A ping that
/// still waits for its reply when so many came after it waits no longer.
pub const WINDOW_PINGS: usize = 1024;

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its reply may come.
    Waiting,
    /// It was told as timed out, or as failed.
    Ended,
    /// Its reply came.
    Answered,
}

/// A ping.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    /// Counted from 1.
    pub seq: u64,
    /// The id of the link that carries it.
    pub link: usize,
    /// When it was due; its time-out counts from here, so it covers connecting too.
    pub begun_at: Instant,
    /// When its first byte was given to the kernel; round-trip times count from here.
    pub sent_at: Option<Instant>,
    /// What became of it.
    pub fate: Fate,
}

/// What a reply turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// To a ping that waited for it.
    Reply(Ping),
    /// To a ping that had ended.
    Late(Ping),
    /// To a ping that had its reply.
    Duplicate(Ping),
    /// To no ping that was sent.
    Wrong,
}

/// The last [`WINDOW_PINGS`] pings, in the order of their numbers.
#[derive(Debug)]
pub struct Window {
    template: Template,
    pings: VecDeque<Ping>,
    last_seq: u64,
    waiting: usize,
    /// No ping before this one waits.
    first_waiting: u64,
    scratch: Vec<u8>,
}

impl Window {
    /// No pings yet.
    #[must_use]
    pub fn new(template: Template) -> Self {
        Self {
            template,
            pings: VecDeque::new(),
            last_seq: 0,
            waiting: 0,
            first_waiting: 1,
            scratch: Vec::new(),
        }
    }

    /// Begins the next ping. If the window is full, the oldest is forgotten.
    pub fn begin(&mut self, link: usize, now: Instant) -> u64 {
        if let Some(oldest) = self.next_forgotten() {
            self.settle(oldest.seq, Fate::Ended);
            self.pings.pop_front();
        }
        self.last_seq += 1;
        self.waiting += 1;
        self.pings.push_back(Ping {
            seq: self.last_seq,
            link,
            begun_at: now,
            sent_at: None,
            fate: Fate::Waiting,
        });
        self.last_seq
    }

    /// The ping that the next one pushes out.
    #[must_use]
    pub fn next_forgotten(&self) -> Option<Ping> {
        let oldest = self.pings.front().copied();
        oldest.filter(|_| self.pings.len() >= WINDOW_PINGS)
    }

    /// A ping that is remembered.
    pub fn get(&mut self, seq: u64) -> Option<&mut Ping> {
        let front = self.pings.front()?.seq;
        let index = usize::try_from(seq.checked_sub(front)?).ok()?;
        self.pings.get_mut(index)
    }

    /// A ping was given to the kernel.
    pub fn sent(&mut self, seq: u64, at: Instant) {
        if let Some(ping) = self.get(seq) {
            ping.sent_at = Some(at);
        }
    }

    /// Another link carries a ping. Says whether it had been sent, and has to be sent again.
    pub fn move_to(&mut self, seq: u64, link: usize) -> bool {
        self.get(seq).is_some_and(|ping| {
            ping.link = link;
            ping.sent_at.take().is_some()
        })
    }

    /// No ping was begun after this one.
    #[must_use]
    pub fn is_newest(&self, ping: &Ping) -> bool {
        ping.seq == self.last_seq
    }

    /// How many pings wait for their reply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The oldest ping that waits.
    pub fn oldest_waiting(&mut self) -> Option<Ping> {
        if self.waiting == 0 {
            return None;
        }
        let front = self.pings.front()?.seq;
        let skipped = self.first_waiting.max(front) - front;
        let oldest = self
            .pings
            .iter()
            .skip(usize::try_from(skipped).ok()?)
            .find(|ping| ping.fate == Fate::Waiting)
            .copied()?;
        self.first_waiting = oldest.seq;
        Some(oldest)
    }

    /// Those that wait for their reply on one link, oldest first.
    pub fn waiting_on(&self, link: usize) -> impl Iterator<Item = Ping> {
        self.pings
            .iter()
            .filter(move |ping| ping.link == link && ping.fate == Fate::Waiting)
            .copied()
    }

    /// The oldest ping that waits, if its time is up. Their timeouts are all of one length, so
    /// nobody else's can be up before.
    pub fn expired(&mut self, timeout: Duration, now: Instant) -> Option<Ping> {
        self.oldest_waiting()
            .filter(|ping| ping.begun_at + timeout <= now)
    }

    /// A ping waits no longer.
    pub fn settle(&mut self, seq: u64, fate: Fate) {
        if let Some(ping) = self.get(seq) {
            let was_waiting = std::mem::replace(&mut ping.fate, fate) == Fate::Waiting;
            self.waiting -= usize::from(was_waiting);
        }
    }

    /// Judges a reply, and settles the ping that it belongs to.
    pub fn judge(&mut self, reply: &[u8]) -> Verdict {
        let Some(ping) = self.candidate(reply) else {
            return Verdict::Wrong;
        };
        let mut expected = std::mem::take(&mut self.scratch);
        self.template.write_pong(ping.seq, &mut expected);
        let is_right = reply == expected;
        self.scratch = expected;
        if !is_right {
            return Verdict::Wrong;
        }
        self.settle(ping.seq, Fate::Answered);
        match ping.fate {
            Fate::Waiting => Verdict::Reply(ping),
            Fate::Ended => Verdict::Late(ping),
            Fate::Answered => Verdict::Duplicate(ping),
        }
    }

    /// The ping that a reply claims to belong to. Where several bear the same digits: the one that
    /// has waited longest, else the newest.
    #[must_use]
    pub fn candidate(&self, reply: &[u8]) -> Option<Ping> {
        let modulus = self.template.modulus();
        let number = self.template.number(reply)?;
        let newest = self.last_seq;
        let behind = (newest % modulus + modulus - number) % modulus;
        let front = self.pings.front()?.seq;
        let mut found: Option<Ping> = None;
        let mut next = newest.checked_sub(behind);
        while let Some(seq) = next.filter(|seq| *seq >= front) {
            let index = usize::try_from(seq - front).ok()?;
            let ping = self.pings.get(index).filter(|it| it.sent_at.is_some());
            if found.is_none() || ping.is_some_and(|it| it.fate == Fate::Waiting) {
                found = ping.copied().or(found);
            }
            next = seq.checked_sub(modulus);
        }
        found
    }
}
