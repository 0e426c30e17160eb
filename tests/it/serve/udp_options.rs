//! What every datagram socket of the program has, and what happens where the kernel refuses it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::support::client::{ask, connect, receive_from, udp};
use crate::support::server::{Server, pingpong, run};
use crate::support::traced::{traced, with_fault};
use crate::support::{command, has_ipv6, skip};

const BOUND: &str = "bind";

/// Each kind of address, and what is set on its socket, in this order. `!` stands before what the
/// server cannot do without: the address that a datagram hit.
const SOCKETS: [(&str, &[&str]); 4] = [
    (
        "127.0.0.2:0",
        &["UDP_GRO [1]", "IP_MTU_DISCOVER [0]", BOUND],
    ),
    (
        "0.0.0.0:0",
        &[
            "!IP_PKTINFO [1]",
            "UDP_GRO [1]",
            "IP_MTU_DISCOVER [0]",
            BOUND,
        ],
    ),
    ("[::1]:0", &["UDP_GRO [1]", "IPV6_V6ONLY [0]", BOUND]),
    (
        ":0",
        &[
            "!IPV6_RECVPKTINFO [1]",
            "IP_PKTINFO [1]",
            "UDP_GRO [1]",
            "IP_MTU_DISCOVER [0]",
            "IPV6_V6ONLY [0]",
            BOUND,
            "IPV6_FREEBIND [1]",
        ],
    ),
];

fn sockets() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let v6 = has_ipv6();
    SOCKETS
        .into_iter()
        .filter(move |(at, _)| v6 || at.contains('.'))
}

/// What was done to the socket that datagrams come through, as `OPTION [value]`.
fn done_to_the_socket(lines: &[String]) -> Vec<String> {
    let opened = |line: &&String| line.starts_with("socket(") && line.contains("IPPROTO_UDP");
    let socket = lines.iter().find(opened).unwrap();
    let (_, fd) = socket.rsplit_once("= ").unwrap();
    let (set, bound) = (format!("setsockopt({fd}, "), format!("bind({fd}, "));
    let done = lines.iter().filter_map(|line| {
        if line.starts_with(&bound) {
            return Some(BOUND.to_owned());
        }
        let mut words = line.strip_prefix(&set)?.split(", ").skip(1);
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    done.collect()
}

fn traced_socket(at: &str, more: &[&str]) -> Option<Vec<String>> {
    let mut words = vec!["serve", "--no-tcp", "--listen", at];
    words.extend(more);
    let (command, trace) = traced("socket,bind,setsockopt", &words)?;
    let _server = Server::spawn(command);
    Some(done_to_the_socket(&trace.lines()))
}

fn plain<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let plain = |option: &&'a str| option.trim_start_matches('!');
    options.iter().map(plain).collect()
}

#[test]
fn what_each_socket_has() {
    for (at, expected) in sockets() {
        let Some(found) = traced_socket(at, &[]) else {
            return;
        };
        assert_eq!(found, plain(expected), "{at}");
    }
}

#[test]
fn what_is_set_because_it_was_asked_for() {
    let more = ["--reuse-port", "--udp-buffer", "300k"];
    let Some(found) = traced_socket("127.0.0.1:0", &more) else {
        return;
    };
    let forced = found.contains(&"SO_RCVBUFFORCE [307200]".to_owned());
    let asked = found.contains(&"SO_RCVBUF [307200]".to_owned());
    assert!(forced || asked, "{found:?}");
    assert!(found.contains(&"SO_REUSEPORT [1]".to_owned()), "{found:?}");
}

/// Pings where the server can be reached; the reply leaves from the address that was asked.
fn assert_serves(server: &Server, what: &str) {
    let at = server.udp[0];
    let hits: &[IpAddr] = match at.ip() {
        ip if !ip.is_unspecified() => &[ip],
        IpAddr::V4(_) => &[Ipv4Addr::new(127, 0, 0, 3).into()],
        IpAddr::V6(_) => &[
            Ipv4Addr::new(127, 0, 0, 3).into(),
            Ipv6Addr::LOCALHOST.into(),
        ],
    };
    for hit in hits {
        let client = udp(match hit {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
        let hit = SocketAddr::new(*hit, at.port());
        client.send_to(b"ping 1", hit).unwrap();
        assert_eq!(receive_from(&client), (b"pong 1".to_vec(), hit), "{what}");
    }
}

/// Each option in turn, as another kernel, a sandbox or an emulator refuses it.
#[test]
fn only_what_a_promise_needs_is_fatal() {
    for (at, options) in sockets() {
        let set = options.iter().filter(|option| **option != BOUND);
        for (index, option) in set.enumerate() {
            for errno in ["ENOPROTOOPT", "EPERM", "EINVAL"] {
                let number = index + 1;
                let fault = format!("setsockopt:error={errno}:when={number}");
                let words = ["serve", "-v", "--no-tcp", "--listen", at];
                let Some(command) = with_fault(&fault, &words) else {
                    return;
                };
                let what = format!("{at} without {option}: {errno}");
                if option.starts_with('!') {
                    let (code, _, stderr) = run(command);
                    assert_eq!(code, Some(1), "{what}: {stderr}");
                    assert!(stderr.contains("cannot listen on udp://"), "{stderr}");
                    assert!(stderr.ends_with("give each address of its own with --listen\n"));
                } else {
                    let server = Server::spawn(command);
                    let (name, _) = option.split_once(' ').unwrap();
                    server.wait_for_line(&format!("setsockopt {name}: "));
                    assert_serves(&server, &what);
                }
            }
        }
    }
}

/// Neither the size of segments, nor a table of sockets in /proc, nor both receive buffer options.
#[test]
fn what_is_read_may_be_missing_too() {
    let faults = [
        ("getsockopt:error=ENOPROTOOPT", "getsockopt UDP_SEGMENT: "),
        ("setsockopt:error=EPERM:when=3..4", "receive buffer of "),
    ];
    for (fault, told) in faults {
        let words = "serve -v --no-tcp --listen 127.0.0.1:0 --udp-buffer 1M";
        let words: Vec<_> = words.split(' ').collect();
        let Some(command) = with_fault(fault, &words) else {
            return;
        };
        let server = Server::spawn(command);
        server.wait_for_line(told);
        assert_serves(&server, fault);
        server.report();
    }
}

/// qemu-user takes fewer options than Linux does.
#[test]
fn under_qemu() {
    let qemu = "qemu-x86_64-static";
    if !cfg!(target_arch = "x86_64") || command(qemu).arg("--version").output().is_err() {
        skip(&format!("no {qemu} for this machine"));
        return;
    }
    for (at, _) in sockets() {
        let program = pingpong(&["serve", "--listen", at]);
        let mut under_qemu = command(qemu);
        under_qemu
            .arg(program.get_program())
            .args(program.get_args());
        under_qemu.env_remove("RUST_LOG");
        let mut server = Server::spawn(under_qemu);
        assert_serves(&server, &format!("{at} under qemu"));
        let ip = match server.tcp[0].ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let stream = connect((ip, server.port()).into());
        ask(&stream, b"ping 2\nhello\r\n", b"pong 2\npong\r\n");
        drop(stream);
        server.signal(rustix::process::Signal::TERM);
        assert_eq!(server.wait_for_exit(), Some(0), "{at}");
    }
}
