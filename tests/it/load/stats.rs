//! What a run's stats add up to.

use pingpong::inside::client::load::schedule::SECOND;
use pingpong::inside::client::load::stats::{ConnEnd, Stamp, Stats};

/// A run of a second, from the first to the second, in which so many requests were answered at once.
fn answered(requests: u64) -> Stats {
    let mut stats = Stats::new().unwrap();
    stats.open_window((SECOND, 2 * SECOND), true);
    for number in 0..requests {
        ask(&mut stats, SECOND + number, SECOND + number);
    }
    stats
}

fn ask(stats: &mut Stats, sent: u64, answered: u64) {
    let stamp = Stamp {
        intended: sent,
        sent,
    };
    stats.sent(stamp);
    stats.answered(stamp, answered);
}

/// Each thing that can be wrong is wrong alone; loss is where the transport loses nothing.
#[test]
fn all_is_right_where_something_came_and_nothing_was_wrong() {
    let is_right = |change: fn(&mut Stats)| {
        let mut stats = answered(1);
        change(&mut stats);
        [true, false].map(|loss_is_wrong| stats.is_all_right(loss_is_wrong))
    };
    assert_eq!(is_right(|_| {}), [true, true]);
    assert_eq!(is_right(|it| it.replies = 0), [false, false]);
    assert_eq!(is_right(|it| it.wrong = 1), [false, false]);
    assert_eq!(is_right(|it| it.not_connected = 1), [false, false]);
    assert_eq!(is_right(|it| it.closed_early = 1), [false, false]);
    assert_eq!(is_right(|it| it.lost = 1), [false, true]);
}

#[test]
fn ends_of_connections_are_counted_by_kind() {
    let mut stats = answered(0);
    for (end, times) in [
        (ConnEnd::NotConnected, 1),
        (ConnEnd::ClosedEarly, 2),
        (ConnEnd::WrongReply, 3),
    ] {
        (0..times).for_each(|_| stats.conn_ended(end, String::new));
    }
    let counts = (stats.not_connected, stats.closed_early, stats.wrong);
    assert_eq!(counts, (1, 2, 3));
}

/// The first of all errors is kept in words, also over several runs, and the counts add up.
#[test]
fn errors_of_an_earlier_run_are_not_forgotten() {
    for (loss_is_wrong, lost) in [(true, 11), (false, 7)] {
        let mut earlier = answered(1);
        (earlier.wrong, earlier.closed_early, earlier.lost) = (2, 3, 4);
        earlier.note(|| "the first".into());
        earlier.note(|| "the second".into());
        let mut later = answered(1);
        (later.wrong, later.closed_early, later.lost) = (5, 6, 7);
        later.note(|| "the third".into());
        later.take_over_errors(&earlier, loss_is_wrong);
        let counts = (later.wrong, later.closed_early, later.lost);
        assert_eq!(counts, (7, 9, lost));
        assert_eq!(later.first_error.as_deref(), Some("the first"));
        // Of one without errors nothing is taken over.
        later.take_over_errors(&answered(1), loss_is_wrong);
        assert_eq!((later.wrong, later.first_error.is_some()), (7, true));
    }
}

/// The window has its begin and not its end. What was due before it or behind it is not measured, and
/// what is answered behind it is measured and does not count for the rate.
#[test]
fn only_the_window_counts() {
    let mut stats = answered(0);
    let (begin, end) = (SECOND, 2 * SECOND);
    for (sent, reply) in [
        (begin - 1, begin),
        (begin, end - 1),
        (end - 1, end),
        (end, end + 1),
    ] {
        ask(&mut stats, sent, reply);
    }
    stats.close_window(end, Some(2));
    assert_eq!((stats.due, stats.requests, stats.replies), (2, 2, 2));
    assert_eq!(stats.sent_in_window, 2);
    assert_eq!(stats.came_in_window, 2);
    assert_eq!(stats.measured(), SECOND);
    let rate = stats.per_second(stats.came_in_window);
    assert!((rate - 2.0).abs() < 1e-9, "{rate}");
}

/// A run that is broken off has measured as long as it went.
#[test]
fn a_run_that_ends_early_is_measured_until_then() {
    let mut stats = answered(3);
    stats.close_window(SECOND + SECOND / 4, None);
    assert_eq!(stats.measured(), SECOND / 4);
    let rate = stats.per_second(3);
    assert!((rate - 12.0).abs() < 1e-9, "{rate}");
    // It is over when it is over, and never before it began.
    stats.close_window(5 * SECOND, None);
    assert_eq!(stats.measured(), SECOND / 4);
    stats.close_window(0, None);
    assert_eq!(stats.measured(), 0);
    assert_eq!(stats.per_second(3).to_bits(), 0.0_f64.to_bits());
}

/// In an open loop a latency runs from the intended time, the uncorrected one from the sending.
#[test]
fn corrected_and_uncorrected_are_told_apart() {
    for (is_open_loop, count) in [(true, 1), (false, 0)] {
        let mut stats = Stats::new().unwrap();
        stats.open_window((0, SECOND), is_open_loop);
        let stamp = Stamp {
            intended: 1000,
            sent: 1600,
        };
        stats.sent(stamp);
        stats.answered(stamp, 2000);
        assert_eq!(stats.latency.max(), Some(1000));
        assert_eq!(
            (stats.uncorrected.count(), stats.send_delay.count()),
            (count, count)
        );
        if is_open_loop {
            assert_eq!(
                (stats.uncorrected.max(), stats.send_delay.max()),
                (Some(400), Some(600))
            );
        }
        let from_send = stats.from_send().max();
        assert_eq!(from_send, Some(if is_open_loop { 400 } else { 1000 }));
    }
}

/// What left just before a signal belongs to the run, whatever became of it.
#[test]
fn what_left_before_a_run_was_broken_off_is_accounted_for() {
    let mut stats = answered(0);
    let stamp = Stamp {
        intended: SECOND + 7,
        sent: SECOND + 7,
    };
    stats.sent(stamp);
    stats.sent(stamp);
    // The turn had begun before.
    stats.close_window(SECOND + 5, None);
    stats.lost(stamp);
    stats.abandoned(stamp);
    assert_eq!((stats.due, stats.requests), (2, 2));
    assert_eq!((stats.lost, stats.abandoned, stats.unsent()), (1, 1, 0));
}
