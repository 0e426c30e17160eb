//! The real program with a fault injected by strace(1): the n-th call of a kind fails. It harms at
//! most the one whom it hits, and a stop is still a clean one.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::program::{PATIENCE, Program};
use crate::support::{PROGRAM, command, skip};

/// A datagram's reply that has not come by then is asked after.
const ASK_AFTER: Duration = Duration::from_millis(300);
const CLIENTS: usize = 3;

/// The call, what it fails with, and how many clients that may cost their reply.
const FAULTS: [(&str, &str, usize); 27] = [
    ("accept4", "EINTR", 0),
    ("accept4", "EMFILE", 0),
    ("accept4", "ENFILE", 0),
    ("accept4", "ENOBUFS", 0),
    ("accept4", "ENOMEM", 0),
    ("accept4", "EINVAL", 0),
    ("accept4", "ECONNABORTED", 0),
    ("accept4", "EPERM", 0),
    ("recvfrom", "EINTR", 0),
    ("recvfrom", "ECONNRESET", 1),
    ("recvfrom", "ENOMEM", 1),
    ("recvfrom", "EINVAL", 1),
    ("sendto", "EINTR", 0),
    ("sendto", "EPIPE", 1),
    ("sendto", "ECONNRESET", 1),
    ("sendto", "ENOBUFS", 1),
    ("sendto", "EPERM", 1),
    ("epoll_wait", "EINTR", 0),
    ("recvmmsg", "EINTR", 0),
    ("recvmmsg", "ENOMEM", 0),
    ("recvmmsg", "EINVAL", 0),
    ("sendmsg", "EINTR", 0),
    ("sendmsg", "ENOBUFS", 1),
    ("sendmsg", "EPERM", 1),
    ("sendmsg", "EIO", 1),
    ("shutdown", "ENOTCONN", 0),
    ("shutdown", "EINVAL", 0),
];

/// Registering: the signals' and the two sockets' come first, and without them there is no start.
const REGISTERED_AT_START: usize = 3;

/// Starts the program with a fault; `None` where it did not come to listen.
fn start(call: &str, errno: &str, number: usize) -> Option<Program> {
    let inject = format!("inject={call}:error={errno}:when={number}");
    let mut strace = command("strace");
    // With -D the tracer is the grandchild, so that the child is the program itself.
    strace.args(["-D", "-qq", "-o", "/dev/null", "-e", &inject, PROGRAM]);
    Program::start(strace)
}

/// A client that sends one ping and closes its side. Whether it got its pong, and nothing but that.
fn ping_over_tcp(address: SocketAddr) -> bool {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = Vec::new();
    let outcome = client
        .write_all(b"ping\n")
        .and_then(|()| client.shutdown(Shutdown::Write))
        .and_then(|()| client.read_to_end(&mut reply));
    assert!(b"pong\n".starts_with(&reply[..]), "{reply:?}");
    if let Err(error) = outcome {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "stalled");
    }
    reply == b"pong\n"
}

fn ping_over_udp(address: SocketAddr) -> bool {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client.set_read_timeout(Some(ASK_AFTER)).unwrap();
    client.send(b"ping").unwrap();
    let start = Instant::now();
    // Replies leave in the order of their datagrams: if that to a later one is there, the first is
    // lost, and if neither is, this host is busy.
    while start.elapsed() < PATIENCE {
        let mut reply = [0; 16];
        match client.recv(&mut reply) {
            Ok(len) if reply[..len] == *b"pong" => return true,
            Ok(len) if reply[..len] == *b"pong later" => return false,
            Ok(len) => panic!("{}", reply[..len].escape_ascii()),
            Err(_) => drop(client.send(b"ping later").unwrap()),
        }
    }
    panic!("no reply at all");
}

/// A session of a few clients, of whom so many may go without a reply.
fn session(call: &str, errno: &str, number: usize, victims_max: usize) {
    let what = format!("{call} number {number} fails with {errno}");
    let Some(traced) = start(call, errno, number) else {
        panic!("{what}: no start");
    };
    let over_tcp = (0..CLIENTS).filter(|_| ping_over_tcp(traced.address));
    let over_tcp = over_tcp.count();
    let over_udp = (0..CLIENTS).filter(|_| ping_over_udp(traced.address));
    let victims = 2 * CLIENTS - over_tcp - over_udp.count();
    assert!(
        victims <= victims_max,
        "{what}: {victims} went without a reply"
    );
    traced.stop(&what);
}

/// Whether strace is there and may trace; says so if not.
fn may_trace() -> bool {
    let probe = command("strace")
        .args([
            "-D",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=getpid:error=EPERM",
            "true",
        ])
        .output();
    let may = probe.is_ok_and(|output| output.status.success());
    if !may {
        skip("no strace here, or it may not trace");
    }
    may
}

#[test]
fn the_nth_call_of_the_real_program_fails() {
    if !may_trace() {
        return;
    }
    let mut sessions = 0;
    for (call, errno, victims_max) in FAULTS {
        for number in 1..=CLIENTS {
            session(call, errno, number, victims_max);
            sessions += 1;
        }
    }
    for errno in ["ENOMEM", "ENOSPC", "EPERM"] {
        for number in 1..=REGISTERED_AT_START {
            assert!(start("epoll_ctl", errno, number).is_none());
        }
        for number in 1..=CLIENTS {
            session("epoll_ctl", errno, REGISTERED_AT_START + number, 1);
            sessions += 1;
        }
    }
    println!("{sessions} sessions");
}
