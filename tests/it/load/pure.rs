//! What is sent, when, and what becomes of it: without a socket or a clock.

use pingpong::inside::client::load::schedule::{SECOND, Schedule};
use pingpong::inside::client::load::search::{Goal, RATE_MAX_PER_S, Search};
use pingpong::inside::client::script::{
    LANES_MAX, NUMBERED_PING_MIN_BYTES, Number, PING_MIN_BYTES, Script,
};
use pingpong::inside::protocol::stream::{Batch, Rules};
use pingpong::inside::units::unescape;
use proptest::prelude::*;

const RULES: Rules = Rules {
    max_message_bytes: 65536,
    strict: true,
};

/// What our server says to some bytes.
fn answered(bytes: &[u8]) -> Vec<u8> {
    let mut batch = Batch::new(65536, 65536);
    batch.window()[..bytes.len()].copy_from_slice(bytes);
    batch.begin(&[], bytes.len());
    assert!(batch.answer(RULES, |_| {}).bad.is_none());
    batch.replies().to_vec()
}

#[test]
fn pings_are_as_long_as_asked_and_their_pongs_are_what_the_server_says() {
    let number = Number::new(0xabcde, 0x0012_3456_789a);
    for len in PING_MIN_BYTES..200 {
        let mut script = Script::pings(len);
        let request = script.request(number).to_vec();
        assert_eq!(
            (request.len(), script.request_bytes(), script.reply_bytes()),
            (len, len, len)
        );
        assert_eq!(answered(&request), script.reply(number), "{len}");
    }
    let shown = |len| String::from_utf8(Script::pings(len).request(number).to_vec()).unwrap();
    assert_eq!(shown(5), "ping\n");
    assert_eq!(shown(6), "ping \n");
    assert_eq!(shown(9), "ping 89a\n");
    assert_eq!(shown(22), "ping abcde0123456789a\n");
    assert_eq!(shown(26), "ping abcde0123456789a abc\n");
}

#[test]
fn every_wrong_byte_is_seen() {
    let number = Number::new(7, 42);
    for len in [NUMBERED_PING_MIN_BYTES, 23, 64, 100] {
        let mut script = Script::pings(len);
        let reply = script.reply(number).to_vec();
        assert_eq!(script.number_of(&reply), Some(number));
        for place in 0..len {
            for bit in 0..8 {
                let mut wrong = reply.clone();
                wrong[place] ^= 1 << bit;
                // A wrong digit is another number; whether that one is awaited is the ledger's to
                // say.
                assert_ne!(script.number_of(&wrong), Some(number), "{place} {bit}");
            }
        }
        assert_eq!(script.number_of(&reply[..len - 1]), None);
        assert_eq!(script.number_of(&[&reply[..], b"x"].concat()), None);
    }
}

#[test]
fn escapes() {
    assert_eq!(unescape(r"PING\r\n").unwrap(), b"PING\r\n");
    assert_eq!(unescape(r"\t\0\\\x00\xfF.").unwrap(), b"\t\0\\\x00\xff.");
    assert_eq!(unescape("\u{e9}").unwrap(), "\u{e9}".as_bytes());
    for wrong in [r"\", r"\q", r"\x", r"\x1", r"\xg0", r"\x+1"] {
        assert_eq!(unescape(wrong), None, "{wrong}");
    }
}

#[test]
fn the_timetable_is_even_and_never_drifts() {
    for rate in [1, 3, 7, 1000, 999_983, RATE_MAX_PER_S] {
        let schedule = Schedule::new(5, rate, 3);
        assert_eq!(schedule.at(0), 5);
        assert_eq!(schedule.at(rate * 86_400), 5 + 86_400 * SECOND);
        for request in (0..1000).chain(rate * 3600..rate * 3600 + 100) {
            let distance = schedule.at(request + 1) - schedule.at(request);
            assert!((SECOND / rate..=SECOND / rate + 1).contains(&distance));
        }
    }
}

proptest! {
    /// Digits are what everybody's hexadecimal digits are, and are read back from a reply.
    #[test]
    fn numbers_are_written_and_read(lane in 0..LANES_MAX, request in 0..1_u64 << 44) {
        let number = Number::new(lane, request);
        let digits = format!("{lane:05x}{request:011x}");
        prop_assert_eq!(&number.digits()[..], digits.as_bytes());
        prop_assert_eq!(number.request(), request);
        let mut script = Script::pings(64);
        let reply = script.reply(number).to_vec();
        prop_assert_eq!(script.number_of(&reply), Some(number));
    }

    /// Whatever comes, it is no reply unless it is one, byte for byte.
    #[test]
    fn strangers_are_no_replies(digits in prop::array::uniform16(any::<u8>())) {
        let mut script = Script::pings(22);
        let reply = [b"pong ", &digits[..], b"\n"].concat();
        let is_plain = digits.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        prop_assert_eq!(script.number_of(&reply).is_some(), is_plain);
    }

    /// The lanes' timetables together are the whole one: none is left out, none is there twice.
    #[test]
    fn lanes_share_the_timetable(rate in 1..1_000_000_u64, lanes in 1..100_usize, request in 0..1_000_000_u64) {
        let schedule = Schedule::new(0, rate, lanes);
        let lane = schedule.lane(request);
        prop_assert!(lane < lanes);
        prop_assert_eq!(schedule.at_lane(lane, request / lanes as u64), schedule.at(request));
    }

    /// Whatever the server can do, the search ends near it.
    #[test]
    fn the_search_ends_near_the_truth(truth in 0..RATE_MAX_PER_S) {
        let mut search = Search::default();
        let mut steps = 0;
        while let Some(rate) = search.next() {
            search.tell(rate, rate <= truth);
            steps += 1;
        }
        prop_assert!(steps <= 40);
        let found = search.highest_per_s();
        prop_assert!(found <= truth && truth - found <= truth / 40 + 1, "{} of {}", found, truth);
    }
}

#[test]
fn goals() {
    let goal: Goal = "p99.9=1.5ms".parse().unwrap();
    assert_eq!(
        goal,
        Goal {
            percentile: 99.9,
            latency_ns: 1_500_000
        }
    );
    assert_eq!(goal.to_string(), "p99.9 within 1.50 ms");
    assert_eq!(
        "max=1s".parse::<Goal>().unwrap().percentile.to_string(),
        "100"
    );
    for wrong in [
        "", "p99", "99=1ms", "p0=1ms", "p101=1ms", "p99=0", "p99=", "pNaN=1ms", "p-1=1ms",
    ] {
        assert!(wrong.parse::<Goal>().is_err(), "{wrong}");
    }
}

#[test]
fn rates_are_written_in_thousands_and_millions() {
    use pingpong::inside::units::parse_rate;
    for (text, rate) in [
        ("1", 1),
        ("2.0", 2),
        ("10k", 10_000),
        ("2.5k", 2_500),
        ("0.001k", 1),
        ("1.25M", 1_250_000),
    ] {
        assert_eq!(parse_rate(text), Some(rate), "{text}");
    }
    for text in [
        "",
        "k",
        ".5k",
        "1.k",
        "0.5",
        "1.2345k",
        "1K",
        "-1",
        "1e3",
        "1 k",
        "99999999999999999999",
        "99999999999999999M",
    ] {
        assert_eq!(parse_rate(text), None, "{text}");
    }
}
