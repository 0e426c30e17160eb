//! Which of several addresses is pinged, and when that is known; in virtual time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pingpong::inside::client::candidates::PATIENCE;
use pingpong::inside::client::ping::{Config, Manner, Pinger, Style};
use pingpong::inside::reactor::program::Program;

use super::harness::{AT_ONCE, GOOD, SILENT, Sink, config, lines, ms, run_at, udp, us};
use crate::net::{Act, Connect, World};

/// Nobody answers at the IPv6 one.
const V4_ALONE: Connect = |peer| match peer {
    SocketAddr::V6(_) => (ms(60_000), None),
    SocketAddr::V4(_) => (us(70), None),
};

fn two() -> Vec<SocketAddr> {
    vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()]
}

/// A world in which the first of two addresses says nothing, over either transport.
fn first_is_silent() -> World {
    let world = World::new(V4_ALONE, GOOD);
    world.mute(two()[0]);
    world
}

fn took(world: &World, expected: Duration) {
    let range = expected..expected + ms(1);
    assert!(range.contains(&world.elapsed()), "{:?}", world.elapsed());
}

/// It is answered within the same ping, whose time is that of the socket that is in use.
#[test]
fn a_silent_address_gives_way_to_the_next_within_the_first_ping() {
    for (config, name, connect) in [(config(), "tcp", " connect=0.070 ms"), (udp(), "udp", "")] {
        for timeout in [Some(ms(1000)), None] {
            let one = Config {
                count: Some(1),
                timeout,
                ..config
            };
            let world = first_is_silent();
            let ran = run_at(&world, one, lines(), two());
            let expected = format!(
                "PING host (127.0.0.1:1) {name} 4(9) bytes of data.\n\
                 9 bytes from 127.0.0.1:1: {name} seq=1{connect} time=0.050 ms\n\n"
            );
            assert!(ran.results.starts_with(&expected), "{}", ran.results);
            assert!(
                ran.results
                    .contains("1 packets transmitted, 1 received, 0%")
            );
            took(&world, PATIENCE);
        }
    }
}

#[test]
fn all_addresses_get_their_chance_within_a_short_first_ping() {
    let last_alone: Connect = |peer| match peer.port() {
        4 => (us(70), None),
        _ => (ms(60_000), None),
    };
    let four: Vec<SocketAddr> = (1..=4).map(|port| ([10, 0, 0, 1], port).into()).collect();
    for (timeout, deadline) in [(Some(ms(100)), None), (None, Some(ms(100)))] {
        let hurried = Config {
            count: Some(1),
            timeout,
            deadline,
            ..config()
        };
        let world = World::new(last_alone, GOOD);
        let ran = run_at(&world, hurried, lines(), four.clone());
        let line = "9 bytes from 10.0.0.1:4: tcp seq=1 connect=0.070 ms time=0.050 ms\n";
        assert!(ran.results.contains(line), "{}", ran.results);
        took(&world, ms(75));
    }
}

#[test]
fn the_first_to_answer_wins_though_it_was_tried_first() {
    let first_is_slow: Connect = |peer| match peer {
        SocketAddr::V6(_) => (ms(300), None),
        SocketAddr::V4(_) => (ms(100), None),
    };
    let world = World::new(first_is_slow, GOOD);
    let ran = run_at(&world, config(), lines(), two());
    let line = "9 bytes from [::1]:1: tcp seq=1 connect=300 ms time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    assert!(
        ran.results
            .contains("= 300.000/300.000/300.000 ms, 1 connection\n")
    );
    // The other one was begun, and has gone.
    assert_eq!((world.opened(), world.open()), (2, 0));
}

/// The connection is there as soon as the call returns, in the turn that hears of the refusal.
#[test]
fn connecting_is_timed_from_its_own_beginning_on_one_clock() {
    let refused: Connect = |peer| match peer {
        SocketAddr::V6(_) => (us(30), Some(io::ErrorKind::ConnectionRefused)),
        SocketAddr::V4(_) => (us(0), None),
    };
    let world = World::new(refused, GOOD);
    world.each_connect_takes(us(20));
    let ran = run_at(&world, config(), lines(), two());
    let line = "9 bytes from 127.0.0.1:1: tcp seq=1 connect=0.020 ms time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
}

#[test]
fn a_refused_address_gives_way_at_once() {
    let world = World::new(AT_ONCE, GOOD);
    world.close(two()[0]);
    let one = Config {
        count: Some(1),
        timeout: None,
        ..udp()
    };
    let ran = run_at(&world, one, lines(), two());
    let line = "9 bytes from 127.0.0.1:1: udp seq=1 time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    took(&world, us(50));
}

/// A refusal after others were tried, and while another one is on its way.
#[test]
fn a_late_refusal_leaves_the_ping_to_the_others() {
    let first_refuses_late: Connect = |peer| match peer {
        SocketAddr::V6(_) => (ms(260), Some(io::ErrorKind::ConnectionRefused)),
        SocketAddr::V4(_) => (ms(100), None),
    };
    let world = World::new(first_refuses_late, GOOD);
    let ran = run_at(&world, config(), lines(), two());
    let line = "9 bytes from 127.0.0.1:1: tcp seq=1 connect=100 ms time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
    assert!(ran.results.contains("3 received, 0% packet loss"));
}

#[test]
fn pings_on_their_way_to_a_silent_address_go_to_the_one_that_answers() {
    for (config, name) in [(config(), "tcp"), (udp(), "udp")] {
        for rotate_port in [false, true] {
            let quick = Config {
                interval: ms(50),
                count: Some(8),
                rotate_port,
                ..config
            };
            let ran = run_at(&first_is_silent(), quick, lines(), two());
            let answered = ran.results.matches(" time=0.050 ms\n").count();
            assert_eq!(answered, 8, "{name} {}", ran.results);
            assert!(
                ran.results
                    .contains("8 packets transmitted, 8 received, 0%")
            );
        }
    }
}

/// Nobody is there at first; later the second address is. Each goes on being tried.
#[test]
fn an_address_that_comes_later_is_found() {
    for timeout in [None, Some(ms(1000))] {
        let patient = Config {
            timeout,
            count: None,
            ..udp()
        };
        let four: Vec<SocketAddr> = (1..=4).map(|port| ([10, 0, 0, 1], port).into()).collect();
        let world = World::new(AT_ONCE, SILENT);
        let results = Sink::default();
        let sinks = (results.clone(), Sink::default());
        let target = ("host".into(), four.clone());
        let mut pinger = Pinger::new(world.clone(), patient, lines(), target, sinks);
        while world.elapsed() < ms(3000) {
            assert!(pinger.turn().unwrap().is_none());
        }
        world.answer(GOOD, four[2]);
        while !results.text().contains("9 bytes from 10.0.0.1:3: udp seq=") {
            assert!(pinger.turn().unwrap().is_none());
            assert!(world.elapsed() < ms(6000), "{}", results.text());
        }
    }
}

fn started(addresses: Vec<SocketAddr>, style: Style) -> (World, String) {
    let world = first_is_silent();
    let results = Sink::default();
    let sinks = (results.clone(), Sink::default());
    let manner = Manner { style, ..lines() };
    let target = ("host".into(), addresses);
    let mut pinger = Pinger::new(world.clone(), udp(), manner, target, sinks);
    for _ in 0..2 {
        assert!(pinger.turn().unwrap().is_none());
    }
    (world, results.text())
}

#[test]
fn the_first_line_comes_at_once_where_there_is_one_address() {
    let header = "PING host ([::1]:1) udp 4(9) bytes of data.\n";
    assert_eq!(started(two()[..1].to_vec(), Style::Quiet).1, header);
    assert_eq!(started(two(), Style::Quiet).1, "");
    assert_eq!(started(two(), Style::Dots).1, "");
    let json = Manner {
        json: true,
        style: Style::Json,
        ..lines()
    };
    let ran = run_at(&first_is_silent(), udp(), json, two());
    let start = ran.results.lines().next().unwrap();
    assert!(
        start.contains("\"addresses\":[\"[::1]:1\",\"127.0.0.1:1\"]"),
        "{start}"
    );
}

#[test]
fn the_first_line_names_the_address_in_use_before_anything_else() {
    let dots = Manner {
        style: Style::Dots,
        ..lines()
    };
    let ran = run_at(&first_is_silent(), udp(), dots, two());
    let expected = "PING host (127.0.0.1:1) udp 4(9) bytes of data.\n.\u{8} \u{8}";
    assert!(ran.results.starts_with(expected), "{:?}", ran.results);
    let quiet = Manner {
        style: Style::Quiet,
        ..lines()
    };
    let ran = run_at(&first_is_silent(), config(), quiet, two());
    let expected = "PING host (127.0.0.1:1) tcp 4(9) bytes of data.\n\ntcp connect";
    assert!(ran.results.starts_with(expected), "{}", ran.results);

    // A stranger is not it.
    let world = World::new(AT_ONCE, |_, message| {
        vec![(
            us(30),
            Act::SendFrom("10.0.0.9:53".parse().unwrap(), message.to_vec()),
        )]
    });
    let ran = run_at(&world, udp(), lines(), two());
    let expected = "PING host ([::1]:1) udp 4(9) bytes of data.\nFrom 10.0.0.9:53: udp seq=1 ";
    assert!(ran.results.starts_with(expected), "{}", ran.results);

    // Nobody answers: the one that the first line of all is about.
    let nobody: Connect = |_| (ms(60_000), None);
    let ran = run_at(&World::new(nobody, GOOD), config(), lines(), two());
    let expected = "PING host ([::1]:1) tcp 4(9) bytes of data.\n\
                    From [::1]:1: tcp seq=1 timed out: no connection within 1000 ms\n";
    assert!(ran.results.starts_with(expected), "{}", ran.results);
    assert_eq!(ran.results.matches("PING host").count(), 1);
}
