//! What a run's figures add up to.

use pingpong::inside::client::load::figures::{Figures, LaneEnd};
use pingpong::inside::client::load::ledger::Stamp;
use pingpong::inside::client::load::schedule::SECOND;

/// A run of a second, from the first to the second, in which so many requests were answered at once.
fn answered(requests: u64) -> Figures {
    let mut figures = Figures::new().unwrap();
    figures.open_window((SECOND, 2 * SECOND), true);
    for number in 0..requests {
        ask(&mut figures, SECOND + number, SECOND + number);
    }
    figures
}

fn ask(figures: &mut Figures, sent: u64, answered: u64) {
    let stamp = Stamp {
        intended: sent,
        sent,
    };
    figures.sent(stamp);
    figures.answered(stamp, answered);
}

/// Each thing that can be wrong is wrong alone; loss is where the transport loses nothing.
#[test]
fn all_is_right_where_something_came_and_nothing_was_wrong() {
    let is_right = |change: fn(&mut Figures)| {
        let mut figures = answered(1);
        change(&mut figures);
        [true, false].map(|loss_is_wrong| figures.is_all_right(loss_is_wrong))
    };
    assert_eq!(is_right(|_| {}), [true, true]);
    assert_eq!(is_right(|it| it.replies = 0), [false, false]);
    assert_eq!(is_right(|it| it.wrong = 1), [false, false]);
    assert_eq!(is_right(|it| it.not_connected = 1), [false, false]);
    assert_eq!(is_right(|it| it.closed_early = 1), [false, false]);
    assert_eq!(is_right(|it| it.lost = 1), [false, true]);
}

#[test]
fn ends_of_lanes_are_counted_by_kind() {
    let mut figures = answered(0);
    for (end, times) in [
        (LaneEnd::NotConnected, 1),
        (LaneEnd::ClosedEarly, 2),
        (LaneEnd::WrongReply, 3),
    ] {
        (0..times).for_each(|_| figures.lane_ended(end));
    }
    let counts = (figures.not_connected, figures.closed_early, figures.wrong);
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

/// The window has its begin and not its end. What is sent before it is not measured, and what is
/// answered behind it is measured and does not count for the rate.
#[test]
fn only_the_window_counts() {
    let mut figures = answered(0);
    let (begin, end) = (SECOND, 2 * SECOND);
    for (sent, reply) in [
        (begin - 1, begin),
        (begin, end - 1),
        (end - 1, end),
        (end, end + 1),
    ] {
        figures.called(sent);
        ask(&mut figures, sent, reply);
    }
    assert_eq!((figures.due, figures.requests, figures.replies), (3, 3, 3));
    assert_eq!(figures.requests_in_time, 2);
    assert_eq!(figures.replies_in_time, 2);
    assert_eq!(figures.measured(), SECOND);
    let rate = figures.per_second(figures.replies_in_time);
    assert!((rate - 2.0).abs() < 1e-9, "{rate}");
}

/// A run that is broken off has measured as long as it went.
#[test]
fn a_run_that_ends_early_is_measured_until_then() {
    let mut figures = answered(3);
    figures.close_window(SECOND + SECOND / 4);
    assert_eq!(figures.measured(), SECOND / 4);
    let rate = figures.per_second(3);
    assert!((rate - 12.0).abs() < 1e-9, "{rate}");
    // It is over when it is over, and never before it began.
    figures.close_window(5 * SECOND);
    assert_eq!(figures.measured(), SECOND / 4);
    figures.close_window(0);
    assert_eq!(figures.measured(), 0);
    assert_eq!(figures.per_second(3).to_bits(), 0.0_f64.to_bits());
}

/// In an open loop a latency runs from the intended time, the uncorrected one from the sending.
#[test]
fn corrected_and_uncorrected_are_told_apart() {
    for (is_open_loop, count) in [(true, 1), (false, 0)] {
        let mut figures = Figures::new().unwrap();
        figures.open_window((0, SECOND), is_open_loop);
        let stamp = Stamp {
            intended: 1000,
            sent: 1600,
        };
        figures.sent(stamp);
        figures.answered(stamp, 2000);
        assert_eq!(figures.latency.max(), 1000);
        assert_eq!(
            (figures.uncorrected.len(), figures.send_delay.len()),
            (count, count)
        );
        if is_open_loop {
            assert_eq!(
                (figures.uncorrected.max(), figures.send_delay.max()),
                (400, 600)
            );
        }
        let from_send = figures.from_send().max();
        assert_eq!(from_send, if is_open_loop { 400 } else { 1000 });
    }
}
