//! The options of `serve`, given by the environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use pingpong::inside::cli::{self, Command, UsageError};

use super::{Row, rows_of, sample};
use crate::support::server::{pingpong, run};

fn parsed(words: &[&str], variables: &[(&str, &str)]) -> Result<Command, UsageError> {
    let words = ["serve"].into_iter().chain(words.iter().copied());
    let variables = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    cli::parse(words.map(OsString::from), variables)
}

fn shown(words: &[&str], variables: &[(&str, &str)]) -> String {
    format!("{:?}", parsed(words, variables))
}

fn wrong(words: &[&str], variables: &[(&str, &str)]) -> String {
    parsed(words, variables).unwrap_err().to_string()
}

/// What is promised outside, by name.
#[test]
fn variables_are_called_after_their_options() {
    let rows = rows_of(&cli::serve::TABLE);
    let names: Vec<_> = rows
        .iter()
        .filter_map(|row| row.variable.as_deref())
        .collect();
    let expected = [
        "PINGPONG_LISTEN",
        "PINGPONG_NO_TCP",
        "PINGPONG_NO_UDP",
        "PINGPONG_BACKLOG",
        "PINGPONG_UDP_BUFFER",
        "PINGPONG_REUSE_PORT",
        "PINGPONG_FREEBIND",
        "PINGPONG_UNIX_MODE",
        "PINGPONG_MAX_CONNECTIONS",
        "PINGPONG_MAX_PER_CLIENT",
        "PINGPONG_ALLOW",
        "PINGPONG_MAX_MESSAGE",
        "PINGPONG_IDLE_TIMEOUT",
        "PINGPONG_OTHER_RATE",
        "PINGPONG_DRAIN_TIMEOUT",
        "PINGPONG_STRICT",
        #[cfg(feature = "admin")]
        "PINGPONG_ADMIN",
        "PINGPONG_BUSY_POLL",
    ];
    assert_eq!(names, expected);
    let told = rows.iter().filter(|row| row.variable.is_none());
    let told: Vec<_> = told.map(|row| row.long).collect();
    assert_eq!(told, ["verbose", "quiet", "help", "version"]);
}

/// The same as on the command line.
#[test]
fn every_variable_arrives() {
    for row in rows_of(&cli::serve::TABLE) {
        let Some(variable) = row.variable.as_deref() else {
            continue;
        };
        let by_variable = shown(&[], &[(variable, row.value_name.map_or("1", sample))]);
        let words = row.given();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        assert_eq!(by_variable, shown(&words, &[]), "{variable}");
        assert_ne!(by_variable, shown(&[], &[]), "{variable}");
    }
}

#[test]
fn the_command_line_wins() {
    for row in rows_of(&cli::serve::TABLE) {
        let Row {
            variable: Some(variable),
            takes_value: true,
            ..
        } = &row
        else {
            continue;
        };
        let words = row.given();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        // Not even a wrong value matters.
        for value in ["1", "3", "nonsense", ""] {
            assert_eq!(
                shown(&words, &[(variable, value)]),
                shown(&words, &[]),
                "{variable}"
            );
        }
    }
}

#[test]
fn a_list_has_commas_and_is_replaced_as_a_whole() {
    let two = [("PINGPONG_LISTEN", ":1,[fe80::1%eth0]:2")];
    assert_eq!(
        shown(&[], &two),
        shown(&["--listen=:1", "--listen=[fe80::1%eth0]:2"], &[])
    );
    assert_eq!(shown(&["--listen=:3"], &two), shown(&["--listen=:3"], &[]));
    let missing = "PINGPONG_LISTEN: the address is missing, such as :8888 or 127.0.0.1:8888";
    assert_eq!(wrong(&[], &[("PINGPONG_LISTEN", "")]), missing);
    assert_eq!(wrong(&[], &[("PINGPONG_LISTEN", ":1,")]), missing);
    // Where one value is taken, a comma is no separator.
    assert!(wrong(&[], &[("PINGPONG_BACKLOG", "1,2")]).starts_with("PINGPONG_BACKLOG=1,2: "));
}

#[test]
fn a_switch_is_1_or_0() {
    assert_eq!(shown(&[], &[("PINGPONG_STRICT", "0")]), shown(&[], &[]));
    assert_eq!(
        shown(&["--strict"], &[("PINGPONG_STRICT", "0")]),
        shown(&["--strict"], &[])
    );
    for value in ["yes", "true", "2", "01", " 1"] {
        assert_eq!(
            wrong(&[], &[("PINGPONG_STRICT", value)]),
            format!("PINGPONG_STRICT={value}: it takes 1 for on, or 0 for off")
        );
    }
    let empty = wrong(&[], &[("PINGPONG_STRICT", "")]);
    assert_eq!(empty, "PINGPONG_STRICT: it takes 1 for on, or 0 for off");
    let both = [("PINGPONG_NO_TCP", "1"), ("PINGPONG_NO_UDP", "1")];
    assert!(wrong(&[], &both).contains("leave nothing to serve"));
}

/// Kubernetes sets some of them for a service that is called pingpong.
#[test]
fn other_variables_are_ignored() {
    let others = [
        ("PINGPONG_PORT", "tcp://10.0.0.1:8888"),
        ("PINGPONG_VERBOSE", "1"),
        ("PINGPONG_QUIET", "x"),
        ("PINGPONG_HELP", "1"),
        ("PINGPONG_", "1"),
        ("PINGPONG_STRICT_", "1"),
        ("pingpong_strict", "1"),
        ("STRICT", "1"),
    ];
    assert_eq!(shown(&[], &others), shown(&[], &[]));
}

#[test]
fn text_that_is_not_utf_8_is_told() {
    let odd = |text: &[u8]| OsString::from(OsStr::from_bytes(text));
    let by_variable = |name: &[u8], value: &[u8]| {
        let parsed = cli::parse(["serve".into()], [(odd(name), odd(value))]);
        parsed.map(drop).map_err(|wrong| wrong.to_string())
    };
    for (name, value, told) in [
        (
            "PINGPONG_BACKLOG",
            &b"1,\xff"[..],
            "PINGPONG_BACKLOG=1,\u{fffd}",
        ),
        ("PINGPONG_LISTEN", b":1,\xff", "PINGPONG_LISTEN=\u{fffd}"),
    ] {
        let told = Err(format!("{told}: that is not UTF-8"));
        assert_eq!(by_variable(name.as_bytes(), value), told);
    }
    let words = ["serve".into(), "--backlog".into(), odd(b"\xff")];
    let wrong = cli::parse(words, []).unwrap_err().to_string();
    assert_eq!(wrong, "--backlog \u{fffd}: that is not UTF-8");
    // A name that is no text is nobody's.
    assert_eq!(by_variable(b"PINGPONG_\xff", b"1"), Ok(()));
}

/// A wrong variable does not keep help from who looks for it, nor does the environment of a server
/// matter to clients.
#[test]
fn only_a_server_looks_at_it() {
    let bad = [("PINGPONG_BACKLOG", "x")];
    assert!(matches!(parsed(&["--help"], &bad), Ok(Command::Print(_))));
    assert!(matches!(
        parsed(&["--version"], &bad),
        Ok(Command::Print(_))
    ));
    for client in ["ping", "load"] {
        let variables = [("PINGPONG_TIMEOUT", "x"), ("PINGPONG_UDP", "x")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let given = cli::parse([client, "h"].map(OsString::from), variables);
        let plain = cli::parse([client, "h"].map(OsString::from), []);
        assert_eq!(format!("{given:?}"), format!("{plain:?}"));
    }
}

/// The process's own environment, from end to end.
#[test]
fn the_program_hands_its_environment_on() {
    let mut command = pingpong(&["serve"]);
    command.env("PINGPONG_IDLE_TIMEOUT", "soon");
    let (code, _, stderr) = run(command);
    assert_eq!(code, Some(2));
    let what = "pingpong: PINGPONG_IDLE_TIMEOUT=soon: it takes a number with us, ms, s, m, h or d";
    assert!(stderr.starts_with(what), "{stderr}");
    assert!(
        stderr.ends_with("Try 'pingpong serve --help'.\n"),
        "{stderr}"
    );
}
