//! The command line of `serve`: what it takes, what it says about the rest, and what ships.

use std::ffi::OsString;
use std::time::Duration;

use pingpong::inside::address::{Address, HostPort};
use pingpong::inside::cli::serve::ServeOptions;
use pingpong::inside::cli::{Command, parse};
use pingpong::inside::listen::Listen;
use pingpong::inside::protocol::stream::Rules;

use crate::support::server::{pingpong, run};

/// Ends with this exit code; its one line of complaint.
pub(super) fn complaint(args: &[&str], expected_code: i32) -> String {
    let (code, stdout, stderr) = run(pingpong(args));
    assert_eq!(code, Some(expected_code), "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    stderr
}

/// A wrong command line: status 2, what is wrong, and whose help says more.
fn assert_wrong(args: &[&str], help: &str, what: &str) {
    let expected = format!("pingpong: {what}\nTry 'pingpong {help}--help'.\n");
    assert_eq!(complaint(args, 2), expected, "{args:?}");
}

#[test]
fn wrong_commands() {
    for (args, what) in [
        (&[][..], "a command is missing, such as serve"),
        (&["sreve"], "there is no command sreve; did you mean serve?"),
        (&["frobnicate"], "there is no command frobnicate"),
        (
            &["--versoin"],
            "there is no option --versoin; did you mean --version?",
        ),
        (
            &["help", "no-such-command"],
            "there is no help on no-such-command",
        ),
    ] {
        assert_wrong(args, "", what);
    }
    #[cfg(feature = "ping")]
    assert_wrong(&["ping", "-x", "h"], "ping ", "there is no option -x");
    #[cfg(feature = "load")]
    assert_wrong(&["load", "-x", "h"], "load ", "there is no option -x");
}

#[test]
fn wrong_options() {
    for (args, what) in [
        (
            &["--listne", ":0"][..],
            "there is no option --listne; did you mean --listen?",
        ),
        (&["--frobnicate"], "there is no option --frobnicate"),
        (&["frobnicate"], "there is no argument frobnicate"),
        (
            &["--no-tcp", "--no-udp"],
            "--no-tcp and --no-udp together leave nothing to serve",
        ),
        (
            &["--max-connections", "0"],
            "--max-connections 0: it takes a whole number from 1 to 4294967294",
        ),
        (
            &["--max-connections", "many"],
            "--max-connections many: it takes a whole number from 1 to 4294967294",
        ),
        (
            &["--backlog", "-1"],
            "--backlog -1: it takes a whole number from 1 to 2147483647",
        ),
        (
            &["--backlog"],
            "--backlog: its value is missing; it takes a whole number from 1 to 2147483647",
        ),
        (
            &["--other-rate", "1e3"],
            "--other-rate 1e3: it takes a whole number from 0 to 4294967295",
        ),
        (
            &["--strict=yes"],
            "unexpected argument for option '--strict': \"yes\"",
        ),
    ] {
        assert_wrong(&[&["serve"], args].concat(), "serve ", what);
    }
}

/// What `--listen` does not take, and other words for it.
#[test]
fn wrong_addresses() {
    for (address, what) in [
        ("::1", "an IPv6 address stands in brackets: [::1]:8888"),
        (
            "[::1]",
            "an address in brackets goes on with ]:PORT, as in [::1]:8888",
        ),
        (
            "[]:1",
            "between the brackets stands an IPv6 address, as in [::1]:8888",
        ),
        ("localhost", "the port is missing: localhost:8888"),
        ("localhost:", "the port is missing, such as 8888"),
        (":", "the port is missing, such as 8888"),
        (
            ":65536",
            "'65536' is no port: it is a number from 0 to 65535",
        ),
        (
            "99999",
            "'99999' is no port: it is a number from 0 to 65535",
        ),
        (":+80", "'+80' is no port: it is a number from 0 to 65535"),
        (
            "localhost:http",
            "'http' is no port: it is a number from 0 to 65535",
        ),
        ("tcp://[::]:8888", "an address has no scheme: [::]:8888"),
        (
            "--no-udp",
            "the address is missing, such as :8888 or 127.0.0.1:8888",
        ),
        (
            "unix:",
            "the path is missing, as in unix:/run/pingpong.sock",
        ),
        ("unix://x", "a path has no host: unix:/x"),
    ] {
        let what = format!("--listen {address}: {what}");
        assert_wrong(&["serve", "--listen", address], "serve ", &what);
    }
    let missing = "--listen: the address is missing, such as :8888 or 127.0.0.1:8888";
    assert_wrong(&["serve", "--listen="], "serve ", missing);
    assert_wrong(&["serve", "--listen", ""], "serve ", missing);
    let missing =
        "--listen: its value is missing; it takes HOST:PORT, :PORT, PORT, [v6]:PORT or unix:/path";
    assert_wrong(&["serve", "--listen"], "serve ", missing);
}

#[test]
fn other_words_lead_to_listen() {
    for (args, what, meant) in [
        (&["9999"][..], "argument 9999", ":9999"),
        (&[":9999"], "argument :9999", ":9999"),
        (&["localhost"], "argument localhost", "localhost:8888"),
        (&["10.0.0.1"], "argument 10.0.0.1", "10.0.0.1:8888"),
        (&["[::1]:7"], "argument [::1]:7", "[::1]:7"),
        (&["-p", "9999"], "option -p", ":9999"),
        (&["-p9999"], "option -p", ":9999"),
        (&["-l", "h:1"], "option -l", "h:1"),
        (&["--port", "9999"], "option --port", ":9999"),
        (&["--port=9999"], "option --port", ":9999"),
        (&["--bind", "0.0.0.0"], "option --bind", "0.0.0.0:8888"),
        (&["--host", "h"], "option --host", "h:8888"),
        (&["--addr"], "option --addr", ":8888"),
        (
            &["--address", "udp://x"],
            "option --address",
            "HOST:PORT, :PORT, PORT, [v6]:PORT or unix:/path",
        ),
    ] {
        let what = format!("there is no {what}; did you mean --listen {meant}?");
        assert_wrong(&[&["serve"], args].concat(), "serve ", &what);
    }
}

#[test]
fn durations() {
    let told = |text: &str| pingpong::inside::units::parse_duration(text).map(|it| it.as_micros());
    for (text, us) in [
        ("0", 0),
        ("0s", 0),
        ("5", 5_000_000),
        ("1.5", 1_500_000),
        (".2", 200_000),
        ("250us", 250),
        ("20ms", 20_000),
        ("0.5ms", 500),
        ("3s", 3_000_000),
        ("5m", 300_000_000),
        ("2h", 7_200_000_000),
        ("1d", 86_400_000_000),
        ("1m30s", 90_000_000),
        ("1d2h3m4s5ms6us", 93_784_005_006),
        ("1h0.5s", 3_600_500_000),
        ("1.", 1_000_000),
        ("0.1234567890123456789d", 10_666_666_570),
        ("0.000001d", 86_400),
        ("365d", 31_536_000_000_000),
        ("8760h", 31_536_000_000_000),
    ] {
        assert_eq!(told(text), Some(us), "{text}");
    }
    for text in [
        "",
        "s",
        "-1",
        "+1",
        "1w",
        "1 s",
        "1.-5",
        "1.5x",
        "99999999999999999999",
        "1S",
        "1e3",
        "inf",
        "nan",
        "1.2.3",
        ".",
        "8761h",
        "365d1s",
        "1ss",
        "1m30",
        "30s1m",
        "1s1s",
        "1ms1m",
        "m30s",
        "1m-1s",
        "1m 30s",
    ] {
        assert_eq!(told(text), None, "{text}");
        let between = if text.is_empty() { "" } else { " " };
        let what = format!(
            "--idle-timeout{between}{text}: it takes a number with us, ms, s, m, h or d, \
             such as 500ms, 1.5s or 1m30s; a year at most"
        );
        assert_wrong(&["serve", "--idle-timeout", text], "serve ", &what);
    }
}

#[test]
fn sizes() {
    use pingpong::inside::units::parse_size;
    for (text, bytes) in [
        ("0", 0),
        ("65536", 65536),
        ("64k", 65536),
        ("64K", 65536),
        ("16M", 16_777_216),
    ] {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for text in [
        "",
        "k",
        "1m",
        "1kB",
        "1.5k",
        "-1k",
        "+1",
        "1kk",
        "1G",
        "0x10",
        "99999999999999999M",
        "18446744073709551616",
    ] {
        assert_eq!(parse_size(text), None, "{text}");
    }
    for text in ["0", "0k", "17M", "16777217", "1kB"] {
        let what = format!(
            "--max-message {text}: it takes a whole number from 1 to 16777216, \
             also with k or M, as in 4k"
        );
        assert_wrong(&["serve", "--max-message", text], "serve ", &what);
    }
}

fn understood(args: &[&str]) -> ServeOptions {
    let args = ["serve"].iter().chain(args).map(OsString::from);
    match parse(args, []) {
        Ok(Command::Serve(options)) => options,
        other => panic!("{other:?}"),
    }
}

/// What ships, by value.
#[test]
fn defaults() {
    let options = understood(&[]);
    assert_eq!(options.config.listen.addresses, [Address::any(8888)]);
    let Listen {
        tcp,
        udp,
        reuse_port,
        backlog,
        ..
    } = options.config.listen;
    assert_eq!((tcp, udp, reuse_port, backlog), (true, true, false, 4096));
    assert_eq!(options.config.max_connections, None);
    let Rules {
        max_message_bytes,
        strict,
    } = options.config.rules;
    assert_eq!((max_message_bytes, strict), (65536, false));
    assert_eq!(options.config.idle_timeout, Some(Duration::from_secs(300)));
    assert_eq!(options.config.drain_timeout, Duration::from_secs(5));
    assert_eq!(options.config.other_rate_per_s, 1000);
    assert_eq!(options.config.busy_poll, Duration::ZERO);
    assert_eq!(options.verbosity.level(), None);
}

/// Each option, given, sets what it names.
#[test]
fn every_option_arrives() {
    let options = understood(&[
        "--listen=:1",
        "--listen",
        "[fe80::1%eth0]:2",
        "--no-udp",
        "--backlog=7",
        "--reuse-port",
        "--max-connections=9",
        "--max-message=2k",
        "--idle-timeout=1m30s",
        "--other-rate=3",
        "--drain-timeout=4",
        "--strict",
        "--busy-poll=50us",
        "-vv",
    ]);
    let interface = Address::Inet(HostPort {
        host: Some("fe80::1%eth0".into()),
        port: 2,
    });
    assert_eq!(
        options.config.listen.addresses,
        [Address::any(1), interface]
    );
    let Listen {
        tcp,
        udp,
        reuse_port,
        backlog,
        ..
    } = options.config.listen;
    assert_eq!((tcp, udp, reuse_port, backlog), (true, false, true, 7));
    assert_eq!(options.config.max_connections, Some(9));
    assert_eq!(options.config.rules.max_message_bytes, 2048);
    assert!(options.config.rules.strict);
    assert_eq!(options.config.idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!(options.config.other_rate_per_s, 3);
    assert_eq!(options.config.drain_timeout, Duration::from_secs(4));
    assert_eq!(options.config.busy_poll, Duration::from_micros(50));
    assert_eq!(options.verbosity.level(), Some(log::LevelFilter::Trace));
    assert!(!understood(&["--no-tcp"]).config.listen.tcp);
    assert_eq!(understood(&["--idle-timeout=0"]).config.idle_timeout, None);
    assert_eq!(
        understood(&["-v"]).verbosity.level(),
        Some(log::LevelFilter::Debug)
    );
    assert_eq!(
        understood(&["-q"]).verbosity.level(),
        Some(log::LevelFilter::Error)
    );
}
