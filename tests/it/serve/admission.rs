//! Who may talk, and how many at once from one place.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use pingpong::inside::server::admission::{Admission, Allowed};
use pingpong::inside::server::counters::RefusedReason;
use socket2::{Domain, Socket, Type};

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::server::{Server, run};
use crate::support::{GUARD, has_ipv6, skip};

const ONE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

fn connect_from(local: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((local, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream
}

/// It ends without a word.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.read(&mut [0; 9]).map_or(true, |len| len == 0)
}

/// Over TCP and UDP, on a socket for IPv4 and on one for both.
#[test]
fn only_who_is_allowed_is_served() {
    let mut places = vec!["0.0.0.0:0"];
    if has_ipv6() {
        places.push(":0");
    }
    for place in places {
        let allow = ["--allow", "192.0.2.0/24", "--allow", "127.9.0.0/16"];
        let server = Server::start_at(&[place], &allow);
        let at = SocketAddr::from((OTHER, server.port()));
        ask(&connect_from(OTHER, at), b"ping\n", b"pong\n");
        assert_eq!(replies_to(&udp(OTHER), at, &[b"ping"]), [b"pong"]);
        assert!(is_closed(&connect_from(ONE, at)));
        udp(ONE).send_to(b"ping", at).unwrap();
        let report = server.wait_for_report("both are refused", |it| {
            it.dropped("allow") == 1 && it.count("connections_refused_total{reason=\"allow\"}") == 1
        });
        assert_eq!(report.count("connections_accepted_total"), 1);
        let replies = report.count("replies_total{transport=\"udp\"}");
        assert_eq!(
            report.count("messages_total{transport=\"udp\"}"),
            replies + 1
        );
    }
}

/// A client that has as many as it may gets no more, others do; when one of its own has gone, it may
/// come again.
#[test]
fn a_client_has_no_more_than_its_share() {
    let server = Server::start_at(&["0.0.0.0:0"], &["--max-per-client", "2", "-v"]);
    let at = SocketAddr::from((ONE, server.port()));
    let mut own = vec![connect_from(ONE, at), connect_from(ONE, at)];
    for it in &own {
        ask(it, b"ping\n", b"pong\n");
    }
    assert!(is_closed(&connect_from(ONE, at)));
    server.wait_for_line("refused: per_client");
    ask(&connect_from(OTHER, at), b"ping\n", b"pong\n");
    own.pop();
    server.wait_for_report("it has gone", |it| it.closed("peer_closed") == 2);
    ask(&connect_from(ONE, at), b"ping\n", b"pong\n");
    let report = server.report();
    assert_eq!(
        report.count("connections_refused_total{reason=\"per_client\"}"),
        1
    );
    assert_eq!(report.count("connections_accepted_total"), 4);
}

fn admission(max_per_client: usize) -> Admission {
    Admission::new(Allowed::default(), Some(max_per_client))
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// A host can choose among the addresses of its network, and an IPv4 one is the same in both forms.
#[test]
fn a_client_is_an_address_or_a_network() {
    let mut admission = admission(1);
    let same = [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"),
    ];
    for (one, other) in same {
        admission.enter(ip(one)).unwrap();
        assert_eq!(admission.enter(ip(other)), Err(RefusedReason::PerClient));
        admission.leave(ip(other));
        admission.enter(ip(one)).unwrap();
    }
    for another in ["192.0.2.2", "2001:db8:0:2::1", "::1"] {
        admission.enter(ip(another)).unwrap();
    }
    // Unix sockets' have no address, and no limit.
    for _ in 0..3 {
        admission.enter(None).unwrap();
    }
}

/// One that was refused has left nothing behind.
#[test]
fn who_was_refused_does_not_count() {
    let mut admission = admission(2);
    let client = ip("192.0.2.1");
    for _ in 0..2 {
        admission.enter(client).unwrap();
    }
    for _ in 0..5 {
        assert_eq!(admission.enter(client), Err(RefusedReason::PerClient));
    }
    admission.leave(client);
    admission.leave(client);
    for _ in 0..2 {
        admission.enter(client).unwrap();
    }
    assert!(admission.enter(client).is_err());
}

#[test]
fn networks_are_understood() {
    for (network, inside, outside) in [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7/24", "192.0.2.1", "192.0.3.1"),
        ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::1", "::1", "::2"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
    ] {
        let words = ["serve", "--allow", network].map(std::ffi::OsString::from);
        let Ok(pingpong::inside::cli::Command::Serve(options)) =
            pingpong::inside::cli::parse(words, [])
        else {
            panic!("{network}");
        };
        let allowed = Allowed(options.config.allow);
        assert!(allowed.has(ip(inside)), "{network} {inside}");
        assert!(!allowed.has(ip(outside)), "{network} {outside}");
        assert!(allowed.has(None), "a Unix socket's file says who may");
    }
    for (network, told) in [
        ("::ffff:192.0.2.0/120", "an IPv4 network is written as such"),
        ("192.0.2.0/33", "it takes a network such as 192.0.2.0/24"),
        ("localhost", "it takes a network such as 192.0.2.0/24"),
        ("", "it takes a network such as 192.0.2.0/24"),
    ] {
        let command = crate::support::server::pingpong(&["serve", "--allow", network]);
        let (code, _, stderr) = run(command);
        assert!(
            code == Some(2) && stderr.contains(told),
            "{network}: {stderr}"
        );
    }
}

/// Where it cannot be told apart, nobody gets in by it: a mapped IPv4 address off an IPv6 wire.
#[test]
fn an_address_in_disguise_is_nobodys() {
    if !has_ipv6() {
        return skip("no IPv6");
    }
    // As it is on the loopback: the address that was asked is no mapped one.
    let server = Server::start_at(&["[::1]:0"], &["--allow", "127.0.0.0/8"]);
    assert!(is_closed(&connect(server.tcp[0])));
}
