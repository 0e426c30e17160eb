//! A peer that has vanished, where no idle timeout asks for it.

use std::process::Command;
use std::time::Instant;

use crate::support::client::{ask, connect};
use crate::support::inside::{in_namespace, inside_network_of, strace};
use crate::support::server::{Server, run};

/// The server's own values take minutes, so they are refused (by strace: the fifth to the seventh
/// option that is set), and what the namespace has in their place takes seconds.
#[test]
fn a_dead_peer_is_found_without_an_idle_timeout() {
    let script = "ip link set lo up; cd /proc/sys/net/ipv4; echo 1 >tcp_keepalive_time; \
                  echo 1 >tcp_keepalive_intvl; echo 2 >tcp_keepalive_probes; cd /; exec \"$@\"";
    let Some(mut command) = in_namespace(script) else {
        return;
    };
    let Some(strace) = strace(&["-e", "inject=setsockopt:error=ENOPROTOOPT:when=5..7"]) else {
        return;
    };
    command.arg("strace").args(strace.get_args());
    command.args(["serve", "-v", "--no-udp", "--idle-timeout", "0"]);
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    for option in ["TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL"] {
        server.wait_for_line(&format!("setsockopt {option}: "));
    }
    let client = inside_network_of(server.pid(), || {
        let client = connect(server.tcp[0]);
        ask(&client, b"ping\n", b"pong\n");
        client
    });
    let peer = client.local_addr().unwrap();
    // Nobody hears from it any more, not even an end.
    let mut vanish = Command::new("nsenter");
    let pid = server.pid().to_string();
    vanish.args(["-t", &pid, "-n", "ip", "link", "set", "lo", "down"]);
    let vanished = Instant::now();
    assert_eq!(run(vanish).0, Some(0));
    server.wait_for_line(&format!("{peer} closed: error"));
    assert!(vanished.elapsed().as_secs() >= 1, "it did not even ask");
    assert_eq!(server.report().count("connections"), 0);
}
