//! Schedules with the sizes that ship, and with enough to say to reach them.

use std::net::{IpAddr, SocketAddr};

use pingpong::inside::reactor::kernel::SLOTS_PER_CALL;
use pingpong::inside::server::Sizes;
use pingpong::inside::server::datagrams::RECEIVES_PER_TURN;

use super::peer::{DatagramPeer, Ending, Peer, Reading, Role, StreamPeer};
use super::plan::{MS, Plan};
use super::rng::Rng;
use super::schedule::{CONNECTION_MAX_BYTES, run, run_world};

const SCHEDULES: u64 = 150;

/// Fails with the end of the trace; returns how much the connections owned at most.
fn assert_passes(plan: &Plan, what: &str) -> usize {
    let outcome = run(plan.clone(), false);
    let Some(violation) = outcome.violation else {
        return outcome.stats.kept_max_bytes;
    };
    let trace = run(plan.clone(), true).trace;
    // The lines are as long as what was sent.
    for line in trace.iter().rev().take(40).rev() {
        println!("{}", line.chars().take(160).collect::<String>());
    }
    panic!("{what}: {violation}");
}

fn streams(plan: &mut Plan) -> impl Iterator<Item = &mut StreamPeer> {
    plan.peers
        .iter_mut()
        .filter_map(|peer| match &mut peer.role {
            Role::Stream(peer) => Some(peer),
            Role::Datagrams(_) => None,
        })
}

#[test]
fn the_sizes_that_ship() {
    for seed in 0..SCHEDULES {
        let rng = &mut Rng::new(seed);
        let mut plan = Plan::drawn(seed);
        plan.sizes = Sizes::default();
        plan.config.rules.max_message_bytes = rng.pick(&[100, 4096, 65536]);
        plan.kernel.receive_buffer_bytes = rng.pick(&[1000, 32 * 1024, 200_000]);
        plan.kernel.send_buffer_bytes = rng.pick(&[1000, 32 * 1024, 200_000]);
        for peer in streams(&mut plan) {
            let times = 100_000 / (peer.script.len() + 1);
            peer.script = peer.script.repeat(rng.between(1, times + 1));
            peer.chunk = rng.pick(&[1460, 32 * 1024, 65536]);
            if let Reading::Slow(most) = &mut peer.reading {
                *most *= 5000;
            }
        }
        assert_passes(&plan, &format!("seed {seed}"));
    }
}

/// The longest line that may be, and behind it nothing but line ends, each of which costs five
/// bytes; or as much as fits of what only lengthens a line.
#[test]
fn who_never_reads_costs_so_much_and_no_more() {
    let longest = 65536;
    let mut most = 0;
    let line = [vec![b'x'; longest - 1], b"\n".to_vec()].concat();
    let ping = [b"ping".to_vec(), line[4..].to_vec()].concat();
    for script in [
        [&ping[..], &b"\n".repeat(300_000)].concat(),
        [&ping[..longest - 1], &b"\n".repeat(300_000)].concat(),
        b"\n".repeat(300_000),
        [b"\n".repeat(20_000), vec![b'x'; 300_000]].concat(),
        ping.repeat(5),
    ] {
        for send_buffer_bytes in [1, 100_000] {
            let mut peer = Peer::scripted(&script, 0, Ending::Ignore);
            if let Role::Stream(peer) = &mut peer.role {
                peer.reading = Reading::Never;
                // The line's end comes in one read with a window full of what follows.
                peer.chunk = longest - 1;
            }
            let mut plan = Plan::calm(longest, vec![peer]);
            plan.sizes = Sizes::default();
            plan.kernel.receive_buffer_bytes = 200_000;
            plan.kernel.send_buffer_bytes = send_buffer_bytes;
            most = most.max(assert_passes(&plan, "a client that never reads"));
        }
    }
    assert!(
        most > CONNECTION_MAX_BYTES / 4 * 3,
        "{most} bytes are not the worst case"
    );
}

/// More datagrams at once than the server receives in a turn: they are shared out over several, and
/// none is lost.
#[test]
fn a_flood_of_datagrams_takes_turns() {
    let flood = SLOTS_PER_CALL * RECEIVES_PER_TURN * 3;
    let role = Role::Datagrams(DatagramPeer {
        source: SocketAddr::from(([127, 0, 0, 1], 40000)),
        dst_ip: Some(IpAddr::from([127, 0, 0, 1]).into()),
        packets: vec![(b"ping".to_vec(), 4); flood],
        sent: 0,
    });
    let mut plan = Plan::calm(16, vec![Peer::new("flooder", role, 0, 0)]);
    plan.kernel.queue_max = flood;
    let outcome = run(plan.clone(), true);
    let receives = outcome
        .trace
        .iter()
        .filter(|line| line.contains("receive Port(0): 4 bytes"));
    assert_eq!(
        receives.count(),
        flood,
        "the flood came at once, and none was lost"
    );
    assert_passes(&plan, "a flood");
}

/// A hundred clients that flood the dearest input, and one that asks now and then: its longest wait,
/// in virtual time in which bytes cost what they cost. A round of all of them takes 40 ms.
#[test]
fn who_asks_seldom_is_answered_soon() {
    const HOGS: usize = 100;
    const WITHIN_NS: u64 = 5 * MS;
    let mut peers: Vec<_> = (0..HOGS)
        .map(|_| Peer::scripted(&b"\n".repeat(100_000), 0, Ending::HalfClose))
        .collect();
    let mut quiet = Peer::scripted(&b"ping\n".repeat(100), 0, Ending::HalfClose);
    if let Role::Stream(peer) = &mut quiet.role {
        peer.waits = true;
    }
    // It comes when the others are at it.
    quiet.next_ns = Some(10 * MS);
    peers.push(quiet);
    let mut plan = Plan::calm(65536, peers);
    plan.sizes = Sizes::default();
    plan.config.max_connections = HOGS + 1;
    plan.kernel.descriptors = HOGS + 10;
    plan.kernel.backlog = HOGS + 1;
    plan.kernel.receive_buffer_bytes = 65536;
    plan.kernel.send_buffer_bytes = 1 << 20;
    plan.kernel.ns_per_byte = 2;
    let world = run_world(plan, false);
    assert_eq!(world.violation, None);
    let quiet = world.conns.iter().find(|conn| conn.peer == HOGS).unwrap();
    assert_eq!(quiet.latencies_ns.len(), 100);
    let longest_ns = quiet.latencies_ns.iter().max().unwrap();
    assert!(*longest_ns <= WITHIN_NS, "{longest_ns} ns");
    let hogs = world.conns.iter().filter(|conn| conn.peer != HOGS);
    let waited = hogs.filter_map(|conn| conn.latencies_ns.iter().max()).max();
    assert!(*waited.unwrap() > 4 * WITHIN_NS, "nobody was busy");
}
