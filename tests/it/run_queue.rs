//! The run queue: each key at most once, in order, and who has had its share behind who has not.

use std::collections::VecDeque;

use pingpong::inside::reactor::run_queue::{RunQueue, Standing};
use proptest::prelude::*;

use crate::support::cases;

use Standing::{Fresh, Spent};

const SHARE: usize = 1000;

#[test]
fn in_order_and_each_once() {
    let mut queue = RunQueue::new(SHARE);
    assert!(queue.is_empty());
    for key in [3, 1, 3, 0, 1] {
        queue.push(key);
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.pop(), Some((3, Fresh)));
    queue.push(3);
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(rest, [(1, Fresh), (0, Fresh), (3, Fresh)]);
    assert!(queue.is_empty());
}

/// Three take all that there is, and one asks now and then.
#[test]
fn who_asks_seldom_does_not_wait_for_who_takes_all() {
    let mut queue = RunQueue::new(SHARE);
    for hog in [0, 1, 2] {
        queue.push(hog);
    }
    let mut order = Vec::new();
    for turn in 0..60 {
        if turn % 4 == 0 {
            queue.push(9);
        }
        let (key, standing) = queue.pop().unwrap();
        order.push((key, standing));
        queue.charge(key, if key == 9 { 10 } else { 100_000 });
        if key != 9 {
            queue.push(key);
        }
    }
    let quiet: Vec<_> = order.iter().enumerate().filter(|it| it.1.0 == 9).collect();
    assert_eq!(quiet.len(), 15, "{order:?}");
    // It comes at once, but for the beginning, when nobody has had a share yet.
    for (turn, entry) in quiet {
        assert_eq!(*entry, (9, Fresh));
        assert!(turn % 4 == 0 || turn < 4, "turn {turn}: {order:?}");
    }
    // And the others take turns.
    let hogs: Vec<_> = order.iter().filter(|it| it.0 != 9).collect();
    assert_eq!(
        hogs.iter().map(|it| it.0).take(6).collect::<Vec<_>>(),
        [0, 1, 2, 0, 1, 2]
    );
    assert!(hogs.iter().skip(3).all(|it| it.1 == Spent));
}

/// Who is fresh can hold up who is spent for as long as its share lasts, and no longer.
#[test]
fn nobody_waits_for_ever() {
    let mut queue = RunQueue::new(SHARE);
    queue.push(0);
    queue.pop();
    queue.charge(0, 2000);
    queue.push(0);
    let mut turns = 0;
    // The other is ready again at once, whenever it was served, and moves nothing at all.
    queue.push(1);
    while let Some((1, Fresh)) = queue.pop() {
        queue.charge(1, 0);
        queue.push(1);
        turns += 1;
    }
    assert!((1..=SHARE).contains(&turns), "{turns} turns");
}

/// A share lasts for a round, and the next round has another.
#[test]
fn a_share_is_for_a_round() {
    let mut queue = RunQueue::new(SHARE);
    let serve = |queue: &mut RunQueue, bytes| {
        let (key, standing) = queue.pop().unwrap();
        queue.charge(key, bytes);
        (key, standing)
    };
    queue.push(0);
    queue.push(1);
    assert_eq!(serve(&mut queue, 5000), (0, Fresh));
    queue.push(0);
    assert_eq!(serve(&mut queue, 400), (1, Fresh));
    queue.push(1);
    assert_eq!(serve(&mut queue, 600), (1, Fresh));
    // It has had its share of this round by now, in two visits, and stands behind the other.
    queue.push(1);
    assert_eq!(serve(&mut queue, 5000), (0, Spent));
    // That began the next round: who became ready before it still stands where it stood.
    queue.push(2);
    assert_eq!(serve(&mut queue, 0), (2, Fresh));
    assert_eq!(serve(&mut queue, 10), (1, Spent));
    queue.push(1);
    assert_eq!(serve(&mut queue, 0), (1, Fresh));
    assert_eq!(queue.pop(), None);
    // With nobody left, the round is over.
    queue.push(0);
    assert_eq!(queue.pop(), Some((0, Fresh)));
}

proptest! {
    #![proptest_config(cases(256))]

    /// `Some(key)` is pushed, `None` pops: while nobody has had a share it is one queue.
    #[test]
    fn like_a_list_that_is_searched(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let mut queue = RunQueue::new(SHARE);
        let mut list = VecDeque::new();
        for step in steps {
            if let Some(key) = step.map(|key| usize::from(key % 16)) {
                queue.push(key);
                if !list.contains(&key) {
                    list.push_back(key);
                }
            } else {
                prop_assert_eq!(queue.pop().map(|(key, _)| key), list.pop_front());
            }
            prop_assert_eq!(queue.len(), list.len());
            prop_assert_eq!(queue.is_empty(), list.is_empty());
        }
    }

    /// Whatever is pushed comes out once, whoever was charged how much.
    #[test]
    fn nobody_is_lost(steps in prop::collection::vec((0..16_usize, 0..3000_usize), 0..300)) {
        let mut queue = RunQueue::new(SHARE);
        let mut waiting = std::collections::BTreeSet::new();
        for (key, bytes) in steps {
            if bytes % 3 == 0 && let Some((key, _)) = queue.pop() {
                prop_assert!(waiting.remove(&key));
                queue.charge(key, bytes);
            }
            queue.push(key);
            waiting.insert(key);
            prop_assert_eq!(queue.len(), waiting.len());
        }
        while let Some((key, _)) = queue.pop() {
            prop_assert!(waiting.remove(&key));
        }
        prop_assert!(waiting.is_empty());
    }
}
