//! How it is asked, and what it says when it is asked wrongly.

use std::ffi::OsString;

use pingpong::inside::cli::load::LoadOptions;
use pingpong::inside::cli::{Command, UsageError, parse};

use super::{finish, spawn};
use crate::support::assert_golden;

fn understood(args: &str) -> Result<LoadOptions, UsageError> {
    let args = args.split_whitespace().map(OsString::from);
    match parse(std::iter::once(OsString::from("load")).chain(args), [])? {
        Command::Load(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

#[test]
fn help() {
    for args in [&["load", "--help"][..], &["load", "-h"], &["help", "load"]] {
        let output = finish(spawn(args));
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).unwrap();
        assert_golden("tests/it/golden/load-help.txt", &help);
    }
}

#[test]
fn defaults() {
    let options = understood("localhost").unwrap();
    assert_eq!((options.connections, options.pipeline), (50, 1));
    assert_eq!(
        (options.duration.as_secs(), options.warmup.as_secs()),
        (10, 0)
    );
    assert_eq!(
        (options.udp, options.json, options.rate_per_s),
        (false, false, None)
    );
    assert_eq!(options.script.request_bytes(), 64);
    assert_eq!(options.timeout().as_secs(), 5);
    assert_eq!(
        understood("--udp localhost").unwrap().timeout().as_secs(),
        1
    );
}

#[test]
fn targets() {
    for (given, meant) in [
        ("example.org", "example.org:8888"),
        ("example.org:7", "example.org:7"),
        ("127.0.0.1", "127.0.0.1:8888"),
        ("7", "localhost:7"),
        (":7", "localhost:7"),
        ("[::1]", "[::1]:8888"),
        ("[::1]:7", "[::1]:7"),
    ] {
        assert_eq!(
            understood(given).unwrap().target.to_string(),
            meant,
            "{given}"
        );
    }
}

/// As the server's log writes it.
#[test]
fn a_scheme_asks_for_its_transport() {
    assert!(!understood("tcp://127.0.0.1:8888").unwrap().udp);
    assert!(understood("udp://127.0.0.1:8888").unwrap().udp);
    assert!(understood("--tcp udp://127.0.0.1:8888").is_err());
}

#[test]
fn wrong_command_lines() {
    for (args, said) in [
        ("", "a target is missing"),
        ("a b", "b: there is a target already"),
        ("a:99999", "'99999' is no port"),
        ("a:0", "port 0"),
        ("-c 0 a", "-c 0: it takes a whole number from 1 to"),
        ("-p 0 a", "-p 0: it takes a whole number from 1 to"),
        (
            "-c 100000 -p 65536 a",
            "at most 16777216 requests may wait in all",
        ),
        ("-s 4 a", "-s 4: it takes a whole number from 5 to"),
        (
            "-s 21 --udp a",
            "-s 21: over UDP it takes a whole number from 22 to 65507",
        ),
        ("-d 0 a", "-d must be longer than nothing"),
        (
            "-d soon a",
            "-d soon: it takes a number with us, ms, s, m, h or d",
        ),
        ("--rate 0 a", "--rate 0: it takes a whole number from 1 to"),
        ("--rate 1 --find-max p99=1ms a", "--rate and --find-max"),
        (
            "--find-max fast a",
            "--find-max fast: it takes a percentile and a latency",
        ),
        ("--tcp --udp a", "--tcp and --udp"),
        ("--send x a", "--send needs --expect"),
        ("--expect x a", "--expect needs --send"),
        (
            r"--send \q --expect x a",
            r"--send \q: it takes a text with the escapes",
        ),
        ("--send x --expect y --udp a", "--send is for TCP"),
        ("--send x --expect y -s 9 a", "-s and --send"),
        ("--skip-lines 1 --udp a", "--skip-lines is about TCP"),
        (
            "--warmpu 1s a",
            "there is no option --warmpu; did you mean --warmup?",
        ),
        ("-c", "-c: its value is missing; it takes a whole number"),
    ] {
        let wrong = understood(args).map(|_| ()).unwrap_err().to_string();
        assert!(wrong.contains(said), "{args}: {wrong}");
    }
    let output = finish(spawn(&["load", "-c", "0", "a"]));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("pingpong: -c 0: "), "{stderr}");
}
