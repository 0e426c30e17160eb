//! `pingpong serve`: its options and their help.

use super::table::Set::{Each, Switch, Value};
use super::table::{Opt, Table, opt};
use super::value::set;
use super::{Command, Environment, UsageError, Verbosity};
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

/// `pingpong serve` and its options.
pub static TABLE: Table<ServeOptions> = Table {
    command: "serve",
    usage: "[options]",
    about: "answer pings, on port 8888 of every address unless told otherwise",
    intro: "pingpong serve answers ping/pong over TCP and UDP, on one port and one thread.",
    sections: &[("Where", WHERE), ("Limits", LIMITS), ("Running", RUNNING)],
    notes: &[NOTES, UPGRADE, STATUS],
    argument: |_, text| {
        let text = text.to_string_lossy();
        let unknown = || TABLE.unknown("argument", &text, &text);
        Err(meant_listen_by_argument(&text).unwrap_or_else(unknown))
    },
    advice: meant_listen_by_option,
};

const NOTES: &str = "\
DUR is a number with us, ms, s, m, h or d, also several as in 1m30s; a bare
number is seconds. BYTES may end in k or M (1024).
RUST_LOG sets the log's level too: error, warn, info (default), debug, trace.

Environment:
  PINGPONG_IDLE_TIMEOUT=5m is --idle-timeout 5m, and so on for all but letters;
  a list has commas, a switch is 1 or 0; the command line wins.

Signals:
  SIGTERM, SIGINT  stop: answer what has been received, then exit 0; a second
                   one exits at once with status 1
  SIGHUP           the same where standard error is a terminal; elsewhere
                   nothing
  SIGUSR1          log the counters
";

/// Without that feature the signal asks for nothing.
const UPGRADE: &str = if cfg!(feature = "upgrade") {
    "  SIGUSR2          start the program that lies at its path now, hand the sockets
                   over to it, and serve the connections that are there to
                   their end
"
} else {
    ""
};

const STATUS: &str = "
Exit status:
  0 stopped, 1 could not start or run, 2 wrong command line.
";

// A row is a row.
#[rustfmt::skip]
const WHERE: &[Opt<ServeOptions>] = &[
    opt("--listen ADDR", ":8888",
        "HOST:PORT, :PORT, PORT, [v6]:PORT, [v6%interface]:PORT or unix:/path; repeatable; :PORT \
         is every address, port 0 is a free one",
        Each(|it, value| value.parsed(ADDRESS).map(|address| it.config.listen.addresses.push(address)))),
    opt("--no-tcp", "", "serve UDP only", Switch(|it| it.config.listen.tcp = false)),
    opt("--no-udp", "", "serve TCP only", Switch(|it| it.config.listen.udp = false)),
    opt("--backlog N", "4096", "connections that wait to be accepted",
        Value(|it, value| set(&mut it.config.listen.backlog, value.number(1..=BACKLOG_MAX)))),
    opt("--udp-buffer BYTES", "the kernel's",
        "the UDP sockets' receive buffer; what was got, if less, is logged",
        Value(|it, value| {
            set(&mut it.config.listen.udp_buffer_bytes, value.size(1..=UDP_BUFFER_MAX_BYTES).map(Some))
        })),
    opt("--reuse-port", "", "let several processes share the port",
        Switch(|it| it.config.listen.reuse_port = true)),
    opt("--freebind", "", "listen also on addresses that are on no interface yet",
        Switch(|it| it.config.listen.freebind = true)),
    opt("--unix-mode MODE", "0666", "permissions of Unix sockets, octal",
        Value(|it, value| set(&mut it.config.listen.unix_mode, value.mode()))),
];

#[rustfmt::skip]
const LIMITS: &[Opt<ServeOptions>] = &[
    opt("--max-connections N", "as many as RLIMIT_NOFILE leaves",
        "further ones wait in the backlog; the log tells",
        Value(|it, value| set(&mut it.config.max_connections, value.number(1..=KEYS_MAX).map(Some)))),
    opt("--max-per-client N", "no limit",
        "connections from one address (IPv6: one /64); further ones are closed at once",
        Value(|it, value| set(&mut it.config.max_per_client, value.number(1..=KEYS_MAX).map(Some)))),
    opt("--allow CIDR", "everybody",
        "serve only this network, as in 192.0.2.0/24; repeatable; Unix sockets are not asked",
        Each(|it, value| value.network().map(|network| it.config.allow.push(network)))),
    opt("--max-message BYTES", "65536", "longest line over TCP, its ending included",
        Value(|it, value| {
            set(&mut it.config.rules.max_message_bytes, value.size(1..=MESSAGE_MAX_BYTES))
        })),
    opt("--idle-timeout DUR", "5m",
        "close after this long without a whole message and without a reply byte taken; 0 is \
         never, but for peers that have vanished (TCP keepalive)",
        Value(|it, value| set(&mut it.config.idle_timeout, value.limit()))),
    opt("--other-rate N", "1000", "UDP replies a second to what is not a ping; 0 is no limit",
        Value(|it, value| set(&mut it.config.other_rate_per_s, value.number(0..=u32::MAX)))),
    opt("--drain-timeout DUR", "5s", "the longest that a graceful stop takes",
        Value(|it, value| set(&mut it.config.drain_timeout, value.duration()))),
    opt("--strict", "", "answer pings only", Switch(|it| it.config.rules.strict = true)),
];

#[rustfmt::skip]
const RUNNING: &[Opt<ServeOptions>] = &[
    #[cfg(feature = "admin")]
    opt("--admin ADDR", "off", "metrics and health over HTTP: /metrics, /livez, /readyz",
        Value(|it, value| set(&mut it.config.admin, value.parsed(ADDRESS).map(Some)))),
    opt("--busy-poll DUR", "0", "spin this long before sleeping: CPU for latency",
        Value(|it, value| set(&mut it.config.busy_poll, value.duration()))),
    opt("-v, --verbose", "", "log each connection; given twice, each message too",
        Switch(|it| it.verbosity.more())),
    opt("-q, --quiet", "", "log errors only", Switch(|it| it.verbosity.quiet())),
];

/// What `--listen` takes.
const ADDRESS: &str = "HOST:PORT, :PORT, PORT, [v6]:PORT or unix:/path";

/// Other servers' names for it.
const OTHER_WORDS_FOR_LISTEN: &str = "-p -l -b --port --bind --host --addr --address --ip";

/// Understands what follows `serve`, and the environment.
///
/// # Errors
/// What is wrong with it.
pub fn parse(parser: lexopt::Parser, environment: &Environment) -> Result<Command, UsageError> {
    let mut options = ServeOptions::default();
    let defaults = std::mem::take(&mut options.config.listen.addresses);
    if let Some(text) = TABLE.parse(&mut options, parser, environment)? {
        return Ok(Command::Print(text));
    }
    if options.config.listen.addresses.is_empty() {
        options.config.listen.addresses = defaults;
    }
    let listen = &options.config.listen;
    let has_unix = listen.addresses.iter().any(|it| it.inet().is_none());
    if !listen.tcp && !listen.udp && !has_unix {
        return Err(UsageError::new(
            "--no-tcp and --no-udp together leave nothing to serve",
        ));
    }
    Ok(Command::Serve(options))
}

/// What those may mean who do not know `--listen` yet: `serve -p 9999`.
fn meant_listen_by_option(given: &str, parser: &mut lexopt::Parser) -> Option<UsageError> {
    let is_other_word = OTHER_WORDS_FOR_LISTEN.split(' ').any(|word| word == given);
    is_other_word.then(|| {
        let value = parser.value().unwrap_or_default();
        meant_listen("option", given, as_address(&value.to_string_lossy()))
    })
}

/// The same for `serve 9999`.
fn meant_listen_by_argument(given: &str) -> Option<UsageError> {
    let looks_like_a_host = given == "localhost" || given.contains(['.', ':']);
    let address = given.parse().ok();
    let address = address.or_else(|| as_address(given).filter(|_| looks_like_a_host));
    address.map(|address| meant_listen("argument", given, Some(address)))
}

fn meant_listen(what: &str, given: &str, address: Option<Address>) -> UsageError {
    let meant = address.map_or_else(|| ADDRESS.into(), |address| address.to_string());
    UsageError::new(format!(
        "there is no {what} {given}; did you mean --listen {meant}?"
    ))
}

fn as_address(text: &str) -> Option<Address> {
    let with_port = || format!("{text}:{DEFAULT_PORT}").parse().ok();
    text.parse().ok().or_else(with_port)
}
