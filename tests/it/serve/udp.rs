//! The rule of the game over UDP: what gets a reply, from where, and what gets none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use crate::protocol::TABLE;
use crate::support::client::{receive, receive_from, replies_so_far, replies_to, udp};
use crate::support::server::Server;
use crate::support::{has_ipv6, skip};

const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

fn every_row_of_the_table_at(server: SocketAddr) {
    let client = udp(match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(V4),
        IpAddr::V6(_) => IpAddr::V6(V6),
    });
    for (message, reply) in TABLE {
        let expected = reply.filter(|reply| reply.len() <= message.len());
        let replies = replies_to(&client, server, &[message]);
        let expected: Vec<_> = expected.into_iter().map(Vec::from).collect();
        assert_eq!(replies, expected, "{}", message.escape_ascii());
    }
}

#[test]
fn every_row_of_the_table() {
    let server = Server::start(&[]);
    every_row_of_the_table_at(server.udp[0]);
}

#[test]
fn every_row_of_the_table_over_ipv6() {
    if has_ipv6() {
        let server = Server::start_at(&["[::1]:0"], &[]);
        every_row_of_the_table_at(server.udp[0]);
    }
}

#[test]
fn drops_are_counted_by_reason() {
    let server = Server::start(&[]);
    let client = udp(V4);
    let all: [&[u8]; 8] = [
        b"",
        b"pong",
        b"hi",
        b"PONG 1\n",
        b"",
        b"abc\n",
        b"\r\n",
        b"",
    ];
    assert!(replies_to(&client, server.udp[0], &all).is_empty());
    let it = server.report();
    assert_eq!(it.dropped("empty"), 3);
    assert_eq!(it.dropped("pong"), 2);
    assert_eq!(it.dropped("reply_longer"), 3);
    assert_eq!(it.count("messages_total{transport=\"udp\"}"), 9);
    assert_eq!(it.count("replies_total{transport=\"udp\"}"), 1);
    assert_eq!(it.count("received_bytes_total{transport=\"udp\"}"), 37);
    assert_eq!(it.count("sent_bytes_total{transport=\"udp\"}"), 18);
}

#[test]
fn strict_answers_pings_only() {
    let server = Server::start(&["--strict"]);
    let client = udp(V4);
    let all: [&[u8]; 4] = [b"hello\n", b"ping 1\n", b"pong\n", b"hi"];
    assert_eq!(replies_to(&client, server.udp[0], &all), [b"pong 1\n"]);
    let it = server.report();
    assert_eq!((it.dropped("not_a_ping"), it.dropped("pong")), (2, 1));
}

/// 127.0.0.2 asks nobody but 127.0.0.2, whichever way the socket is bound.
#[test]
fn replies_leave_from_the_address_that_was_hit() {
    let mut addresses = vec!["0.0.0.0:0", "127.0.0.2:0"];
    if has_ipv6() {
        addresses.push(":0");
    }
    for address in addresses {
        let server = Server::start_at(&[address], &[]);
        let client = udp(V4);
        for hit in [[127, 0, 0, 2], [127, 0, 0, 1], [127, 1, 2, 3]] {
            if address.starts_with("127") && hit != [127, 0, 0, 2] {
                continue;
            }
            let hit = SocketAddr::from((hit, server.port()));
            client.send_to(b"ping", hit).unwrap();
            assert_eq!(
                receive_from(&client),
                (b"pong".to_vec(), hit),
                "--listen {address}"
            );
        }
    }
}

#[test]
fn a_wildcard_serves_both_families() {
    if has_ipv6() {
        let server = Server::start_at(&[":0"], &[]);
        assert_eq!(server.udp[0], (Ipv6Addr::UNSPECIFIED, server.port()).into());
        every_row_of_the_table_at((V4, server.port()).into());
        every_row_of_the_table_at((V6, server.port()).into());
    }
}

/// One second's worth at once, and as many a second: only for what is not a ping, and only replies
/// pay.
#[test]
fn replies_to_others_come_out_of_a_bucket() {
    let server = Server::start(&["--other-rate", "5"]);
    let client = udp(V4);
    let start = Instant::now();
    // None of these takes from it.
    let free: Vec<&[u8]> = [&b"hi"[..], b"pong", b"ping"].repeat(30);
    assert_eq!(replies_to(&client, server.udp[0], &free).len(), 30);
    assert_eq!(
        replies_to(&client, server.udp[0], &[b"hello\n"; 5]),
        [b"pong\n"; 5]
    );

    let replies = replies_to(&client, server.udp[0], &[b"hello\n"; 100]).len();
    let most = 5.0 * start.elapsed().as_secs_f64();
    assert!(
        f64::from(u32::try_from(replies).unwrap()) <= most,
        "{replies} > {most}"
    );
    assert_eq!(server.report().dropped("rate_limit"), 100 - replies as u64);
    assert_eq!(
        replies_to(&client, server.udp[0], &[b"ping\n"; 100]).len(),
        100
    );
}

#[test]
fn a_rate_of_zero_is_no_limit() {
    let server = Server::start(&["--other-rate", "0"]);
    let client = udp(V4);
    for _ in 0..30 {
        let replies = replies_to(&client, server.udp[0], &[b"hello\n"; 100]);
        assert_eq!(replies, vec![b"pong\n"; 100]);
    }
}

/// Sends a ping from `suspect`, which must get nothing, and returns once the server has decided so.
fn assert_no_reply(server: &Server, suspect: &UdpSocket, reason: &str) {
    suspect.send_to(b"ping", server.udp[0]).unwrap();
    suspect.send_to(b"hello", server.udp[0]).unwrap();
    assert!(replies_so_far(&udp(V4), server.udp[0]).is_empty());
    suspect.set_nonblocking(true).unwrap();
    assert!(
        suspect.recv(&mut [0; 10]).is_err(),
        "a reply that must not be: {reason}"
    );
    assert_eq!(server.report().dropped(reason), 2);
}

#[test]
fn no_reply_to_a_port_below_1024() {
    let server = Server::start(&[]);
    let low = (600..1024)
        .rev()
        .find_map(|port| UdpSocket::bind((V4, port)).ok());
    match low {
        Some(low) => assert_no_reply(&server, &low, "service_port"),
        None => skip("only root may have a port below 1024"),
    }
}

#[test]
fn no_reply_to_nfs() {
    let server = Server::start(&[]);
    match UdpSocket::bind((Ipv4Addr::new(127, 0, 20, 49), 2049)) {
        Ok(nfs) => assert_no_reply(&server, &nfs, "service_port"),
        Err(error) => skip(&format!("port 2049: {error}")),
    }
}

/// Two servers of this kind on one host, or one with itself, would never stop.
#[test]
fn no_reply_to_the_own_port_on_this_host() {
    let server = Server::start(&[]);
    let twin = UdpSocket::bind((Ipv4Addr::new(127, 0, 77, 2), server.port())).unwrap();
    assert_no_reply(&server, &twin, "own_address");
}

/// A ping that was sent to a group. The kernel gives it to whoever listens on every address.
#[test]
fn no_reply_to_a_multicast_ping() {
    let server = Server::start_at(&["0.0.0.0:0"], &[]);
    let group = Ipv4Addr::new(239, 255, 77, 77);
    let client = udp(V4);
    let member = UdpSocket::bind((group, 0)).unwrap();
    let joined = member.join_multicast_v4(&group, &V4);
    let route = socket2::SockRef::from(&client).set_multicast_if_v4(&V4);
    if let Err(error) = joined.and(route) {
        skip(&format!("no multicast on loopback: {error}"));
        return;
    }
    let to_group = SocketAddr::from((group, server.port()));
    client.send_to(b"ping", to_group).unwrap();
    let server_at = SocketAddr::from((V4, server.port()));
    assert!(replies_so_far(&client, server_at).is_empty());
    assert_eq!(server.report().dropped("many_hosts"), 1);
}

/// Up to the longest that UDP carries; over IPv6 that is longer than loopback's MTU, so it goes in
/// fragments.
#[test]
fn long_datagrams() {
    let mut longest = vec![(IpAddr::V4(V4), 65_507)];
    if has_ipv6() {
        longest.push((IpAddr::V6(V6), 65_527));
    }
    for (ip, longest) in longest {
        let server = Server::start_at(&[&SocketAddr::from((ip, 0)).to_string()], &[]);
        let client = udp(ip);
        for len in [1000, 1500, 9000, 60_000, longest] {
            let ping: Vec<u8> = b"ping"
                .iter()
                .copied()
                .chain((0..=255).cycle())
                .take(len)
                .collect();
            let expected = [b"pong", &ping[4..]].concat();
            client.send_to(&ping, server.udp[0]).unwrap();
            assert!(receive(&client) == expected, "{len} bytes to {ip}");
        }
    }
}

/// Super-packets in (GSO here, GRO there): the same replies as to the datagrams one by one.
#[test]
fn super_packets() {
    let server = Server::start(&[]);
    let client = udp(V4);
    // Asked of another socket, as it switches GRO on for the one that it is asked of.
    let state = UdpSocketState::new(UdpSockRef::from(&udp(V4))).unwrap();
    let segments = state.max_gso_segments().min(40);
    // A shorter one at the end, and one in the middle that gets no reply.
    let mut all: Vec<_> = (0..segments)
        .map(|number| format!("ping {number:04} abc\n"))
        .collect();
    all[segments / 2] = all[segments / 2].replace("ping", "pong");
    all[segments - 1] = "ping\n".into();
    if segments > 2 {
        all[1] = all[1].replace("ping", "hell");
    }
    let expected: Vec<_> = all
        .iter()
        .filter_map(|message| crate::model::reply(message.as_bytes()))
        .collect();
    let packet = all.concat().into_bytes();
    for _ in 0..20 {
        let transmit = Transmit {
            destination: server.udp[0],
            ecn: None,
            contents: &packet,
            segment_size: (segments > 1).then_some(all[0].len()),
            src_ip: None,
        };
        state
            .try_send(UdpSockRef::from(&client), &transmit)
            .unwrap();
        for reply in &expected {
            assert_eq!(
                receive(&client).escape_ascii().to_string(),
                reply.escape_ascii().to_string()
            );
        }
    }
    assert!(replies_so_far(&client, server.udp[0]).is_empty());
}

/// Several peers and lengths, one behind the other in one batch: each reply goes to whom it
/// belongs, from where it was asked, whole and in order, whatever leaves together.
#[test]
fn mixed_batches() {
    let server = Server::start_at(&["0.0.0.0:0"], &["--other-rate", "0"]);
    let clients = [udp(V4), udp(V4)];
    let hits = [1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], server.port())));
    let mut expected = [Vec::new(), Vec::new()];
    server.freeze();
    for number in 0..100 {
        // Runs of one client, of one address and of one length, none as long as another.
        let (client, hit) = (number / 7 % 2, hits[number / 5 % 2]);
        let tail = "x".repeat([20, 20, 20, 3, 20, 40][number / 3 % 6]);
        let message = match number % 11 {
            0 => "hello, this is no ping\n".to_owned(),
            1 => "pong\n".to_owned(),
            2 => format!("ping {}", "y".repeat(2000)),
            _ => format!("ping {number:03} {tail}"),
        };
        clients[client].send_to(message.as_bytes(), hit).unwrap();
        let reply = crate::model::reply(message.as_bytes());
        expected[client].extend(reply.map(|reply| (reply, hit)));
    }
    server.thaw();
    for (client, expected) in clients.iter().zip(expected) {
        for (reply, hit) in expected {
            let (found, source) = receive_from(client);
            assert_eq!(
                found.escape_ascii().to_string(),
                reply.escape_ascii().to_string()
            );
            assert_eq!(source, hit);
        }
        assert!(replies_so_far(client, hits[0]).is_empty());
    }
}

/// Nor to a broadcast one, of which only the kernel's routes tell.
#[test]
fn no_reply_to_a_broadcast_ping() {
    for at in ["0.0.0.0:0", "127.255.255.255:0"] {
        let server = Server::start_at(&[at], &[]);
        let client = udp(V4);
        client.set_broadcast(true).unwrap();
        let everybody = SocketAddr::from(([127, 255, 255, 255], server.port()));
        client.send_to(b"ping", everybody).unwrap();
        let report = server.wait_for_report("it has come", |report| {
            report.count("messages_total{transport=\"udp\"}") == 1
        });
        assert_eq!(report.dropped("many_hosts"), 1, "{at}");
        assert_eq!(report.dropped("send_error"), 0, "{at}");
        client.set_nonblocking(true).unwrap();
        assert!(client.recv(&mut [0; 10]).is_err());
    }
}
