//! Port 0 is one port for both transports, though the one that is free for TCP may be taken for UDP:
//! then another is tried, and not for ever. strace(1) has the calls of bind(2) fail that a taken
//! port would have fail: the second, the fourth and so on are of UDP.

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::server::{Server, run};
use crate::support::traced::with_fault;

fn words(at: &str) -> [&str; 3] {
    ["serve", "--listen", at]
}

#[test]
fn sixteen_ports_are_tried() {
    let fault = "bind:error=EADDRINUSE:when=2..30+2";
    let Some(command) = with_fault(fault, &words("127.0.0.1:0")) else {
        return;
    };
    let server = Server::spawn(command);
    assert_eq!(server.tcp, server.udp);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    let client = udp([127, 0, 0, 1]);
    assert_eq!(replies_to(&client, server.udp[0], &[b"ping"]), [b"pong"]);

    let fault = "bind:error=EADDRINUSE:when=2..32+2";
    let command = with_fault(fault, &words("127.0.0.1:0")).unwrap();
    let (code, _, told) = run(command);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("cannot listen on udp://127.0.0.1:"), "{told}");
    assert!(told.contains("Address already in use"), "{told}");
}

/// Who asks for one port gets that or none; and another error is not one that passes.
#[test]
fn others_are_not_tried() {
    for (fault, at) in [
        ("bind:error=EADDRINUSE:when=2", "127.0.79.1:18888"),
        ("bind:error=EACCES:when=2", "127.0.0.1:0"),
        ("bind:error=ENOMEM:when=2", "127.0.0.1:0"),
    ] {
        let Some(command) = with_fault(fault, &words(at)) else {
            return;
        };
        let (code, _, told) = run(command);
        assert_eq!(code, Some(1), "{fault}: {told}");
        assert!(told.contains("cannot listen on udp://127.0."), "{told}");
    }
}
