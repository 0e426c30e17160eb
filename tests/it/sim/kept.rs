//! What a connection keeps beside itself, by how much of a line or of replies there is.

use pingpong::inside::server::Sizes;

use super::by_hand::ByHand;
use super::peer::{Ending, Peer, Reading, Role};
use super::plan::{MS, Plan};

const PAGE_BYTES: usize = 4096;

fn plan(peers: Vec<Peer>) -> Plan {
    let mut plan = Plan::calm(65536, peers);
    plan.sizes = Sizes::default();
    plan.config.idle_timeout = None;
    plan.kernel.receive_buffer_bytes = 200_000;
    plan
}

/// A client that sends this at its time, and stays.
fn sends(script: &[u8], at_ms: u64) -> Peer {
    let mut peer = Peer::scripted(script, 0, Ending::Stay);
    peer.next_ns = Some(at_ms * MS);
    peer
}

/// What each connection keeps at a time.
fn kept_at(plan: Plan, at_ms: u64) -> Vec<usize> {
    let mut it = ByHand::new(plan, &[]);
    while it.now_ms() < at_ms {
        it.turn();
    }
    it.server.kept_bytes().collect()
}

/// Whole pages, twice as many each time that they are full, and no more than the longest line takes.
#[test]
fn a_line_that_has_begun_takes_as_few_pages_as_it_can() {
    for (len, pages) in [
        (0, 0),
        (1, 1),
        (4096, 1),
        (4097, 2),
        (10_000, 3),
        (65_536, 16),
    ] {
        let at_once = plan(vec![sends(&vec![b'x'; len], 1)]);
        assert_eq!(kept_at(at_once, 100), [pages * PAGE_BYTES], "{len} bytes");
    }
    for (len, pages) in [(4000, 1), (4500, 2), (9000, 4), (20_000, 8), (65_536, 16)] {
        let mut piecewise = sends(&vec![b'x'; len], 1);
        if let Role::Stream(peer) = &mut piecewise.role {
            peer.chunk = 500;
        }
        let kept = kept_at(plan(vec![piecewise]), 1000);
        assert_eq!(kept, [pages * PAGE_BYTES], "{len} bytes in pieces");
    }
}

/// Once it is answered nothing is kept, and what one has given back makes nobody else's larger.
#[test]
fn who_comes_later_does_not_take_over_what_was_large() {
    let long = [vec![b'x'; 30_000], b"\n".to_vec()].concat();
    let mut large = sends(&long, 1);
    if let Role::Stream(peer) = &mut large.role {
        peer.chunk = 20_000;
    }
    assert_eq!(kept_at(plan(vec![large.clone()]), 50), [0]);
    let small = sends(b"ping\npin", 100);
    assert_eq!(kept_at(plan(vec![large, small]), 200), [0, PAGE_BYTES]);
}

/// Replies that are not taken, and the begun line behind them; once they are, the line alone.
#[test]
fn replies_that_are_taken_leave_the_line() {
    let script = [b"ping\n".repeat(1000), b"pin".to_vec()].concat();
    let mut slow = sends(&script, 1);
    if let Role::Stream(peer) = &mut slow.role {
        peer.reading = Reading::Slow(64);
    }
    let mut it = ByHand::new(plan(vec![slow]), &[]);
    while it.server.counters().tcp.messages == 0 {
        it.turn();
    }
    let kept: Vec<_> = it.server.kept_bytes().collect();
    assert_eq!(
        kept,
        [2 * PAGE_BYTES],
        "4939 bytes of replies, three of a line"
    );
    while it.world().conns[0].outgoing.len() < 5000 {
        it.turn();
    }
    let kept: Vec<_> = it.server.kept_bytes().collect();
    assert_eq!(kept, [PAGE_BYTES]);
}
