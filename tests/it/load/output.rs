//! What it prints: for people, for programs, for plotters, and on a terminal.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use pingpong::inside::client::load::hgrm::percentile_distribution;
use pingpong::inside::client::load::report::{Found, Report, time};
use pingpong::inside::client::load::stats::{Cost, Ended, Stamp, Stats};
use pingpong::inside::client::load::{Opened, Run};
use pingpong::inside::transport::Transport;
use serde_json::Value;

use super::{Served, finish, load, spawn};
use crate::support::{PROGRAM, assert_golden, command, skip};

const MS: u64 = 1_000_000;

/// Two thousand requests, one every 50 us, each sent a tenth of a millisecond late and answered
/// after a quarter.
fn report(rate_per_s: Option<u64>) -> Report {
    let mut stats = Stats::new().unwrap();
    stats.open_window((0, 100 * MS), rate_per_s.is_some());
    for request in 0..2000 {
        let intended = request * MS / 20;
        let stamp = Stamp {
            intended,
            sent: intended + MS / 10,
        };
        stats.sent(stamp);
        let took = if request < 1990 { MS / 4 } else { 10 * MS };
        stats.answered(stamp, stamp.sent + took);
    }
    stats.close_window(100 * MS, rate_per_s.map(|_| 2000));
    Report {
        target: "localhost:8888".into(),
        transport: Transport::Tcp,
        connections: 2,
        opened: Opened {
            ready: 2,
            took: Duration::from_micros(150),
            peer: Some("127.0.0.1:8888".parse().unwrap()),
        },
        pipeline: 1,
        request_bytes: 64,
        reply_bytes: 64,
        timeout: Duration::from_secs(1),
        started: SystemTime::UNIX_EPOCH + Duration::from_millis(1_732_287_600_123),
        command: "pingpong load localhost".into(),
        run: Run {
            rate_per_s,
            warmup: Duration::ZERO,
            duration: Duration::from_millis(100),
            catch_up: true,
            ..Run::default()
        },
        stats,
        cost: Cost {
            wall: Duration::from_millis(100),
            cpu: Duration::from_millis(25),
            waited_for_cpu: Some(Duration::from_micros(42)),
        },
        found: None,
    }
}

#[test]
fn the_report_of_a_closed_loop() {
    let text = report(None).to_string();
    assert_golden("tests/it/golden/load-closed.txt", &text);
}

#[test]
fn the_report_of_an_open_loop_with_trouble() {
    let mut report = report(Some(1000));
    report.transport = Transport::Udp;
    report.stats.ended = Ended::BrokenOff;
    report.stats.lost = 3;
    report.stats.due += 3;
    report.stats.requests += 3;
    report.stats.duplicated = 2;
    report.stats.offload.sends = 10;
    report.stats.offload.super_sends = 9;
    report.stats.offload.sent = 103;
    report.found = Some(Found {
        goal: "p99 within 1.00 ms".into(),
        rate_per_s: Some(1000),
        is_confirmed: true,
    });
    let text = report.to_string();
    assert_golden("tests/it/golden/load-open.txt", &text);
}

#[test]
fn the_percentile_distribution() {
    let text = percentile_distribution(report(None).stats.latency.histogram());
    assert_golden("tests/it/golden/latency.hgrm", &text);
}

#[test]
fn times_read_well() {
    assert_eq!(time(0), "0.0 us");
    assert_eq!(time(12_345), "12.3 us");
    assert_eq!(time(12_345_678), "12.35 ms");
    assert_eq!(time(90_000_000_000), "90.00 s");
}

/// Who had no CPU has measured that too, and says so.
#[test]
fn a_client_short_of_cpu_says_so() {
    let says_so = |cpu_ms, waited_ms| {
        let mut report = report(None);
        report.cost.cpu = Duration::from_millis(cpu_ms);
        report.cost.waited_for_cpu = Some(Duration::from_millis(waited_ms));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let said = report.to_string().contains("short of CPU");
        assert_eq!(json["client"]["short_of_cpu"], said);
        said
    };
    assert!(!says_so(90, 1));
    assert!(says_so(99, 0));
    assert!(says_so(50, 10));
}

/// What a program finds by name.
const KEYS: &[&str] = &[
    "target",
    "address",
    "transport",
    "mode",
    "connections_target",
    "connections",
    "connect_us",
    "pipeline",
    "request_bytes",
    "reply_bytes",
    "schema",
    "version",
    "started_unix_s",
    "host",
    "command",
    "timeout_s",
    "warmup_s",
    "duration_asked_s",
    "duration_s",
    "ended",
    "first_error",
    "rate_target_per_s",
    "due",
    "requests",
    "requests_per_s",
    "replies",
    "replies_per_s",
    "sent_bytes_per_s",
    "received_bytes_per_s",
    "latency",
    "latency_uncorrected",
    "send_delay",
    "wrong",
    "lost",
    "late",
    "duplicated",
    "reordered",
    "unsent",
    "abandoned",
    "not_connected",
    "closed_early",
    "send_errors",
    "refused",
    "foreign",
    "client",
    "ok",
];
const DISTRIBUTION_KEYS: &[&str] = &[
    "count",
    "unanswered",
    "min_us",
    "mean_us",
    "p50_us",
    "p90_us",
    "p99_us",
    "p99_9_us",
    "p99_99_us",
    "max_us",
];

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn sorted<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}

#[test]
fn json_has_its_keys_and_its_figures() {
    let json: Value = serde_json::from_str(&report(Some(1000)).json()).unwrap();
    assert_eq!(keys(&json), sorted(KEYS));
    for distribution in ["latency", "latency_uncorrected", "send_delay"] {
        assert_eq!(keys(&json[distribution]), sorted(DISTRIBUTION_KEYS));
    }
    let near = |distribution: &str, micros: f64| {
        let measured = json[distribution]["p99_us"].as_f64().unwrap();
        assert!(
            (measured - micros).abs() < micros / 500.0,
            "{distribution} {measured}"
        );
    };
    near("latency", 350.0);
    near("latency_uncorrected", 250.0);
    near("send_delay", 100.0);
    assert_eq!(json["replies_per_s"], 19_900.0);
    assert_eq!(json["started_unix_s"], 1_732_287_600.123);
    assert_eq!(
        (&json["ended"], &json["due"]),
        (&"complete".into(), &2000.into())
    );
    assert_eq!(json["client"]["cpu_share"], 0.25);
    assert_eq!(json["ok"], true);
    // In a closed loop there is nothing to correct.
    let json: Value = serde_json::from_str(&report(None).json()).unwrap();
    assert_eq!(json["latency"], json["latency_uncorrected"]);
    assert!(json["rate_target_per_s"].is_null());
}

#[test]
fn text_in_json_is_quoted() {
    let mut report = report(None);
    report.target = "a\"b\\c\u{1}\u{e9}".into();
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["target"], report.target);
}

#[test]
fn the_distribution_is_written_to_a_file() {
    let served = Served::start();
    let path: PathBuf =
        std::env::temp_dir().join(format!("pingpong-load-{}.hgrm", std::process::id()));
    let ran = load(
        served.address,
        &format!("-c 2 -d 100ms --rate 1000 --hdr {}", path.display()),
    );
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.json);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(2)
        .take_while(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_whitespace()
                .map(|cell| cell.parse().unwrap())
                .collect()
        })
        .collect();
    let last = rows.last().unwrap();
    assert_eq!(
        (last[1].to_string(), last[2].to_string()),
        ("1".into(), "100".into())
    );
    assert!(
        rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]),
        "{text}"
    );
    assert!(
        rows.iter().rev().skip(1).all(|row| row.len() == 4),
        "{text}"
    );
    assert!(text.contains("Total count    =          100]"), "{text}");
    assert!((last[0] - ran.micros("latency", "max_us") / 1e3).abs() < last[0] / 500.0);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run() {
    let args = [
        "load",
        "-d",
        "1h",
        "--hdr",
        "/nowhere/at/all.hgrm",
        "127.0.0.1:1",
    ];
    let output = finish(spawn(&args));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("cannot write /nowhere/at/all.hgrm"),
        "{stderr}"
    );
}

/// script(1) runs it on a terminal: progress is shown there, and cleared before the report.
#[test]
fn progress_is_shown_on_a_terminal() {
    let served = Served::start();
    let line = format!("{PROGRAM} load -c 2 -d 700ms {}", served.address);
    let started = command("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = started else {
        skip("script is not installed");
        return;
    };
    let output = finish(child);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(
        shown.contains("load [") && shown.contains("s left"),
        "{shown}"
    );
    // The bar is wiped (erase line) before the report begins.
    let (progress, report) = shown.split_once("target ").unwrap();
    assert!(
        progress.rfind("\u{1b}[2K") > progress.rfind("s left"),
        "{shown:?}"
    );
    assert!(!report.contains("s left"), "{report}");
}

#[test]
fn no_progress_is_shown_where_there_is_no_terminal() {
    let served = Served::start();
    let target = served.address.to_string();
    let output = finish(spawn(&["load", "-c", "1", "-d", "600ms", &target]));
    assert_eq!(output.stderr, b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("target       tcp://127.0.0.1:"), "{text}");
    assert!(text.contains("errors       none"), "{text}");
}

/// What was due and never answered took longer than any that was: `> 1.00 s`, and null in JSON.
#[test]
fn who_was_never_answered_counts_as_longer_than_the_timeout() {
    let mut report = report(Some(20_000));
    report.stats.due += 200;
    report.stats.requests += 100;
    report.stats.lost += 100;
    let text = report.to_string();
    let row = |name: &str| {
        let row = text
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        row.unwrap()
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("p50"), ["350.2", "us", "250.1", "us", "100.0", "us"]);
    // A hundred that could not be sent are lost to the one column, not to the other.
    assert_eq!(
        row("p99 "),
        [">", "1.00", "s", ">", "1.00", "s", "100.0", "us"]
    );
    assert_eq!(row("p99.9 "), ["-", "-", "-"]);
    assert_eq!(
        row("max"),
        [">", "1.00", "s", ">", "1.00", "s", "100.0", "us"]
    );
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["latency"]["unanswered"], 200);
    assert_eq!(json["latency_uncorrected"]["unanswered"], 100);
    assert!(json["latency"]["p99_us"].is_null() && json["latency"]["max_us"].is_null());
    assert!(!json["latency"]["p50_us"].is_null());
    assert_eq!((&json["unsent"], &json["lost"]), (&100.into(), &100.into()));
}
