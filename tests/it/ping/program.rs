//! The real program against the real server: manners, signals and exit codes.

use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use super::harness::pong_bytes;
use super::json::Json;
use super::real::{Ended, Program, Serve, ping, udp_server};
use super::summary::Statistics;
use crate::support::{command, has_ipv6, is_ignored_here, skip};

fn assert_all_received(ended: &Ended, host: &str, count: u64) {
    let statistics = Statistics::read(&ended.stdout);
    assert_eq!(statistics.host, host);
    assert_eq!((statistics.sent, statistics.received), (count, count));
    assert_eq!(statistics.loss, "0");
    assert!(statistics.rtt_ms.is_some());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn both_transports_alone_and_side_by_side() {
    let server = Serve::start("127.0.0.1:0", &[]);
    for (options, pings) in [
        (&["-c3", "-i0.01"][..], 3),
        (&["-c3", "-i0.01", "--tcp"], 3),
        (&["-c3", "-i0.01", "--udp"], 3),
        (&["-c3", "-i0.01", "--tcp", "--udp"], 6),
        (&["-c3", "-i0.01", "--tcp", "--udp", "--rotate-port"], 6),
        (&["-c3", "-i0.01", "--udp", "-s", "60000"], 3),
        (&["-c3", "-i0.01", "--tcp", "-s", "60000"], 3),
        (&["-c3", "-i0.01", "--tcp", "--udp", "-s", "0"], 6),
        (&["-c500", "-f", "--tcp", "--udp"], 1000),
    ] {
        let ended = ping(&[options, &[&server.target()]].concat());
        assert_all_received(&ended, "127.0.0.1", pings);
    }
}

#[test]
fn several_addresses_and_ways_to_write_them() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let port = server.at.port();
    for (target, host) in [
        (format!("127.0.0.1:{port}"), "127.0.0.1"),
        (format!("localhost:{port}"), "localhost"),
        (format!(":{port}"), "localhost"),
        (port.to_string(), "localhost"),
    ] {
        let ended = ping(&["-4", "-c1", "-q", &target]);
        assert_all_received(&ended, host, 1);
    }
}

#[test]
fn ipv6() {
    if !has_ipv6() {
        return;
    }
    let server = Serve::start("[::1]:0", &[]);
    for transport in ["--tcp", "--udp"] {
        let ended = ping(&["-6", "-c2", "-i0.01", transport, &server.target()]);
        assert_all_received(&ended, "::1", 2);
        let from = format!("61 bytes from {}: ", server.target());
        assert_eq!(ended.stdout.matches(&from).count(), 2, "{}", ended.stdout);
    }
    let ended = ping(&["-4", "-c1", &server.target()]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(
        ended.stderr,
        "pingpong: cannot look up ::1: it has no IPv4 address\n"
    );
}

#[test]
fn quiet_shows_nothing_but_the_first_line_and_the_summary() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let ended = ping(&["-q", "-c2", "-i0.01", &server.target()]);
    assert_all_received(&ended, "127.0.0.1", 2);
    let lines: Vec<_> = ended.stdout.lines().collect();
    let head = format!(
        "PING 127.0.0.1 ({}) tcp 56(61) bytes of data.",
        server.target()
    );
    assert_eq!(lines[0], head);
    assert_eq!(lines[1], "");
    assert!(lines[2].starts_with("tcp connect min/avg/max = "));
    assert!(lines[3].starts_with("tcp rtt p50/p99/jitter = "));
    assert_eq!(lines.len(), 4 + 3);
}

#[test]
fn json_is_json() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let target = server.target();
    let ended = ping(&["--json", "-D", "-c2", "-i0.01", "--tcp", "--udp", &target]);
    let objects: Vec<_> = ended.stdout.lines().map(Json::read).collect();
    assert_eq!(objects.len(), 6);
    let start = &objects[0];
    assert_eq!((start.text("type"), start.count("schema")), ("start", 1));
    assert_eq!(start.text("version"), env!("CARGO_PKG_VERSION"));
    for object in &objects {
        assert!(object.number("unix_s") > 1.7e9);
        assert!(object.number("unix_time_s") > 1.7e9);
    }
    for object in &objects[1..5] {
        assert_eq!(object.text("type"), "reply");
        assert_eq!(object.text("peer"), target);
        assert_eq!(object.count("received_bytes"), 61);
        assert!(object.number("time_us") > 0.0);
        let is_first_of_tcp = object.text("transport") == "tcp" && object.count("seq") == 1;
        assert_eq!(object.get("connect_us").is_some(), is_first_of_tcp);
    }
    let summary = &objects[5];
    assert_eq!(summary.text("type"), "summary");
    assert_eq!(summary.text("host"), "127.0.0.1");
    assert_eq!((summary.count("sent"), summary.count("received")), (4, 4));
    assert_eq!(summary.get("udp").unwrap().count("sent"), 2);
    let rtt = summary.get("rtt").unwrap();
    assert!(rtt.number("min_us") <= rtt.number("p50_us"));
    assert!(rtt.number("p99_us") <= rtt.number("max_us"));

    let ended = ping(&["--json", "-q", "-c1", &target]);
    let types = ended
        .stdout
        .lines()
        .map(|line| Json::read(line).text("type").to_owned());
    assert_eq!(types.collect::<Vec<_>>(), ["start", "summary"]);
}

/// Digits and what they make up do not matter, the rest does, to the letter.
fn skeleton(text: &str) -> String {
    let mut skeleton = String::new();
    for letter in text.chars() {
        let letter = if letter.is_ascii_digit() { '0' } else { letter };
        if letter != '0' || !skeleton.ends_with('0') {
            skeleton.push(letter);
        }
    }
    skeleton
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    skeleton(&lines[lines.len() - count..].join("\n"))
}

#[test]
fn the_last_three_lines_are_those_of_ping() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let ours = ping(&["-c3", "-i0.2", &server.target()]);
    let expected = "--- 0.0.0.0 ping statistics ---\n\
                    0 packets transmitted, 0 received, 0% packet loss, time 0ms\n\
                    rtt min/avg/max/mdev = 0.0/0.0/0.0/0.0 ms";
    assert_eq!(last_lines(&ours.stdout, 3), expected);
    let theirs = command("ping").args(["-c3", "-i0.2", "127.0.0.1"]).output();
    match theirs {
        Ok(theirs) if theirs.status.success() => {
            let theirs = String::from_utf8(theirs.stdout).unwrap();
            assert_eq!(last_lines(&theirs, 3), expected);
        }
        _ => skip("no ping(8) works here"),
    }
}

#[test]
fn sigquit_tells_the_figures_and_sigint_ends_it() {
    let server = Serve::start("127.0.0.1:0", &[]);
    for end in [Signal::INT, Signal::TERM] {
        let mut program = Program::start(&["ping", "-i", "1h", &server.target()]);
        program.line();
        assert!(program.line().contains(" seq=1 "));
        program.signal(Signal::QUIT);
        let so_far = program.error_line();
        let expected = "\r0/0 packets, 0% loss, min/avg/ewma/max = 0.0/0.0/0.0/0.0 ms\n";
        assert_eq!(skeleton(&so_far), expected);
        program.signal(end);
        assert_all_received(&program.end(), "127.0.0.1", 1);
    }
}

/// A server that hangs has to leave a core where its operator asks for one.
#[test]
fn a_server_leaves_sigquit_alone() {
    if is_ignored_here(Signal::QUIT) {
        return skip("SIGQUIT is ignored by who runs this");
    }
    let mut server = Serve::start("127.0.0.1:0", &[]);
    server.program.signal(Signal::QUIT);
    let status = server.program.wait();
    assert_eq!(status.signal(), Some(Signal::QUIT.as_raw()));
}

#[test]
fn a_ping_in_flight_at_sigint_is_not_lost() {
    let (came, comes) = std::sync::mpsc::channel();
    let target = udp_server(move |_, _, _| came.send(()).unwrap());
    let program = Program::start(&["ping", "--udp", "-W", "0", &target]);
    comes.recv_timeout(super::real::GUARD).unwrap();
    program.signal(Signal::INT);
    let ended = program.end();
    let end = "\n--- 127.0.0.1 ping statistics ---\n0 packets transmitted, 0 received\n";
    assert!(ended.stdout.ends_with(end), "{}", ended.stdout);
    assert_eq!(ended.status, Some(1));
}

#[test]
fn the_deadline_ends_it() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let ended = ping(&["-w", "2", "-i", "1h", &server.target()]);
    assert_all_received(&ended, "127.0.0.1", 1);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let ended = ping(&["-w", "0.2", "-W", "0", "--udp", "-c1", &target]);
    let statistics = Statistics::read(&ended.stdout);
    assert_eq!((statistics.sent, statistics.received), (1, 0));
    assert_eq!(statistics.loss, "100");
    assert_eq!(ended.status, Some(1));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let mut program = Program::start(&["ping", "-i0.01", &server.target()]);
    program.line();
    program.line();
    program.stdout = None;
    let ended = program.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_does_not_read_stops_nothing() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let mut program = Program::start(&["ping", "-c20000", "-i0", "--json", &server.target()]);
    // This comes when all pings are done, although a pipe and all that may wait are full.
    let notice = program.error_line();
    assert!(notice.ends_with(" texts were left out: nobody read them in time\n"));
    let ended = program.end();
    let summary = Json::read(ended.stdout.lines().last().unwrap());
    assert_eq!(summary.count("received"), 20_000);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_unknown_host_is_no_ping() {
    let ended = ping(&["-c1", "no-such-host.invalid"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended
            .stderr
            .starts_with("pingpong: cannot look up no-such-host.invalid: ")
    );
    assert_eq!(ended.stderr.lines().count(), 1);
}

/// While the client stood still its ping's time ran out, and the reply came: that is a reply.
#[test]
fn a_reply_that_came_while_the_client_stood_still() {
    let (came, comes) = std::sync::mpsc::channel();
    let (answer, may_answer) = std::sync::mpsc::channel::<()>();
    let target = udp_server(move |socket, source, datagram| {
        came.send(()).unwrap();
        may_answer.recv().unwrap();
        socket.send_to(&pong_bytes(datagram), source).unwrap();
    });
    let args = ["ping", "--udp", "-c1", "-W", "1.5", "-w", "1.6", &target];
    let program = Program::start(&args);
    comes.recv_timeout(super::real::GUARD).unwrap();
    program.freeze_asleep();
    answer.send(()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1700));
    program.signal(Signal::CONT);
    let ended = program.end();
    assert!(!ended.stdout.contains("timed out"), "{}", ended.stdout);
    assert!(ended.stdout.contains(" seq=1 time="), "{}", ended.stdout);
    assert_eq!(ended.status, Some(0));
}
