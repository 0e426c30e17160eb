//! What is sent, when, and what becomes of it: without a socket or a clock.

use std::collections::HashMap;

use pingpong::inside::cli::value::unescape;
use pingpong::inside::client::load::ledger::{Ledger, Stamp, Verdict};
use pingpong::inside::client::load::schedule::{SECOND, Schedule};
use pingpong::inside::client::load::search::{Promise, RATE_MAX_PER_S, Search};
use pingpong::inside::client::script::{
    LANES_MAX, NUMBERED_PING_MIN_BYTES, Number, PING_MIN_BYTES, Script,
};
use pingpong::inside::protocol::stream::{Batch, Rules};
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

    /// Whatever comes in whatever order: each request has one fate, and all fates add up.
    #[test]
    fn the_ledger_adds_up(steps in prop::collection::vec((0..4_u8, 0..40_u64), 1..400)) {
        let mut ledger = Ledger::new(16);
        let mut clock = 0;
        let (mut answered, mut lost) = (0, 0);
        let mut fates: HashMap<u64, &str> = HashMap::new();
        for (step, argument) in steps {
            clock += 1;
            match step {
                0 | 1 => lost += ledger.send(Stamp { intended: clock, sent: clock }),
                2 => {
                    let number = ledger.next().saturating_sub(argument % 20);
                    match ledger.receive(number) {
                        Verdict::Answered { .. } => {
                            answered += 1;
                            prop_assert_eq!(fates.insert(number, "answered"), None);
                        }
                        Verdict::Duplicate => prop_assert!(fates.contains_key(&number)),
                        Verdict::Late => {
                            fates.insert(number, "late");
                        }
                        Verdict::NeverAsked => prop_assert!(number >= ledger.next()),
                    }
                }
                _ => lost += ledger.give_up(clock.saturating_sub(argument)) as u64,
            }
            prop_assert_eq!(answered + lost + ledger.waiting() as u64, ledger.next());
        }
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

fn at(time: u64) -> Stamp {
    Stamp {
        intended: time,
        sent: time,
    }
}

#[test]
fn the_ledger_tells_fates_apart() {
    let mut ledger = Ledger::new(8);
    for time in 0..4 {
        assert_eq!(ledger.send(at(time)), 0);
    }
    let answered = |stamp, reordered| Verdict::Answered { stamp, reordered };
    assert_eq!(ledger.receive(1), answered(at(1), false));
    assert_eq!(ledger.receive(0), answered(at(0), true));
    assert_eq!(ledger.receive(1), Verdict::Duplicate);
    assert_eq!(ledger.receive(4), Verdict::NeverAsked);
    // Only what was sent before is given up, and what comes for it is late; then it is a duplicate.
    assert_eq!((ledger.give_up(3), ledger.waiting()), (1, 1));
    assert_eq!(ledger.receive(2), Verdict::Late);
    assert_eq!(ledger.receive(2), Verdict::Duplicate);
    assert_eq!(ledger.receive(3), answered(at(3), false));
    assert_eq!(ledger.waiting(), 0);
}

#[test]
fn who_is_overtaken_by_a_whole_ledger_is_given_up() {
    let mut ledger = Ledger::new(8);
    assert_eq!((0..8).map(|time| ledger.send(at(time))).sum::<u64>(), 0);
    for number in 1..8 {
        ledger.receive(number);
    }
    assert_eq!((ledger.send(at(8)), ledger.waiting()), (1, 1));
    assert_eq!(ledger.receive(0), Verdict::Late);
    assert_eq!(
        ledger.receive(8),
        Verdict::Answered {
            stamp: at(8),
            reordered: false
        }
    );
}

#[test]
fn promises() {
    let promise: Promise = "p99.9=1.5ms".parse().unwrap();
    assert_eq!(
        promise,
        Promise {
            percentile: 99.9,
            latency_ns: 1_500_000
        }
    );
    assert_eq!(promise.to_string(), "p99.9 within 1.50 ms");
    assert_eq!(
        "max=1s".parse::<Promise>().unwrap().percentile.to_string(),
        "100"
    );
    for wrong in [
        "", "p99", "99=1ms", "p0=1ms", "p101=1ms", "p99=0", "p99=", "pNaN=1ms", "p-1=1ms",
    ] {
        assert!(wrong.parse::<Promise>().is_err(), "{wrong}");
    }
}
