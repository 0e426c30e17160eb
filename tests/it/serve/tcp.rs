//! The rule of the game over TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pingpong::inside::server::LINGER_TIMEOUT;
use socket2::SockRef;

use crate::model;
use crate::protocol::TABLE;
use crate::support::client::{ask, assert_same, connect, expect, read_to_end};
use crate::support::server::Server;
use crate::support::{GUARD, has_ipv6};

/// Sends a stream to its end and returns all replies.
fn converse(server: SocketAddr, stream: &[u8]) -> Vec<u8> {
    let client = connect(server);
    (&client).write_all(stream).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read_to_end(&client)
}

fn every_row_of_the_table_at(server: SocketAddr) {
    let client = connect(server);
    let mut all = Vec::new();
    for (message, reply) in TABLE {
        if message.iter().position(|byte| *byte == b'\n') == Some(message.len() - 1) {
            all.extend(*message);
            ask(&client, message, reply.unwrap_or_default());
        }
        let told = model::converse(message, true, 65536, false);
        assert_eq!(
            converse(server, message),
            told.replies,
            "{}",
            message.escape_ascii()
        );
    }
    drop(client);
    // All of them again, as one burst.
    let told = model::converse(&all, true, 65536, false);
    assert_eq!(converse(server, &all), told.replies);
}

#[test]
fn every_row_of_the_table() {
    let server = Server::start(&[]);
    every_row_of_the_table_at(server.tcp[0]);
    server.wait_for_report("everybody has gone", |it| it.count("connections") == 0);
}

#[test]
fn every_row_of_the_table_over_ipv6() {
    if has_ipv6() {
        let server = Server::start_at(&["[::1]:0"], &[]);
        every_row_of_the_table_at(server.tcp[0]);
    }
}

/// Many megabytes both ways at once, every byte compared: more than all buffers between hold.
#[test]
fn a_pipeline_of_many_megabytes() {
    let server = Server::start(&[]);
    let client = connect(server.tcp[0]);
    let mut requests = String::new();
    for number in 0.. {
        match number % 7 {
            0 => requests += "hello\r\n",
            1 => requests += &format!("pong {number}\n"),
            2 => requests += "\n",
            3 => requests += &format!("PING {number} {}\r\n", "x".repeat(number % 1000)),
            _ => requests += &format!("ping {number}\n"),
        }
        if requests.len() > 12_000_000 {
            break;
        }
    }
    let expected = model::converse(requests.as_bytes(), true, 65536, false).replies;
    let replies = std::thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(requests.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        read_to_end(&client)
    });
    assert_same(&replies, &expected);
}

/// A client that has sent its last still gets every reply, the one to the unended rest too.
#[test]
fn half_close() {
    let server = Server::start(&[]);
    let burst = "ping\n".repeat(10_000) + "hello";
    let replies = converse(server.tcp[0], burst.as_bytes());
    assert_same(&replies, ("pong\n".repeat(10_000) + "pong").as_bytes());
    assert_eq!(converse(server.tcp[0], b""), b"");
    let it = server.wait_for_report("both are gone", |it| it.closed("peer_closed") == 2);
    assert_eq!(it.count("messages_total{transport=\"tcp\"}"), 10_001);
    assert_eq!(it.count("replies_total{transport=\"tcp\"}"), 10_001);
    assert_eq!(it.count("sent_bytes_total{transport=\"tcp\"}"), 50_004);
}

#[test]
fn the_limit_is_exact() {
    let server = Server::start(&["--max-message", "10"]);
    let told =
        |stream: &str| String::from_utf8(converse(server.tcp[0], stream.as_bytes())).unwrap();
    let error = "error message longer than 10 bytes\n";
    assert_eq!(told("ping 6789\n"), "pong 6789\n");
    assert_eq!(told("ping 67890\n"), error);
    assert_eq!(told("ping 678\r\n"), "pong 678\r\n");
    assert_eq!(told("ping 6789\r\n"), error);
    assert_eq!(told("ping 67890"), "pong 67890");
    assert_eq!(told("ping 678901"), error);
    assert_eq!(
        told("ping\nhello\nping 678901 and more\nping\n"),
        format!("pong\npong\n{error}")
    );
}

#[test]
fn the_longest_message_is_65536_bytes() {
    let server = Server::start(&[]);
    let message = format!("ping{}\n", "x".repeat(65536 - 5));
    let client = connect(server.tcp[0]);
    ask(
        &client,
        message.as_bytes(),
        message.replace('i', "o").as_bytes(),
    );
    let error = b"error message longer than 65536 bytes\n";
    ask(&client, format!("x{message}").as_bytes(), error);
}

/// The error line must not be lost to a reset: the client goes on sending for long, then reads.
#[test]
fn a_refused_client_that_keeps_sending_hears_why() {
    let server = Server::start(&["--max-message", "100"]);
    let client = connect(server.tcp[0]);
    (&client).write_all(b"ping\n").unwrap();
    for _ in 0..200 {
        (&client).write_all(&[b'x'; 5000]).unwrap();
    }
    let replies = read_to_end(&client);
    assert_eq!(
        replies.escape_ascii().to_string(),
        "pong\\nerror message longer than 100 bytes\\n"
    );
    drop(client);
    server.wait_for_report("it is gone", |it| it.closed("message_too_long") == 1);
}

/// One that neither stops sending nor closes is let go all the same.
#[test]
fn lingering_ends() {
    let server = Server::start(&["--max-message", "100"]);
    let silent = connect(server.tcp[0]);
    let sending = connect(server.tcp[0]);
    let start = Instant::now();
    for client in [&silent, &sending] {
        ask(
            client,
            &[b'x'; 101],
            b"error message longer than 100 bytes\n",
        );
    }
    while (&sending).write_all(&[b'x'; 1000]).is_ok() {
        assert!(start.elapsed() < GUARD, "it lingers for ever");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(start.elapsed() >= LINGER_TIMEOUT, "reset while it sends");
    assert_eq!(read_to_end(&silent), b"");
    let it = server.wait_for_report("both are gone", |it| it.count("connections") == 0);
    assert_eq!(it.closed("message_too_long"), 2);
}

#[test]
fn strict_answers_pings_only() {
    let server = Server::start(&["--strict"]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\npong\nPING 1\r\n", b"pong\nPONG 1\r\n");
    ask(&client, b"ping\nhello\nping\n", b"pong\nerror not a ping\n");
    assert_eq!(read_to_end(&client), b"");
    drop(client);
    server.wait_for_report("it is gone", |it| it.closed("not_a_ping") == 1);
    assert_eq!(
        converse(server.tcp[0], b"ping\nhello"),
        b"pong\nerror not a ping\n"
    );
}

/// Every byte of two messages sent as urgent, in turn; then every second byte of many. None is
/// lost, moved or waited for.
#[test]
fn urgent_data_stays_in_its_place() {
    let server = Server::start(&[]);
    let stream = b"ping 1\r\nhello\nping 2\n";
    for urgent in 0..stream.len() {
        let client = connect(server.tcp[0]);
        (&client).write_all(&stream[..urgent]).unwrap();
        send_urgent(&client, stream[urgent]);
        (&client).write_all(&stream[urgent + 1..]).unwrap();
        expect(&client, b"pong 1\r\npong\npong 2\n");
    }
    let client = connect(server.tcp[0]);
    for _ in 0..200 {
        for (at, byte) in stream.iter().enumerate() {
            match at % 2 {
                0 => send_urgent(&client, *byte),
                _ => (&client).write_all(&[*byte]).unwrap(),
            }
        }
        expect(&client, b"pong 1\r\npong\npong 2\n");
    }
}

fn send_urgent(client: &TcpStream, byte: u8) {
    assert_eq!(SockRef::from(client).send_out_of_band(&[byte]).unwrap(), 1);
}

/// Connections that are reset, at any time, are nobody else's business.
#[test]
fn resets_harm_nobody_else() {
    let server = Server::start(&[]);
    let steady = connect(server.tcp[0]);
    let reset = |client: TcpStream| {
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    };
    for round in 0..100 {
        let client = connect(server.tcp[0]);
        match round % 4 {
            0 => {}
            1 => (&client).write_all(b"pi").unwrap(),
            2 => (&client)
                .write_all("ping\n".repeat(20_000).as_bytes())
                .unwrap(),
            _ => ask(&client, b"ping\n", b"pong\n"),
        }
        reset(client);
        ask(&steady, b"ping\n", b"pong\n");
    }
    // While they wait to be accepted: accept still gives them out, but nothing else is true of
    // them.
    server.freeze();
    let clients: Vec<_> = (0..50).map(|_| connect(server.tcp[0])).collect();
    clients.into_iter().for_each(reset);
    server.thaw();
    ask(&steady, b"ping\n", b"pong\n");
    let it = server.wait_for_report("only one is left", |it| {
        it.count("connections") == 1 && it.count("connections_accepted_total") == 151
    });
    assert!(
        it.closed("reset") >= 25,
        "those that had been answered were reset afterwards"
    );
    assert_eq!(it.closed("error"), 0);
}

/// A client that has closed both ways at once, with replies still on their way to it.
#[test]
fn a_client_that_does_not_wait() {
    let server = Server::start(&[]);
    for _ in 0..50 {
        let client = connect(server.tcp[0]);
        (&client)
            .write_all("ping\n".repeat(1000).as_bytes())
            .unwrap();
    }
    let steady = connect(server.tcp[0]);
    ask(&steady, b"ping\n", b"pong\n");
    server.wait_for_report("only one is left", |it| it.count("connections") == 1);
}

/// The first reply does not wait for the rest of the second message.
#[test]
fn a_reply_does_not_wait_for_the_next_message() {
    let server = Server::start(&[]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping 1\npin", b"pong 1\n");
    client.set_nonblocking(true).unwrap();
    let nothing = (&client).read(&mut [0; 10]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    client.set_nonblocking(false).unwrap();
    ask(&client, b"g 2\n", b"pong 2\n");
}
