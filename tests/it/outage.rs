//! Faults that go on: told once when they begin and once when they are over.

use std::time::{Duration, Instant};

use pingpong::inside::reactor::deadlines::RETRY_AFTER;
use pingpong::inside::reactor::outage::{OVER_AFTER, Outage, Retry};

const NS: Duration = Duration::from_nanos(1);

#[test]
fn an_outage_is_over_when_it_has_not_come_for_so_long() {
    let start = Instant::now();
    let mut outage = Outage::default();
    assert_eq!(outage.over_at(), None);
    assert!(!outage.ends(start + OVER_AFTER * 9));

    assert!(outage.begins(start));
    let again = start + OVER_AFTER - NS;
    assert!(!outage.begins(again), "it goes on");
    assert!(!outage.ends(start + OVER_AFTER), "it came again");
    assert_eq!(outage.over_at(), Some(again + OVER_AFTER));
    assert!(!outage.ends(again + OVER_AFTER - NS));
    assert!(outage.ends(again + OVER_AFTER));
    assert!(!outage.ends(again + OVER_AFTER), "once");
    assert_eq!(outage.over_at(), None);

    // The next one is told anew.
    let next = again + OVER_AFTER * 2;
    assert!(outage.begins(next));
    assert!(outage.ends(next + OVER_AFTER * 5));
}

#[test]
fn a_call_that_failed_is_made_again_but_not_at_once() {
    let start = Instant::now();
    let mut retry = Retry::default();
    assert!(!retry.is_paused());
    assert_eq!(retry.next_deadline(), None);

    assert!(retry.pauses(start));
    assert!(retry.is_paused());
    assert_eq!(retry.next_deadline(), Some(start + RETRY_AFTER));
    assert!(!retry.keep_deadlines(start + RETRY_AFTER - NS));
    assert!(retry.is_paused());
    assert!(!retry.keep_deadlines(start + RETRY_AFTER));
    assert!(!retry.is_paused());

    // It fails again: the same outage, and another pause.
    let again = start + RETRY_AFTER;
    assert!(!retry.pauses(again));
    assert_eq!(retry.next_deadline(), Some(again + RETRY_AFTER));
    retry.resume();
    assert!(!retry.is_paused());
    let over = again + OVER_AFTER;
    assert_eq!(retry.next_deadline(), Some(over));
    assert!(!retry.keep_deadlines(over - NS));
    assert!(retry.keep_deadlines(over));
    assert_eq!(retry.next_deadline(), None);
}

/// A loop that stood still finds both at once.
#[test]
fn a_late_look_ends_both() {
    let start = Instant::now();
    let mut retry = Retry::default();
    assert!(retry.pauses(start));
    assert!(retry.keep_deadlines(start + OVER_AFTER));
    assert!(!retry.is_paused());
    assert!(retry.pauses(start + OVER_AFTER));
}
