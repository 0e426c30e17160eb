//! What ships, by its value: each is a bound that the README, the docs or the contract name, and a
//! wrong one would only show on somebody's host.

use std::time::Duration;

use pingpong::inside::logging::limit::LINES_PER_S;
use pingpong::inside::reactor::acceptor::FAILURES_MAX;
use pingpong::inside::reactor::bind::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};
use pingpong::inside::reactor::deadlines::{RETRY_AFTER, TICK};
use pingpong::inside::reactor::kernel::{SLOT_MAX_BYTES, SLOTS_PER_CALL};
use pingpong::inside::reactor::outage::OVER_AFTER;
use pingpong::inside::server::connection::LOGGED_BYTES;
use pingpong::inside::server::datagrams::RECEIVES_PER_TURN;
use pingpong::inside::server::{LINGER_TIMEOUT, PHASE_MAX, Sizes};

#[test]
fn times() {
    assert_eq!(PHASE_MAX, Duration::from_micros(500));
    assert_eq!(TICK, Duration::from_millis(100));
    assert_eq!(RETRY_AFTER, Duration::from_millis(100));
    assert_eq!(OVER_AFTER, Duration::from_secs(1));
    // Two seconds at most, and it may end a tick late.
    assert_eq!(LINGER_TIMEOUT + TICK, Duration::from_secs(2));
    let dead_after = KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_PROBES;
    assert_eq!(dead_after, Duration::from_secs(4 * 60));
}

#[test]
fn sizes_and_counts() {
    let sizes = Sizes::default();
    assert_eq!(sizes.window_bytes, 32 * 1024);
    assert_eq!(sizes.fresh_read_bytes, 4 * 1024);
    assert_eq!(sizes.share_bytes, 64 * 1024);
    assert_eq!(sizes.slot_bytes, SLOT_MAX_BYTES);
    assert_eq!(sizes.phase_max, PHASE_MAX);
    assert_eq!(SLOT_MAX_BYTES, 65536);
    // 64 datagrams or super-packets of a socket in a turn.
    assert_eq!((RECEIVES_PER_TURN, SLOTS_PER_CALL), (4, 16));
    assert_eq!(FAILURES_MAX, 16);
    assert_eq!((LOGGED_BYTES, LINES_PER_S), (64, 1000));
}
