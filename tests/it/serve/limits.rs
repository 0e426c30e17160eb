//! The server's limits: time without progress, memory, connections. And idle means idle.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::client::{ask, connect, read_to_end, replies_to, stuff, udp};
use crate::support::server::Server;
use crate::support::{GUARD, until};

const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes are no progress: only a whole message is.
#[test]
fn a_byte_now_and_then_keeps_nobody_alive() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let mut client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    let start = Instant::now();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    loop {
        assert!(start.elapsed() < GUARD, "bytes keep it alive");
        // It may be closed already; then the read tells.
        let _ = client.write_all(b"x");
        match client.read(&mut [0]) {
            Ok(0) => break,
            Ok(_) => panic!("a reply to half a message"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(_) => {}
        }
    }
    assert!(start.elapsed() >= IDLE_TIMEOUT, "closed early");
    let it = server.report();
    assert_eq!((it.closed("idle_timeout"), it.count("connections")), (1, 0));
}

#[test]
fn whole_messages_keep_it_alive() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let client = connect(server.tcp[0]);
    let start = Instant::now();
    while start.elapsed() < IDLE_TIMEOUT * 3 {
        let asked = Instant::now();
        // A pong gets no reply, and is a message all the same.
        (&client).write_all(b"pong\n").unwrap();
        std::thread::sleep(IDLE_TIMEOUT / 5);
        if asked.elapsed() > IDLE_TIMEOUT / 2 {
            eprintln!("skipped: this host stood still for {:?}", asked.elapsed());
            return;
        }
    }
    ask(&client, b"ping\n", b"pong\n");
    assert_eq!(server.report().closed("idle_timeout"), 0);
}

/// Nothing at all, or replies that nobody takes: closed, but not early.
#[test]
fn nothing_at_all_ends_it() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let start = Instant::now();
    let silent = connect(server.tcp[0]);
    let stuck = connect(server.tcp[0]);
    assert_eq!(read_to_end(&silent), b"");
    assert!(start.elapsed() >= IDLE_TIMEOUT, "closed early");
    drop(stuck);

    let stuck = connect(server.tcp[0]);
    stuff(&stuck, &b"ping\n".repeat(1000));
    server.wait_for_report("it is closed", |it| it.closed("idle_timeout") >= 2);
    server.wait_for_report("nobody is left", |it| it.count("connections") == 0);
}

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
    assert_eq!(server.report().count("connections"), CLIENTS);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );
}

/// Those beyond the limit wait in the backlog, in order, and are served as others go.
#[test]
fn further_connections_wait_for_their_turn() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut clients: Vec<_> = (0..5).map(|_| connect(server.tcp[0])).collect();
    for mut client in &clients {
        client.write_all(b"ping\n").unwrap();
    }
    while clients.len() > 2 {
        for client in &clients[..2] {
            ask(client, b"hello\n", b"pong\npong\n");
        }
        let it = server.report();
        assert_eq!(it.count("connections"), 2);
        assert_eq!(
            it.count("connections_accepted_total"),
            7 - clients.len() as u64
        );
        clients.drain(..2);
    }
    ask(&clients[0], b"", b"pong\n");
    assert_eq!(server.report().count("connections_accepted_total"), 5);
}

/// The loop turns when something happens, and not else: with connections or without.
#[test]
fn idle_means_idle() {
    let server = Server::start(&[]);
    let clients: Vec<_> = (0..20).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"hello"]);
    let turns = || server.report().count("loop_turns_total");
    let mut before = turns();
    // The last event of what was just done may be fetched late, so the first look may see it.
    until("the loop rests", || {
        std::thread::sleep(Duration::from_millis(700));
        let turned = turns() - before;
        before += turned;
        // A report costs a turn, and the signal may end the wait before it.
        turned <= 2
    });
}

/// Spinning is what was asked for here, and only for so long.
#[test]
fn busy_poll_spins_and_then_sleeps() {
    let server = Server::start(&["--busy-poll", "20ms"]);
    let client = connect(server.tcp[0]);
    let turns = || server.report().count("loop_turns_total");
    let before = turns();
    for _ in 0..10 {
        ask(&client, b"ping\n", b"pong\n");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(turns() - before > 20, "it does not spin");
    let mut before = turns();
    until("the loop rests", || {
        std::thread::sleep(Duration::from_millis(300));
        let turned = turns() - before;
        before += turned;
        turned <= 2
    });
}
