//! What the server can do without: calls at the start that the kernel refuses, or who watches over
//! it. strace(1) has them fail.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use crate::support::PROGRAM;
use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::has_ipv6;
use crate::support::inside::{in_namespace, inside_network_of, strace};
use crate::support::server::{Server, run};

/// The options of a TCP listener in the order in which they are set; the last on IPv6 alone.
const OPTIONS: [&str; 8] = [
    "SO_REUSEADDR",
    "TCP_NODELAY",
    "SO_OOBINLINE",
    "SO_KEEPALIVE",
    "TCP_KEEPCNT",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "IPV6_V6ONLY",
];

fn refusing(fault: &str, words: &[&str]) -> Option<Command> {
    let mut command = strace(&["-e", &format!("inject={fault}")])?;
    command.arg("serve").args(words);
    Some(command)
}

fn serves(server: &Server, ip: impl Into<std::net::IpAddr>) {
    let ip = ip.into();
    let at = (ip, server.port()).into();
    ask(&connect(at), b"ping\n", b"pong\n");
    if !server.udp.is_empty() {
        assert_eq!(replies_to(&udp(ip), at, &[b"ping"]), [b"pong"]);
    }
}

/// Each option in turn, and all of them together: it serves, and says so to who wants to know.
#[test]
fn socket_options() {
    let has_ipv6 = has_ipv6();
    let (address, count) = if has_ipv6 {
        (":0", OPTIONS.len())
    } else {
        ("0.0.0.0:0", OPTIONS.len() - 1)
    };
    for errno in ["ENOPROTOOPT", "EPERM", "EINVAL"] {
        let each = (1..=count).map(|number| (number.to_string(), &OPTIONS[number - 1..number]));
        let all = ("1+".to_string(), &OPTIONS[..count]);
        for (when, refused) in each.chain([all]) {
            let fault = format!("setsockopt:error={errno}:when={when}");
            let words = ["--listen", address, "--no-udp", "-v"];
            let Some(command) = refusing(&fault, &words) else {
                return;
            };
            let server = Server::spawn(command);
            serves(&server, Ipv4Addr::LOCALHOST);
            if has_ipv6 {
                serves(&server, Ipv6Addr::LOCALHOST);
            }
            let told: Vec<_> = server.lines();
            let told = told.iter().filter(|line| line.contains("going on without"));
            let told: Vec<_> = told.collect();
            assert_eq!(told.len(), refused.len(), "{fault}: {told:#?}");
            for (line, option) in told.iter().zip(refused) {
                assert!(line.contains(" DEBUG setsockopt "), "{line}");
                assert!(line.contains(&format!(" {option}: ")), "{fault}: {line}");
            }
        }
    }
}

/// Who asks for a shared port has to have it.
#[test]
fn a_shared_port_that_was_asked_for() {
    for errno in ["ENOPROTOOPT", "EPERM", "EINVAL"] {
        let fault = format!("setsockopt:error={errno}:when=8");
        let words = ["--listen", "127.0.0.1:0", "--no-udp", "--reuse-port"];
        let Some(command) = refusing(&fault, &words) else {
            return;
        };
        let (code, _, stderr) = run(command);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.starts_with("pingpong: cannot listen on tcp://127.0.0.1:0: "),
            "{stderr}"
        );
        assert!(stderr.ends_with("; leave --reuse-port out\n"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// A host without IPv6, or one whose policy refuses it, for TCP or for UDP alone: then every
/// address is every IPv4 address, and nothing is half open.
#[test]
fn ipv6() {
    for fault in [
        "socket:error=EACCES:when=1",
        "socket:error=EPERM:when=1",
        "socket:error=EAFNOSUPPORT:when=1",
        "bind:error=EADDRNOTAVAIL:when=1",
        "bind:error=EACCES:when=1",
        "socket:error=EACCES:when=2",
        "bind:error=EADDRNOTAVAIL:when=2",
    ] {
        let Some(command) = refusing(fault, &["--listen", ":0"]) else {
            return;
        };
        let server = Server::spawn(command);
        assert_eq!((server.tcp.len(), server.udp.len()), (1, 1), "{fault}");
        assert_eq!(server.tcp[0].ip(), Ipv4Addr::UNSPECIFIED, "{fault}");
        assert_eq!(server.udp, server.tcp, "{fault}");
        serves(&server, Ipv4Addr::LOCALHOST);
        assert!(
            !server.lines().iter().any(|line| line.contains("WARN")),
            "{fault}"
        );
    }
    let Some(command) = refusing("socket:error=EACCES:when=1+", &["--listen", ":0"]) else {
        return;
    };
    let (code, _, stderr) = run(command);
    assert_eq!(code, Some(1), "{stderr}");
    let expected = "pingpong: cannot listen on tcp://0.0.0.0:0: Permission denied (os error 13); \
                    a security policy of this host or container forbids it";
    assert!(stderr.starts_with(expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// IPv6 sockets that take IPv6 alone, and cannot be told otherwise: each family has its own.
#[test]
fn one_socket_for_both_families() {
    if !has_ipv6() {
        return;
    }
    let script = "ip link set lo up; echo 1 >/proc/sys/net/ipv6/bindv6only; exec \"$@\"";
    let Some(mut command) = in_namespace(script) else {
        return;
    };
    let Some(strace) = strace(&["-e", "inject=setsockopt:error=EPERM:when=8+"]) else {
        return;
    };
    command.arg("strace").args(strace.get_args());
    command.args(["serve", "--no-udp", "--listen", ":0"]);
    let server = Server::spawn(command);
    assert_eq!(server.tcp.len(), 2);
    assert_eq!(server.tcp[0].port(), server.tcp[1].port());
    inside_network_of(server.pid(), || {
        serves(&server, Ipv4Addr::LOCALHOST);
        serves(&server, Ipv6Addr::LOCALHOST);
    });
}

/// A namespace whose IPv6 is switched off.
#[test]
fn ipv6_that_is_switched_off() {
    let script = "ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; exec \"$@\"";
    let Some(mut command) = in_namespace(script) else {
        return;
    };
    command.arg(PROGRAM);
    command.args(["serve", "--listen", ":0", "--listen", "localhost:0"]);
    let server = Server::spawn(command);
    inside_network_of(server.pid(), || serves(&server, Ipv4Addr::LOCALHOST));
}
