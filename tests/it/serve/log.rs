//! The log: what it says at each level, how much of it, and that it waits for nobody.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStderr, Stdio};
use std::time::Instant;

use rustix::io::ioctl_fionread;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::client::{ask, connect, expect, replies_to, udp};
use crate::support::server::{Reaped, Server, pingpong};
use crate::support::until;

#[test]
fn one_v_shows_connections_with_their_peers_and_reasons() {
    let server = Server::start(&["-v", "--max-message", "10"]);
    let client = connect(server.tcp[0]);
    let peer = client.local_addr().unwrap();
    ask(&client, b"ping\n", b"pong\n");
    assert!(
        server
            .wait_for_line(&format!("{peer} connected"))
            .contains(" DEBUG ")
    );
    drop(client);
    server.wait_for_line(&format!("{peer} closed: peer_closed"));

    let client = connect(server.tcp[0]);
    let peer = client.local_addr().unwrap();
    ask(
        &client,
        b"ping 67890\n",
        b"error message longer than 10 bytes\n",
    );
    drop(client);
    server.wait_for_line(&format!("{peer} closed: message_too_long"));
    assert!(
        !server
            .lines()
            .iter()
            .any(|line| line.contains("message of"))
    );
}

#[test]
fn two_v_show_messages() {
    let server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    let peer = client.local_addr().unwrap();
    ask(&client, b"ping \x00\xff\r\n", b"pong \x00\xff\r\n");
    let line = server.wait_for_line(&format!("{peer} message of 9 bytes: "));
    assert!(
        line.ends_with(r"ping \x00\xff\r\n") && line.contains(" TRACE "),
        "{line}"
    );

    let datagrams = udp([127, 0, 0, 1]);
    let peer = datagrams.local_addr().unwrap();
    replies_to(&datagrams, server.udp[0], &[b"hello\n"]);
    let line = server.wait_for_line(&format!("{peer} datagram of 6 bytes: "));
    assert!(line.ends_with(r"hello\n"), "{line}");
}

/// A wildcard sees IPv4 clients by addresses that are mapped into IPv6; people know them by their
/// own.
#[test]
fn peers_are_shown_by_the_addresses_that_people_know() {
    let server = Server::start_at(&[":0"], &["-vv"]);
    let at = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let client = connect(at);
    ask(&client, b"ping\n", b"pong\n");
    server.wait_for_line(&format!(" {} connected", client.local_addr().unwrap()));
    let datagrams = udp([127, 0, 0, 1]);
    replies_to(&datagrams, at, &[b"ping"]);
    server.wait_for_line(&format!(" {} datagram of", datagrams.local_addr().unwrap()));
}

/// However long a message is, its line is not.
#[test]
fn long_messages_are_cut_in_the_log() {
    let server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    (&client)
        .write_all(format!("{}\n", "\u{1}".repeat(60_000)).as_bytes())
        .unwrap();
    expect(&client, b"pong\n");
    assert!(server.wait_for_line("message of 60001 bytes").len() < 500);
}

#[test]
fn without_v_there_is_no_word_about_peers() {
    let server = Server::start(&[]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    drop(client);
    server.wait_for_report("it is gone", |it| it.count("connections") == 0);
    assert!(server.lines().iter().all(|line| line.contains(" INFO ")));
}

#[test]
fn the_environment_sets_the_level_and_flags_win() {
    let args = ["serve", "--listen", "127.0.0.1:0"];
    let mut command = pingpong(&args);
    command.env("RUST_LOG", "debug");
    let server = Server::spawn(command);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.wait_for_line(" connected");

    let mut command = pingpong(&[&args[..], &["-v"]].concat());
    command.env("RUST_LOG", "error");
    let server = Server::spawn(command);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.wait_for_line(" connected");
}

/// More messages at once than the log takes in a second: it takes what it says and counts the
/// others.
#[test]
fn a_storm_is_limited() {
    const MESSAGES: usize = 20_000;
    let start = Instant::now();
    let server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    let burst = b"ping\n".repeat(MESSAGES);
    std::thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(&burst).unwrap());
        expect(&client, &b"pong\n".repeat(MESSAGES));
    });
    // It is told with the first line that is written after it.
    until("the loss is told", || {
        ask(&client, b"ping\n", b"pong\n");
        server
            .lines()
            .iter()
            .any(|line| line.contains(" log lines were left out"))
    });
    let line = server.wait_for_line(" log lines were left out");
    let lines = server.lines().len();
    let most = 1000.0 * (start.elapsed().as_secs_f64() + 1.0);
    let written = f64::from(u32::try_from(lines).unwrap());
    assert!(written <= most, "{lines} lines");
    assert!(line.contains(" WARN "), "{line}");
}

/// A server that logs each message into a pipe, and the pipe.
struct Piped {
    _child: Reaped,
    stderr: Option<BufReader<ChildStderr>>,
    at: SocketAddr,
}

impl Piped {
    fn start() -> Self {
        let mut command = pingpong(&["serve", "--listen", "127.0.0.1:0", "-vv"]);
        let mut child = Reaped(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut stderr = BufReader::with_capacity(1, child.0.stderr.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            stderr.read_line(line).unwrap();
        }
        let (_, at) = lines[1]
            .trim_end()
            .split_once("listening on udp://")
            .unwrap();
        let at = at.parse().unwrap();
        let stderr = Some(stderr);
        Self {
            _child: child,
            stderr,
            at,
        }
    }

    fn assert_serves(&self) {
        ask(&connect(self.at), b"hello\n", b"pong\n");
        assert_eq!(
            replies_to(&udp([127, 0, 0, 1]), self.at, &[b"ping"]),
            [b"pong"]
        );
    }
}

/// Nobody reads standard error: the pipe fills up, the server goes on, and lines are lost instead.
#[test]
fn a_full_pipe_blocks_nothing() {
    let mut server = Piped::start();
    let mut stderr = server.stderr.take().unwrap();
    let client = connect(server.at);
    let mut pending_bytes = 0;
    until("the pipe is full", || {
        let burst = b"ping, and a payload that makes the line longer\n".repeat(500);
        (&client).write_all(&burst).unwrap();
        expect(
            &client,
            &b"pong, and a payload that makes the line longer\n".repeat(500),
        );
        let before = pending_bytes;
        pending_bytes = ioctl_fionread(stderr.get_ref()).unwrap();
        // Less than what poll(2) asks for is left of its 64 KiB.
        pending_bytes == before && pending_bytes > 60_000
    });
    server.assert_serves();
    // Every line in it is whole.
    let mut line = String::new();
    let mut is_told = false;
    while ioctl_fionread(stderr.get_ref()).unwrap() > 0 {
        line.clear();
        stderr.read_line(&mut line).unwrap();
        assert!(line.starts_with("20") && line.ends_with('\n'), "{line:?}");
        is_told |= line.contains(" log lines were left out");
    }
    // And the log goes on: with the next line, unless somebody's end was one in time.
    ask(&client, b"ping\n", b"pong\n");
    line.clear();
    stderr.read_line(&mut line).unwrap();
    assert!(
        is_told || line.contains(" log lines were left out"),
        "{line:?}"
    );
}

/// Nobody is there to read it at all.
#[test]
fn a_closed_standard_error_stops_nothing() {
    let mut server = Piped::start();
    server.stderr = None;
    server.assert_serves();
    server.assert_serves();
}

/// Standard error is a terminal that nobody reads. There poll(2) tells of room although a whole line
/// has none.
#[test]
fn a_terminal_that_nobody_reads_blocks_nothing() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let child = pingpong(&["serve", "--listen", "127.0.0.1:0", "-vv"])
        .stdin(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    let _child = Reaped(child);
    let mut screen = BufReader::new(File::from(master));
    let mut line = String::new();
    while !line.contains("udp://") {
        line.clear();
        screen.read_line(&mut line).unwrap();
    }
    let (_, at) = line.trim_end().split_once("udp://").unwrap();
    let client = connect(at.parse().unwrap());
    // Some lines fit; long before the last the terminal is full.
    for _ in 0..2000 {
        ask(&client, b"ping\n", b"pong\n");
    }
}
