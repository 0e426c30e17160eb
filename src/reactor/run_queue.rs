//! Who has work left: each turn serves those that stand here when its phase begins, in order.

use std::collections::VecDeque;

use super::short;

/// A queue of keys in which each stands at most once.
#[derive(Debug, Default)]
pub struct RunQueue {
    order: VecDeque<u32>,
    queued: Vec<bool>,
}

impl RunQueue {
    /// Puts a key at the end, unless it is in the queue already.
    pub fn push(&mut self, key: usize) {
        if key >= self.queued.len() {
            self.queued.resize(key + 1, false);
        }
        if !std::mem::replace(&mut self.queued[key], true) {
            self.order.push_back(short(key));
        }
    }

    /// Takes the key at the front. Its owner may be gone, or another one may have its key by now:
    /// then it is a try without need.
    pub fn pop(&mut self) -> Option<usize> {
        let key = self.order.pop_front()? as usize;
        self.queued[key] = false;
        Some(key)
    }

    /// How many keys wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Nobody has work left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
