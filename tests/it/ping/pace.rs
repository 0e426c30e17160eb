//! When pings leave, and when it all ends; in virtual time.

use super::harness::{
    AT_ONCE, GOOD, SILENT, Sink, addresses, config, lines, ms, pong, run, run_at, udp, us,
};
use crate::net::{Script, World};
use pingpong::inside::client::ping::{Config, IDLE_LINKS_MAX, LINKS_MAX, Manner, Pinger, Style};
use pingpong::inside::reactor::kernel::Signal;
use pingpong::inside::reactor::program::Program;
use std::time::Duration;

#[test]
fn each_ping_of_rotate_port_comes_from_a_new_port_and_shows_it() {
    let rotate = Config {
        tcp: true,
        rotate_port: true,
        ..udp()
    };
    let manner = Manner {
        ports: true,
        ..lines()
    };
    let world = World::new(AT_ONCE, GOOD);
    let ran = run_at(&world, rotate, manner, addresses());
    for line in [
        "tcp seq=1 port=50001 connect=0.070 ms time=0.050 ms\n",
        "udp seq=1 port=50002 time=0.050 ms\n",
        "tcp seq=3 port=50005 connect=0.070 ms time=0.050 ms\n",
        "udp seq=3 port=50006 time=0.050 ms\n",
    ] {
        assert!(ran.results.contains(line), "{line}{}", ran.results);
    }
    assert_eq!(world.shut_down(), 3);
}

#[test]
fn links_that_nobody_answers_on_are_closed_in_time() {
    let many = Config {
        count: Some(1200),
        interval: ms(1),
        rotate_port: true,
        tcp: true,
        ..udp()
    };
    let world = World::new(AT_ONCE, SILENT);
    let results = Sink::default();
    let sinks = (results.clone(), Sink::default());
    let quiet = Manner {
        style: Style::Quiet,
        ..lines()
    };
    let host = ("host".into(), addresses());
    let mut pinger = Pinger::new(world.clone(), many, quiet, host, sinks);
    while pinger.turn().unwrap().is_none() {
        assert!(world.open() <= 2 * LINKS_MAX, "{}", world.open());
    }
    assert_eq!(world.opened(), 2 * 1200);
}

#[test]
fn few_links_are_kept_for_late_replies_alone() {
    let hurried = Config {
        count: Some(50),
        timeout: Some(ms(500)),
        ..config()
    };
    let world = World::new(AT_ONCE, SILENT);
    let sinks = (Sink::default(), Sink::default());
    let host = ("host".into(), addresses());
    let mut pinger = Pinger::new(world.clone(), hurried, lines(), host, sinks);
    while pinger.turn().unwrap().is_none() {
        assert!(world.open() <= IDLE_LINKS_MAX + 1, "{}", world.open());
    }
    assert_eq!(world.opened(), 50);
}

#[test]
fn a_flood_pings_as_soon_as_it_is_answered_and_after_10_ms_at_most() {
    let script: Script = |number, message| match number {
        2 => vec![],
        _ => vec![(us(50), pong(message))],
    };
    let flood = Config {
        interval: Duration::ZERO,
        count: Some(4),
        ..udp()
    };
    let dots = Manner {
        style: Style::Dots,
        ..lines()
    };
    let ran = run_at(&World::new(AT_ONCE, script), flood, dots, addresses());
    let dots = ".\u{8} \u{8}..\u{8} \u{8}.\u{8} \u{8}\n";
    assert!(ran.results.contains(dots), "{:?}", ran.results);
    // 50 us, 10 ms, 50 us between the four.
    let counts = "4 packets transmitted, 3 received, 25% packet loss, time 10ms\n";
    assert!(ran.results.contains(counts), "{}", ran.results);
}

#[test]
fn several_pings_are_in_flight_where_replies_take_longer_than_the_interval() {
    let script: Script = |_, message| vec![(ms(500), pong(message))];
    for payload_bytes in [0, 1, 2, 4, 30] {
        for config in [config(), udp()] {
            let fast = Config {
                interval: ms(100),
                count: Some(20),
                payload_bytes,
                ..config
            };
            let ran = run(AT_ONCE, script, fast);
            let end = "20 packets transmitted, 20 received, 0% packet loss, time 1900ms\n\
                       rtt min/avg/max/mdev = 500.000/500.000/500.000/0.000 ms\n";
            assert!(
                ran.results.ends_with(end),
                "{payload_bytes}\n{}",
                ran.results
            );
        }
    }
}

#[test]
fn the_deadline_ends_it_and_counts_replies_not_pings() {
    let script: Script = |number, message| match number {
        1 | 2 => vec![],
        _ => vec![(us(50), pong(message))],
    };
    let until = Config {
        deadline: Some(ms(60_000)),
        count: Some(2),
        ..udp()
    };
    let ran = run(AT_ONCE, script, until);
    let counts = "4 packets transmitted, 2 received, 50% packet loss, time 3000ms\n";
    assert!(ran.results.contains(counts), "{}", ran.results);

    let short = Config {
        deadline: Some(ms(2500)),
        count: None,
        ..udp()
    };
    let ran = run(AT_ONCE, SILENT, short);
    for line in [
        "udp seq=3 no reply by the deadline, after 500 ms\n",
        "3 packets transmitted, 0 received, 100% packet loss, time 2000ms\n",
    ] {
        assert!(ran.results.contains(line), "{}", ran.results);
    }
}

#[test]
fn what_is_in_flight_when_the_user_ends_it_is_not_lost() {
    let slow: Script = |_, message| vec![(ms(150), pong(message))];
    let slower: Script = |_, message| vec![(ms(250), pong(message))];
    for (script, counts, end) in [
        (
            slow,
            "2 packets transmitted, 2 received, 0% packet loss",
            1150,
        ),
        (
            slower,
            "1 packets transmitted, 1 received, 0% packet loss",
            1220,
        ),
    ] {
        let world = World::new(AT_ONCE, script);
        world.signal(ms(1020), Signal::Stop);
        let start = world.elapsed();
        let ran = run_at(&world, udp(), lines(), addresses());
        assert!(ran.results.contains(counts), "{}", ran.results);
        assert_eq!(world.elapsed() - start, ms(end));
    }
    let world = World::new(AT_ONCE, SILENT);
    world.signal(ms(500), Signal::Stop);
    world.signal(ms(510), Signal::Stop);
    let ran = run_at(&world, udp(), lines(), addresses());
    assert!(
        ran.results
            .ends_with("---\n0 packets transmitted, 0 received\n")
    );
    assert_eq!(world.elapsed(), ms(510));
    assert!(!ran.answered);
}

#[test]
fn the_figures_so_far_go_to_the_status() {
    let world = World::new(AT_ONCE, |number, message| match number {
        2 => vec![],
        1 => vec![(us(80), pong(message))],
        _ => vec![(us(160), pong(message))],
    });
    for at in [500, 2500] {
        world.signal(ms(at), Signal::Report);
    }
    let four = Config {
        count: Some(4),
        ..udp()
    };
    let ran = run_at(&world, four, lines(), addresses());
    assert_eq!(
        ran.status,
        "\r1/1 packets, 0% loss, min/avg/ewma/max = 0.080/0.080/0.080/0.080 ms\n\
         \r2/3 packets, 33% loss, min/avg/ewma/max = 0.080/0.120/0.090/0.160 ms\n"
    );
}

#[test]
fn pings_that_a_stopped_client_missed_are_not_made_up_for() {
    let world = World::new(AT_ONCE, GOOD);
    let results = Sink::default();
    let sinks = (results.clone(), Sink::default());
    let host = ("host".into(), addresses());
    let mut pinger = Pinger::new(world.clone(), udp(), lines(), host, sinks);
    while !results.text().contains("seq=1 ") {
        assert!(pinger.turn().unwrap().is_none());
    }
    world.stall(ms(9_500));
    assert!(pinger.ping().unwrap());
    let counts = "3 packets transmitted, 3 received, 0% packet loss, time 11500ms\n";
    assert!(results.text().contains(counts), "{}", results.text());
}

/// A round trip is what the kernel and the peer take: from the call that sends to the wait's end.
/// What the client does before and after, reading included, is in none.
#[test]
fn the_clients_own_work_is_in_no_round_trip() {
    for config in [config(), udp()] {
        let flood = Config {
            interval: ms(0),
            ..config
        };
        let world = World::new(AT_ONCE, GOOD);
        world.each_read_takes(us(300));
        let ran = run_at(&world, flood, lines(), addresses());
        let times = ran.results.matches(" time=0.050 ms").count();
        assert_eq!(times, 3, "{}", ran.results);
        let figures = "rtt min/avg/max/mdev = 0.050/0.050/0.050/0.000 ms";
        assert!(ran.results.contains(figures), "{}", ran.results);
        assert!(world.elapsed() >= us(3 * 350));
    }
}
