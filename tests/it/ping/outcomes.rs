//! What can become of a ping, each with its own line; in virtual time.

use super::harness::{
    AT_ONCE, GOOD, SILENT, Sink, addresses, config, lines, ms, pong, pong_bytes, run, run_at,
    shows, udp, us,
};
use crate::net::{Act, Connect, Script, World};
use pingpong::inside::client::ping::{PingPlan, Pinger};
use pingpong::inside::reactor::program::Program;
use std::io;
use std::net::SocketAddr;

#[test]
fn replies_show_the_time_to_connect_apart_from_the_time_to_reply() {
    let ran = run(AT_ONCE, GOOD, config());
    shows(
        &ran,
        "PING host (10.0.0.1:8888) tcp 4(9) bytes of data.\n\
         9 bytes from 10.0.0.1:8888: tcp seq=1 connect=0.070 ms time=0.050 ms\n\
         9 bytes from 10.0.0.1:8888: tcp seq=2 time=0.050 ms\n\
         9 bytes from 10.0.0.1:8888: tcp seq=3 time=0.050 ms\n\
         \n\
         tcp connect min/avg/max = 0.070/0.070/0.070 ms, 1 connection\n\
         tcp rtt p50/p99/jitter = 0.050/0.050/0.000 ms\n\
         --- host ping statistics ---\n\
         3 packets transmitted, 3 received, 0% packet loss, time 2000ms\n\
         rtt min/avg/max/mdev = 0.050/0.050/0.050/0.000 ms\n",
    );
    assert!(ran.answered);
}

#[test]
fn side_by_side_each_line_says_which() {
    let both = PingPlan {
        tcp: true,
        count: Some(2),
        ..udp()
    };
    let ran = run(AT_ONCE, GOOD, both);
    shows(
        &ran,
        "PING host (10.0.0.1:8888) tcp+udp 4(9) bytes of data.\n\
         9 bytes from 10.0.0.1:8888: tcp seq=1 connect=0.070 ms time=0.050 ms\n\
         9 bytes from 10.0.0.1:8888: udp seq=1 time=0.050 ms\n\
         9 bytes from 10.0.0.1:8888: tcp seq=2 time=0.050 ms\n\
         9 bytes from 10.0.0.1:8888: udp seq=2 time=0.050 ms\n\
         \n\
         tcp 2 packets transmitted, 2 received, 0% packet loss\n\
         tcp connect min/avg/max = 0.070/0.070/0.070 ms, 1 connection\n\
         tcp rtt p50/p99/jitter = 0.050/0.050/0.000 ms\n\
         udp 2 packets transmitted, 2 received, 0% packet loss\n\
         udp rtt p50/p99/jitter = 0.050/0.050/0.000 ms\n\
         --- host ping statistics ---\n\
         4 packets transmitted, 4 received, 0% packet loss, time 1010ms\n\
         rtt min/avg/max/mdev = 0.050/0.050/0.050/0.000 ms\n",
    );
}

#[test]
fn a_silent_server_times_out_and_the_next_ping_connects_anew() {
    let world = World::new(AT_ONCE, SILENT);
    let ran = run_at(&world, config(), lines(), addresses());
    shows(
        &ran,
        "PING host (10.0.0.1:8888) tcp 4(9) bytes of data.\n\
         From 10.0.0.1:8888: tcp seq=1 timed out: no reply within 1000 ms\n\
         From 10.0.0.1:8888: tcp seq=2 timed out: no reply within 1000 ms\n\
         From 10.0.0.1:8888: tcp seq=3 timed out: no reply within 1000 ms\n\
         \n\
         tcp connect min/avg/max = 0.070/0.070/0.070 ms, 3 connections\n\
         --- host ping statistics ---\n\
         3 packets transmitted, 0 received, 100% packet loss, time 2000ms\n",
    );
    assert!(!ran.answered);
    assert_eq!(world.opened(), 3);
}

#[test]
fn a_server_that_cannot_be_reached_times_out_while_connecting() {
    let ran = run(|_| (ms(60_000), None), GOOD, config());
    assert_eq!(
        ran.results
            .matches("timed out: no connection within 1000 ms")
            .count(),
        3,
        "{}",
        ran.results
    );
}

#[test]
fn a_late_reply_is_told_and_counts_as_received() {
    let script: Script = |_, message| {
        let is_first = message.starts_with(b"ping 001");
        let after = if is_first { ms(1500) } else { us(50) };
        vec![(after, pong(message))]
    };
    for (config, name, connect) in [(config(), "tcp", " connect=0.070 ms"), (udp(), "udp", "")] {
        let ran = run(AT_ONCE, script, config);
        let expected = [
            format!("From 10.0.0.1:8888: {name} seq=1 timed out: no reply within 1000 ms\n"),
            format!("9 bytes from 10.0.0.1:8888: {name} seq=1{connect} time=1500 ms (late)\n"),
            "3 packets transmitted, 3 received, 0% packet loss, time 2000ms\n".into(),
            format!("{name} late = 1 of those received\n"),
        ];
        for line in expected {
            assert!(ran.results.contains(&line), "{line}{}", ran.results);
        }
    }
}

#[test]
fn a_duplicate_is_told_and_counts_apart() {
    let script: Script = |_, message| vec![(us(50), pong(message)), (us(80), pong(message))];
    for (config, name) in [(config(), "tcp"), (udp(), "udp")] {
        let ran = run(AT_ONCE, script, config);
        let line = format!("9 bytes from 10.0.0.1:8888: {name} seq=1 time=0.080 ms (DUP!)\n");
        assert!(ran.results.contains(&line), "{}", ran.results);
        // The last one's duplicate comes when all is over.
        let counts = "3 packets transmitted, 3 received, +2 duplicates, 0% packet loss";
        assert!(ran.results.contains(counts), "{}", ran.results);
        assert!(ran.results.ends_with("0.050/0.050/0.050/0.000 ms\n"));
    }
}

#[test]
fn a_wrong_reply_is_shown_and_ends_its_ping() {
    let script: Script = |_, message| {
        let mut reply = pong_bytes(message);
        if message.starts_with(b"ping 002") {
            reply[7] ^= 0x80;
        }
        vec![(us(50), Act::Send(reply))]
    };
    for (config, name, connections) in [(config(), "tcp", 2), (udp(), "udp", 1)] {
        let world = World::new(AT_ONCE, script);
        let ran = run_at(&world, config, lines(), addresses());
        let line =
            format!("From 10.0.0.1:8888: {name} seq=2 wrong reply of 9 bytes: pong 00\\xb2\\n\n");
        assert!(ran.results.contains(&line), "{line}{}", ran.results);
        let counts = "3 packets transmitted, 2 received, +1 errors, 33.3333% packet loss";
        assert!(ran.results.contains(counts), "{}", ran.results);
        assert_eq!(world.opened(), connections);
    }
}

#[test]
fn what_nobody_asked_for_is_told_without_a_number() {
    let script: Script = |_, message| {
        vec![
            (us(50), pong(message)),
            (us(90), Act::Send(b"hello\n".to_vec())),
        ]
    };
    let ran = run(AT_ONCE, script, udp());
    let line = "From 10.0.0.1:8888: udp wrong reply of 6 bytes: hello\\n\n";
    assert_eq!(ran.results.matches(line).count(), 2, "{}", ran.results);
    assert!(
        ran.results
            .contains("3 received, +2 errors, 0% packet loss")
    );
}

#[test]
fn half_a_reply_is_told_as_such() {
    let script: Script = |_, message| {
        let half = pong_bytes(message)[..5].to_vec();
        vec![(us(50), Act::Send(half)), (us(60), Act::Close)]
    };
    let ran = run(AT_ONCE, script, config());
    let line = "From 10.0.0.1:8888: tcp seq=2 connection closed after 5 bytes of the reply\n";
    assert!(ran.results.contains(line), "{}", ran.results);
}

#[test]
fn a_reply_that_comes_byte_by_byte_is_timed_by_its_last() {
    let script: Script = |_, message| {
        let reply = pong_bytes(message).into_iter();
        reply
            .zip(1..)
            .map(|(byte, number)| (us(number * 100), Act::Send(vec![byte])))
            .collect()
    };
    let ran = run(AT_ONCE, script, config());
    assert!(ran.results.ends_with("= 0.900/0.900/0.900/0.000 ms\n"));
}

#[test]
fn a_reset_and_a_close_are_told_and_the_next_ping_connects_anew() {
    let cases: [(Script, &str); 2] = [
        (
            |_, _| vec![(us(50), Act::Fail(io::ErrorKind::ConnectionReset))],
            "connection reset before the reply",
        ),
        (
            |_, _| vec![(us(50), Act::Close)],
            "connection closed before the reply",
        ),
    ];
    for (script, what) in cases {
        let world = World::new(AT_ONCE, script);
        let ran = run_at(&world, config(), lines(), addresses());
        let line = format!("From 10.0.0.1:8888: tcp seq=3 {what}\n");
        assert!(ran.results.contains(&line), "{}", ran.results);
        let counts = "3 packets transmitted, 0 received, +3 errors, 100% packet loss";
        assert!(ran.results.contains(counts), "{}", ran.results);
        assert_eq!((world.opened(), world.open()), (3, 0));
    }
}

#[test]
fn a_server_that_closes_after_each_reply_is_connected_to_anew() {
    let script: Script = |_, message| vec![(us(50), pong(message)), (us(50), Act::Close)];
    let ran = run(AT_ONCE, script, config());
    let lines = ran
        .results
        .matches("connect=0.070 ms time=0.050 ms")
        .count();
    assert_eq!(lines, 3, "{}", ran.results);
    assert!(ran.results.contains("3 received, 0% packet loss"));
}

#[test]
fn refusals_are_told_over_both_transports() {
    let refused: Connect = |_| (us(30), Some(io::ErrorKind::ConnectionRefused));
    let unreachable: Script = |_, _| vec![(us(30), Act::Fail(io::ErrorKind::ConnectionRefused))];
    let both = PingPlan { tcp: true, ..udp() };
    let world = World::new(refused, unreachable);
    let ran = run_at(&world, both, lines(), addresses());
    for line in [
        "From 10.0.0.1:8888: tcp seq=3 connection refused\n",
        "From 10.0.0.1:8888: udp seq=3 refused: the port is unreachable\n",
        "\n6 packets transmitted, 0 received, +6 errors, 100% packet loss, time 2010ms\n",
    ] {
        assert!(ran.results.contains(line), "{line}{}", ran.results);
    }
    // The datagram socket goes on.
    assert_eq!(world.opened(), 3 + 1);
}

#[test]
fn a_name_with_several_addresses_is_pinged_at_the_one_that_works() {
    let first_refuses: Connect = |peer| match peer {
        SocketAddr::V6(_) => (us(30), Some(io::ErrorKind::ConnectionRefused)),
        SocketAddr::V4(_) => (us(70), None),
    };
    let two = vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()];
    let ran = run_at(
        &World::new(first_refuses, GOOD),
        config(),
        lines(),
        two.clone(),
    );
    let line = "9 bytes from 127.0.0.1:1: tcp seq=1 connect=0.070 ms time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    // It is sent once, to the one that works.
    let counts = "3 packets transmitted, 3 received, 0% packet loss";
    assert!(ran.results.contains(counts), "{}", ran.results);

    let every_one_refuses: Connect = |_| (us(30), Some(io::ErrorKind::ConnectionRefused));
    let world = World::new(every_one_refuses, GOOD);
    let ran = run_at(&world, config(), lines(), two);
    let line = "From 127.0.0.1:1: tcp seq=3 connection refused\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    assert!(ran.results.contains("0 received, +3 errors"));
    assert_eq!(world.opened(), 6);
}

#[test]
fn over_udp_a_refused_ping_goes_to_the_next_address() {
    let script: Script = |_, message| vec![(us(50), pong(message))];
    let world = World::new(AT_ONCE, script);
    let two = vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()];
    world.close(two[0]);
    let ran = run_at(&world, udp(), lines(), two);
    let line = "9 bytes from 127.0.0.1:1: udp seq=1 time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    assert!(ran.results.contains("3 received, 0% packet loss"));
}

#[test]
fn what_the_kernel_refuses_is_told_at_once() {
    let world = World::new(AT_ONCE, GOOD);
    world.lose_route();
    let results = Sink::default();
    let sinks = (results.clone(), Sink::default());
    let host = ("host".into(), addresses());
    let mut pinger = Pinger::new(world.clone(), config(), lines(), host, sinks);
    while !results.text().contains("tcp seq=1 network unreachable\n") {
        assert!(pinger.turn().unwrap().is_none());
        assert_eq!(world.elapsed(), ms(0), "{}", results.text());
    }
    assert!(!pinger.ping().unwrap());
    let counts = "3 packets transmitted, 0 received, +3 errors, 100% packet loss";
    assert!(results.text().contains(counts), "{}", results.text());
}

#[test]
fn whatever_came_at_once_is_told_at_once() {
    let script: Script = |_, message| vec![(us(50), pong(message)); 100];
    let ran = run(AT_ONCE, script, udp());
    let line = "9 bytes from 10.0.0.1:8888: udp seq=1 time=0.050 ms (DUP!)\n";
    assert_eq!(ran.results.matches(line).count(), 99, "{}", ran.results);
}

#[test]
fn a_stream_of_wrong_lines_is_cut_off() {
    let script: Script = |_, _| vec![(us(50), Act::Send(vec![b'\n'; 60_000])); 10];
    let world = World::new(AT_ONCE, script);
    let ran = run_at(&world, config(), lines(), addresses());
    // One ends the ping, and one shows that there are more.
    let line = " wrong reply of 1 bytes: \\n\n";
    assert_eq!(
        ran.results.matches(line).count(),
        2 + 2 + 2,
        "{}",
        ran.results
    );
    assert!(
        ran.results
            .contains("3 packets transmitted, 0 received, +6 errors, 100%")
    );
    assert_eq!(world.opened(), 3);
}

/// With -O a ping that still waits when the next is due is told then, and again with its reply; one that
/// has its reply, or has timed out, is not.
#[test]
fn who_waits_when_the_next_is_due_is_told() {
    let script: Script = |number, message| match number {
        1 => vec![(ms(1500), pong(message))],
        2 => vec![],
        _ => vec![(ms(1), pong(message))],
    };
    for over_udp in [false, true] {
        let plan = PingPlan {
            tells_waiting: true,
            timeout: Some(ms(1700)),
            count: Some(4),
            ..if over_udp { udp() } else { config() }
        };
        let told = |plan| {
            let ran = run(AT_ONCE, script, plan);
            let lines = ran
                .results
                .lines()
                .filter(|line| line.contains("no answer yet"));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let lines = told(plan);
        let transport = if over_udp { "udp" } else { "tcp" };
        let expected = |seq| format!("{transport} seq={seq} no answer yet, after 1000 ms");
        assert!(lines[0].ends_with(&expected(1)), "{lines:#?}");
        assert!(lines.len() <= 2, "{lines:#?}");
        let silent = PingPlan {
            tells_waiting: false,
            ..plan
        };
        assert_eq!(told(silent), [""; 0]);
    }
}
