//! How much one turn does: as much as a phase has time for, and one piece of work where it has none;
//! and with whom it begins.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pingpong::inside::reactor::kernel::{SLOTS_PER_CALL, Signal};
use pingpong::inside::server::datagrams::RECEIVES_PER_TURN;

use super::by_hand::ByHand;
use super::peer::{DatagramPeer, Ending, Peer, Reading, Role};
use super::plan::{MS, Plan};

/// How many receive calls of a phase that is long are made for one port: few are asked for first.
const RECEIVED_MAX: u64 = 2 + (RECEIVES_PER_TURN as u64 - 1) * SLOTS_PER_CALL as u64;

fn plan(phase_max: Duration, peers: Vec<Peer>) -> Plan {
    let mut plan = Plan::calm(16, peers);
    plan.sizes.phase_max = phase_max;
    plan.config.max_connections = 100;
    plan.kernel.descriptors = 200;
    plan.kernel.backlog = 100;
    plan.kernel.queue_max = 1000;
    plan
}

const LONG: Duration = Duration::from_secs(1);

/// Clients that come at once.
fn clients(count: usize) -> Vec<Peer> {
    let client = Peer::scripted(b"ping\n", 0, Ending::Stay);
    vec![client; count]
}

/// So many pings at once for each of the ports.
fn pings(ports: u16, count: usize) -> Vec<Peer> {
    let peer = |port| {
        let role = Role::Datagrams(DatagramPeer {
            source: SocketAddr::from(([127, 0, 0, 1], 40000 + port)),
            dst_ip: Some(IpAddr::from([127, 0, 0, 1]).into()),
            packets: vec![(b"ping".to_vec(), 4); count],
            sent: 0,
        });
        Peer::new("pings", role, 0, 0)
    };
    (0..ports).map(peer).collect()
}

/// How many connections there are after each of the first turns.
fn connections(plan: Plan, turns: usize) -> Vec<usize> {
    let mut it = ByHand::new(plan, &[]);
    let turn = |_| {
        it.turn();
        it.server.connections()
    };
    (0..turns).map(turn).collect()
}

#[test]
fn all_who_wait_are_taken_in() {
    assert_eq!(connections(plan(LONG, clients(30)), 2), [30, 30]);
    let short = plan(Duration::ZERO, clients(4));
    assert_eq!(connections(short, 5), [1, 2, 3, 4, 4]);
    let mut full = plan(LONG, clients(30));
    full.config.max_connections = 7;
    assert_eq!(connections(full, 3), [7, 7, 7]);
}

#[test]
fn two_backlogs_take_turns() {
    let mut plan = plan(Duration::ZERO, clients(20));
    plan.listeners = 2;
    let mut it = ByHand::new(plan, &[]);
    for turn in 1..=10 {
        it.turn();
        assert_eq!(it.server.connections(), turn);
        let world = it.world();
        let [one, other] = [0, 1].map(|number| world.listeners[number].backlog.len());
        assert!(one.abs_diff(other) <= 1, "turn {turn}: {one} and {other}");
    }
}

/// How many datagrams each port has received after each of the first turns.
fn received(plan: Plan, turns: usize) -> Vec<Vec<u64>> {
    let mut it = ByHand::new(plan, &[]);
    let turn = |_| {
        it.turn();
        it.world().ports.iter().map(|port| port.received).collect()
    };
    (0..turns).map(turn).collect()
}

#[test]
fn a_port_is_received_from_so_often() {
    let most = RECEIVED_MAX;
    let flood = plan(LONG, pings(1, 200));
    let more = (RECEIVES_PER_TURN * SLOTS_PER_CALL) as u64;
    assert_eq!(
        received(flood, 3),
        [[most], [most + more], [most + more * 2]]
    );
    let few = plan(LONG, pings(1, 20));
    assert_eq!(received(few, 2), [[20], [20]]);
    // One call a turn, which asks for more once there was as much as was asked for.
    let short = plan(Duration::ZERO, pings(1, 40));
    assert_eq!(received(short, 4), [[2], [18], [34], [40]]);
}

#[test]
fn two_ports_take_turns() {
    let mut both = plan(LONG, pings(2, 200));
    both.ports = 2;
    assert_eq!(received(both, 1), [[RECEIVED_MAX; 2]]);
    let mut short = plan(Duration::ZERO, pings(2, 40));
    short.ports = 2;
    let received = received(short, 8);
    assert_eq!(received[1], [2, 2]);
    assert_eq!(received[3], [18, 18]);
    assert_eq!(received[7], [40, 40]);
}

/// All who have something to say are heard in the turn in which they say it.
#[test]
fn all_who_are_ready_are_served() {
    for (phase_max, turns) in [(LONG, 1), (Duration::ZERO, 10)] {
        let mut it = ByHand::new(plan(phase_max, clients(10)), &[]);
        while it.server.counters().accepted < 10 {
            it.turn();
        }
        while it.server.counters().tcp.messages == 0 {
            it.turn();
        }
        for turn in 1..turns {
            assert_eq!(it.server.counters().tcp.messages, turn);
            it.turn();
        }
        assert_eq!(it.server.counters().tcp.messages, 10);
    }
}

/// Of ten whose time is over, a turn closes as many as a phase has time for.
#[test]
fn all_whose_time_is_over_are_closed() {
    for (phase_max, after_one) in [(LONG, 0), (Duration::ZERO, 9)] {
        let mut plan = plan(phase_max, clients(10));
        plan.config.idle_timeout = Some(Duration::from_secs(1));
        let mut it = ByHand::new(plan, &[]);
        while it.server.counters().tcp.messages < 10 {
            it.turn();
        }
        while it.server.connections() == 10 {
            it.turn();
        }
        assert_eq!(it.server.connections(), after_one);
        for left in (0..after_one).rev() {
            it.turn();
            assert_eq!(it.server.connections(), left);
        }
    }
}

/// However datagrams are gathered, each counts, and so does each of its bytes, both ways.
#[test]
fn each_datagram_and_each_byte_is_counted() {
    let mut all = plan(LONG, pings(1, 30));
    all.kernel.gso_segments = 7;
    let mut others = pings(1, 5);
    if let Role::Datagrams(peer) = &mut others[0].role {
        // A pong, a word with room for its reply, and one without.
        peer.packets = [&b"pong"[..], b"hello there", b"hi"]
            .map(|it| (it.to_vec(), it.len()))
            .to_vec();
        peer.source.set_port(50000);
    }
    all.peers.extend(others);
    let mut it = ByHand::new(all, &[]);
    for _ in 0..5 {
        it.turn();
    }
    let udp = it.server.counters().udp;
    assert_eq!(
        (udp.messages, udp.received_bytes),
        (33, 30 * 4 + 4 + 11 + 2)
    );
    // "pong" to each ping and to the longer word.
    assert_eq!((udp.replies, udp.sent_bytes), (31, 31 * 4));
}

/// Few are asked for again once fewer were there: each that is asked for and not there costs time.
#[test]
fn after_a_rest_few_are_asked_for_again() {
    let mut plan = plan(Duration::ZERO, pings(1, 20));
    let mut later = pings(1, 20);
    later[0].next_ns = Some(50 * MS);
    plan.peers.extend(later);
    assert_eq!(received(plan, 4), [[2], [18], [20], [22]]);
}

/// While receiving fails, it is tried every hundred milliseconds, and each time counts.
#[test]
fn a_port_that_is_deaf_is_tried_now_and_then() {
    let mut plan = plan(LONG, pings(1, 1));
    plan.kernel.deaf_until_ns = 250 * MS;
    let mut it = ByHand::new(plan, &[]);
    while it.server.counters().udp.replies == 0 {
        it.turn();
    }
    assert_eq!((it.now_ms(), it.server.counters().receive_errors), (300, 3));
}

/// Of ten who hold up a stop to its end, a turn ends as many as a phase has time for.
#[test]
fn all_who_hold_up_a_stop_are_closed() {
    for (phase_max, after_one) in [(LONG, 0), (Duration::ZERO, 9)] {
        let mut peers = clients(10);
        for peer in &mut peers {
            if let Role::Stream(peer) = &mut peer.role {
                peer.script = b"ping\n".repeat(100);
                peer.reading = Reading::Never;
            }
        }
        let mut plan = plan(phase_max, peers);
        plan.config.idle_timeout = None;
        plan.kernel.send_buffer_bytes = 10;
        let mut it = ByHand::new(plan, &[(1000, Signal::Stop)]);
        while it.server.connections() < 10 {
            it.turn();
        }
        while it.server.connections() == 10 {
            it.turn();
        }
        assert_eq!(it.now_ms(), 1500);
        assert_eq!(it.server.connections(), after_one);
        for left in (0..after_one).rev() {
            it.turn();
            assert_eq!(it.server.connections(), left);
        }
    }
}

/// How much has been read from all after each of the first turns in which that is something.
fn read(count: usize, turns: usize) -> Vec<usize> {
    let mut peers = clients(count);
    for peer in &mut peers {
        if let Role::Stream(peer) = &mut peer.role {
            peer.script = b"ping\n".repeat(40);
        }
    }
    let mut plan = plan(Duration::ZERO, peers);
    plan.sizes.window_bytes = 60;
    plan.sizes.fresh_read_bytes = 10;
    plan.sizes.share_bytes = 1000;
    plan.kernel.receive_buffer_bytes = 500;
    plan.kernel.send_buffer_bytes = 500;
    let mut it = ByHand::new(plan, &[]);
    let sum = |it: &ByHand| it.world().conns.iter().map(|conn| conn.read_len).sum();
    while sum(&it) == 0_usize {
        it.turn();
    }
    let mut read = vec![sum(&it)];
    while read.len() < turns {
        it.turn();
        read.push(sum(&it));
    }
    read
}

/// A visit is short where others wait, and only there.
#[test]
fn who_is_alone_is_read_from_in_one_go() {
    assert_eq!(read(1, 3), [60, 120, 180]);
    assert_eq!(read(2, 4), [10, 20, 30, 40]);
}
