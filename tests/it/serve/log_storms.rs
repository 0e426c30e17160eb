//! What the log promises of storms: how many lines in a second, and how many are told as lost, to
//! the number.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::{ask, connect, expect};
use crate::support::server::{Server, pingpong};
use crate::support::until;

/// Each ping is one line at `-vv`.
fn storm(client: &TcpStream, pings: usize) {
    let burst = b"ping\n".repeat(pings);
    std::thread::scope(|scope| {
        let mut writer = client;
        scope.spawn(move || writer.write_all(&burst).unwrap());
        expect(client, &b"pong\n".repeat(pings));
    });
}

/// How many lines each notice has told as lost.
fn told(lines: &[String]) -> Vec<u64> {
    let notices = lines.iter().filter_map(|line| {
        let (head, _) = line.split_once(" log lines were left out")?;
        let (head, count) = head.rsplit_once(' ')?;
        assert!(head.ends_with(" WARN "), "{line}");
        count.parse().ok()
    });
    notices.collect()
}

fn messages(lines: &[String]) -> u64 {
    lines
        .iter()
        .filter(|line| line.contains(" message of 5 bytes"))
        .count() as u64
}

/// Pings now and then until what was lost has been told; returns how many pings that took.
fn ping_until_told(server: &Server, client: &TcpStream, notices: usize) -> u64 {
    let mut pings = 0;
    until("the loss is told", || {
        ask(client, b"ping\n", b"pong\n");
        pings += 1;
        told(&server.lines()).len() >= notices
    });
    pings
}

/// How many lines there are in each second of their own time.
fn by_second(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut in_second = BTreeMap::new();
    for line in lines {
        let (second, _) = line.split_once(' ').unwrap();
        *in_second.entry(second).or_insert(0) += 1;
    }
    in_second
}

/// No second has more than may be.
fn assert_limited(lines: &[String]) {
    let in_second = by_second(lines);
    let most = in_second.values().max().unwrap();
    assert!(*most <= 1000, "{in_second:?}");
}

/// Twice, as what is told must begin anew.
#[test]
fn what_two_storms_lose_is_told_to_the_number() {
    let server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    let mut pings = 0;
    for storms in 1..=2 {
        storm(&client, 5000);
        pings += 5000 + ping_until_told(&server, &client, storms);
        // One long storm that the limit interrupts is told more than once; then this is over.
        let told: u64 = told(&server.lines()).iter().sum();
        until("all is told", || {
            ask(&client, b"ping\n", b"pong\n");
            pings += 1;
            let lines = server.lines();
            messages(&lines) + self::told(&lines).iter().sum::<u64>() == pings
        });
        // How many depends on how many seconds this host took; that all are accounted for does not.
        assert!(told > 0, "it was no storm");
    }
    // The pings have used up this second's lines; those of the report are to have all of another.
    std::thread::sleep(Duration::from_millis(1100));
    server.report();
    // On a busy host the test may read too slowly for a while: then the pipe was full, which is a
    // reason of its own, a line behind the other, and told in the same numbers.
    until("the counters are what was told", || {
        let lines = server.lines();
        let counters = lines.iter().filter_map(|line| {
            let (_, counter) = line.split_once(" log_lines_lost_total")?;
            let (reason, count) = counter.rsplit_once(' ')?;
            Some((reason, count.parse::<u64>().unwrap()))
        });
        let counters: BTreeMap<_, _> = counters.collect();
        let is_storm = counters.contains_key("{reason=\"storm\"}");
        is_storm && counters.values().sum::<u64>() == told(&lines).iter().sum::<u64>()
    });
    let lines = server.lines();
    assert_limited(&lines);
}

/// A storm that goes on for seconds, as fast as the server answers.
#[test]
fn no_second_of_a_storm_has_too_many_lines() {
    let server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    let mut pings = 0;
    until("it has gone on for two whole seconds", || {
        storm(&client, 2000);
        pings += 2000;
        by_second(&server.lines()).len() >= 4
    });
    let lines = server.lines();
    assert_limited(&lines);
    // The first and the last are parts, and the limit does not end at a second's end.
    let written: usize = by_second(&lines).values().sum();
    assert!(written >= 2000, "{written} lines in more than two seconds");
    assert!(pings > 2 * written, "it is no storm");
}

/// What is lost last is told too, although no line follows.
#[test]
fn a_server_that_ends_in_a_storm_tells_what_it_lost() {
    let mut server = Server::start(&["-vv"]);
    let client = connect(server.tcp[0]);
    storm(&client, 5000);
    server.signal(Signal::TERM);
    drop(client);
    assert_eq!(server.wait_for_exit(), Some(0));
    // Those that come with the end: it is closed, it has stopped.
    let also_lost = 0..=3;
    until("it is told", || {
        let lines = server.lines();
        let lost: u64 = told(&lines).iter().sum();
        let all = messages(&lines) + lost;
        (5000..=5000 + also_lost.end()).contains(&all)
    });
    assert_limited(&server.lines());
}

/// What is lost is told, whatever is logged.
#[test]
fn a_notice_passes_every_filter() {
    let mut command = pingpong(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("RUST_LOG", "pingpong=trace,pingpong::inside::logging=off");
    let server = Server::spawn(command);
    let client = connect(server.tcp[0]);
    storm(&client, 5000);
    ping_until_told(&server, &client, 1);
}
