//! What a connection costs in memory, idle or stuffed.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::client::{ask, connect, replies_to, stuff, udp};
use crate::support::server::Server;
use crate::support::skip;

/// Clients that send and never read: each costs at most 256 KiB, and everybody else is served.
#[test]
fn clients_that_never_read_are_bounded() {
    const CLIENTS: u64 = 8;
    const CAP_KIB: u64 = 256;
    let server = Server::start(&[]);
    // The first one makes the shared buffers resident.
    let empty_lines = b"\n".repeat(64 * 1024);
    let first = connect(server.tcp[0]);
    stuff(&first, &empty_lines);
    let before_kib = server.anonymous_kib();
    let mut others = Vec::new();
    std::thread::scope(|scope| {
        for _ in 1..CLIENTS {
            let other = connect(server.tcp[0]);
            others.push(other.try_clone().unwrap());
            scope.spawn(|| stuff(&{ other }, &empty_lines));
        }
        let client = connect(server.tcp[0]);
        for _ in 0..100 {
            ask(&client, b"ping\n", b"pong\n");
        }
    });
    let grown_kib = server.anonymous_kib() - before_kib;
    assert!(
        grown_kib <= (CLIENTS - 1) * CAP_KIB + 128,
        "grown by {grown_kib} KiB"
    );
    server.wait_for_report("the stuffed ones are left", |it| {
        it.count("connections") == CLIENTS
    });
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );
}

/// An idle connection owns no buffer, and costs the process at most 128 bytes.
#[test]
fn idle_connections_are_cheap() {
    const CLIENTS: u32 = 3000;
    const CAP_BYTES: u64 = 128;
    if !may_open(CLIENTS + 500) {
        skip(&format!("fewer than {CLIENTS} descriptors"));
        return;
    }
    let server = Server::start(&[]);
    let ask_once = |client: &TcpStream| ask(client, b"ping\n", b"pong\n");
    // The first one makes resident what all share.
    ask_once(&connect(server.tcp[0]));
    let before_kib = server.anonymous_kib();
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.tcp[0])).collect();
    clients.iter().for_each(ask_once);
    assert_eq!(server.report().count("connections"), u64::from(CLIENTS));
    let grown_kib = server.anonymous_kib() - before_kib;
    // And what the report has made resident: it is the first.
    let cap_kib = u64::from(CLIENTS) * CAP_BYTES / 1024 + 64;
    assert!(grown_kib <= cap_kib, "grown by {grown_kib} KiB");
}

/// Lines that come in two pieces, long and short ones, from many clients: while these stay, and when
/// they have gone, nothing is left of what they took.
#[test]
fn what_a_storm_took_goes_back() {
    const CLIENTS: usize = 2000;
    const CAP_BYTES: u64 = 128;
    if !may_open(2 * 2000 + 500) {
        skip(&format!("fewer than {CLIENTS} descriptors"));
        return;
    }
    let server = Server::start(&[]);
    // What all share is resident then.
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    stuff(&connect(server.tcp[0]), &b"\n".repeat(64 * 1024));
    server.wait_for_report("they are gone", |it| it.count("connections") == 0);
    let before_kib = server.anonymous_kib();
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.tcp[0])).collect();
    let mut received = server.report().count(RECEIVED);
    for line_len in [60_000, 3000, 700, 60, 60_000] {
        let line = [b"ping ".repeat(line_len / 5), b"\n".to_vec()].concat();
        let (first, second) = line.split_at(line_len / 2);
        for mut client in &clients {
            client.write_all(first).unwrap();
        }
        received += (first.len() * CLIENTS) as u64;
        server.wait_for_report("the first half is there", |it| {
            it.count(RECEIVED) == received
        });
        let pong = [b"pong ".to_vec(), line[5..].to_vec()].concat();
        for client in &clients {
            ask(client, second, &pong);
        }
        received += (second.len() * CLIENTS) as u64;
        let grown_kib = server.anonymous_kib().saturating_sub(before_kib);
        // And what the reports have made resident.
        let cap_kib = CLIENTS as u64 * CAP_BYTES / 1024 + 192;
        assert!(
            grown_kib <= cap_kib,
            "grown by {grown_kib} KiB after lines of {line_len} bytes"
        );
    }
    drop(clients);
    server.wait_for_report("all have gone", |it| it.count("connections") == 0);
    let left_kib = server.anonymous_kib().saturating_sub(before_kib);
    assert!(left_kib <= 512, "{left_kib} KiB are left");
}

/// The tables that know of all connections are as large as ever there were connections, and go with
/// the last of them.
#[test]
fn tables_go_with_the_last_client() {
    const CLIENTS: usize = 9000;
    if !may_open(9000 + 8000) {
        skip(&format!("fewer than {CLIENTS} descriptors to spare"));
        return;
    }
    let server = Server::start(&["--max-connections", "9000"]);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.wait_for_report("it is gone", |it| it.count("connections") == 0);
    let before_kib = server.anonymous_kib();
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    let grown_kib = server.anonymous_kib() - before_kib;
    drop(clients);
    server.wait_for_report("all have gone", |it| it.count("connections") == 0);
    let left_kib = server.anonymous_kib().saturating_sub(before_kib);
    assert!(
        left_kib <= grown_kib / 2,
        "{left_kib} of {grown_kib} KiB are left"
    );
}

const RECEIVED: &str = "received_bytes_total{transport=\"tcp\"}";

/// Raises this process's own limit on descriptors, if need be and if that is allowed.
fn may_open(descriptors: u32) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |most: Option<u64>| most.is_none_or(|most| most >= descriptors.into());
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    is_enough(limit.current)
        || is_enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok()
}
