//! Deadlines against a table that is searched from end to end: never early, at most one tick late,
//! in order.

use std::time::{Duration, Instant};

use pingpong::inside::reactor::deadlines::{Deadlines, TICK};
use proptest::prelude::*;

use crate::support::cases;

const SHORT: Duration = Duration::from_millis(350);
const LONG: Duration = Duration::from_secs(2);
/// Two lists that expire, and one that never does.
const TIMEOUTS: [Option<Duration>; 3] = [Some(LONG), Some(SHORT), None];
const LONG_LIST: u8 = 0;
const SHORT_LIST: u8 = 1;
const NEVER: u8 = 2;

fn deadlines() -> (Deadlines<3>, Instant) {
    let epoch = Instant::now();
    (Deadlines::new(epoch, TIMEOUTS), epoch)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn nobody_waits_at_first() {
    let (mut it, epoch) = deadlines();
    assert_eq!(it.next(), None);
    assert_eq!(it.pop_expired(epoch + ms(1_000_000)), None);
    it.cancel(7);
    assert_eq!(it.next(), None);
}

#[test]
fn never_early_and_at_most_a_tick_late() {
    for start_ms in 0..250 {
        let (mut it, epoch) = deadlines();
        let start = epoch + ms(start_ms);
        it.restart(SHORT_LIST, 3, start);
        let due = start + SHORT;
        assert_eq!(
            it.pop_expired(due - ms(1)),
            None,
            "early, from {start_ms} ms"
        );
        let next = it.next().unwrap();
        assert!(due <= next && next <= due + TICK, "from {start_ms} ms");
        assert_eq!(it.pop_expired(next - ms(1)), None);
        assert_eq!(it.pop_expired(next), Some((SHORT_LIST, 3)));
        assert_eq!(it.pop_expired(next + LONG), None, "only once");
    }
}

#[test]
fn a_restart_puts_it_off() {
    let (mut it, epoch) = deadlines();
    for turn in 0..10 {
        let now = epoch + ms(200 * turn);
        assert_eq!(it.pop_expired(now), None);
        it.restart(SHORT_LIST, 0, now);
    }
    assert_eq!(
        it.pop_expired(epoch + ms(1800) + SHORT + TICK),
        Some((SHORT_LIST, 0))
    );
}

#[test]
fn they_expire_in_the_order_in_which_they_began() {
    let (mut it, epoch) = deadlines();
    for key in [4, 0, 2, 1] {
        it.restart(LONG_LIST, key, epoch + TICK * u32::try_from(key).unwrap());
    }
    it.restart(LONG_LIST, 4, epoch + TICK * 5);
    it.restart(LONG_LIST, 0, epoch + TICK * 6);
    let late = epoch + LONG * 2;
    let order: Vec<_> = std::iter::from_fn(|| it.pop_expired(late)).collect();
    assert_eq!(order, [2, 1, 4, 0].map(|key| (LONG_LIST, key)));
}

#[test]
fn a_key_stands_on_one_list_at_a_time() {
    let (mut it, epoch) = deadlines();
    it.restart(LONG_LIST, 1, epoch);
    it.restart(SHORT_LIST, 1, epoch);
    let late = epoch + LONG * 2;
    assert_eq!(it.pop_expired(epoch + SHORT + TICK), Some((SHORT_LIST, 1)));
    assert_eq!(it.pop_expired(late), None);

    it.restart(SHORT_LIST, 1, late);
    it.restart(LONG_LIST, 1, late);
    assert_eq!(it.pop_expired(late + SHORT + TICK), None);
    assert_eq!(it.pop_expired(late + LONG + TICK), Some((LONG_LIST, 1)));
}

/// `--idle-timeout 0`.
#[test]
fn no_timeout_keeps_nobody_and_ends_others() {
    let (mut it, epoch) = deadlines();
    it.restart(NEVER, 1, epoch);
    assert_eq!(it.next(), None);
    it.restart(SHORT_LIST, 1, epoch);
    it.restart(NEVER, 1, epoch);
    assert_eq!(it.next(), None);
    assert_eq!(it.pop_expired(epoch + LONG * 1000), None);
}

#[test]
fn a_key_can_be_used_again() {
    let (mut it, epoch) = deadlines();
    it.restart(SHORT_LIST, 5, epoch);
    it.restart(SHORT_LIST, 6, epoch);
    it.cancel(5);
    it.restart(SHORT_LIST, 5, epoch);
    let late = epoch + LONG;
    assert_eq!(it.pop_expired(late), Some((SHORT_LIST, 6)));
    assert_eq!(it.pop_expired(late), Some((SHORT_LIST, 5)));
    it.restart(LONG_LIST, 5, late);
    assert_eq!(it.pop_expired(late + LONG + TICK), Some((LONG_LIST, 5)));
}

/// Cancelling at the front, in the middle and at the end leaves the others linked.
#[test]
fn cancel_anywhere() {
    for cancelled in 0..3 {
        let (mut it, epoch) = deadlines();
        (0..3).for_each(|key| it.restart(SHORT_LIST, key, epoch));
        it.cancel(cancelled);
        it.cancel(cancelled);
        it.restart(SHORT_LIST, 9, epoch);
        let order: Vec<_> = std::iter::from_fn(|| it.pop_expired(epoch + LONG)).collect();
        let rest = [0, 1, 2, 9].into_iter().filter(|key| *key != cancelled);
        let expected: Vec<_> = rest.map(|key| (SHORT_LIST, key)).collect();
        assert_eq!(order, expected, "without {cancelled}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Restart(u8, usize),
    Cancel(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0usize..6;
    let step = prop_oneof![
        4 => (0u8..3, key.clone()).prop_map(|(list, key)| Step::Restart(list, key)),
        1 => key.prop_map(Step::Cancel),
        3 => prop_oneof![0u64..30, 30u64..150, 150u64..2500].prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn like_a_table_that_is_searched(steps in steps()) {
        let (mut it, epoch) = deadlines();
        let mut now = epoch;
        // Of each key: its list, and when it last began there.
        let mut table: [Option<(u8, Instant)>; 6] = [None; 6];
        for step in steps {
            match step {
                Step::Restart(list, key) => {
                    it.restart(list, key, now);
                    table[key] = (list != NEVER).then_some((list, now));
                }
                Step::Cancel(key) => {
                    it.cancel(key);
                    table[key] = None;
                }
                Step::Pass(ms) => now += Duration::from_millis(ms),
            }
            let mut last_began = [epoch; 2];
            while let Some((list, key)) = it.pop_expired(now) {
                let (expected, began) = table[key].take().expect("a key without a deadline");
                prop_assert_eq!(list, expected);
                prop_assert!(due(list, began) <= now, "early");
                let last = &mut last_began[usize::from(list)];
                prop_assert!(*last < began + TICK, "out of order");
                *last = began;
            }
            let dues = table.iter().flatten().map(|(list, began)| due(*list, *began));
            prop_assert!(dues.clone().all(|due| now < due + TICK), "more than a tick late");
            let next = it.next();
            prop_assert_eq!(next.is_some(), dues.clone().next().is_some());
            if let (Some(next), Some(first)) = (next, dues.min()) {
                prop_assert!(now < next && first <= next && next <= first + TICK);
            }
        }
    }
}

fn due(list: u8, began: Instant) -> Instant {
    began + TIMEOUTS[usize::from(list)].unwrap()
}
