//! Batches on the real kernel, without a server: how many are asked for, where each was sent to, how
//! a transmit is cut, and what was dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::sys::socket::{getsockopt, sockopt};
use pingpong::inside::reactor::batch_udp::BatchUdp;
use pingpong::inside::reactor::bind::{BindOptions, client_datagrams, datagrams, is_local};
use pingpong::inside::reactor::kernel::{Datagrams, DstIp, RecvSlots, Transmit};

use crate::support::netns::Host;
use crate::support::{GUARD, has_ipv6, skip, until};

fn bound(at: &str) -> (BatchUdp, u16) {
    let options = BindOptions::default();
    let socket = datagrams(at.parse().unwrap(), options).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn plain(ip: impl Into<IpAddr>) -> UdpSocket {
    let socket = UdpSocket::bind((ip.into(), 0)).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket
}

/// Loopbacks of both families, and the wildcard that has each.
fn families() -> Vec<(IpAddr, &'static str)> {
    let mut families = vec![(IpAddr::from(Ipv4Addr::LOCALHOST), "0.0.0.0:0")];
    if has_ipv6() {
        families.push((Ipv6Addr::LOCALHOST.into(), "[::]:0"));
    }
    families
}

#[test]
fn no_more_are_received_than_were_asked_for() {
    let (mut socket, port) = bound("127.0.0.1:0");
    let peer = plain(Ipv4Addr::LOCALHOST);
    for number in 0..5_u8 {
        peer.send_to(&[number; 7], ("127.0.0.1", port)).unwrap();
    }
    let mut slots = RecvSlots::with_slots(64);
    let mut seen = Vec::new();
    for expected in [2, 2, 1] {
        assert_eq!(socket.receive(&mut slots, 2).unwrap(), expected);
        for (info, slot) in slots.info.iter().zip(slots.bytes.chunks(64)).take(expected) {
            assert_eq!((info.len_bytes, info.segment_bytes), (7, 7));
            assert_eq!(info.source, peer.local_addr().unwrap().into());
            assert_eq!(info.dst_ip, None, "it is bound to the one address");
            seen.push(slot[0]);
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let none = socket.receive(&mut slots, 2).unwrap_err();
    assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_wildcard_is_told_the_address_that_was_hit_and_replies_from_there() {
    for (loopback, wildcard) in families() {
        let (mut socket, port) = bound(wildcard);
        let peer = plain(loopback);
        let asked = match loopback {
            IpAddr::V4(_) => IpAddr::from([127, 0, 9, 9]),
            IpAddr::V6(_) => loopback,
        };
        peer.send_to(b"ping", (asked, port)).unwrap();
        let mut slots = RecvSlots::with_slots(64);
        assert_eq!(socket.receive(&mut slots, 16).unwrap(), 1);
        let hit = slots.info[0].dst_ip.unwrap();
        let expected = DstIp {
            ip: asked,
            scope_id: 0,
            is_shared: false,
        };
        assert_eq!(hit, expected);
        let transmit = Transmit {
            destination: slots.info[0].source,
            source: Some(hit),
            bytes: b"pong",
            segment_bytes: 4,
        };
        socket.send(&transmit).unwrap();
        let mut reply = [0; 10];
        let (len, from) = peer.recv_from(&mut reply).unwrap();
        assert_eq!((&reply[..len], from), (&b"pong"[..], (asked, port).into()));
    }
}

/// Every kernel with GSO takes sixty-four; one of them longer than all of them is a single one.
#[test]
fn a_departure_is_cut_into_its_segments() {
    for (loopback, wildcard) in families() {
        let (mut socket, _) = bound(wildcard);
        let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
        if getsockopt(&asked, sockopt::UdpGsoSegment).is_err() {
            assert_eq!(socket.max_segments(), 1);
            skip("this kernel has no UDP_SEGMENT");
            return;
        }
        assert_eq!(socket.max_segments(), 64);
        let peer = plain(loopback);
        for source in [None, Some(DstIp::from(loopback))] {
            for (segment_bytes, expected) in
                [(4, &[4, 4, 2][..]), (9, &[9, 1]), (10, &[10]), (99, &[10])]
            {
                let transmit = Transmit {
                    destination: peer.local_addr().unwrap().into(),
                    source,
                    bytes: b"0123456789",
                    segment_bytes,
                };
                socket.send(&transmit).unwrap();
                let got: Vec<_> = expected
                    .iter()
                    .map(|_| peer.recv(&mut [0; 20]).unwrap())
                    .collect();
                assert_eq!(got, expected);
            }
        }
        let too_long = Transmit {
            destination: peer.local_addr().unwrap().into(),
            source: None,
            bytes: &vec![0; 65_537],
            segment_bytes: 65_536,
        };
        let refused = socket.send(&too_long).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_clients_socket_sends_to_everybody_and_does_not_ask_what_the_kernel_dropped() {
    let mut socket = client_datagrams((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (one, other) = (plain(Ipv4Addr::LOCALHOST), plain(Ipv4Addr::LOCALHOST));
    for (peer, bytes) in [(&one, &b"one"[..]), (&other, b"another"), (&one, b"again")] {
        let transmit = Transmit {
            destination: peer.local_addr().unwrap().into(),
            source: None,
            bytes,
            segment_bytes: bytes.len(),
        };
        socket.send(&transmit).unwrap();
        let mut got = [0; 20];
        let len = peer.recv(&mut got).unwrap();
        assert_eq!(&got[..len], bytes);
    }
    assert_eq!(socket.kernel_drops(), None, "a client does not ask");
}

/// What the kernel has dropped of a socket's datagrams. A look can miss its line of the table where
/// other tests' sockets come and go meanwhile; the next one finds it.
fn drops(socket: &mut BatchUdp) -> usize {
    let mut count = None;
    until("its line is found", || {
        count = socket.kernel_drops();
        count.is_some()
    });
    usize::try_from(count.unwrap()).unwrap()
}

/// Three sockets of each family: each has its own count, and what was received and what was dropped
/// are all that was sent.
#[test]
fn what_one_socket_lost_is_counted_as_its_own() {
    const SENT: usize = 1000;
    for (loopback, _) in families() {
        let at = SocketAddr::new(loopback, 0);
        let options = BindOptions {
            receive_buffer_bytes: Some(4096),
            ..BindOptions::default()
        };
        let mut sockets: Vec<_> = (0..3).map(|_| datagrams(at, options).unwrap()).collect();
        let peer = plain(loopback);
        for (number, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(drops(socket), 0);
            for _ in 0..SENT * number {
                peer.send_to(b"ping", socket.local_addr().unwrap()).unwrap();
            }
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            let mut slots = RecvSlots::with_slots(64);
            let mut received = 0;
            while let Ok(count) = socket.receive(&mut slots, 16) {
                received += count;
            }
            let dropped = drops(socket);
            assert_eq!(received + dropped, SENT * number);
            assert_eq!(dropped > 0, number > 0);
        }
    }
}

#[test]
fn which_addresses_are_this_hosts() {
    let nonlocal = std::fs::read_to_string("/proc/sys/net/ipv4/ip_nonlocal_bind");
    let mut rows = vec![
        ("127.0.0.1:5", true),
        ("127.99.0.1:65535", true),
        ("[::ffff:127.0.0.1]:5", true),
        // TEST-NET-1 and the documentation's prefix are nobody's.
        ("192.0.2.1:5", false),
        ("[::ffff:192.0.2.1]:5", false),
    ];
    if has_ipv6() {
        rows.extend([("[::1]:5", true), ("[2001:db8::1]:5", false)]);
    }
    for (address, expected) in rows {
        let found = is_local(address.parse().unwrap());
        assert_eq!(found, expected, "{address} ({nonlocal:?})");
    }
}

/// The kernel's table is read far beyond its first lines.
#[test]
fn each_of_many_sockets_is_found() {
    let mut sockets: Vec<_> = (0..40).map(|_| bound("127.0.0.1:0").0).collect();
    for socket in &mut sockets {
        assert_eq!(drops(socket), 0);
    }
}

/// The table is the one of the process's own network: a socket that is not in it ends the search, and
/// nothing is known.
#[test]
fn a_socket_of_another_network_has_no_count() {
    let Some(host) = Host::new() else {
        return;
    };
    let (mut there, _) = host.enter(|| bound("127.0.0.1:0"));
    assert_eq!(there.kernel_drops(), None);
}
