//! More clients than tables are kept for, who go one after the other.

use std::time::Duration;

use super::by_hand::ByHand;
use super::peer::{Ending, Peer};
use super::plan::{MS, Plan};

const CLIENTS: usize = 300;

/// As they go, nobody who is still there loses anything; the last to go leaves nothing.
#[test]
fn who_stays_is_served_to_the_end() {
    let ping = b"ping\n".repeat(40);
    let client = |number: usize| {
        // A line every millisecond or ten.
        let slow = number < 20;
        let mut peer = Peer::scripted(&ping, u64::MAX, Ending::HalfClose);
        peer.pace_ns = if slow { 10 * MS } else { MS };
        peer
    };
    let mut plan = Plan::calm(16, (0..CLIENTS).map(client).collect());
    plan.config.max_connections = CLIENTS;
    plan.config.idle_timeout = Some(Duration::from_secs(9));
    plan.kernel.descriptors = CLIENTS + 10;
    plan.kernel.backlog = CLIENTS;
    let mut it = ByHand::new(plan, &[]);
    let mut most = 0;
    while it.now_ms() < 5000 {
        assert_eq!(it.turn(), None);
        most = most.max(it.server.connections());
    }
    assert_eq!((most, it.server.connections()), (CLIENTS, 0));
    let counters = it.server.counters();
    assert_eq!(counters.accepted, CLIENTS as u64);
    assert_eq!(counters.tcp.replies, 40 * CLIENTS as u64);
    for conn in &it.world().conns {
        assert_eq!(conn.outgoing.len(), ping.len());
    }
    let mut closed = 0;
    it.server.counters().each(|name, label, count| {
        if name == "connections_closed_total" && count > 0 {
            assert_eq!(label, Some(("reason", "peer_closed")));
            closed += count;
        }
    });
    assert_eq!(closed, CLIENTS as u64);
}
