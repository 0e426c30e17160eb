//! `pingpong ping`: its options and their help.

use std::time::Duration;

use super::table::Set::{Each, Switch, Value};
use super::table::{Opt, Table, opt};
use super::value::set;
use super::{Command, UsageError, target};
use crate::client::ping::{PAYLOAD_MAX_BYTES, PingOptions, PingPlan, PingStats};
use crate::client::require::Requirement;
use crate::client::target::{Family, Target};

/// `pingpong ping` and its options.
pub static TABLE: Table<PingGiven> = Table {
    command: "ping",
    usage: "[options] TARGET",
    about: "send pings, and show how long each takes",
    intro: "\
pingpong ping sends pings, over TCP or UDP, and shows what becomes of each.

TARGET is HOST, HOST:PORT, :PORT, PORT, [v6]:PORT or [v6%interface]:PORT;
without a host it is localhost, without a port 8888.
",
    sections: &[("How", HOW), ("When", WHEN), ("What to show", SHOW)],
    notes: &["\
DUR is a number with us, ms, s, m, h or d, also several as in 1m30s; a bare
number is seconds. BYTES may end in k or M (1024).

Signals:
  SIGQUIT (^\\)  show the figures so far, on standard error
  SIGINT (^C)   end, after 200 ms at most; a ping that is on its way by then
                counts if it has been for a second or more

Exit status:
  0 a reply came over each transport, and every --require holds; 1 not so;
  2 anything else.
"],
    argument: |it, text| {
        let target = target(text, &mut it.tcp, &mut it.udp)?;
        it.targets.push(target);
        Ok(())
    },
    advice: |_, _| None,
};

// A row is a row.
#[rustfmt::skip]
const HOW: &[Opt<PingGiven>] = &[
    opt("--tcp", "", "over a connection (the default); one that fails is opened anew",
        Switch(|it| it.tcp = true)),
    opt("--udp", "", "over UDP; with --tcp too: over both, side by side",
        Switch(|it| it.udp = true)),
    opt("--rotate-port", "", "from a new port each time, to find the one bad path of several",
        Switch(|it| it.rotate_port = true)),
    opt("-4, --ipv4", "", "IPv4 only", Switch(|it| it.v4 = true)),
    opt("-6, --ipv6", "", "IPv6 only", Switch(|it| it.v6 = true)),
    opt("-s, --size BYTES", "56", "the ping's payload",
        Value(|it, value| set(&mut it.payload_bytes, value.size(0..=PAYLOAD_MAX_BYTES)))),
];

#[rustfmt::skip]
const WHEN: &[Opt<PingGiven>] = &[
    opt("-c, --count N", "", "end after so many pings; with -w, after so many replies",
        Value(|it, value| set(&mut it.count, value.number(1..=u64::MAX).map(Some)))),
    opt("-i, --interval DUR", "1s; flood 0", "from one ping to the next",
        Value(|it, value| set(&mut it.interval, value.duration().map(Some)))),
    opt("-W, --timeout DUR", "1s", "how long to wait for a reply; 0 is for ever",
        Value(|it, value| set(&mut it.timeout, value.limit()))),
    opt("-w, --deadline DUR", "", "end after this long; 0 is never",
        Value(|it, value| set(&mut it.deadline, value.limit()))),
    opt("-f, --flood", "",
        "ping as soon as the last was answered, or 10 ms after it; on a terminal a dot for each \
         ping, a backspace for each reply",
        Switch(|it| it.flood = true)),
];

#[rustfmt::skip]
const SHOW: &[Opt<PingGiven>] = &[
    opt("-D, --timestamps", "",
        "the time before each line: [seconds.microseconds] since 1970",
        Switch(|it| it.timestamps = true)),
    opt("-O, --outstanding", "",
        "tell, when the next ping is due, that the last has no reply yet (with -W over -i)",
        Switch(|it| it.outstanding = true)),
    opt("-n, --numeric", "", "as in ping(8); addresses are shown as numbers anyway",
        Switch(|_| {})),
    opt("-q, --quiet", "", "only the summary", Switch(|it| it.quiet = true)),
    opt("--json", "", "a JSON object a line, the summary being the last",
        Switch(|it| it.json = true)),
    opt("--require COND", "",
        "exit with 1 unless this holds, such as loss<1% or p99<5ms; repeatable",
        Each(|it, value| {
            value.condition(PingStats::kind_of, FIGURES).map(|condition| it.require.push(condition))
        })),
];

/// What can be required of.
const FIGURES: &str = "loss, sent, received, late, duplicates, errors, min, avg, max, mdev, jitter, \
     connect and percentiles such as p99";

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
const PAYLOAD_BYTES: usize = 56;

/// What was given, before it is known whether it goes together.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line are just that"
)]
pub struct PingGiven {
    targets: Vec<Target>,
    tcp: bool,
    udp: bool,
    rotate_port: bool,
    v4: bool,
    v6: bool,
    payload_bytes: usize,
    count: Option<u64>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    flood: bool,
    timestamps: bool,
    outstanding: bool,

    quiet: bool,
    json: bool,
    require: Vec<Requirement>,
}

/// Understands what follows `ping`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(parser: lexopt::Parser) -> Result<Command, UsageError> {
    let mut given = PingGiven {
        timeout: Some(TIMEOUT),
        payload_bytes: PAYLOAD_BYTES,
        ..PingGiven::default()
    };
    if let Some(text) = TABLE.parse(&mut given, parser, &[])? {
        return Ok(Command::Print(text));
    }
    let family = match (given.v4, given.v6) {
        (true, true) => return Err(UsageError::new("-4 and -6 together leave no address")),
        (true, false) => Family::V4,
        (false, true) => Family::V6,
        (false, false) => Family::Any,
    };
    let unhurried = if given.flood {
        Duration::ZERO
    } else {
        INTERVAL
    };
    Ok(Command::Ping(PingOptions {
        family,
        target: only(given.targets)?,
        plan: PingPlan {
            tcp: given.tcp || !given.udp,
            udp: given.udp,
            count: given.count,
            interval: given.interval.unwrap_or(unhurried),
            timeout: given.timeout,
            deadline: given.deadline,
            payload_bytes: given.payload_bytes,
            rotate_port: given.rotate_port,
            tells_waiting: given.outstanding,
        },
        quiet: given.quiet,
        flood: given.flood,
        json: given.json,
        timestamps: given.timestamps,
        require: given.require,
    }))
}

fn only(mut targets: Vec<Target>) -> Result<Target, UsageError> {
    match (targets.pop(), targets.is_empty()) {
        (Some(target), true) => Ok(target),
        (Some(_), false) => Err(UsageError::new("one TARGET is enough")),
        (None, _) => Err(UsageError::new("a TARGET is missing: whom to ping?")),
    }
}
