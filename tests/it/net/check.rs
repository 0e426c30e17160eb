//! What ping reports, held to what its host did.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use pingpong::inside::client::ping::{Config, STAGGER};
use serde_json::Value;

use super::epoll::ns;
use super::hosts::{Id, MS};
use super::truth::{Reply, Request, Truth};

/// How much later than by the timetable something may be done by who is not disturbed.
const SLACK_NS: u64 = MS;

/// All that a ping client showed and was asked for.
pub struct Shown<'a> {
    pub config: Config,
    pub began_ns: u64,
    /// Lines of JSON with the time at which they were written.
    pub lines: &'a [(u64, String)],
    /// Neither a signal nor a deadline ended it.
    pub ran_to_its_end: bool,
    /// Its host never stood still, so that it could keep its timetable.
    pub is_punctual: bool,
}

/// One line that tells of a ping.
struct Told<'a> {
    at_ns: u64,
    kind: &'a str,
    seq: u64,
    time_ns: Option<u64>,
}

macro_rules! demand {
    ($is_so:expr, $($why:tt)*) => {
        if !$is_so {
            return Err(format!($($why)*));
        }
    };
}

/// Nanoseconds from microseconds with three digits behind the point, as they are written.
fn time_ns(value: &Value) -> Option<u64> {
    let us = value.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times of at most minutes"
    )]
    Some((us * 1000.0).round() as u64)
}

fn count(object: &Value, key: &str) -> Result<u64, String> {
    let value = object[key].as_u64();
    value.ok_or_else(|| format!("no {key} in {object}"))
}

/// The number that a ping bears: here each has room for it.
fn seq_of(request: &Request) -> u64 {
    let digits = request.bytes[5..].split(|byte| !byte.is_ascii_hexdigit());
    let digits = digits.take(1).flatten().copied().collect();
    u64::from_str_radix(&String::from_utf8(digits).unwrap(), 16).unwrap()
}

/// Compares all that one client says with what its host did.
pub fn check(shown: &Shown<'_>, truth: &Truth) -> Result<(), String> {
    let lines: Vec<(u64, Value)> = (shown.lines.iter())
        .map(|(at_ns, line)| (*at_ns, serde_json::from_str(line).unwrap()))
        .collect();
    let Some(((_, summary), lines)) = lines.split_last() else {
        return Err("it says nothing".into());
    };
    demand!(summary["type"] == "summary", "the last is no summary");
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    let transports = [("tcp", shown.config.tcp), ("udp", shown.config.udp)];
    for (name, _) in transports.into_iter().filter(|(_, asked)| *asked) {
        let told = (lines.iter()).filter(|(_, line)| line["transport"] == name);
        let lane = Lane {
            shown,
            truth,
            name,
            told: told.map(|(at_ns, line)| told_of(*at_ns, line)).collect(),
            object: &summary[name],
        };
        lane.check().map_err(|why| format!("{name}: {why}"))?;
        for key in ["sent", "received", "lost", "late", "duplicates", "errors"] {
            *total.entry(key).or_default() += count(&summary[name], key)?;
        }
    }
    for (key, sum) in total {
        demand!(
            count(summary, key)? == sum,
            "{key} of all is not {sum}: {summary}"
        );
    }
    Ok(())
}

fn told_of(at_ns: u64, line: &Value) -> Told<'_> {
    Told {
        at_ns,
        kind: line["type"].as_str().unwrap(),
        seq: line["seq"].as_u64().unwrap_or(0),
        time_ns: time_ns(&line["time_us"]),
    }
}

struct Lane<'a> {
    shown: &'a Shown<'a>,
    truth: &'a Truth,
    name: &'a str,
    told: Vec<Told<'a>>,
    object: &'a Value,
}

const ENDINGS: [&str; 8] = [
    "timeout",
    "connect_timeout",
    "deadline",
    "refused",
    "reset",
    "closed",
    "wrong",
    "error",
];

impl Lane<'_> {
    fn is_mine(&self, socket: Id) -> bool {
        matches!(socket, Id::Stream(_)) == (self.name == "tcp")
    }

    /// The first reply to each ping, and how many more came.
    fn replies(&self) -> (BTreeMap<u64, (&Request, &Reply)>, u64) {
        let mut first = BTreeMap::new();
        let mut again = 0;
        for reply in self
            .truth
            .replies
            .iter()
            .filter(|it| self.is_mine(it.socket))
        {
            let Some(request) = reply.request else {
                continue;
            };
            let request = &self.truth.requests[request];
            let seq = seq_of(request);
            match first.entry(seq) {
                Entry::Occupied(_) => again += 1,
                Entry::Vacant(place) => _ = place.insert((request, reply)),
            }
        }
        (first, again)
    }

    fn check(&self) -> Result<(), String> {
        let (first, again) = self.replies();
        self.check_counts(&first, again)?;
        let times_ns = self.check_each(&first)?;
        self.check_round_trips(&times_ns)?;
        self.check_connects()?;
        self.check_timetable(&first)
    }

    fn check_counts(
        &self,
        first: &BTreeMap<u64, (&Request, &Reply)>,
        again: u64,
    ) -> Result<(), String> {
        let told_of: BTreeSet<u64> = self.told.iter().map(|told| told.seq).collect();
        let told = told_of.iter().filter(|seq| **seq > 0).count() as u64;
        let with = |kinds: &[&str]| {
            let found = self.told.iter().filter(|told| kinds.contains(&told.kind));
            found.count() as u64
        };
        let received = first.len() as u64;
        let ended = self.told.iter().filter(|told| ENDINGS.contains(&told.kind));
        let ended: BTreeSet<u64> = ended.map(|told| told.seq).collect();
        let late = first.keys().filter(|seq| ended.contains(seq)).count() as u64;
        // Those that a signal found on their way, for a second or more.
        let in_flight = count(self.object, "in_flight")?;
        demand!(
            in_flight == 0 || !self.shown.ran_to_its_end,
            "{in_flight} in flight"
        );
        let expected = [
            ("sent", told + in_flight),
            ("received", received),
            ("lost", told + in_flight - received),
            ("late", late),
            ("duplicates", again),
            ("errors", with(&ENDINGS[3..])),
        ];
        for (key, expected) in expected {
            let shown = count(self.object, key)?;
            demand!(shown == expected, "{key} is {shown}, not {expected}");
        }
        if self.shown.ran_to_its_end {
            let asked = self.shown.config.count.unwrap_or(0);
            demand!(told == asked, "{told} pings instead of {asked}");
        }
        let lines = [
            ("reply", received - late),
            ("late", late),
            ("duplicate", again),
        ];
        for (kind, expected) in lines {
            let shown = with(&[kind]);
            demand!(shown == expected, "{shown} lines of {kind}, not {expected}");
        }
        Ok(())
    }

    /// Each time to reply lies between the two that the host knows; nobody is called lost whose
    /// reply has been read. Returns the times, in the order of their lines.
    fn check_each(&self, first: &BTreeMap<u64, (&Request, &Reply)>) -> Result<Vec<u64>, String> {
        let mut times_ns = Vec::new();
        for told in &self.told {
            let (seq, kind) = (told.seq, told.kind);
            let answer = first.get(&seq);
            match kind {
                "reply" | "late" => {
                    let (request, reply) = answer.ok_or(format!("no reply to {seq}"))?;
                    let time_ns = told.time_ns.ok_or("no time")?;
                    let low = reply.woken_ns.saturating_sub(request.sent_ns);
                    let high = reply.read_ns - request.sent_ns;
                    demand!(
                        (low..=high).contains(&time_ns),
                        "{kind} {seq} took {time_ns} ns, not {low} to {high}"
                    );
                    times_ns.push(time_ns);
                }
                "timeout" | "connect_timeout" => {
                    let is_read = answer.is_some_and(|(_, reply)| reply.read_ns <= told.at_ns);
                    demand!(!is_read, "{kind} of {seq}, whose reply has been read");
                    let waited_ns = told.time_ns.ok_or("no time")?;
                    let is_patient = self.shown.config.timeout.map_or(0, ns) <= waited_ns;
                    let is_all_over = self.shown.config.deadline.is_some();
                    demand!(is_patient || is_all_over, "{kind} of {seq}: {waited_ns} ns");
                }
                _ => {}
            }
        }
        Ok(times_ns)
    }

    /// The sums, from the times that were just checked.
    fn check_round_trips(&self, times_ns: &[u64]) -> Result<(), String> {
        let rtt = &self.object["rtt"];
        let Some(max) = times_ns.iter().max() else {
            demand!(rtt.is_null(), "round trips without a reply: {rtt}");
            return Ok(());
        };
        let total: u64 = times_ns.iter().sum();
        let count = times_ns.len() as u64;
        let jumps: Vec<u64> = times_ns
            .windows(2)
            .map(|it| it[0].abs_diff(it[1]))
            .collect();
        let jitter = jumps.iter().sum::<u64>() / (jumps.len().max(1) as u64);
        let exact = [
            ("min_us", times_ns.iter().min().copied().unwrap_or(0)),
            ("avg_us", total / count),
            ("max_us", *max),
            ("jitter_us", jitter),
        ];
        for (key, expected) in exact {
            let shown = time_ns(&rtt[key]).ok_or_else(|| format!("no {key}: {rtt}"))?;
            demand!(shown == expected, "{key} is {shown} ns, not {expected}");
        }
        let mut sorted = times_ns.to_vec();
        sorted.sort_unstable();
        for (key, percent) in [("p50_us", 50), ("p99_us", 99)] {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            let expected = sorted[rank - 1];
            let shown = time_ns(&rtt[key]).ok_or_else(|| format!("no {key}: {rtt}"))?;
            let is_close = shown.abs_diff(expected) * 256 <= expected + 256;
            demand!(is_close, "{key} is {shown} ns, not {expected}");
        }
        Ok(())
    }

    /// Each connection took from the call that began it to when the client could know; at the
    /// latest, until the call that told it.
    fn check_connects(&self) -> Result<(), String> {
        let shown = &self.object["connect"];
        let bounds = self.truth.connects.iter().filter_map(|it| {
            let (woken_ns, told_ns, is_good) = it.told?;
            // A turn may take what has come while it was at work for what it found, but not what it
            // has begun itself.
            let known_ns = it.known_ns?;
            let began_before = woken_ns >= it.began_ns;
            let low_ns = if began_before {
                known_ns.min(woken_ns)
            } else {
                known_ns
            };
            is_good.then(|| (low_ns - it.began_ns, told_ns - it.began_ns))
        });
        let bounds: Vec<(u64, u64)> = bounds.filter(|_| self.name == "tcp").collect();
        if bounds.is_empty() {
            demand!(shown.is_null(), "connections that never were: {shown}");
            return Ok(());
        }
        let connections = count(shown, "connections")?;
        demand!(
            connections == bounds.len() as u64,
            "{connections} connections instead of {}",
            bounds.len()
        );
        let low = bounds.iter().map(|(low, _)| *low);
        let high = bounds.iter().map(|(_, high)| *high);
        let spans = [
            ("min_us", low.clone().min(), high.clone().min()),
            ("max_us", low.clone().max(), high.clone().max()),
            (
                "avg_us",
                Some(low.sum::<u64>() / connections),
                Some(high.sum::<u64>() / connections),
            ),
        ];
        for (key, low, high) in spans {
            let (low, high) = (low.unwrap_or(0), high.unwrap_or(0));
            let shown = time_ns(&shown[key]).ok_or_else(|| format!("no {key}"))?;
            let is_so = (low..=high).contains(&shown);
            demand!(is_so, "connect {key} is {shown} ns, not {low} to {high}");
        }
        Ok(())
    }

    /// When a ping is due, its time runs, whether or not it can leave.
    fn check_timetable(&self, first: &BTreeMap<u64, (&Request, &Reply)>) -> Result<(), String> {
        let interval_ns = ns(self.shown.config.interval);
        if interval_ns == 0 {
            return Ok(());
        }
        let is_second = self.name == "udp" && self.shown.config.tcp;
        let stagger_ns = if is_second {
            ns(STAGGER).min(interval_ns / 2)
        } else {
            0
        };
        let due_ns = |seq: u64| self.shown.began_ns + stagger_ns + (seq - 1) * interval_ns;
        for request in self
            .truth
            .requests
            .iter()
            .filter(|it| self.is_mine(it.socket))
        {
            let (seq, sent_ns) = (seq_of(request), request.sent_ns);
            demand!(due_ns(seq) <= sent_ns, "{seq} left too early");
        }
        let Some(timeout_ns) = self.shown.config.timeout.map(ns) else {
            return Ok(());
        };
        if !self.shown.is_punctual || interval_ns < 5 * SLACK_NS {
            return Ok(());
        }
        for told in &self.told {
            let end_ns = due_ns(told.seq.max(1)) + timeout_ns;
            let is_late = match told.kind {
                "timeout" | "connect_timeout" => told.at_ns > end_ns + SLACK_NS,
                "reply" => first[&told.seq].1.woken_ns > end_ns + SLACK_NS,
                _ => false,
            };
            let (kind, seq, at_ns) = (told.kind, told.seq, told.at_ns);
            demand!(!is_late, "{kind} of {seq} at {at_ns}, not by {end_ns}");
        }
        Ok(())
    }
}
