//! The turns of the loop: none is missing where work was left over, none is made for nothing.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::support::client::{ask, connect, expect, read_to_end, receive, replies_to, stuff, udp};
use crate::support::server::Server;
use crate::support::until;

/// Waits until the loop makes no turn but for the reports that ask about it: one each, and the
/// signal may end a wait before it.
fn wait_until_it_rests(server: &Server) {
    let turns = || server.report().count("loop_turns_total");
    let mut before = turns();
    until("the loop rests", || {
        std::thread::sleep(Duration::from_millis(500));
        let turned = turns() - before;
        before += turned;
        turned <= 2
    });
}

/// More than one turn takes of any kind, all there before the first one, and nothing after it: no
/// event will tell of what a turn left over.
#[test]
fn what_a_turn_leaves_over_is_done_in_the_next() {
    const MANY: usize = 150;
    let server = Server::start(&[]);
    let busy = connect(server.tcp[0]);
    ask(&busy, b"ping\n", b"pong\n");
    let datagrams = udp([127, 0, 0, 1]);
    server.freeze();
    let burst_len = 300_000;
    (&busy)
        .write_all(&b"pong\n".repeat(burst_len / 5 - 1))
        .unwrap();
    (&busy).write_all(b"ping\n").unwrap();
    let clients: Vec<_> = (0..MANY).map(|_| connect(server.tcp[0])).collect();
    for mut client in &clients {
        client.write_all(b"ping 1\nping 2").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for number in 0..MANY {
        // Of different lengths, so that the kernel cannot hand them over as one.
        let ping = format!("ping {}", "x".repeat(number));
        datagrams.send_to(ping.as_bytes(), server.udp[0]).unwrap();
    }
    server.thaw();
    expect(&busy, b"pong\n");
    for client in &clients {
        assert_eq!(read_to_end(client), b"pong 1\npong 2");
    }
    for number in 0..MANY {
        assert_eq!(receive(&datagrams).len(), "ping ".len() + number);
    }
}

/// With connections or without, what has nothing to do sleeps.
#[test]
fn idle_means_idle() {
    let server = Server::start(&[]);
    wait_until_it_rests(&server);
    let clients: Vec<_> = (0..20).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"hello"]);
    wait_until_it_rests(&server);
}

/// Connections wait in the backlog, and one that is served sends half a message: nothing of it can
/// be done.
#[test]
fn full_means_idle_too() {
    let server = Server::start(&["--max-connections", "1"]);
    let clients: Vec<_> = (0..3).map(|_| connect(server.tcp[0])).collect();
    ask(&clients[0], b"ping\nhalf", b"pong\n");
    (&clients[1]).write_all(b"ping\n").unwrap();
    wait_until_it_rests(&server);
    drop(clients);
}

/// A client that does not take its replies is waited for, not polled.
#[test]
fn stuck_means_idle_too() {
    let server = Server::start(&[]);
    let client = connect(server.tcp[0]);
    stuff(&client, &b"ping\n".repeat(1000));
    wait_until_it_rests(&server);
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
    assert!(turns() - before > 50, "it does not spin");
    // Then it rests: half a second that costs less than half of a CPU, in ticks of 10 ms.
    until("the loop rests", || {
        let before = server.cpu_ticks();
        std::thread::sleep(Duration::from_millis(500));
        server.cpu_ticks() - before < 25
    });
}
