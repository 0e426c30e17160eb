//! The other ways to tell, and the last three lines.

use super::harness::{AT_ONCE, GOOD, addresses, lines, pong, run, run_at, udp, us};
use crate::net::{Act, Script, World};
use pingpong::inside::client::ping::{Config, Manner, Style};

#[test]
fn timestamps_are_those_of_ping() {
    let stamped = Manner {
        timestamps: true,
        ..lines()
    };
    let ran = run_at(&World::new(AT_ONCE, GOOD), udp(), stamped, addresses());
    let line = "\n[1234567.000042] 9 bytes from 10.0.0.1:8888: udp seq=1 time=0.050 ms\n";
    assert!(ran.results.contains(line), "{}", ran.results);
}

#[test]
fn json_has_an_object_a_line_and_units_in_its_keys() {
    let json = Manner {
        style: Style::Json,
        json: true,
        timestamps: true,
        ..lines()
    };
    let script: Script = |number, message| match number {
        1 => vec![(us(50), pong(message)), (us(60), pong(message))],
        2 => vec![(us(50), Act::Send(b"\"\\\xff\n".to_vec()))],
        _ => vec![],
    };
    let ran = run_at(&World::new(AT_ONCE, script), udp(), json, addresses());
    let head =
        "\"unix_s\":1234567.000042,\"unix_time_s\":1234567.000042,\"transport\":\"udp\",\"seq\":";
    let peer = "\"peer\":\"10.0.0.1:8888\",\"local_port\":50001";
    let expected = [
        format!("{{\"type\":\"reply\",{head}1,{peer},\"received_bytes\":9,\"time_us\":50.0}}"),
        format!("{{\"type\":\"duplicate\",{head}1,{peer},\"received_bytes\":9,\"time_us\":60.0}}"),
        format!(
            "{{\"type\":\"wrong\",{head}2,{peer},\"received_bytes\":4,\
             \"received\":\"\\\\\\\"\\\\\\\\\\\\xff\\\\n\"}}"
        ),
        format!("{{\"type\":\"timeout\",{head}3,{peer},\"time_us\":1000000.0}}"),
    ];
    let lines: Vec<_> = ran.results.lines().collect();
    let stamp = "\"unix_s\":1234567.000042,\"unix_time_s\":1234567.000042";
    let version = env!("CARGO_PKG_VERSION");
    let start = format!(
        "{{\"type\":\"start\",{stamp},\"schema\":1,\"version\":\"{version}\",\"targets\":\
         [{{\"host\":\"host\",\"addresses\":[\"10.0.0.1:8888\"]}}],\"options\":\
         {{\"transports\":[\"udp\"],\"count\":3,\"interval_s\":1.0,\"timeout_s\":1.0,\
         \"deadline_s\":null,\"payload_bytes\":4,\"rotate_port\":false}}}}"
    );
    assert_eq!(lines[0], start);
    assert_eq!(lines[1..5], expected);
    let end = format!(
        "{{\"type\":\"summary\",{stamp},\"host\":\"host\",\"sent\":3,\"received\":1,\
         \"in_flight\":0,\"lost\":2,\"late\":0,\"duplicates\":1,\"errors\":1,\
         \"loss_percent\":66.6667,\"time_ms\":2000,\"rtt\":{{"
    );
    assert!(lines[5].starts_with(&end), "{}", lines[5]);
    assert_eq!(lines.len(), 6);
}

/// What the last three lines say.
#[derive(Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) host: String,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) errors: u64,
    pub(crate) in_flight: u64,
    /// In percent, as it was written.
    pub(crate) loss: String,
    pub(crate) time_ms: u64,
    /// min, avg, max, mdev.
    pub(crate) rtt_ms: Option<[f64; 4]>,
}

impl Statistics {
    /// Reads them as they are written by ping(8), and nothing else.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let at = text
            .rfind("--- ")
            .unwrap_or_else(|| panic!("no statistics in {text}"));
        let lines: Vec<_> = text[at..].lines().collect();
        assert!(text.ends_with('\n'));
        let host = between(lines[0], "--- ", " ping statistics ---");
        let counts: Vec<_> = lines[1].split(", ").collect();
        let mut counts = counts.into_iter().peekable();
        let mut take = |before: &str, after: &str, may_miss: bool| {
            let found = counts.next_if(|it| it.starts_with(before) && it.ends_with(after));
            assert!(may_miss || found.is_some(), "no{after} in {text}");
            found.map(|it| between(it, before, after))
        };
        let sent = take("", " packets transmitted", false);
        let received = take("", " received", false);
        let duplicates = take("+", " duplicates", true);
        let errors = take("+", " errors", true);
        let in_flight = take("", " in flight", true);
        let loss = take("", "% packet loss", false);
        let time = take("time ", "ms", false);
        assert_eq!(counts.next(), None, "{text}");
        let rtt_ms = lines.get(2).map(|line| {
            let times = between(line, "rtt min/avg/max/mdev = ", " ms");
            let times: Vec<_> = times.split('/').map(milliseconds).collect();
            times.try_into().expect("four of them")
        });
        assert!(lines.len() <= 3, "{text}");
        let number = |digits: Option<String>| digits.map_or(0, |it| it.parse().unwrap());
        Self {
            host,
            sent: number(sent),
            received: number(received),
            duplicates: number(duplicates),
            errors: number(errors),
            in_flight: number(in_flight),
            loss: loss.unwrap(),
            time_ms: number(time),
            rtt_ms,
        }
    }
}

fn between(text: &str, before: &str, after: &str) -> String {
    let inside = text
        .strip_prefix(before)
        .and_then(|it| it.strip_suffix(after));
    inside
        .unwrap_or_else(|| panic!("{text}: no {before}..{after}"))
        .to_owned()
}

/// Three digits behind the point, and no idle zeros before it.
fn milliseconds(text: &str) -> f64 {
    let (whole, thousandths) = text.split_once('.').unwrap();
    assert_eq!(thousandths.len(), 3, "{text}");
    assert!(whole == "0" || !whole.starts_with('0'), "{text}");
    text.parse().unwrap()
}

#[test]
fn every_count_has_its_place_in_the_last_lines() {
    let script: Script = |number, message| match number {
        1 => vec![(us(50), pong(message)), (us(60), pong(message))],
        2 => vec![(us(150), pong(message))],
        3 => vec![(us(50), Act::Send(b"pong\n".to_vec()))],
        _ => vec![],
    };
    let seven = Config {
        count: Some(7),
        ..udp()
    };
    let ran = run(AT_ONCE, script, seven);
    let expected = Statistics {
        host: "host".into(),
        sent: 7,
        received: 2,
        duplicates: 1,
        errors: 1,
        in_flight: 0,
        loss: "71.4286".into(),
        time_ms: 6000,
        rtt_ms: Some([0.050, 0.100, 0.150, 0.050]),
    };
    assert_eq!(Statistics::read(&ran.results), expected);
    let last = "7 packets transmitted, 2 received, +1 duplicates, +1 errors, \
                71.4286% packet loss, time 6000ms\n\
                rtt min/avg/max/mdev = 0.050/0.100/0.150/0.050 ms\n";
    assert!(ran.results.ends_with(last), "{}", ran.results);
}
