//! `--find-max`: when a goal is kept, and the way to the highest rate that keeps it.

use pingpong::inside::client::load::schedule::{SECOND, Schedule};
use pingpong::inside::client::load::search::{Goal, RATE_MAX_PER_S, Search};
use pingpong::inside::client::load::stats::{ConnEnd, Stamp, Stats};

const MS: u64 = 1_000_000;

/// So many requests are due within a second, and the first of them answered after so long.
fn ran(due: u64, answered: u64, after: u64) -> Stats {
    let mut stats = Stats::new().unwrap();
    stats.open_window((0, SECOND), true);
    for at in 0..answered {
        let stamp = Stamp {
            intended: at,
            sent: at,
        };
        stats.sent(stamp);
        stats.answered(stamp, at + after);
    }
    stats.close_window(SECOND, Some(due));
    stats
}

fn keeps(goal: &str, stats: &Stats) -> bool {
    goal.parse::<Goal>().unwrap().is_kept_by(stats)
}

#[test]
fn a_goal_is_kept_by_so_many_of_a_hundred() {
    assert!(keeps("p99=1ms", &ran(100, 99, MS / 2)));
    assert!(!keeps("p99=1ms", &ran(100, 98, MS / 2)));
    assert!(keeps("p50=1ms", &ran(1000, 500, MS / 2)));
    assert!(!keeps("p50=1ms", &ran(1000, 499, MS / 2)));
    assert!(keeps("max=1ms", &ran(100, 100, MS / 2)));
    assert!(!keeps("max=1ms", &ran(100, 99, MS / 2)));
    // Too late is as good as never.
    assert!(!keeps("p99=1ms", &ran(100, 100, 2 * MS)));
}

/// What the timetable called for and nobody sent breaks it, though all that was sent was answered.
#[test]
fn what_was_never_sent_breaks_it() {
    assert!(!keeps("p90=1s", &ran(100, 10, MS)));
    let mut stats = ran(100, 100, MS);
    assert!(keeps("p90=1s", &stats));
    // Nor does it help that the loop did not even come to call for it: 1000 were due in all.
    stats.close_window(SECOND, Some(Schedule::new(0, 1000, 1).before(SECOND)));
    assert_eq!(stats.due, 1000);
    assert!(!keeps("p90=1s", &stats));
    assert!(keeps("p10=1s", &stats));
}

#[test]
fn nothing_at_all_and_anything_wrong_break_it() {
    assert!(!keeps("p1=1s", &ran(0, 0, MS)));
    let mut stats = ran(100, 100, MS);
    stats.conn_ended(ConnEnd::WrongReply, String::new);
    assert!(!keeps("p1=1s", &stats));
}

/// All rates that are tried where the truth is this one.
fn tried(truth: u64) -> (Vec<u64>, u64) {
    let mut search = Search::default();
    let mut rates = Vec::new();
    while let Some(rate) = search.next() {
        rates.push(rate);
        search.tell(rate, rate <= truth);
    }
    (rates, search.highest_per_s())
}

#[test]
fn the_rate_is_doubled_until_it_breaks_and_then_the_distance_halved() {
    let rates = [1000, 2000, 4000, 3000, 3500, 3250, 3125, 3062, 3031, 3031];
    assert_eq!(tried(3000), (rates.to_vec(), 3000));
    assert_eq!(tried(0).1, 0);
    let (rates, highest) = tried(RATE_MAX_PER_S);
    assert_eq!(rates.last(), Some(&RATE_MAX_PER_S));
    assert_eq!((rates.len(), highest), (21, RATE_MAX_PER_S));
}

/// One part in fifty is near enough.
#[test]
fn it_ends_when_kept_and_broken_are_near() {
    for (broken, next) in [(1021, Some(1010)), (1020, Some(1020))] {
        let mut search = Search::default();
        search.tell(1000, true);
        search.tell(broken, false);
        assert_eq!(search.next(), next);
    }
}

#[test]
fn it_ends_after_forty_steps_whatever_comes_of_them() {
    let mut search = Search::default();
    for _ in 0..39 {
        search.tell(1000, true);
    }
    assert_eq!(search.next(), Some(2000));
    search.tell(1000, true);
    assert_eq!(search.next(), None);
}

/// A rate that missed the goal once, as the server was cold, is tried again at the end, and the
/// search goes on from there.
#[test]
fn a_cold_start_is_not_believed_for_ever() {
    let mut search = Search::default();
    let mut tries = 0;
    while let Some(rate) = search.next() {
        tries += 1;
        search.tell(rate, tries > 3 && rate <= 32_000);
    }
    assert!(
        (31_000..=32_000).contains(&search.highest_per_s()),
        "{search:?}"
    );
    // One that misses it twice has missed it.
    let mut search = Search::default();
    search.tell(1000, true);
    search.tell(1010, false);
    assert_eq!(search.next(), Some(1010));
    search.tell(1010, false);
    assert_eq!((search.next(), search.highest_per_s()), (None, 1000));
}
