//! What each signal does to a server that somebody holds up, in virtual time.

use std::time::Duration;

use pingpong::inside::reactor::kernel::Signal;
use pingpong::inside::server::Exit;

use super::by_hand::ByHand;
use super::peer::{Ending, Peer, Reading, Role};
use super::plan::{MS, Plan};

const DRAIN_MS: u64 = 3000;

/// Runs a server with one client that never reads its replies until it ends, or for ten seconds; how
/// it ended, and after how many milliseconds.
fn ends(signals: &[(u64, Signal)]) -> Option<(Exit, u64)> {
    let mut peer = Peer::scripted(&b"ping\n".repeat(100), 0, Ending::Ignore);
    if let Role::Stream(peer) = &mut peer.role {
        peer.reading = Reading::Never;
    }
    let mut plan = Plan::calm(16, vec![peer]);
    plan.config.idle_timeout = None;
    plan.config.drain_timeout = Duration::from_millis(DRAIN_MS);
    plan.kernel.send_buffer_bytes = 10;
    let mut it = ByHand::new(plan, signals);
    let end = it.end();
    if end.is_none() {
        assert_eq!(it.server.connections(), 1);
    }
    end
}

use Signal::{HangUp, Report, Stop, Unused};

#[test]
fn a_stop_and_a_hang_up_take_as_long_as_they_may() {
    for signal in [Stop, HangUp] {
        let end = ends(&[(100, signal)]);
        assert_eq!(end, Some((Exit::Drained, 100 + DRAIN_MS)), "{signal:?}");
    }
}

#[test]
fn a_second_stop_is_an_abort() {
    for first in [Stop, HangUp] {
        let end = ends(&[(100, first), (1000, Stop)]);
        assert_eq!(end, Some((Exit::Aborted, 1000)), "{first:?}");
    }
}

/// The shell and the kernel both tell of a terminal that has gone: neither time nor an abort comes
/// of the second.
#[test]
fn a_second_hang_up_asks_for_nothing_more() {
    for first in [Stop, HangUp] {
        let end = ends(&[(100, first), (1000, HangUp), (2000, HangUp)]);
        assert_eq!(end, Some((Exit::Drained, 100 + DRAIN_MS)), "{first:?}");
    }
}

#[test]
fn several_at_once_are_one() {
    for [one, other] in [
        [Stop, Stop],
        [Stop, HangUp],
        [HangUp, Stop],
        [HangUp, HangUp],
    ] {
        let end = ends(&[(100, one), (100, other), (100, one)]);
        let drained = Some((Exit::Drained, 100 + DRAIN_MS));
        assert_eq!(end, drained, "{one:?} and {other:?}");
    }
}

#[test]
fn what_is_no_order_to_stop_changes_nothing() {
    assert_eq!(ends(&[(100, Report), (200, Unused("SIGUSR2"))]), None);
    let end = ends(&[(100, Stop), (200, Report), (300, Unused("SIGUSR2"))]);
    assert_eq!(end, Some((Exit::Drained, 100 + DRAIN_MS)));
}

/// Neither a port nor anybody else is waited for who has nothing to say.
#[test]
fn with_nobody_there_it_ends_at_once() {
    let mut plan = Plan::calm(16, vec![]);
    plan.config.drain_timeout = Duration::from_millis(DRAIN_MS);
    let end = ByHand::new(plan, &[(100, Stop)]).end();
    assert_eq!(end, Some((Exit::Drained, 100)));
}

/// Who goes on sending is read from for half of the time that a stop may take: the other half is for
/// its replies.
#[test]
fn reading_ends_half_way() {
    let mut peer = Peer::scripted(&b"ping\n".repeat(100_000), 0, Ending::Stay);
    peer.pace_ns = 0;
    peer.delay_ns = 0;
    let mut plan = Plan::calm(16, vec![peer]);
    plan.config.drain_timeout = Duration::from_millis(8);
    let mut it = ByHand::new(plan, &[(2, Stop)]);
    while !it.world().conns.first().is_some_and(|conn| conn.is_shut) {
        assert_eq!(it.turn(), None);
    }
    let world = it.world();
    assert!(world.conns[0].read_len < 500_000, "it had no more to say");
    assert_eq!(world.conns[0].shut_ns / MS, 6);
}
