//! The server's limits: time without progress, and connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::client::{ask, connect, read_to_end, stuff};
use crate::support::server::Server;
use crate::support::{GUARD, skip, until};

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
    for _ in 0..20 {
        let client = connect(server.tcp[0]);
        if says_something_in_time(&client, IDLE_TIMEOUT * 3) {
            ask(&client, b"ping\n", b"pong\n");
            return;
        }
        // This host was too busy, so that the client itself was late: that proves nothing.
    }
    skip("this host stands still again and again");
}

/// Sends a message now and then, never more than half of the timeout apart; false if it came later.
fn says_something_in_time(mut client: &TcpStream, how_long: Duration) -> bool {
    let start = Instant::now();
    let mut said_at = start;
    while start.elapsed() < how_long {
        // A pong gets no reply, and is a message all the same.
        let sent = client.write_all(b"pong\n");
        if said_at.elapsed() > IDLE_TIMEOUT / 2 {
            return false;
        }
        sent.unwrap();
        said_at = Instant::now();
        std::thread::sleep(IDLE_TIMEOUT / 5);
    }
    said_at.elapsed() < IDLE_TIMEOUT / 2
}

/// Nothing at all, or replies that nobody takes: closed, but not early.
#[test]
fn nothing_at_all_ends_it() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let start = Instant::now();
    let silent = connect(server.tcp[0]);
    assert_eq!(read_to_end(&silent), b"");
    assert!(start.elapsed() >= IDLE_TIMEOUT, "closed early");

    let stuck = connect(server.tcp[0]);
    stuff(&stuck, &b"ping\n".repeat(1000));
    let it = server.wait_for_report("nobody is left", |it| it.count("connections") == 0);
    assert_eq!(it.closed("idle_timeout"), 2);
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

/// The log is told once that it is full, however many come and go meanwhile, once that it is over,
/// and all that anew the next time.
#[test]
fn full_is_told_once_and_so_is_its_end() {
    let server = Server::start(&["--max-connections", "3"]);
    let told = |text: &str| {
        let lines = server.lines();
        lines.iter().filter(|line| line.contains(text)).count()
    };
    let (begin, end) = ("full: 3 connections; further ones wait", "no longer full: ");
    for time in 1..=2 {
        let mut clients: Vec<_> = (0..3).map(|_| connect(server.tcp[0])).collect();
        for client in &clients {
            ask(client, b"ping\n", b"pong\n");
        }
        server.wait_for_report("all are there", |it| it.count("connections") == 3);
        for _ in 0..5 {
            // Somebody waits, somebody goes.
            clients.push(connect(server.tcp[0]));
            clients.remove(0);
            ask(&clients[2], b"ping\n", b"pong\n");
        }
        server.report();
        assert_eq!(
            (told(" WARN  full: "), told(begin), told(end)),
            (time, time, time - 1)
        );
        clients.pop();
        until("its end is told", || {
            told(" INFO  no longer full: 2 connections of 3") == time
        });
        assert_eq!((told(begin), told(end)), (time, time));
        drop(clients);
        server.wait_for_report("all have gone", |it| it.count("connections") == 0);
        assert_eq!((told(begin), told(end)), (time, time));
    }
}

/// At a large limit one that goes is not the end of it.
#[test]
fn a_server_at_its_limit_is_full_all_the_time() {
    use pingpong::inside::server::accept::Fullness;
    let mut fullness = Fullness::default();
    let told: Vec<_> = [1599, 1600, 1599, 1600, 1500, 1499, 1599, 1600]
        .iter()
        .map(|count| fullness.note(*count, 1600))
        .collect();
    assert_eq!(
        told,
        [
            None,
            Some(true),
            None,
            None,
            None,
            Some(false),
            None,
            Some(true)
        ]
    );
}
