//! Starting: exit codes, and what is said.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use rustix::process::Signal;

use super::command_line::complaint;
use crate::support::client::{ask, connect, read_to_end, replies_so_far, replies_to, udp};
use crate::support::has_ipv6;
use crate::support::server::Server;

/// For tests in which a port has to be free a second time: clients of other tests take theirs from
/// 127.0.0.1.
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 1);

/// It cannot start: status 1, and one line that says what and what to do.
#[test]
fn an_address_in_use() {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = tcp.local_addr().unwrap();
    let told = complaint(&["serve", "--listen", &at.to_string()], 1);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains(&format!(
        "pingpong: cannot listen on tcp://{at}: Address already in use"
    )));
    assert!(told.contains("choose another port with --listen"), "{told}");

    // The port is taken for UDP alone: no half of a server is left.
    let udp = UdpSocket::bind((OWN_ADDRESS, 0)).unwrap();
    let at = udp.local_addr().unwrap();
    let told = complaint(&["serve", "--listen", &at.to_string()], 1);
    assert!(
        told.contains(&format!(
            "cannot listen on udp://{at}: Address already in use"
        )),
        "{told}"
    );
}

#[test]
fn an_address_that_is_not_here() {
    // TEST-NET-1 of RFC 5737 is nobody's.
    let told = complaint(&["serve", "--listen", "192.0.2.1:0"], 1);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.contains("this host has no such address: choose another with --listen"),
        "{told}"
    );
}

#[test]
fn a_name_that_is_not_known() {
    let told = complaint(&["serve", "--listen", "no-such-host.invalid:0"], 1);
    assert!(
        told.contains("cannot look up no-such-host.invalid:0"),
        "{told}"
    );
}

#[test]
fn port_0_is_one_port_for_both() {
    for address in ["127.0.0.1:0", ":0", "0"] {
        let server = Server::start_at(&[address], &[]);
        assert_eq!((server.tcp.len(), server.udp.len()), (1, 1));
        assert_eq!(server.tcp[0], server.udp[0]);
        assert_ne!(server.port(), 0);
    }
}

/// Every address, IPv6 and IPv4, and not a word of it more than one line for each socket.
#[test]
fn a_port_alone_is_every_address() {
    let server = Server::start_at(&[":0"], &[]);
    for ip in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let at = (ip, server.port()).into();
        ask(&connect(at), b"ping\n", b"pong\n");
        assert!(replies_so_far(&udp([127, 0, 0, 1]), at).is_empty());
    }
    if has_ipv6() {
        let at = (std::net::Ipv6Addr::LOCALHOST, server.port()).into();
        ask(&connect(at), b"ping\n", b"pong\n");
        assert!(server.lines()[0].ends_with(&format!("listening on tcp://[::]:{}", server.port())));
        assert!(server.lines()[1].ends_with(&format!("listening on udp://[::]:{}", server.port())));
    }
}

#[test]
fn several_addresses() {
    let server = Server::start_at(&["127.0.0.1:0", "127.0.0.2:0"], &[]);
    assert_eq!((server.tcp.len(), server.udp.len()), (2, 2));
    for (tcp, udp_at) in server.tcp.iter().zip(&server.udp) {
        ask(&connect(*tcp), b"ping\n", b"pong\n");
        assert_eq!(
            replies_to(&udp([127, 0, 0, 1]), *udp_at, &[b"ping"]),
            [b"pong"]
        );
    }
}

/// `0.0.0.0` beside `[::]` has the IPv4 traffic for itself; both have the same port.
#[test]
fn both_wildcards_by_name() {
    if !has_ipv6() {
        return;
    }
    // Below those that clients are given by the kernel, so that no other test is given it
    // meanwhile.
    let port = (20_000..30_000)
        .find(|port| {
            let any = (std::net::Ipv6Addr::UNSPECIFIED, *port);
            TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok()
        })
        .unwrap();
    let server = Server::start_at(&[&format!("[::]:{port}"), &format!("0.0.0.0:{port}")], &[]);
    assert_eq!((server.tcp.len(), server.udp.len()), (2, 2));
    for ip in ["127.0.0.1", "[::1]"] {
        let at: SocketAddr = format!("{ip}:{port}").parse().unwrap();
        ask(&connect(at), b"ping\n", b"pong\n");
        assert_eq!(replies_to(&udp(at.ip()), at, &[b"ping"]), [b"pong"]);
    }
}

/// A name is looked up, and served at all of its addresses that this host has, at one port.
#[test]
fn a_name() {
    let server = Server::start_at(&["localhost:0"], &[]);
    assert_eq!(server.tcp.len(), server.udp.len());
    for at in &server.tcp {
        assert!(at.ip().is_loopback());
        assert_eq!(at.port(), server.port());
        ask(&connect(*at), b"ping\n", b"pong\n");
    }
}

#[test]
fn one_transport_alone() {
    let own_port_0 = format!("{OWN_ADDRESS}:0");
    let server = Server::start_at(&[&own_port_0], &["--no-udp"]);
    assert!(server.udp.is_empty());
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    // Nobody has the port for UDP.
    UdpSocket::bind(server.tcp[0]).unwrap();

    let server = Server::start_at(&[&own_port_0], &["--no-tcp"]);
    assert!(server.tcp.is_empty());
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );
    TcpListener::bind(server.udp[0]).unwrap();
}

#[test]
fn several_processes_share_a_port_if_all_say_so() {
    let first = Server::start(&["--reuse-port"]);
    let at = first.tcp[0].to_string();
    let second = Server::start_at(&[&at], &["--reuse-port"]);
    assert_eq!(first.tcp, second.tcp);
    complaint(&["serve", "--listen", &at], 1);
    // The kernel spreads connections over both by their addresses: sixty-four to one is impossible
    // in practice.
    for _ in 0..64 {
        ask(&connect(first.tcp[0]), b"ping\n", b"pong\n");
    }
    let accepted = |server: &Server| server.report().count("connections_accepted_total");
    let (one, other) = (accepted(&first), accepted(&second));
    assert_eq!(one + other, 64);
    assert!(one > 0 && other > 0, "{one} and {other}");
}

/// Without `--reuse-port`, nobody else can have the port, not even the UDP half.
#[test]
fn a_port_is_not_stolen() {
    let server = Server::start(&[]);
    let told = complaint(
        &["serve", "--listen", &server.tcp[0].to_string(), "--no-tcp"],
        1,
    );
    assert!(told.contains("Address already in use"), "{told}");
}

/// A restart at once: the last run's connections still lie in TIME_WAIT.
#[test]
fn a_restart_has_its_port_back() {
    let mut server = Server::start_at(&[&format!("{OWN_ADDRESS}:0")], &[]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    server.signal(Signal::TERM);
    assert_eq!(read_to_end(&client), b"");
    drop(client);
    assert_eq!(server.wait_for_exit(), Some(0));
    let at = server.tcp[0];
    let server = Server::start_at(&[&at.to_string()], &[]);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
}
