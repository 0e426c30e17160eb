//! What the end makes of the pings that wait, and of the whole; in virtual time.

use pingpong::inside::client::ping::{Config, Manner, Style};
use pingpong::inside::reactor::kernel::Signal;

use super::harness::{
    AT_ONCE, GOOD, SILENT, addresses, config, lines, ms, pong, run, run_at, udp, us,
};
use super::summary::Statistics;
use crate::net::{Connect, Script, World};

/// What the summary says when SIGINT comes at some time, in milliseconds.
fn interrupted(connect: Connect, script: Script, plan: Config, at: u64) -> String {
    let world = World::new(connect, script);
    world.signal(ms(at), Signal::Stop);
    run_at(&world, plan, lines(), addresses()).results
}

fn slow_and_endless(plan: Config) -> Config {
    Config {
        interval: ms(200),
        timeout: None,
        count: None,
        ..plan
    }
}

#[test]
fn what_has_been_on_its_way_for_a_second_counts_as_sent() {
    let nobody: Connect = |_| (ms(60_000), None);
    let cases = [
        (AT_ONCE, slow_and_endless(udp())),
        (AT_ONCE, slow_and_endless(config())),
        // What has not left was due.
        (nobody, slow_and_endless(config())),
    ];
    for (connect, plan) in cases {
        // 200 ms later a second has passed since the sixteenth was due, to the millisecond.
        for (at, sent, time_ms) in [(3_799, 15, 2_800), (3_800, 16, 3_000), (3_999, 16, 3_000)] {
            let shown = interrupted(connect, SILENT, plan, at);
            let counts = format!(
                "\n{sent} packets transmitted, 0 received, {sent} in flight, 100% packet loss, \
                 time {time_ms}ms\n"
            );
            assert!(shown.ends_with(&counts), "{at} {counts}{shown}");
        }
    }
}

#[test]
fn those_in_flight_are_told_apart_from_the_lost() {
    let script: Script = |number, message| match number {
        1..=4 => vec![(us(50), pong(message))],
        _ => vec![],
    };
    let shown = interrupted(AT_ONCE, script, slow_and_endless(udp()), 1900);
    let statistics = Statistics::read(&shown);
    // Due at 0, 200, ... 1000, and a second old at 2.1 s; the younger ones never were.
    assert_eq!((statistics.sent, statistics.received), (6, 4));
    assert_eq!((statistics.in_flight, statistics.time_ms), (2, 1000));
    assert_eq!(statistics.loss, "33.3333");
    let limited = Config {
        timeout: Some(ms(1000)),
        ..slow_and_endless(udp())
    };
    // These were told as lost, a second after each.
    let statistics = Statistics::read(&interrupted(AT_ONCE, SILENT, limited, 1950));
    assert_eq!((statistics.sent, statistics.in_flight), (6, 0));
}

#[test]
fn json_tells_what_is_in_flight() {
    let world = World::new(AT_ONCE, SILENT);
    world.signal(ms(3_000), Signal::Stop);
    let json = Manner {
        style: Style::Json,
        json: true,
        ..lines()
    };
    let ran = run_at(&world, slow_and_endless(udp()), json, addresses());
    let summary = ran.results.lines().last().unwrap();
    let counts = "\"sent\":12,\"received\":0,\"in_flight\":12,\"lost\":12,";
    assert!(summary.contains(counts), "{summary}");
}

#[test]
fn the_deadline_is_no_time_out() {
    for (plan, name) in [(udp(), "udp"), (config(), "tcp")] {
        let short = Config {
            deadline: Some(ms(99)),
            count: None,
            ..plan
        };
        let ran = run(AT_ONCE, SILENT, short);
        let line = format!("{name} seq=1 no reply by the deadline, after 99 ms\n");
        assert!(ran.results.contains(&line), "{}", ran.results);
        assert!(!ran.results.contains("timed out"), "{}", ran.results);
        let counts = "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n";
        assert!(ran.results.ends_with(counts), "{}", ran.results);
        assert!(!ran.answered);
    }
}

/// The first has had its time when the deadline comes, the second has not.
#[test]
fn a_time_out_at_the_deadline_is_one() {
    let two = Config {
        interval: ms(400),
        deadline: Some(ms(500)),
        timeout: Some(ms(500)),
        count: None,
        ..udp()
    };
    let json = Manner {
        style: Style::Json,
        json: true,
        ..lines()
    };
    let ran = run_at(&World::new(AT_ONCE, SILENT), two, json, addresses());
    let lines: Vec<_> = ran.results.lines().collect();
    assert!(
        lines[1].starts_with("{\"type\":\"timeout\","),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("{\"type\":\"deadline\","),
        "{}",
        lines[2]
    );
    assert!(lines[2].ends_with(",\"time_us\":100000.0}"), "{}", lines[2]);
}

#[test]
fn every_transport_has_to_be_answered() {
    let nobody: Connect = |_| (ms(60_000), None);
    let both = Config { tcp: true, ..udp() };
    for (connect, script, plan, answered) in [
        (AT_ONCE, GOOD, both, true),
        (nobody, GOOD, both, false),
        (nobody, GOOD, udp(), true),
        (nobody, GOOD, config(), false),
        (AT_ONCE, SILENT, both, false),
    ] {
        assert_eq!(run(connect, script, plan).answered, answered);
    }
}

/// A late reply is one.
#[test]
fn a_late_reply_answers() {
    let script: Script = |_, message| vec![(ms(1500), pong(message))];
    assert!(run(AT_ONCE, script, udp()).answered);
}
