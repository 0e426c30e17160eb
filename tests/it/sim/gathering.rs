//! Which replies leave together: the departures of a batch, by how many datagrams of which length
//! each holds.

use std::net::{IpAddr, SocketAddr};

use pingpong::inside::server::Sizes;

use super::peer::{DatagramPeer, Peer, Role};
use super::plan::Plan;
use super::schedule::run;

/// What is sent for these packets of one peer: each packet's length, and that of its segments.
fn departures(packets: &[(usize, usize)], gso_segments: usize) -> Vec<(usize, usize)> {
    let ping = |(len, segment_bytes): &(usize, usize)| {
        let segment = [b"ping".to_vec(), vec![b'x'; segment_bytes - 4]].concat();
        let mut bytes = segment.repeat(len.div_ceil(*segment_bytes));
        bytes.truncate(*len);
        (bytes, *segment_bytes)
    };
    let role = Role::Datagrams(DatagramPeer {
        source: SocketAddr::from(([127, 0, 0, 1], 40000)),
        dst_ip: Some(IpAddr::from([127, 0, 0, 1]).into()),
        packets: packets.iter().map(ping).collect(),
        sent: 0,
    });
    let mut plan = Plan::calm(16, vec![Peer::new("pings", role, 0, 0)]);
    plan.sizes = Sizes::default();
    plan.kernel.queue_max = 100;
    plan.kernel.gso_segments = gso_segments;
    let outcome = run(plan, true);
    assert_eq!(outcome.violation, None);
    let sent = outcome.trace.iter().filter_map(|line| {
        let (_, sent) = line.split_once("send Port(0): \"")?;
        let (bytes, rest) = sent.rsplit_once("\" in segments of ")?;
        let (segment_bytes, _) = rest.split_once(' ')?;
        Some((bytes.len(), segment_bytes.parse().unwrap()))
    });
    sent.collect()
}

/// Each call receives sixteen, once the first has found both that it asked for.
fn singles(len: usize) -> Vec<(usize, usize)> {
    vec![(len, len); 2 + 16]
}

#[test]
fn singles_leave_together_where_any_path_takes_their_length() {
    let together = [(2 * 1232, 1232), (16 * 1232, 1232)];
    assert_eq!(departures(&singles(1232), 64), together);
    assert_eq!(departures(&singles(1233), 64), [(1233, 1233); 18]);
}

#[test]
fn no_more_than_the_kernel_takes() {
    assert_eq!(departures(&singles(10), 1), [(10, 10); 18]);
    let some = [(20, 10), (50, 10), (50, 10), (50, 10), (10, 10)];
    assert_eq!(departures(&singles(10), 5), some);
}

/// The last may be shorter, and then it is the last.
#[test]
fn a_shorter_one_ends_a_departure_and_a_longer_one_begins_another() {
    let lens = [8, 8, 8, 8, 5, 5, 8, 9, 7];
    let packets = lens.map(|len| (len, len));
    let sent = departures(&packets, 64);
    assert_eq!(sent, [(16, 8), (21, 8), (5, 5), (8, 8), (16, 9)]);
}

/// A super-packet goes back as it came, however long its segments; two of them as far as one packet
/// may be long.
#[test]
fn super_packets_stay_what_they_are() {
    assert_eq!(departures(&[(4500, 1400)], 64), [(4500, 1400)]);
    let two = departures(&[(30 * 1400, 1400); 2], 64);
    assert_eq!(two, [(46 * 1400, 1400), (14 * 1400, 1400)]);
    // 53 of 1236 bytes are one byte too many for a packet: 65,508.
    let edge = departures(&[(27 * 1236, 1236); 2], 64);
    assert_eq!(edge, [(52 * 1236, 1236), (2 * 1236, 1236)]);
    let edge = departures(&[(27 * 1213, 1213), (26 * 1213, 1213), (1213, 1213)], 64);
    assert_eq!(edge[0], (53 * 1213, 1213));
}
