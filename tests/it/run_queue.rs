//! The run queue: in order, each at most once.

use std::collections::VecDeque;

use pingpong::reactor::run_queue::RunQueue;
use proptest::prelude::*;

use crate::support::cases;

#[test]
fn in_order_and_each_once() {
    let mut queue = RunQueue::default();
    assert!(queue.is_empty());
    for key in [3, 1, 3, 0, 1] {
        queue.push(key);
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.pop(), Some(3));
    queue.push(3);
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(rest, [1, 0, 3]);
    assert!(queue.is_empty());
}

proptest! {
    #![proptest_config(cases(256))]

    /// `Some(key)` is pushed, `None` pops.
    #[test]
    fn like_a_list_that_is_searched(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let mut queue = RunQueue::default();
        let mut list = VecDeque::new();
        for step in steps {
            if let Some(key) = step.map(|key| usize::from(key % 16)) {
                queue.push(key);
                if !list.contains(&key) {
                    list.push_back(key);
                }
            } else {
                prop_assert_eq!(queue.pop(), list.pop_front());
            }
            prop_assert_eq!(queue.len(), list.len());
            prop_assert_eq!(queue.is_empty(), list.is_empty());
        }
    }
}
