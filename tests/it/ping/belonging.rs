//! Which ping a reply belongs to, where messages have room for few digits or none, and where it comes
//! from somebody else; in virtual time.

use pingpong::inside::client::ping::{Config, Manner, Style};

use super::harness::{
    AT_ONCE, SILENT, addresses, config, lines, ms, pong, pong_bytes, run, run_at, udp, us,
};
use crate::net::{Act, Script, World};

const STRANGER: &str = "10.0.0.9:53";

/// The first ping's reply comes late, the second has none, the third's comes at once.
#[test]
fn a_late_reply_is_not_taken_for_anothers_where_there_is_no_number() {
    let over_udp: Script = |_, message| match message.len() {
        _ if message.is_empty() => vec![],
        _ => vec![(ms(1500), pong(message))],
    };
    for payload_bytes in [0, 1] {
        for (plan, name) in [(config(), "tcp"), (udp(), "udp")] {
            let short = Config {
                payload_bytes,
                count: Some(2),
                ..plan
            };
            let ran = run(AT_ONCE, over_udp, short);
            let late = ran.results.lines().find(|line| line.ends_with(" (late)"));
            let late = late.unwrap_or_default();
            assert!(
                late.contains(&format!(": {name} seq=1 ")),
                "{}",
                ran.results
            );
            assert!(late.contains(" time=1500 ms "), "{}", ran.results);
        }
    }
}

#[test]
fn over_udp_each_ping_without_a_number_has_its_own_port() {
    for (payload_bytes, sockets) in [(0, 3), (1, 3), (2, 1)] {
        let short = Config {
            payload_bytes,
            ..udp()
        };
        let world = World::new(AT_ONCE, SILENT);
        let ran = run_at(&world, short, lines(), addresses());
        assert_eq!(world.opened(), sockets, "{payload_bytes}");
        assert!(!ran.results.contains(" port="), "{}", ran.results);
    }
}

/// On one connection the third ping waits when the reply to the first, which timed out, comes.
#[test]
fn on_a_connection_replies_come_in_the_order_of_their_pings() {
    let script: Script = |number, message| {
        let after = ms(1100 - 300 * (number as u64 - 1) + 10 * number as u64);
        vec![(after, pong(message))]
    };
    for payload_bytes in [0, 1, 2, 4] {
        let several = Config {
            payload_bytes,
            interval: ms(300),
            count: Some(3),
            ..config()
        };
        let ran = run(AT_ONCE, script, several);
        for line in [
            "tcp seq=1 timed out: no reply within 1000 ms\n",
            "tcp seq=1 connect=0.070 ms time=1110 ms (late)\n",
            "tcp seq=2 time=820 ms\n",
            "tcp seq=3 time=530 ms\n",
        ] {
            assert!(
                ran.results.contains(line),
                "{payload_bytes} {line}{}",
                ran.results
            );
        }
    }
}

/// Of datagrams one can be lost: the reply is that to the ping that waits, not to the one before
/// with the same digit.
#[test]
fn digits_that_repeat_mean_the_ping_that_waits() {
    let script: Script = |number, message| match number {
        1 => vec![],
        _ => vec![(us(50), pong(message))],
    };
    let twenty = Config {
        payload_bytes: 2,
        interval: ms(100),
        count: Some(20),
        ..udp()
    };
    let ran = run(AT_ONCE, script, twenty);
    assert!(
        ran.results.contains("udp seq=17 time=0.050 ms\n"),
        "{}",
        ran.results
    );
    let counts = "20 packets transmitted, 19 received, 5% packet loss";
    assert!(ran.results.contains(counts), "{}", ran.results);
    // Both wait: the older one has waited longest.
    let all_late: Script = |_, message| vec![(ms(1900), pong(message))];
    let patient = Config {
        timeout: Some(ms(5000)),
        ..twenty
    };
    let ran = run(AT_ONCE, all_late, patient);
    assert!(ran.results.contains("20 received, 0% packet loss"));
    assert!(
        ran.results
            .ends_with("= 1900.000/1900.000/1900.000/0.000 ms\n")
    );
}

#[test]
fn a_wrong_reply_ends_the_ping_that_it_claims_to_answer() {
    let script: Script = |number, message| {
        let mut reply = pong_bytes(message);
        reply[0] = b'P';
        let is_first = number == 1;
        let replies = (!is_first).then_some((us(50), Act::Send(reply)));
        replies.into_iter().collect()
    };
    let two = Config {
        interval: ms(100),
        count: Some(2),
        ..udp()
    };
    let ran = run(AT_ONCE, script, two);
    for line in [
        "udp seq=2 wrong reply of 9 bytes: Pong 002\\n\n",
        "udp seq=1 timed out: no reply within 1000 ms\n",
    ] {
        assert!(ran.results.contains(line), "{}", ran.results);
    }
}

#[test]
fn an_empty_datagram_is_a_wrong_reply() {
    let script: Script = |_, _| vec![(us(50), Act::Send(vec![]))];
    let ran = run(AT_ONCE, script, udp());
    let line = "udp seq=3 wrong reply of 0 bytes: \n";
    assert!(ran.results.contains(line), "{}", ran.results);
}

/// It is no reply, and the ping goes on waiting for its own.
#[test]
fn a_reply_from_somebody_else_is_told_and_answers_nothing() {
    let script: Script = |_, message| {
        let foreign = Act::SendFrom(STRANGER.parse().unwrap(), pong_bytes(message));
        let same_host = Act::SendFrom("10.0.0.1:53".parse().unwrap(), b"hello".to_vec());
        vec![
            (us(30), foreign),
            (us(40), same_host),
            (us(50), pong(message)),
        ]
    };
    let ran = run(AT_ONCE, script, udp());
    for line in [
        "From 10.0.0.9:53: udp seq=1 foreign reply of 9 bytes, not from the target: pong 001\\n\n",
        "From 10.0.0.1:53: udp foreign reply of 5 bytes, not from the target: hello\n",
        "9 bytes from 10.0.0.1:8888: udp seq=1 time=0.050 ms\n",
        "\n3 packets transmitted, 3 received, +6 errors, 0% packet loss",
    ] {
        assert!(ran.results.contains(line), "{line}{}", ran.results);
    }
    let alone: Script = |_, message| {
        let foreign = Act::SendFrom(STRANGER.parse().unwrap(), pong_bytes(message));
        vec![(us(30), foreign)]
    };
    let json = Manner {
        style: Style::Json,
        json: true,
        ..lines()
    };
    let ran = run_at(&World::new(AT_ONCE, alone), udp(), json, addresses());
    let line = ran.results.lines().nth(1).unwrap();
    assert!(line.starts_with("{\"type\":\"foreign\","), "{line}");
    assert!(
        line.contains(
            "\"seq\":1,\"peer\":\"10.0.0.9:53\",\"local_port\":50001,\"received_bytes\":9"
        ),
        "{line}"
    );
    assert!(line.ends_with(",\"received\":\"pong 001\\\\n\"}"), "{line}");
    assert!(!ran.answered);
}

/// Who pings every address of this host is answered by one of them.
#[test]
fn the_unspecified_address_is_this_host() {
    let script: Script = |_, message| {
        let from_loopback = "127.0.0.1:8888".parse().unwrap();
        vec![(us(50), Act::SendFrom(from_loopback, pong_bytes(message)))]
    };
    let anywhere = vec!["0.0.0.0:8888".parse().unwrap()];
    let ran = run_at(&World::new(AT_ONCE, script), udp(), lines(), anywhere);
    assert!(
        ran.results.contains("3 received, 0% packet loss"),
        "{}",
        ran.results
    );
}
