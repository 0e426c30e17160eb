//! `--require` of both clients: what is understood, what holds, and what the exit status says.

use pingpong::inside::client::require::{Kind, Requirement, percent};

use crate::support::server::{Server, pingpong, run};

fn holds(condition: &str, value: f64) -> bool {
    let requirement: Requirement = condition.parse().unwrap();
    requirement.holds(Some(value), "").is_ok()
}

#[test]
fn comparisons_and_bounds() {
    let ms = 1e6;
    for (condition, value, expected) in [
        ("p99<5ms", 4.999 * ms, true),
        ("p99<5ms", 5.0 * ms, false),
        ("p99<=5ms", 5.0 * ms, true),
        ("p99 <= 1m30s", 90_001.0 * ms, false),
        ("p99<5ms", f64::INFINITY, false),
        ("loss<1%", 0.99, true),
        ("loss<1%", 1.0, false),
        ("loss<=0.1%", 0.1, true),
        ("received>=3", 3.0, true),
        ("received>3", 3.0, false),
        ("replies_per_s>=10k", 10_000.0, true),
        ("replies_per_s>=1.5M", 1_499_999.0, false),
        ("errors=0", 0.0, true),
        ("errors=0", 1.0, false),
    ] {
        assert_eq!(holds(condition, value), expected, "{condition} of {value}");
    }
    let unknown: Requirement = "p99<5ms".parse().unwrap();
    let told = unknown.holds(None, " over tcp").unwrap_err();
    assert_eq!(told, "p99<5ms is not so over tcp: p99 is not known");
    assert_eq!(percent(1, 3).map(f64::round), Some(33.0));
    assert_eq!(percent(0, 0), None);
}

#[test]
fn what_is_no_condition_is_told() {
    for text in [
        "", "p99", "p99<", "p99<x", "p99<-1ms", "p99<5 ms", "p99<1e3", "<5ms%",
    ] {
        assert!(text.parse::<Requirement>().is_err(), "{text}");
    }
    let known = |name: &str| match name {
        "p99" => Some(Kind::Time),
        "loss" => Some(Kind::Percent),
        "sent" => Some(Kind::Count),
        _ => None,
    };
    for (text, told) in [
        ("p98<5ms", "there is no figure p98: it is one of them"),
        ("p99<5", "p99 is a time, such as 5ms"),
        ("loss<5ms", "loss is a part of all, such as 1%"),
        ("sent<5%", "sent is a number, such as 10 or 10k"),
    ] {
        let requirement: Requirement = text.parse().unwrap();
        assert_eq!(requirement.check(known, "them"), Err(told.into()), "{text}");
    }
}

/// A condition that holds changes nothing; one that does not is told on standard error, behind all
/// results, and the exit status is 1.
#[test]
fn the_exit_status_says_whether_it_holds() {
    let server = Server::start(&[]);
    let target = server.tcp[0].to_string();
    let ping = ["ping", "-c", "3", "-i", "0.001", "--tcp", "--udp", &target];
    let load = ["load", "-d", "200ms", "-c", "2", &target];
    let load = if cfg!(feature = "load") {
        Some(&load[..])
    } else {
        None
    };
    let holding = [
        (
            Some(&ping[..]),
            ["received>=3", "loss=0%", "p99<1m", "sent=3"],
        ),
        (
            load,
            ["errors=0", "loss<0.1%", "p99<1m", "replies_per_s>10"],
        ),
    ];
    for (command, conditions) in holding {
        let Some(command) = command else { continue };
        let mut words = command.to_vec();
        for condition in &conditions {
            words.extend(["--require", condition]);
        }
        let (code, stdout, stderr) = run(pingpong(&words));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        words.extend(["--require", "max<1us", "--require", "p50<2us"]);
        let (code, stdout, stderr) = run(pingpong(&words));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stdout.contains("avg") || stdout.contains("mean"),
            "{stdout}"
        );
        assert!(
            stderr.contains("max<1us is not so") && stderr.contains("p50<2us is not so"),
            "{stderr}"
        );
        assert!(!stderr.contains("loss"), "{stderr}");
    }
    for transport in ["tcp", "udp"] {
        let words = [&ping[..], &["--require", "max<1us"]].concat();
        let (_, _, stderr) = run(pingpong(&words));
        assert!(
            stderr.contains(&format!("not so over {transport}: it is ")),
            "{stderr}"
        );
    }
    let (code, _, stderr) = run(pingpong(&["ping", "--require", "p98.5<1ms", &target]));
    assert!(
        code == Some(2) && stderr.contains("there is no figure p98.5"),
        "{stderr}"
    );
}

/// Nobody there: what is not known does not hold.
#[test]
fn what_is_not_known_does_not_hold() {
    let words = [
        "ping",
        "-c1",
        "-W0.01",
        "--udp",
        "192.0.2.1",
        "--require",
        "p99<1m",
        "--require",
        "loss<100%",
    ];
    let (code, _, stderr) = run(pingpong(&words));
    assert_ne!(code, Some(0));
    assert!(
        stderr.contains("p99<1m is not so over udp: p99 is not known"),
        "{stderr}"
    );
    assert!(
        stderr.contains("loss<100% is not so over udp: it is 100"),
        "{stderr}"
    );
}
