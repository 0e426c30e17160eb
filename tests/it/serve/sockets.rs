//! What the TCP sockets of the real program are like: every option, read from the outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl};
use socket2::Type;

use crate::support::client::{ask, connect};
use crate::support::has_ipv6;
use crate::support::inside::{Peeked, sockets_of};
use crate::support::server::{Server, run};
use crate::support::{command, skip};

/// What one socket is like.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the kernel's switches"
)]
struct Options {
    nonblocking: bool,
    close_on_exec: bool,
    reuse_address: bool,
    reuse_port: bool,
    nodelay: bool,
    out_of_band_inline: bool,
    keepalive: bool,
    keepalive_time: Duration,
    keepalive_interval: Duration,
    keepalive_probes: u32,
    linger: Option<Duration>,
    user_timeout: Option<Duration>,
    /// `None` on IPv4.
    only_v6: Option<bool>,
}

/// What every one of them is like, but for what its row says.
const SHIPPED: Options = Options {
    nonblocking: true,
    close_on_exec: true,
    reuse_address: true,
    reuse_port: false,
    nodelay: true,
    out_of_band_inline: true,
    keepalive: true,
    keepalive_time: Duration::from_secs(120),
    keepalive_interval: Duration::from_secs(15),
    keepalive_probes: 8,
    linger: None,
    user_timeout: None,
    only_v6: None,
};

impl Options {
    fn of(peeked: &Peeked) -> Self {
        let it = peeked.options();
        let is_v6 = it.local_addr().unwrap().is_ipv6();
        Self {
            nonblocking: fcntl_getfl(&peeked.socket)
                .unwrap()
                .contains(OFlags::NONBLOCK),
            close_on_exec: peeked.close_on_exec,
            reuse_address: it.reuse_address().unwrap(),
            reuse_port: it.reuse_port().unwrap(),
            nodelay: it.tcp_nodelay().unwrap(),
            out_of_band_inline: it.out_of_band_inline().unwrap(),
            keepalive: it.keepalive().unwrap(),
            keepalive_time: it.tcp_keepalive_time().unwrap(),
            keepalive_interval: it.tcp_keepalive_interval().unwrap(),
            keepalive_probes: it.tcp_keepalive_retries().unwrap(),
            linger: it.linger().unwrap(),
            user_timeout: it.tcp_user_timeout().unwrap(),
            only_v6: is_v6.then(|| it.only_v6().unwrap()),
        }
    }
}

/// The TCP sockets, each with its address: the listeners, or the connections.
fn tcp_sockets(server: &Server, listening: bool) -> Option<Vec<(SocketAddr, Options)>> {
    let mut found = Vec::new();
    for peeked in sockets_of(server)? {
        let it = peeked.options();
        let address = it.local_addr().unwrap().as_socket();
        let is_stream = it.r#type().unwrap() == Type::STREAM;
        if let Some(address) = address
            && is_stream
            && it.is_listener().unwrap() == listening
        {
            found.push((address, Options::of(&peeked)));
        }
    }
    found.sort_by_key(|(address, _)| *address);
    Some(found)
}

/// The addresses of `--listen`, what else is on the command line, and what there is then: IP
/// address, `IPV6_V6ONLY` (which Linux sets by itself at a specific address), `SO_REUSEPORT`.
type Row = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [(IpAddr, Option<bool>, bool)],
);

const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const HERE_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

const ROWS: &[Row] = &[
    (&["127.0.0.1:0"], &[], &[(HERE_V4, None, false)]),
    (&["0.0.0.0:0"], &[], &[(ANY_V4, None, false)]),
    (&["[::1]:0"], &[], &[(HERE_V6, Some(true), false)]),
    (&["[::]:0"], &[], &[(ANY_V6, Some(false), false)]),
    (&[":0"], &[], &[(ANY_V6, Some(false), false)]),
    (&[":0"], &["--no-udp"], &[(ANY_V6, Some(false), false)]),
    (&[":0"], &["--reuse-port"], &[(ANY_V6, Some(false), true)]),
    (
        &["0.0.0.0:PORT", "[::]:PORT"],
        &[],
        &[(ANY_V4, None, false), (ANY_V6, Some(true), false)],
    ),
    (
        &["[::]:PORT", "0.0.0.0:PORT"],
        &["--reuse-port"],
        &[(ANY_V4, None, true), (ANY_V6, Some(true), true)],
    ),
    (
        &["127.0.0.1:0", "[::1]:0"],
        &[],
        &[(HERE_V4, None, false), (HERE_V6, Some(true), false)],
    ),
];

/// A port that is free for everything, below those that clients are given by the kernel.
fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let any = (Ipv6Addr::UNSPECIFIED, *port);
        TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok()
    };
    (10_000..20_000).find(is_free).unwrap()
}

#[test]
fn listeners_and_connections_are_as_the_table_says() {
    for (addresses, more, expected) in ROWS {
        if expected.iter().any(|(ip, ..)| ip.is_ipv6()) && !has_ipv6() {
            continue;
        }
        let port = free_port().to_string();
        let addresses: Vec<_> = addresses
            .iter()
            .map(|it| it.replace("PORT", &port))
            .collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        let server = Server::start_at(&addresses, more);
        let Some(listeners) = tcp_sockets(&server, true) else {
            return;
        };
        let row = |(ip, only_v6, reuse_port): &(IpAddr, Option<bool>, bool)| {
            let options = Options {
                only_v6: *only_v6,
                reuse_port: *reuse_port,
                ..SHIPPED
            };
            (*ip, options)
        };
        let expected: Vec<_> = expected.iter().map(row).collect();
        let found: Vec<_> = listeners
            .iter()
            .map(|(at, options)| (at.ip(), options.clone()))
            .collect();
        assert_eq!(found, expected, "listeners at {addresses:?} {more:?}");
        for (at, options) in listeners {
            assert_connection(&server, at, &options);
        }
    }
}

/// What a connection inherits of its listener: all of it.
fn assert_connection(server: &Server, listening: SocketAddr, expected: &Options) {
    let ip = match listening.ip() {
        ANY_V4 => HERE_V4,
        ANY_V6 => HERE_V6,
        ip => ip,
    };
    let client = connect((ip, listening.port()).into());
    ask(&client, b"ping\n", b"pong\n");
    let connections = tcp_sockets(server, false).unwrap();
    let is_it = |(at, _): &&(SocketAddr, Options)| *at == client.peer_addr().unwrap();
    let (at, options) = connections.iter().find(is_it).unwrap();
    assert_eq!(options, expected, "a connection at {at}");
}

/// A listener's `Send-Q` in ss(8) is the length of its backlog.
fn backlog(server: &Server) -> Option<u32> {
    let mut ss = command("ss");
    ss.args(["-Hltn", &format!("sport = :{}", server.port())]);
    if !std::path::Path::new("/usr/bin/ss").exists() && !std::path::Path::new("/bin/ss").exists() {
        skip("ss(8) is not installed");
        return None;
    }
    let (code, stdout, stderr) = run(ss);
    assert_eq!(code, Some(0), "{stderr}");
    Some(stdout.split_whitespace().nth(2).unwrap().parse().unwrap())
}

#[test]
fn the_backlog_is_as_long_as_it_is_asked_to_be() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: u32 = most.trim().parse().unwrap();
    for (options, expected) in [
        (&[][..], 4096),
        (&["--backlog", "7"], 7),
        (&["--backlog=5000"], 5000),
    ] {
        let server = Server::start(options);
        let Some(found) = backlog(&server) else {
            return;
        };
        assert_eq!(found, expected.min(most));
    }
}
