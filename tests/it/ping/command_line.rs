//! The command line of `pingpong ping`: what it takes, and what it says about the rest.

use std::ffi::OsString;
use std::time::Duration;

use pingpong::inside::cli::ping::PingOptions;
use pingpong::inside::cli::{Command, parse};
use pingpong::inside::client::target::{Family, Target};

use super::real::ping;
use crate::support::assert_golden;

fn options(args: &str) -> Result<PingOptions, String> {
    let args = std::iter::once("ping").chain(args.split_whitespace());
    match parse(args.map(OsString::from), []) {
        Ok(Command::Ping(options)) => Ok(options),
        Ok(other) => panic!("{other:?}"),
        Err(wrong) => Err(wrong.to_string()),
    }
}

#[test]
fn help_is_as_in_the_golden_file() {
    let ended = ping(&["--help"]);
    assert_golden("tests/it/golden/ping-help.txt", &ended.stdout);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let by_help = super::real::Program::start(&["help", "ping"]).end();
    assert_eq!(by_help.stdout, ended.stdout);
}

#[test]
fn defaults_are_those_of_ping() {
    let options = options("example.org").unwrap();
    let config = options.config;
    assert_eq!(options.target.host, "example.org");
    assert_eq!((options.target.port, options.family), (8888, Family::Any));
    assert_eq!((config.tcp, config.udp), (true, false));
    assert_eq!((config.count, config.deadline), (None, None));
    assert_eq!(config.interval, Duration::from_secs(1));
    assert_eq!(config.timeout, Some(Duration::from_secs(1)));
    assert_eq!(config.payload_bytes, 56);
}

#[test]
fn options_are_understood_in_any_order_and_together() {
    let options =
        options("-qDc5 h:1 -i.2 -W 300ms -w5 -s100 -6 --udp --json --rotate-port").unwrap();
    let config = options.config;
    assert!(options.quiet && options.timestamps && options.json && !options.flood);
    assert_eq!((config.tcp, config.udp), (false, true));
    assert_eq!((config.count, config.payload_bytes), (Some(5), 100));
    assert_eq!(config.interval, Duration::from_millis(200));
    assert_eq!(config.timeout, Some(Duration::from_millis(300)));
    assert_eq!(config.deadline, Some(Duration::from_secs(5)));
    assert!(config.rotate_port);
    assert_eq!(options.family, Family::V6);
}

#[test]
fn a_flood_has_no_interval_unless_it_is_given_one() {
    assert_eq!(options("-f h").unwrap().config.interval, Duration::ZERO);
    let given = options("-i 0.5 -f h").unwrap().config.interval;
    assert_eq!(given, Duration::from_millis(500));
    let forever = options("-W 0 -w 0 h").unwrap().config;
    assert_eq!((forever.timeout, forever.deadline), (None, None));
}

/// As the server's log writes it.
#[test]
fn a_scheme_asks_for_its_transport() {
    for (args, transports) in [
        ("tcp://[::1]:8888", (true, false)),
        ("udp://[::1]:8888", (false, true)),
        ("--tcp udp://[::1]:8888", (true, true)),
    ] {
        let options = options(args).unwrap();
        assert_eq!(
            (options.config.tcp, options.config.udp),
            transports,
            "{args}"
        );
        assert_eq!(options.target.host, "::1");
    }
    assert!(options("sctp://[::1]:8888").is_err());
}

#[test]
fn targets_are_what_people_write() {
    for (text, host, port) in [
        ("example.org", "example.org", 8888),
        ("example.org:7", "example.org", 7),
        ("127.0.0.1", "127.0.0.1", 8888),
        ("127.0.0.1:9", "127.0.0.1", 9),
        (":9", "localhost", 9),
        ("9", "localhost", 9),
        ("[::1]:9", "::1", 9),
        ("[::1]", "::1", 8888),
        ("::1", "::1", 8888),
        ("fe80::1%eth0", "fe80::1%eth0", 8888),
        ("[fe80::1%eth0]:9", "fe80::1%eth0", 9),
    ] {
        let expected = Target {
            host: host.into(),
            port,
        };
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    for text in [
        "", ":", ":0", "0", "h:0", "h:", "h:x", "h:65536", "[]:9", "[::1", "1:2:3",
    ] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
    assert!(
        "unix:/x"
            .parse::<Target>()
            .unwrap_err()
            .contains("Unix sockets")
    );
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    for (args, what) in [
        ("", "a TARGET is missing: whom to ping?"),
        ("a b", "one TARGET is enough"),
        (
            "-c 0 h",
            "-c 0: it takes a whole number from 1 to 18446744073709551615",
        ),
        (
            "-c x h",
            "-c x: it takes a whole number from 1 to 18446744073709551615",
        ),
        (
            "-s 70000 h",
            "-s 70000: it takes a whole number from 0 to 65502, also with k or M",
        ),
        (
            "-i -1 h",
            "-i -1: it takes a number with us, ms, s, m, h or d",
        ),
        ("-4 -6 h", "-4 and -6 together leave no address"),
        (
            "--rotate-prot h",
            "there is no option --rotate-prot; did you mean --rotate-port?",
        ),
        ("h:0", "h:0: nobody can listen on port 0"),
        ("h -c", "-c: its value is missing; it takes a whole number"),
    ] {
        let wrong = options(args).unwrap_err();
        assert!(wrong.contains(what), "{args}: {wrong}");
    }
    let ended = ping(&["-c0", "h"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.starts_with("pingpong: -c 0: "),
        "{}",
        ended.stderr
    );
}
