//! What the log does not say: a counter that stands at zero, and that all was had that was asked for.

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::server::{Server, pingpong};

/// What a report tells, in its order; but for the turns, which nobody can know.
#[test]
fn a_report_tells_what_is_not_zero() {
    let server = Server::start(&[]);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.wait_for_report("it is gone", |it| it.count("connections") == 0);
    // The last word of a report is not waited for: it stands before the next one.
    server.report();
    server.report();
    let lines = server.lines();
    let told: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(" INFO  "))
        .map(|(_, what)| what)
        .filter(|what| what.starts_with("connections") || what.contains("_total"))
        .filter(|what| !what.starts_with("loop_turns_total "))
        .collect();
    let expected = [
        "connections 0",
        "connections_accepted_total 1",
        "connections_closed_total{reason=\"peer_closed\"} 1",
        "messages_total{transport=\"tcp\"} 1",
        "replies_total{transport=\"tcp\"} 1",
        "received_bytes_total{transport=\"tcp\"} 5",
        "sent_bytes_total{transport=\"tcp\"} 5",
    ];
    // Two of them, whatever was told while it was waited for.
    let (_, last) = told.split_at(told.len() - 2 * expected.len());
    assert_eq!(last, [expected, expected].concat());
}

/// A buffer that any host allows is as large as asked, and then there is nothing to say.
#[test]
fn a_buffer_that_is_had_is_not_warned_of() {
    let server = Server::start(&["--udp-buffer", "64K"]);
    let client = udp([127, 0, 0, 1]);
    assert_eq!(replies_to(&client, server.udp[0], &[b"ping"]), [b"pong"]);
    let lines = server.lines();
    assert!(
        lines.iter().all(|line| line.contains(" INFO ")),
        "{lines:#?}"
    );
}

/// A RUST_LOG that holds nothing asks for nothing: it is as if it were not there.
#[test]
fn an_empty_rust_log_is_none() {
    for empty in ["", "  "] {
        let mut command = pingpong(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("RUST_LOG", empty);
        let server = Server::spawn(command);
        ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
        let lines = server.lines();
        assert!(
            lines.iter().all(|line| line.contains(" INFO ")),
            "{lines:#?}"
        );
    }
}
