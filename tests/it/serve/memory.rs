//! What a connection costs in memory, idle or stuffed.

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
