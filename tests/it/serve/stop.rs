//! Signals: a graceful stop, a second signal, the counters.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{ask, connect, read_to_end, receive, stuff, udp};
use crate::support::server::Server;
use crate::support::{GUARD, until};

/// What has been received when the signal comes is answered, then the end, on TCP and on UDP.
#[test]
fn what_has_been_received_is_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--drain-timeout", "1m"]);
        let clients: Vec<_> = (0..20).map(|_| connect(server.tcp[0])).collect();
        for client in &clients {
            ask(client, b"ping\n", b"pong\n");
        }
        let datagrams = udp([127, 0, 0, 1]);
        // Requests and signal are all there before the server runs again.
        server.freeze();
        for number in 0..50 {
            datagrams
                .send_to(format!("ping {number}").as_bytes(), server.udp[0])
                .unwrap();
        }
        for (number, mut client) in clients.iter().enumerate() {
            client
                .write_all(format!("ping {number}\n").repeat(100).as_bytes())
                .unwrap();
            client.write_all(b"pin").unwrap();
        }
        until("all has arrived", || clients.iter().all(is_acknowledged));
        server.signal(signal);
        server.thaw();
        for (number, client) in clients.iter().enumerate() {
            let expected = format!("pong {number}\n").repeat(100);
            assert_eq!(String::from_utf8(read_to_end(client)).unwrap(), expected);
        }
        for number in 0..50 {
            assert_eq!(receive(&datagrams), format!("pong {number}").as_bytes());
        }
        drop(clients);
        assert_eq!(server.wait_for_exit(), Some(0));
    }
}

/// Whether the peer's kernel has all that was written: /proc/net/tcp's send queue is empty.
fn is_acknowledged(client: &TcpStream) -> bool {
    let local = format!(":{:04X}", client.local_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields
            .next()
            .is_some_and(|address| address.ends_with(&local));
        is_it
            && fields
                .nth(2)
                .is_some_and(|queues| queues.starts_with("00000000:"))
    })
}

#[test]
fn idle_clients_hold_nothing_up() {
    let mut server = Server::start(&["--drain-timeout", "1m"]);
    let clients: Vec<_> = (0..50).map(|_| connect(server.tcp[0])).collect();
    ask(&clients[49], b"ping\n", b"pong\n");
    server.signal(Signal::TERM);
    for client in &clients {
        assert_eq!(read_to_end(client), b"");
    }
    // They do not close, and it ends all the same: 2 s after its FINs.
    assert_eq!(server.wait_for_exit(), Some(0));
}

#[test]
fn with_nobody_there_it_stops_at_once() {
    let mut server = Server::start(&["--drain-timeout", "1m"]);
    server.signal(Signal::INT);
    assert_eq!(server.wait_for_exit(), Some(0));
    server.wait_for_line(" stopped");
}

/// A server that cannot finish its drain: somebody does not take the replies.
fn held_up(drain_timeout: &str) -> (Server, TcpStream) {
    let server = Server::start(&["--drain-timeout", drain_timeout]);
    let stuck = connect(server.tcp[0]);
    stuff(&stuck, &b"ping\n".repeat(1000));
    server.signal(Signal::TERM);
    server.wait_for_line("stopping: 1 connections");
    // What comes in the same turn is the same order, so that one has to be over.
    let turns = server.report().count("loop_turns_total");
    server.wait_for_report("the next turn", |it| it.count("loop_turns_total") > turns);
    (server, stuck)
}

#[test]
fn new_connections_are_refused_while_it_drains() {
    let (mut server, stuck) = held_up("1m");
    let at = server.tcp[0];
    until("connections are refused", || {
        TcpStream::connect(at).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    assert!(server.is_running());
    drop(stuck);
    assert_eq!(server.wait_for_exit(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let (mut server, _stuck) = held_up("1h");
        // Of several in one turn nobody knows that they are not one: say it until it is heard.
        until("it has ended", || {
            server.signal(second);
            !server.is_running()
        });
        assert_eq!(server.wait_for_exit(), Some(1));
    }
}

#[test]
fn a_client_that_never_reads_holds_it_up_no_longer_than_allowed() {
    let start = Instant::now();
    let (mut server, _stuck) = held_up("500ms");
    assert_eq!(server.wait_for_exit(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(500));
}

#[test]
fn no_time_at_all_is_time_enough_to_stop() {
    let mut server = Server::start(&["--drain-timeout", "0"]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
}

/// Pipeliners and a flood of datagrams, flat out through the whole of the drain.
#[test]
fn nobody_who_goes_on_sending_holds_it_up() {
    let mut server = Server::start(&["-v", "--drain-timeout", "3s"]);
    let (at, udp_at) = (server.tcp[0], server.udp[0]);
    let stop = AtomicBool::new(false);
    let code = std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut client = connect(at);
            let mut reader = client.try_clone().unwrap();
            scope.spawn(move || while client.write_all(&b"ping\n".repeat(1000)).is_ok() {});
            scope.spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|len| len > 0) {});
        }
        let stop = &stop;
        scope.spawn(move || {
            let socket = udp([127, 0, 0, 1]);
            while !stop.load(Ordering::Relaxed) {
                let _ = socket.send_to(b"ping", udp_at);
            }
        });
        server.wait_for_report("all three are at it", |it| {
            let many = |name| it.count(name) > 1000;
            many("messages_total{transport=\"tcp\"}") && many("messages_total{transport=\"udp\"}")
        });
        server.signal(Signal::TERM);
        let start = Instant::now();
        while server.is_running() {
            if start.elapsed() > GUARD {
                // Else the clients would go on for ever.
                server.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
        server.wait_for_exit()
    });
    assert_eq!(code, Some(0));
    // They were read from no more when half of the time was over, so that their replies could leave
    // in the other.
    let closed = |reason: &str| {
        let reason = format!(" closed: {reason}");
        server
            .lines()
            .iter()
            .filter(|line| line.ends_with(&reason))
            .count()
    };
    until("both ends are told", || closed("drained") == 2);
    assert_eq!(closed("drain_timeout"), 0);
}

#[test]
fn sigusr1_tells_the_counters_and_changes_nothing() {
    let server = Server::start(&[]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\nhello\npong\n", b"pong\npong\n");
    let it = server.report();
    let tcp = |name: &str| it.count(&format!("{name}{{transport=\"tcp\"}}"));
    assert_eq!(it.count("connections"), 1);
    assert_eq!(it.count("connections_accepted_total"), 1);
    assert_eq!((tcp("messages_total"), tcp("replies_total")), (3, 2));
    assert_eq!(
        (tcp("received_bytes_total"), tcp("sent_bytes_total")),
        (16, 10)
    );
    assert_eq!(it.count("messages_total{transport=\"udp\"}"), 0);
    ask(&client, b"ping\n", b"pong\n");
}
