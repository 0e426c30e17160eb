//! `pingpong serve`: its options and their help.

use lexopt::Arg;

use super::value::{duration, number, size, value};
use super::{Command, UsageError, VERSION, Verbosity, unknown_option, written};
use crate::address::{Address, DEFAULT_PORT};
use crate::reactor::KEYS_MAX;
use crate::start::Config;

/// The longest `--max-message`: the shared buffer holds one of them.
const MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The most that listen(2) takes.
const BACKLOG_MAX: i32 = i32::MAX;

/// The largest `--udp-buffer`: the kernel doubles it, and counts in an int.
const UDP_BUFFER_MAX_BYTES: usize = 1024 * 1024 * 1024 - 1;

/// What `pingpong serve` was asked for.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// What to do.
    pub config: Config,
    /// How much to log.
    pub verbosity: Verbosity,
}

/// The text of `pingpong serve --help`.
pub const HELP: &str = "\
pingpong serve answers ping/pong over TCP and UDP, on one port and one thread.

Usage: pingpong serve [options]

Where:
      --listen ADDR         HOST:PORT, :PORT, PORT, [v6]:PORT or
                            [v6%interface]:PORT; repeatable; :PORT is every
                            address, port 0 is a free one [:8888]
      --no-tcp              serve UDP only
      --no-udp              serve TCP only
      --backlog N           connections that wait to be accepted [4096]
      --udp-buffer BYTES    the UDP sockets' receive buffer [the kernel's]
      --reuse-port          let several processes share the port

Limits:
      --max-connections N   further ones wait in the backlog; the log tells
                            [as many as RLIMIT_NOFILE leaves]
      --max-message BYTES   longest line over TCP, its ending included [65536]
      --idle-timeout DUR    close after this long without a whole message and
                            without a reply byte taken; 0 is never, but for
                            peers that have vanished (TCP keepalive) [5m]
      --other-rate N        UDP replies a second to what is not a ping;
                            0 is no limit [1000]
      --drain-timeout DUR   the longest that a graceful stop takes [5s]
      --strict              answer pings only

Running:
      --busy-poll DUR       spin this long before sleeping; off unless asked for
  -v, -vv                   log each connection; each message too
  -q                        log errors only
  -h, --help                this text
  -V, --version             the version

DUR is a number with us, ms, s, m, h or d, also several as in 1m30s; a bare
number is seconds. BYTES may end in k or M (1024).
RUST_LOG sets the log's level too: error, warn, info (default), debug, trace.

Signals:
  SIGTERM, SIGINT           stop: answer what has been received, then exit 0;
                            a second one exits at once with status 1
  SIGHUP                    the same where standard error is a terminal;
                            elsewhere nothing
  SIGUSR1                   log the counters

Exit status: 0 stopped, 1 could not start or run, 2 wrong command line.
";

/// What `--listen` takes.
const ADDRESS: &str = "HOST:PORT, :PORT, PORT or [v6]:PORT";

/// Other servers' names for it.
const OTHER_WORDS_FOR_LISTEN: [&str; 9] = [
    "-p",
    "-l",
    "-b",
    "--port",
    "--bind",
    "--host",
    "--addr",
    "--address",
    "--ip",
];

const OPTIONS: [&str; 17] = [
    "--listen",
    "--no-tcp",
    "--no-udp",
    "--backlog",
    "--udp-buffer",
    "--reuse-port",
    "--max-connections",
    "--max-message",
    "--idle-timeout",
    "--other-rate",
    "--drain-timeout",
    "--strict",
    "--busy-poll",
    "-v",
    "-q",
    "--help",
    "--version",
];

/// Understands what follows `serve`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    let mut options = ServeOptions::default();
    let mut addresses = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("listen") => addresses.push(value(&mut parser, "--listen", ADDRESS)?),
            Arg::Long("no-tcp") => options.config.listen.tcp = false,
            Arg::Long("no-udp") => options.config.listen.udp = false,
            Arg::Long("backlog") => {
                options.config.listen.backlog = number(&mut parser, "--backlog", 1..=BACKLOG_MAX)?;
            }
            Arg::Long("udp-buffer") => {
                let bytes = size(&mut parser, "--udp-buffer", 1..=UDP_BUFFER_MAX_BYTES)?;
                options.config.listen.udp_buffer_bytes = Some(bytes);
            }
            Arg::Long("reuse-port") => options.config.listen.reuse_port = true,
            Arg::Long("max-connections") => {
                let max = number(&mut parser, "--max-connections", 1..=KEYS_MAX)?;
                options.config.max_connections = Some(max);
            }
            Arg::Long("max-message") => {
                options.config.rules.max_message_bytes =
                    size(&mut parser, "--max-message", 1..=MESSAGE_MAX_BYTES)?;
            }
            Arg::Long("idle-timeout") => {
                let timeout = duration(&mut parser, "--idle-timeout")?;
                options.config.idle_timeout = (!timeout.is_zero()).then_some(timeout);
            }
            Arg::Long("other-rate") => {
                options.config.other_rate_per_s =
                    number(&mut parser, "--other-rate", 0..=u32::MAX)?;
            }
            Arg::Long("drain-timeout") => {
                options.config.drain_timeout = duration(&mut parser, "--drain-timeout")?;
            }
            Arg::Long("strict") => options.config.rules.strict = true,
            Arg::Long("busy-poll") => {
                options.config.busy_poll = duration(&mut parser, "--busy-poll")?;
            }
            Arg::Short('v') => options.verbosity.more(),
            Arg::Short('q') => options.verbosity.quiet(),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Print(HELP.into())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Command::Print(VERSION.into()));
            }
            other => {
                let wrong = unknown_option(&other, &OPTIONS);
                let given = written(&other);
                return Err(meant_listen(&given, &mut parser).unwrap_or(wrong));
            }
        }
    }
    if !addresses.is_empty() {
        options.config.listen.addresses = addresses;
    }
    if !options.config.listen.tcp && !options.config.listen.udp {
        return Err(UsageError::new(
            "--no-tcp and --no-udp together leave nothing to serve",
        ));
    }
    Ok(Command::Serve(options))
}

/// What those may mean who do not know `--listen` yet: `serve 9999`, `serve -p 9999`.
fn meant_listen(given: &str, parser: &mut lexopt::Parser) -> Option<UsageError> {
    let (what, address) = if OTHER_WORDS_FOR_LISTEN.contains(&given) {
        let value = parser.value().unwrap_or_default();
        ("option", as_address(&value.to_string_lossy()))
    } else {
        let looks_like_a_host = given == "localhost" || given.contains(['.', ':']);
        let address = given.parse().ok();
        let address = address.or_else(|| as_address(given).filter(|_| looks_like_a_host));
        ("argument", Some(address?))
    };
    let meant = address.map_or_else(|| ADDRESS.into(), |address| address.to_string());
    Some(UsageError::new(format!(
        "there is no {what} {given}; did you mean --listen {meant}?"
    )))
}

fn as_address(text: &str) -> Option<Address> {
    let with_port = || format!("{text}:{DEFAULT_PORT}").parse().ok();
    text.parse().ok().or_else(with_port)
}
