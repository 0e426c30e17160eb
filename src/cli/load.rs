//! `pingpong load`: its options and their help.

use std::path::PathBuf;
use std::time::Duration;

use super::table::Set::{Each, Switch, Value};
use super::table::{Opt, Table, opt};
use super::value::set;
use super::{Command, UsageError, target};
use crate::client::load::UNENDING;
use crate::client::load::options::LoadOptions;
use crate::client::load::report::Report;
use crate::client::load::schedule::SECOND;
use crate::client::load::search::{Goal, RATE_MAX_PER_S};
use crate::client::require::Requirement;
use crate::client::script::{
    DATAGRAM_MAX_BYTES, LANES_MAX, NUMBERED_PING_MIN_BYTES, PING_MIN_BYTES, Script,
};
use crate::client::target::Target;

/// The most requests that may wait on one connection.
const PIPELINE_MAX: usize = 65_536;
/// The most requests that may wait in all: each is remembered.
const WAITING_MAX: usize = 1 << 24;
/// The longest request: what a server keeps for one message is its own matter.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// What is asked unless it is told otherwise.
const CONNECTIONS: usize = 50;
const PIPELINE: usize = 1;
const DURATION: Duration = Duration::from_secs(10);
/// How long a ping is unless it is told otherwise.
const MESSAGE_BYTES: usize = 64;

/// `pingpong load` and its options.
pub static TABLE: Table<LoadGiven> = Table {
    command: "load",
    usage: "[options] TARGET",
    about: "load a server, check every reply, measure latency",
    intro: "\
pingpong load loads a server, checks every reply and measures latency.

TARGET is HOST, HOST:PORT, :PORT, PORT, [v6]:PORT or [v6%interface]:PORT.
Without a port it is 8888, without a host localhost.
",
    sections: &[("How much", HOW_MUCH), ("What", WHAT), ("Output", OUTPUT)],
    notes: &["\
DUR is a number with us, ms, s, m, h or d, also several as in 1m30s; a bare
number is seconds. BYTES may end in k or M (1024).
TEXT may contain \\r, \\n, \\t, \\0, \\\\ and \\xNN.

Signals:
  SIGINT (^C)   end early, with the report; a second one does not wait for
                replies
  SIGQUIT (^\\)  show the figures so far, on standard error

Try it:
  pingpong load -c 100 -p 16 -d 5s localhost
  pingpong load --rate 10000 --hdr latency.hgrm localhost
  pingpong load --send 'PING\\r\\n' --expect '+PONG\\r\\n' localhost:6379

Exit status:
  0 every reply was right; 1 one was wrong or (TCP) lost, none came, or a
  connection failed; 2 wrong command line.
"],
    argument: |it, text| {
        if it.target.is_some() {
            let text = text.to_string_lossy();
            return Err(UsageError::new(format!(
                "{text}: there is a target already"
            )));
        }
        it.target = Some(target(text, &mut it.tcp, &mut it.udp)?);
        Ok(())
    },
    advice: |_, _| None,
};

// A row is a row.
#[rustfmt::skip]
const HOW_MUCH: &[Opt<LoadGiven>] = &[
    opt("-c, --connections N", "50", "connections; over UDP sockets",
        Value(|it, value| set(&mut it.connections, value.number(1..=LANES_MAX).map(Some)))),
    opt("-p, --pipeline N", "1", "requests that may wait for replies on each",
        Value(|it, value| set(&mut it.pipeline, value.number(1..=PIPELINE_MAX).map(Some)))),
    opt("-s, --size BYTES", "64", "length of a ping",
        Value(|it, value| {
            set(&mut it.size, value.size(PING_MIN_BYTES..=MESSAGE_MAX_BYTES).map(Some))
        })),
    opt("-d, --duration DUR", "10s", "how long to measure",
        Value(|it, value| set(&mut it.duration, value.positive().map(Some)))),
    opt("-n, --requests N", "", "end after so many requests; -d too, if it is over before",
        Value(|it, value| set(&mut it.requests, value.number(1..=u64::MAX).map(Some)))),
    opt("--warmup DUR", "0", "how long to run before that",
        Value(|it, value| set(&mut it.warmup, value.duration()))),
    opt("--rate N", "",
        "requests a second in all, evenly, whatever comes back: an open loop; without it a \
         connection's next request waits for a reply: a closed loop",
        Value(|it, value| set(&mut it.rate_per_s, value.rate(1..=RATE_MAX_PER_S).map(Some)))),
    opt("--find-max GOAL", "",
        "the highest rate that keeps a goal such as p99=1ms; each step of the search lasts a \
         tenth of -d",
        Value(|it, value| {
            let takes = "a percentile and a latency, such as p99=1ms";
            set(&mut it.find_max, value.parsed(takes).map(Some))
        })),
    opt("--timeout DUR", "5s; UDP 1s",
        "how long to wait for a connection, for replies after the end, and over UDP for any reply",
        Value(|it, value| set(&mut it.timeout, value.positive().map(Some)))),
];

#[rustfmt::skip]
const WHAT: &[Opt<LoadGiven>] = &[
    opt("--tcp", "", "over TCP (the default)", Switch(|it| it.tcp = true)),
    opt("--udp", "", "over UDP; lost, duplicated, reordered are told apart",
        Switch(|it| it.udp = true)),
    opt("--send TEXT", "", "the request, in place of a ping; TCP only",
        Value(|it, value| set(&mut it.send, value.bytes().map(Some)))),
    opt("--expect TEXT", "", "the whole reply to it",
        Value(|it, value| set(&mut it.expect, value.bytes().map(Some)))),
    opt("--skip-lines N", "0", "lines that the server says first",
        Value(|it, value| set(&mut it.skip_lines, value.number(0..=u32::MAX)))),
];

#[rustfmt::skip]
const OUTPUT: &[Opt<LoadGiven>] = &[
    opt("--json", "", "one JSON object", Switch(|it| it.json = true)),
    opt("--hdr FILE", "", "write the percentile distribution (.hgrm)",
        Value(|it, value| set(&mut it.hdr, value.path().map(Some)))),
    opt("--require COND", "",
        "exit with 1 unless this holds, such as p99<2ms or replies_per_s>=10k; repeatable",
        Each(|it, value| {
            value.condition(Report::kind_of, FIGURES).map(|condition| it.require.push(condition))
        })),
];

/// What can be required of.
const FIGURES: &str = "min, mean, p50, p90, p99, p99.9, p99.99, max, loss, errors, requests_per_s \
     and replies_per_s";

/// What was given, before it is known whether it goes together.
#[derive(Debug, Default)]
pub struct LoadGiven {
    target: Option<Target>,
    connections: Option<usize>,
    pipeline: Option<usize>,
    size: Option<usize>,
    duration: Option<Duration>,
    requests: Option<u64>,
    warmup: Duration,
    rate_per_s: Option<u64>,
    find_max: Option<Goal>,
    tcp: bool,
    udp: bool,
    send: Option<Vec<u8>>,
    expect: Option<Vec<u8>>,
    skip_lines: u32,
    timeout: Option<Duration>,
    json: bool,
    hdr: Option<PathBuf>,
    require: Vec<Requirement>,
}

/// Understands what follows `load`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(parser: lexopt::Parser) -> Result<Command, UsageError> {
    let mut given = LoadGiven::default();
    Ok(match TABLE.parse(&mut given, parser, &[])? {
        Some(text) => Command::Print(text),
        None => Command::Load(Box::new(together(given)?)),
    })
}

fn together(given: LoadGiven) -> Result<LoadOptions, UsageError> {
    let wrong = |what: &str| Err(UsageError::new(what));
    if given.tcp && given.udp {
        return wrong("--tcp and --udp: a run has one of them");
    }
    if given.rate_per_s.is_some() && given.find_max.is_some() {
        return wrong("--rate and --find-max: the rate is what is searched for");
    }
    if given.requests.is_some() && given.find_max.is_some() {
        return wrong("-n and --find-max: each step of a search has its time");
    }
    if given.udp && given.skip_lines > 0 {
        return wrong("--skip-lines is about TCP: datagrams have no greeting");
    }
    let connections = given.connections.unwrap_or(CONNECTIONS);
    let pipeline = given.pipeline.unwrap_or(PIPELINE);
    if connections * pipeline > WAITING_MAX {
        return Err(UsageError::new(format!(
            "-c {connections} -p {pipeline}: at most {WAITING_MAX} requests may wait in all"
        )));
    }
    let script = script(&given)?;
    let duration = duration(&given);
    let Some(target) = given.target else {
        return wrong("a target is missing, such as localhost:8888");
    };
    Ok(LoadOptions {
        target,
        connections,
        pipeline,
        duration,
        requests_max: given.requests.filter(|_| given.rate_per_s.is_none()),
        warmup: given.warmup,
        rate_per_s: given.rate_per_s,
        find_max: given.find_max,
        udp: given.udp,
        script,
        skip_lines: given.skip_lines,
        timeout: given.timeout,
        json: given.json,
        hdr: given.hdr,
        require: given.require,
    })
}

/// A timetable of so many requests has its end; who waits for replies goes on until they are there.
fn duration(given: &LoadGiven) -> Duration {
    let asked = given.duration;
    match (given.requests, given.rate_per_s) {
        (None, _) => asked.unwrap_or(DURATION),
        (Some(_), None) => asked.unwrap_or(UNENDING),
        (Some(requests), Some(rate_per_s)) => {
            let ns = u128::from(requests) * u128::from(SECOND) / u128::from(rate_per_s);
            let ends = u64::try_from(ns).map_or(UNENDING, Duration::from_nanos);
            ends.min(asked.unwrap_or(UNENDING))
        }
    }
}

fn script(given: &LoadGiven) -> Result<Script, UsageError> {
    let wrong = |what: String| Err(UsageError::new(what));
    match (&given.send, &given.expect) {
        (Some(_), Some(_)) if given.udp => wrong(
            "--send is for TCP: over UDP each datagram needs the number that pings carry".into(),
        ),
        (Some(_), Some(_)) if given.size.is_some() => {
            wrong("-s and --send: the request is as long as it is".into())
        }
        (Some(send), Some(expect)) => Ok(Script::fixed(send, expect)),
        (Some(_), None) => wrong("--send needs --expect: every reply is checked".into()),
        (None, Some(_)) => wrong("--expect needs --send".into()),
        (None, None) => {
            let size = given.size.unwrap_or(MESSAGE_BYTES);
            let bounds = NUMBERED_PING_MIN_BYTES..=DATAGRAM_MAX_BYTES;
            if given.udp && !bounds.contains(&size) {
                let (low, high) = bounds.into_inner();
                return wrong(format!(
                    "-s {size}: over UDP it takes a whole number from {low} to {high}"
                ));
            }
            Ok(Script::pings(size))
        }
    }
}
