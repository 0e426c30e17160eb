//! Who has work to do, and in which order: who has just become ready goes before who has had a
//! share of this round already.
//!
//! One queue would be fair for each and slow for all: beside a thousand clients that always have
//! more, who asks once would wait for a thousand others. So there are two, as in DRR++ and FQ-CoDel
//! (RFC 8290, section 4.1): *fresh* for who has not used up its share, *spent* for who has. A round
//! is over when everybody who was spent at its begin has been served; then all shares are whole
//! again. So nobody waits for ever either: who is fresh can use up no more than its share before it
//! stands behind the spent.

use std::collections::VecDeque;

use super::short;

/// How somebody stands whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not used up its share of this round.
    Fresh,
    /// It has; all who are fresh have been served.
    Spent,
}

/// A queue of keys in which each stands at most once.
#[derive(Debug)]
pub struct RunQueue {
    share: u16,
    fresh: VecDeque<u32>,
    spent: VecDeque<u32>,
    members: Vec<Member>,
    round: u32,
    /// How many of the spent are still to be served in this round.
    round_left: usize,
}

/// What is used of a share counts in units of so many bytes. A visit costs one beside what it moves,
/// so that nobody is fresh for ever.
const UNIT_BYTES: usize = 64;

/// What is known of a key: eight bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    /// The round that `used` is about.
    round: u32,
    /// In units.
    used: u16,
    is_queued: bool,
}

impl RunQueue {
    /// An empty queue; who has used `share_bytes` in a round, 4 MiB at most, is spent.
    #[must_use]
    pub fn new(share_bytes: usize) -> Self {
        Self {
            share: in_units(share_bytes),
            fresh: VecDeque::new(),
            spent: VecDeque::new(),
            members: Vec::new(),
            round: 0,
            round_left: 0,
        }
    }

    /// Puts a key behind its like, unless it is in the queue already.
    pub fn push(&mut self, key: usize) {
        let (round, share) = (self.round, self.share);
        let member = self.member(key);
        if std::mem::replace(&mut member.is_queued, true) {
            return;
        }
        let is_spent = member.round == round && member.used >= share;
        let list = if is_spent {
            &mut self.spent
        } else {
            &mut self.fresh
        };
        list.push_back(short(key));
    }

    /// Takes the key whose turn it is. Its owner may be gone, or another one may have its key by
    /// now: then it is a try that finds nothing to do.
    pub fn pop(&mut self) -> Option<(usize, Standing)> {
        let (key, standing) = match self.fresh.pop_front() {
            Some(key) => (key, Standing::Fresh),
            None => (self.pop_spent()?, Standing::Spent),
        };
        let key = key as usize;
        self.member(key).is_queued = false;
        Some((key, standing))
    }

    fn pop_spent(&mut self) -> Option<u32> {
        if self.round_left == 0 {
            self.round = self.round.wrapping_add(1);
            self.round_left = self.spent.len();
        }
        let key = self.spent.pop_front()?;
        self.round_left -= 1;
        Some(key)
    }

    /// Notes that a key was visited, and so many bytes moved for it.
    pub fn charge(&mut self, key: usize, bytes: usize) {
        let round = self.round;
        let member = self.member(key);
        if member.round != round {
            member.round = round;
            member.used = 0;
        }
        let cost = in_units(bytes).saturating_add(1);
        member.used = member.used.saturating_add(cost);
    }

    /// How many keys wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fresh.len() + self.spent.len()
    }

    /// Nobody has work left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn member(&mut self, key: usize) -> &mut Member {
        if key >= self.members.len() {
            self.members.resize(key + 1, Member::default());
        }
        &mut self.members[key]
    }
}

fn in_units(bytes: usize) -> u16 {
    u16::try_from(bytes / UNIT_BYTES).unwrap_or(u16::MAX)
}
