//! The figures themselves: each by its name, and the balance of them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use pingpong::inside::admin::metrics::{Exposition, Format, Histogram};

use super::{answer, figure, get, serve};
use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::skip;

const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is promised outside, by name and label.
#[test]
fn every_figure_that_is_promised_is_there() {
    let (_server, at) = serve(&[]);
    let page = get(at, "/metrics");
    assert_eq!(page.header("content-type"), Some(PLAIN));
    let names: BTreeSet<_> = page
        .body
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once([' ', '{']).unwrap().0)
        .collect();
    let expected = "pingpong_build_info pingpong_connections pingpong_connections_max \
        pingpong_connections_accepted_total pingpong_connections_closed_total \
        pingpong_connections_refused_total pingpong_accept_errors_total pingpong_messages_total \
        pingpong_replies_total pingpong_received_bytes_total pingpong_sent_bytes_total \
        pingpong_datagrams_dropped_total pingpong_receive_errors_total pingpong_loop_turns_total \
        pingpong_turn_duration_seconds_bucket pingpong_turn_duration_seconds_sum \
        pingpong_turn_duration_seconds_count pingpong_log_lines_lost_total \
        process_start_time_seconds process_cpu_seconds_total process_resident_memory_bytes \
        process_open_fds process_max_fds";
    assert_eq!(names, expected.split_whitespace().collect());
    for labelled in [
        "build_info{version=\"",
        "connections_closed_total{reason=\"idle_timeout\"} 0",
        "connections_refused_total{reason=\"allow\"} 0",
        "connections_refused_total{reason=\"per_client\"} 0",
        "accept_errors_total{reason=\"exhausted\"} 0",
        "messages_total{transport=\"unix\"} 0",
        "datagrams_dropped_total{reason=\"kernel\"} 0",
        "datagrams_dropped_total{reason=\"pong\"} 0",
        "log_lines_lost_total{reason=\"storm\"} 0",
        "turn_duration_seconds_bucket{le=\"0.00001\"}",
        "turn_duration_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(
            page.body.contains(&format!("\npingpong_{labelled}")),
            "{labelled}\n{}",
            page.body
        );
    }
    // Each family has its head once, before its samples, and says what it is.
    for line in page.body.lines().filter(|line| line.starts_with("# HELP ")) {
        assert!(line.split(' ').count() > 4, "{line}");
        assert_eq!(page.body.matches(line).count(), 1, "{line}");
    }
}

/// What has happened stands there: of each transport its own.
#[test]
fn what_has_happened_is_counted() {
    let (server, at) = serve(&[]);
    ask(&connect(server.tcp[0]), b"ping\nhello\n", b"pong\npong\n");
    let client = udp(Ipv4Addr::LOCALHOST);
    assert_eq!(
        replies_to(&client, server.udp[0], &[b"ping", b"pong"]),
        [b"pong"]
    );
    let page = get(at, "/metrics").body;
    let of = |name: &str| figure(&page, &format!("pingpong_{name}"));
    assert_eq!(of("messages_total{transport=\"tcp\"}"), 2.0);
    assert_eq!(of("received_bytes_total{transport=\"tcp\"}"), 11.0);
    assert_eq!(of("sent_bytes_total{transport=\"tcp\"}"), 10.0);
    let messages = of("messages_total{transport=\"udp\"}");
    assert_eq!(of("replies_total{transport=\"udp\"}"), messages - 1.0);
    assert_eq!(of("datagrams_dropped_total{reason=\"pong\"}"), 1.0);
    assert_eq!(of("connections_accepted_total"), 1.0);
    // A turn is over before it is counted, and the page is made within one.
    assert_eq!(
        of("turn_duration_seconds_count"),
        of("loop_turns_total") - 1.0
    );
    assert_eq!(
        of("turn_duration_seconds_bucket{le=\"+Inf\"}"),
        of("loop_turns_total") - 1.0
    );
    let sum = of("turn_duration_seconds_sum");
    assert!(sum > 0.0 && sum < 10.0, "{sum}");
}

/// What the kernel says of a process, and what this one says of itself, is the same.
#[test]
fn the_processs_own_figures() {
    let (server, at) = serve(&[]);
    let held: Vec<_> = (0..5).map(|_| connect(server.tcp[0])).collect();
    for it in &held {
        ask(it, b"ping\n", b"pong\n");
    }
    let scraper = connect(at);
    let page = || {
        (&scraper).write_all(&super::request("/metrics")).unwrap();
        answer(&scraper, true).body
    };
    let first = page();
    let links = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let links = u32::try_from(links.count()).unwrap();
    assert_eq!(figure(&first, "process_open_fds"), f64::from(links));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: f64 = kib.trim().trim_end_matches(" kB").parse().unwrap();
    let found = figure(&first, "process_resident_memory_bytes") / 1024.0;
    // It has grown a little since, if at all.
    assert!((found - kib).abs() < 1024.0, "{found} and {kib} KiB");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let limit = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let limit: f64 = limit.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(figure(&first, "process_max_fds"), limit);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let age = now.as_secs_f64() - figure(&first, "process_start_time_seconds");
    assert!((0.0..60.0).contains(&age), "{age}");
    let cpu = figure(&first, "process_cpu_seconds_total");
    for _ in 0..200 {
        page();
    }
    let more = figure(&page(), "process_cpu_seconds_total") - cpu;
    assert!(more > 0.0 && more < 30.0, "{more}");
}

/// However many come at once to one that stands still: replies and drops together are all.
#[test]
fn the_balance_closes() {
    let (server, at) = serve(&[]);
    let client = udp(Ipv4Addr::LOCALHOST);
    assert_eq!(replies_to(&client, server.udp[0], &[b"ping"]), [b"pong"]);
    let total = |page: &str| -> (f64, f64) {
        let sum = |name: &str| -> f64 {
            let lines = page.lines().filter(|line| line.starts_with(name));
            lines
                .map(|line| line.split_once(' ').unwrap().1.parse::<f64>().unwrap())
                .sum()
        };
        let replies = sum("pingpong_replies_total{transport=\"udp\"}");
        (
            replies + sum("pingpong_datagrams_dropped_total"),
            sum("pingpong_datagrams_dropped_total{reason=\"kernel\"}"),
        )
    };
    let (before, _) = total(&get(at, "/metrics").body);
    server.freeze();
    let sent = 3000;
    for turn in 0..sent {
        let text: &[u8] = if turn % 10 == 0 { b"pong" } else { b"ping" };
        client.send_to(text, server.udp[0]).unwrap();
    }
    server.thaw();
    let mut found = (0.0, 0.0);
    crate::support::until("all are accounted for", || {
        found = total(&get(at, "/metrics").body);
        found.0 - before >= f64::from(sent)
    });
    assert_eq!(found.0 - before, f64::from(sent));
    assert!(found.1 > 0.0, "the buffer was to run over");
}

/// Both formats hold the same; only what the other does not allow differs.
#[test]
fn openmetrics_for_who_asks_for_it() {
    let (_server, at) = serve(&[]);
    let stream = connect(at);
    (&stream)
        .write_all(b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n")
        .unwrap();
    let page = answer(&stream, true);
    assert_eq!(page.header("content-type"), Some(OPEN));
    assert!(page.body.ends_with("# EOF\n"));
    assert!(page.body.contains("# TYPE pingpong_messages counter\n"));
    assert!(
        page.body
            .contains("\npingpong_messages_total{transport=\"tcp\"} 0\n")
    );
    assert!(!page.body.contains("_total counter"));
}

/// Each duration counts in the first bucket that it fits into, and in all above.
#[test]
fn a_histogram_counts_upwards() {
    let mut histogram = Histogram::default();
    for us in [0, 10, 11, 1_000_000, 1_000_001] {
        histogram.record(Duration::from_micros(us));
    }
    let mut page = Exposition::new(Format::Text);
    page.histogram("t", "Help.", &histogram);
    let page = page.finish();
    for (bound, count) in [
        ("0.00001", 2.0),
        ("0.000025", 3.0),
        ("0.5", 3.0),
        ("1", 4.0),
        ("+Inf", 5.0),
    ] {
        let name = format!("pingpong_t_bucket{{le=\"{bound}\"}}");
        assert_eq!(figure(&page, &name), count, "{bound}");
    }
    assert_eq!(figure(&page, "pingpong_t_count"), 5.0);
    assert_eq!(figure(&page, "pingpong_t_sum"), 2.000_022);
}

/// The judge of what Prometheus takes.
#[test]
fn promtool_finds_nothing_to_say() {
    let (_server, at) = serve(&[]);
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        return skip("promtool is not installed");
    };
    let page = get(at, "/metrics").body;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = BufReader::new(&output.stderr[..])
        .lines()
        .map_while(Result::ok)
        .collect::<Vec<_>>();
    assert!(output.status.success() && told.is_empty(), "{told:#?}");
}
