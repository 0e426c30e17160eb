//! `pingpong load`: its options and their help.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg;

use super::value::{bytes, duration, number, size, value};
use super::{Command, UsageError, VERSION, target, unknown_option};
use crate::client::load::search::{Goal, RATE_MAX_PER_S};
use crate::client::script::{
    DATAGRAM_MAX_BYTES, LANES_MAX, NUMBERED_PING_MIN_BYTES, PING_MIN_BYTES, Script,
};
use crate::client::target::Target;
use crate::transport::Transport;

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
/// How long a reply may take, over TCP and over UDP.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const UDP_TIMEOUT: Duration = Duration::from_secs(1);

/// What `pingpong load` was asked for.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Whom to load.
    pub target: Target,
    /// How many connections, or over UDP sockets.
    pub connections: usize,
    /// How many requests may wait on each.
    pub pipeline: usize,
    /// How long to measure.
    pub duration: Duration,
    /// How long to run before that.
    pub warmup: Duration,
    /// The open loop's rate; `None`: a closed loop.
    pub rate_per_s: Option<u64>,
    /// What the highest rate is searched for.
    pub find_max: Option<Goal>,
    /// Over UDP.
    pub udp: bool,
    /// What is sent and what has to come back.
    pub script: Script,
    /// How many lines the peer says before it listens.
    pub skip_lines: u32,
    /// How long a connection may take to come, and a reply.
    pub timeout: Option<Duration>,
    /// Print JSON.
    pub json: bool,
    /// Where the percentile distribution goes.
    pub hdr: Option<PathBuf>,
}

impl LoadOptions {
    /// Over what.
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.udp {
            Transport::Udp
        } else {
            Transport::Tcp
        }
    }

    /// How long a connection may take to come, and a reply.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let default = if self.udp { UDP_TIMEOUT } else { TCP_TIMEOUT };
        self.timeout.unwrap_or(default)
    }
}

/// The text of `pingpong load --help`.
pub const HELP: &str = "\
pingpong load loads a server, checks every reply and measures latency.

Usage: pingpong load [options] TARGET

TARGET is HOST, HOST:PORT, :PORT, PORT, [v6]:PORT or [v6%interface]:PORT.
Without a port it is 8888, without a host localhost.

How much:
  -c N                  connections; over UDP sockets                       [50]
  -p N                  requests that may wait for replies on each          [1]
  -s BYTES              length of a ping                                    [64]
  -d DUR                how long to measure                                [10s]
      --warmup DUR      how long to run before that                         [0]
      --rate N          requests a second in all, evenly, whatever comes
                        back: an open loop; without it a connection's next
                        request waits for a reply: a closed loop
      --find-max GOAL   the highest rate that keeps a goal such as p99=1ms;
                        each step of the search lasts a tenth of -d
      --timeout DUR     how long to wait for a connection, for replies after the
                        end, and over UDP for any reply             [5s; UDP 1s]

What:
      --tcp             over TCP (the default)
      --udp             over UDP; lost, duplicated, reordered are told apart
      --send TEXT       the request, in place of a ping; TCP only
      --expect TEXT     the whole reply to it
      --skip-lines N    lines that the server says first                    [0]

Output:
      --json            one JSON object
      --hdr FILE        write the percentile distribution (.hgrm)
  -h, --help            this text
  -V, --version         the version

DUR is a number with us, ms, s, m, h or d, also several as in 1m30s; a bare
number is seconds. N of -s may end in k or M (1024).
TEXT may contain \\r, \\n, \\t, \\0, \\\\ and \\xNN.
SIGINT ends the run early, with its report; a second one does not wait for
replies. SIGQUIT (^\\) shows the figures so far, on standard error.

Try it:
  pingpong load -c 100 -p 16 -d 5s localhost
  pingpong load --rate 10000 --hdr latency.hgrm localhost
  pingpong load --send 'PING\\r\\n' --expect '+PONG\\r\\n' localhost:6379

Exit status: 0 every reply was right; 1 one was wrong or (TCP) lost, none came,
or a connection failed; 2 wrong command line.
";

const OPTIONS: [&str; 17] = [
    "-c",
    "-p",
    "-s",
    "-d",
    "--warmup",
    "--rate",
    "--find-max",
    "--timeout",
    "--tcp",
    "--udp",
    "--send",
    "--expect",
    "--skip-lines",
    "--json",
    "--hdr",
    "--help",
    "--version",
];

/// What was given, before it is known whether it goes together.
#[derive(Debug, Default)]
struct Given {
    target: Option<Target>,
    connections: Option<usize>,
    pipeline: Option<usize>,
    size: Option<usize>,
    duration: Option<Duration>,
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
}

/// Understands what follows `load`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    let mut given = Given::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('c') => given.connections = Some(number(&mut parser, "-c", 1..=LANES_MAX)?),
            Arg::Short('p') => given.pipeline = Some(number(&mut parser, "-p", 1..=PIPELINE_MAX)?),
            Arg::Short('s') => {
                let bounds = PING_MIN_BYTES..=MESSAGE_MAX_BYTES;
                given.size = Some(size(&mut parser, "-s", bounds)?);
            }
            Arg::Short('d') => given.duration = Some(positive(&mut parser, "-d")?),
            Arg::Long("warmup") => given.warmup = duration(&mut parser, "--warmup")?,
            Arg::Long("rate") => {
                given.rate_per_s = Some(number(&mut parser, "--rate", 1..=RATE_MAX_PER_S)?);
            }
            Arg::Long("find-max") => {
                let takes = "a percentile and a latency, such as p99=1ms";
                given.find_max = Some(value(&mut parser, "--find-max", takes)?);
            }
            Arg::Long("timeout") => given.timeout = Some(positive(&mut parser, "--timeout")?),
            Arg::Long("tcp") => given.tcp = true,
            Arg::Long("udp") => given.udp = true,
            Arg::Long("send") => given.send = Some(bytes(&mut parser, "--send")?),
            Arg::Long("expect") => given.expect = Some(bytes(&mut parser, "--expect")?),
            Arg::Long("skip-lines") => {
                given.skip_lines = number(&mut parser, "--skip-lines", 0..=u32::MAX)?;
            }
            Arg::Long("json") => given.json = true,
            Arg::Long("hdr") => given.hdr = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Print(HELP.into())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Command::Print(VERSION.into()));
            }
            Arg::Value(text) if given.target.is_none() => {
                given.target = Some(target(&text, &mut given.tcp, &mut given.udp)?);
            }
            Arg::Value(text) => {
                let text = text.to_string_lossy();
                return Err(UsageError::new(format!(
                    "{text}: there is a target already"
                )));
            }
            other => return Err(unknown_option(&other, &OPTIONS)),
        }
    }
    Ok(Command::Load(Box::new(together(given)?)))
}

fn positive(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, UsageError> {
    match duration(parser, option)? {
        Duration::ZERO => Err(UsageError::new(format!(
            "{option} must be longer than nothing"
        ))),
        duration => Ok(duration),
    }
}

fn together(given: Given) -> Result<LoadOptions, UsageError> {
    let wrong = |what: &str| Err(UsageError::new(what));
    if given.tcp && given.udp {
        return wrong("--tcp and --udp: a run has one of them");
    }
    if given.rate_per_s.is_some() && given.find_max.is_some() {
        return wrong("--rate and --find-max: the rate is what is searched for");
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
    let Some(target) = given.target else {
        return wrong("a target is missing, such as localhost:8888");
    };
    Ok(LoadOptions {
        target,
        connections,
        pipeline,
        duration: given.duration.unwrap_or(DURATION),
        warmup: given.warmup,
        rate_per_s: given.rate_per_s,
        find_max: given.find_max,
        udp: given.udp,
        script,
        skip_lines: given.skip_lines,
        timeout: given.timeout,
        json: given.json,
        hdr: given.hdr,
    })
}

fn script(given: &Given) -> Result<Script, UsageError> {
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
