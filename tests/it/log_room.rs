//! For how many lines there is room, to the line.

use std::time::{Duration, Instant};

use pingpong::inside::logging::limit::{LINES_PER_S, Limit, Reason};

/// A limit that has seen so many lines, and lost one or not.
fn after(lines: usize, has_lost: bool) -> (Limit, Instant) {
    let (mut limit, now) = (Limit::default(), Instant::now());
    limit.wrote(lines, now);
    if has_lost {
        limit.lose(Reason::FullPipe);
    }
    (limit, now)
}

/// One line is kept for the last notice.
#[test]
fn the_last_line_is_for_the_end() {
    let (mut limit, now) = after(LINES_PER_S - 2, false);
    assert_eq!(limit.ask(now), Some(0));
    let (mut limit, now) = after(LINES_PER_S - 1, false);
    assert_eq!(limit.ask(now), None);
    assert_eq!(limit.lost(Reason::Storm), 1);
    assert_eq!(limit.ask_last(now), Some(1));
    limit.wrote(1, now);
    assert_eq!(limit.ask_last(now), None);
    // With nothing to tell there is no last notice.
    let (mut limit, now) = after(0, false);
    assert_eq!(limit.ask_last(now), None);
}

/// After a loss, lines are written again when there is room for fifty: else every other line of a
/// storm would be a notice.
#[test]
fn a_storm_is_over_when_there_is_room_for_fifty() {
    let (mut limit, now) = after(LINES_PER_S - 51, true);
    assert_eq!(limit.ask(now), Some(1));
    let (mut limit, now) = after(LINES_PER_S - 50, true);
    assert_eq!(limit.ask(now), None);
    assert_eq!(limit.lost(Reason::Storm), 1);
    // What has been told is no loss any more.
    limit.tell(2);
    assert_eq!(limit.ask(now), Some(0));
}

/// A line counts for one second, and not a moment longer.
#[test]
fn a_second_later_there_is_room() {
    let (mut limit, now) = after(LINES_PER_S, false);
    let second = Duration::from_secs(1);
    assert_eq!(limit.ask(now + second - Duration::from_nanos(1)), None);
    assert_eq!(limit.ask(now + second), Some(1));
}
