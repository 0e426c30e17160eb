//! What the kernel does to datagrams before the server sees them: its buffer is full, or receiving
//! fails.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::support::client::udp;
use crate::support::server::{Report, Server};
use crate::support::traced::with_fault;
use crate::support::{has_ipv6, skip, until};

const BURST: u64 = 2000;

/// Stops the server, sends it more pings than its buffers hold, and lets it go on.
fn burst(server: &Server, all: &[SocketAddr]) {
    server.freeze();
    for at in all {
        let client = udp(match at.ip() {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
        for _ in 0..BURST {
            client.send_to(b"ping", *at).unwrap();
        }
    }
    server.thaw();
}

fn seen_and_dropped(report: &Report) -> (u64, u64) {
    let seen = report.count("messages_total{transport=\"udp\"}");
    (seen, report.dropped("kernel"))
}

/// Replies and drops together are all that reached the host, exactly, and without a further
/// datagram that would tell.
#[test]
fn what_the_kernel_drops_is_counted() {
    let mut at = vec!["127.0.0.1:0", "127.0.0.2:0"];
    if has_ipv6() {
        at.extend(["[::1]:0", ":0"]);
    }
    let server = Server::start_at(&at, &[]);
    let mut all = server.udp.clone();
    for address in &mut all {
        if address.ip().is_unspecified() {
            address.set_ip(Ipv6Addr::LOCALHOST.into());
        }
    }
    let (mut sent, mut dropped_before) = (0, 0);
    for _ in 0..2 {
        burst(&server, &all);
        sent += BURST * all.len() as u64;
        let report = server.wait_for_report("all is accounted for", |report| {
            let (seen, dropped) = seen_and_dropped(report);
            seen + dropped >= sent
        });
        let (seen, dropped) = seen_and_dropped(&report);
        assert_eq!(seen + dropped, sent);
        assert!(dropped > dropped_before, "the buffers held it all");
        assert_eq!(report.count("replies_total{transport=\"udp\"}"), seen);
        assert_eq!(seen_and_dropped(&server.report()), (seen, dropped));
        dropped_before = dropped;
    }
}

#[test]
fn a_larger_buffer_holds_a_burst() {
    let server = Server::start(&["--udp-buffer", "4M"]);
    if server
        .lines()
        .iter()
        .any(|line| line.contains("receive buffer of"))
    {
        skip("neither root, nor is net.core.rmem_max large enough");
        return;
    }
    burst(&server, &server.udp);
    let report = server.wait_for_report("all is answered", |report| {
        report.count("replies_total{transport=\"udp\"}") >= BURST
    });
    assert_eq!(seen_and_dropped(&report), (BURST, 0));
}

/// Without the right to pass the host's limit, it is that limit, and it is told.
#[test]
fn less_than_asked_is_told() {
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let limit = limit.trim();
    let words = "serve --no-tcp --listen 127.0.0.1:0 --udp-buffer 1073741823";
    let words: Vec<_> = words.split(' ').collect();
    // The third option is SO_RCVBUFFORCE.
    let Some(command) = with_fault("setsockopt:error=EPERM:when=3", &words) else {
        return;
    };
    let server = Server::spawn(command);
    let line = server.wait_for_line("receive buffer of");
    let expected =
        format!("receive buffer of {limit} bytes instead of 1073741823: net.core.rmem_max");
    assert!(line.contains(&expected), "{line}");
    assert!(line.contains(" WARN "), "{line}");
}

/// A server whose recvmmsg fails at these of its calls.
fn deaf_at(when: &str) -> Option<Server> {
    let fault = format!("recvmmsg:error=ENOMEM:when={when}");
    let command = with_fault(&fault, &["serve", "--no-tcp", "--listen", "127.0.0.1:0"])?;
    Some(Server::spawn(command))
}

fn told(server: &Server, text: &str) -> u64 {
    let lines = server.lines();
    lines.iter().filter(|line| line.contains(text)).count() as u64
}

const BEGINS: &str = "WARN  cannot receive on udp://127.0.0.1:";
const ENDS: &str = "WARN  receiving on udp://127.0.0.1:";

/// A fault that goes on is warned of when it begins and when it ends.
#[test]
fn an_outage_is_told_twice() {
    if let Some(server) = deaf_at("1..5") {
        server.wait_for_line(ENDS);
        assert_eq!(server.report().count("receive_errors_total"), 5);
        assert_eq!((told(&server, BEGINS), told(&server, ENDS)), (1, 1));
    }
}

/// The next one is another outage.
#[test]
fn every_outage_is_told() {
    // Every sixth call, and so much between them that each has its end.
    let Some(server) = deaf_at("1+6") else {
        return;
    };
    server.wait_for_line(ENDS);
    let client = udp(Ipv4Addr::LOCALHOST);
    until("receiving fails once more", || {
        client.send_to(b"ping", server.udp[0]).unwrap();
        client.recv(&mut [0; 10]).unwrap();
        told(&server, BEGINS) == 2
    });
    until("and works again", || told(&server, ENDS) == 2);
}
