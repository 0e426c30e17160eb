//! A server that stood still (SIGSTOP, a frozen container, a host that slept): its clock has gone on,
//! and what came meanwhile lies in the kernel.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{ask, connect, expect, read_to_end};
use crate::support::server::Server;
use crate::support::skip;

const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// More than one wait of the loop fetches events for.
const CLIENTS: usize = 1100;

/// Clients whose timeouts all run; `None` where this host is too slow to have them all within one.
fn idle_clients(server: &Server, count: usize) -> Option<Vec<TcpStream>> {
    let start = Instant::now();
    let clients: Vec<_> = (0..count).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    server.freeze();
    if start.elapsed() >= IDLE_TIMEOUT {
        skip("this host is too slow to connect so many within two seconds");
        return None;
    }
    Some(clients)
}

/// The deadlines of all of them pass while it stands still, and pings come meanwhile. Whether the
/// wait was interrupted (epoll_wait(2) says so after SIGCONT) or never sleeps makes no difference.
#[test]
fn pings_that_waited_are_answered() {
    for options in [
        &["--idle-timeout", "2s"][..],
        &["--idle-timeout", "2s", "--busy-poll", "1s"],
    ] {
        let server = Server::start(options);
        let Some(clients) = idle_clients(&server, CLIENTS) else {
            return;
        };
        for mut client in &clients {
            client.write_all(b"ping 2\n").unwrap();
        }
        std::thread::sleep(IDLE_TIMEOUT + Duration::from_millis(500));
        server.thaw();
        for client in &clients {
            expect(client, b"pong 2\n");
        }
        let it = server.report();
        assert_eq!(it.closed("idle_timeout"), 0);
    }
}

/// Half a message is none, and whoever was silent is closed; who ended meanwhile is done with.
#[test]
fn who_was_silent_is_closed() {
    let server = Server::start(&["--idle-timeout", "2s"]);
    let Some(clients) = idle_clients(&server, 3) else {
        return;
    };
    let [mut half, silent, mut ended] = <[TcpStream; 3]>::try_from(clients).unwrap();
    half.write_all(b"pin").unwrap();
    ended.write_all(b"ping, the last").unwrap();
    ended.shutdown(std::net::Shutdown::Write).unwrap();
    std::thread::sleep(IDLE_TIMEOUT + Duration::from_millis(500));
    server.thaw();
    assert_eq!(read_to_end(&ended), b"pong, the last");
    assert_eq!(read_to_end(&silent), b"");
    assert_eq!(half.read(&mut [0; 8]).unwrap_or(0), 0);
    let it = server.wait_for_report("all are gone", |it| it.count("connections") == 0);
    assert_eq!(
        (it.closed("idle_timeout"), it.closed("peer_closed")),
        (2, 1)
    );
}

/// A timeout begins when the reply has left, not when the turn began.
#[test]
fn nobody_is_closed_early() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let mut client = connect(server.tcp[0]);
    let busy = connect(server.tcp[0]);
    // The turn in which the ping is answered has a lot to do beside it.
    let empty_lines = b"\n".repeat(64 * 1024);
    let flood = {
        let mut busy = busy.try_clone().unwrap();
        std::thread::spawn(move || busy.write_all(&empty_lines.repeat(16)))
    };
    ask(&client, b"ping\n", b"pong\n");
    let start = Instant::now();
    let ended = client.read(&mut [0; 8]);
    assert_eq!(ended.unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_secs(1) - Duration::from_millis(20));
    drop(busy);
    let _ = flood.join();
}

/// A stop that comes while it stands still: what lay there before is answered all the same.
#[test]
fn a_stop_that_waited_too() {
    let mut server = Server::start(&["--drain-timeout", "1s"]);
    let clients: Vec<_> = (0..200).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    server.freeze();
    for mut client in &clients {
        client.write_all(b"ping 2\n").unwrap();
    }
    // Two that mean the same, and of two kinds.
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    server.thaw();
    for client in &clients {
        assert_eq!(read_to_end(client), b"pong 2\n");
    }
    drop(clients);
    assert_eq!(server.wait_for_exit(), Some(0));
}
