//! `pingpong ping`: its options and their help.

use std::time::Duration;

use lexopt::Arg;

use super::value::{duration, number, size};
use super::{Command, UsageError, VERSION, target, unknown_option};
use crate::client::message::PAYLOAD_MAX_BYTES;
use crate::client::ping::Config;
use crate::client::target::{Family, Target};

/// What `pingpong ping` was asked for.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line are just that"
)]
pub struct PingOptions {
    /// Whom to ping.
    pub target: Target,
    /// Which of its addresses will do.
    pub family: Family,
    /// How to ping.
    pub config: Config,
    /// Tell only the summary.
    pub quiet: bool,
    /// Tell in dots and backspaces, on a terminal.
    pub flood: bool,
    /// Tell in JSON.
    pub json: bool,
    /// The time of day before each line.
    pub timestamps: bool,
}

/// The text of `pingpong ping --help`.
pub const HELP: &str = "\
pingpong ping sends pings, over TCP or UDP, and shows what becomes of each.

Usage: pingpong ping [options] TARGET

TARGET is HOST, HOST:PORT, :PORT, PORT, [v6]:PORT or [v6%interface]:PORT; without a host
it is localhost, without a port 8888.

How:
      --tcp          over a connection (the default); one that fails is opened anew
      --udp          over UDP; with --tcp too: over both, side by side
      --rotate-port  from a new port each time, to find the one bad path of several
  -4, -6             IPv4 only, IPv6 only
  -s BYTES           the ping's payload                                        [56]

When:
  -c COUNT           end after so many pings; with -w, after so many replies
  -i INTERVAL        from one ping to the next                                 [1s]
  -W TIMEOUT         how long to wait for a reply; 0 is for ever               [1s]
  -w DEADLINE        end after this long
  -f                 flood: ping as soon as the last was answered, or 10 ms after it;
                     on a terminal a dot for each ping, a backspace for each reply

What to show:
  -D                 the time before each line: [seconds.microseconds] since 1970
  -q                 only the summary
      --json         a JSON object a line, the summary being the last
  -h, --help         this text
  -V, --version      the version

Times are numbers with us, ms, s, m, h or d, also several as in 1m30s; a bare number is
seconds. BYTES may end in k or M (1024).

Signals:
  SIGQUIT (^\\)       show the figures so far, on standard error
  SIGINT (^C)        end, after 200 ms at most; a ping without a reply by then is
                     not counted as sent

Exit status: 0 a reply came, 1 none came, 2 anything else.
";

const OPTIONS: [&str; 16] = [
    "--tcp",
    "--udp",
    "--rotate-port",
    "-4",
    "-6",
    "-s",
    "-c",
    "-i",
    "-W",
    "-w",
    "-f",
    "-D",
    "-q",
    "--json",
    "--help",
    "--version",
];

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
const PAYLOAD_BYTES: usize = 56;

/// What may stand in any order on the command line.
#[derive(Debug, Default)]
struct Given {
    targets: Vec<Target>,
    tcp: bool,
    udp: bool,
    family: Family,
    interval: Option<Duration>,
}

impl Given {
    fn take_family(&mut self, family: Family) -> Result<(), UsageError> {
        let before = std::mem::replace(&mut self.family, family);
        if before != Family::Any && before != family {
            return Err(UsageError::new("-4 and -6 together leave no address"));
        }
        Ok(())
    }
}

/// Understands what follows `ping`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    let mut given = Given::default();
    let mut config = Config {
        tcp: true,
        udp: false,
        count: None,
        interval: INTERVAL,
        timeout: Some(TIMEOUT),
        deadline: None,
        payload_bytes: PAYLOAD_BYTES,
        rotate_port: false,
    };
    let (mut quiet, mut flood, mut json, mut timestamps) = (false, false, false, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("tcp") => given.tcp = true,
            Arg::Long("udp") => given.udp = true,
            Arg::Long("rotate-port") => config.rotate_port = true,
            Arg::Short('4') => given.take_family(Family::V4)?,
            Arg::Short('6') => given.take_family(Family::V6)?,
            Arg::Short('s') => {
                config.payload_bytes = size(&mut parser, "-s", 0..=PAYLOAD_MAX_BYTES)?;
            }
            Arg::Short('c') => config.count = Some(number(&mut parser, "-c", 1..=u64::MAX)?),
            Arg::Short('i') => given.interval = Some(duration(&mut parser, "-i")?),
            Arg::Short('W') => config.timeout = unless_zero(duration(&mut parser, "-W")?),
            Arg::Short('w') => config.deadline = unless_zero(duration(&mut parser, "-w")?),
            Arg::Short('f') => flood = true,
            Arg::Short('D') => timestamps = true,
            Arg::Short('q') => quiet = true,
            Arg::Long("json") => json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Print(HELP.into())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Command::Print(VERSION.into()));
            }
            Arg::Value(text) => given
                .targets
                .push(target(&text, &mut given.tcp, &mut given.udp)?),
            other => return Err(unknown_option(&other, &OPTIONS)),
        }
    }
    config.tcp = given.tcp || !given.udp;
    config.udp = given.udp;
    let unhurried = if flood { Duration::ZERO } else { INTERVAL };
    config.interval = given.interval.unwrap_or(unhurried);
    Ok(Command::Ping(PingOptions {
        family: given.family,
        target: only(given.targets)?,
        config,
        quiet,
        flood,
        json,
        timestamps,
    }))
}

fn only(mut targets: Vec<Target>) -> Result<Target, UsageError> {
    match (targets.pop(), targets.is_empty()) {
        (Some(target), true) => Ok(target),
        (Some(_), false) => Err(UsageError::new("one TARGET is enough")),
        (None, _) => Err(UsageError::new("a TARGET is missing: whom to ping?")),
    }
}

/// As in ping(8), 0 stands for no limit.
fn unless_zero(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}
