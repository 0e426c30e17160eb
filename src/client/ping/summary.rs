//! The figures at the end, and those on SIGQUIT.

use super::figures::Figures;
use super::report::slashed;
use super::text::{microseconds, percent, quoted};
use crate::transport::Transport;

/// The summary for people: first each transport's own figures, then the three lines of ping(8) over
/// all.
#[must_use]
pub fn text(host: &str, lanes: &[(Transport, &Figures)]) -> String {
    let mut text = String::from("\n");
    for (transport, figures) in lanes {
        text += &lane(*transport, figures, lanes.len() > 1);
    }
    text + &last_lines(host, &total(lanes))
}

fn lane(transport: Transport, figures: &Figures, with_counts: bool) -> String {
    let name = transport.name();
    let mut text = String::new();
    if with_counts {
        text += &format!("{name} {}\n", counts(figures));
    }
    if figures.late > 0 {
        text += &format!("{name} late = {} of those received\n", figures.late);
    }
    let connect = &figures.connect;
    if connect.count > 0 {
        let times = [connect.min_ns, connect.mean_ns(), connect.max_ns];
        let plural = if connect.count == 1 { "" } else { "s" };
        text += &format!(
            "{name} connect min/avg/max = {} ms, {} connection{plural}\n",
            slashed(&times),
            connect.count
        );
    }
    if figures.received > 0 {
        text += &format!(
            "{name} rtt p50/p99/jitter = {} ms\n",
            slashed(&[
                figures.percentile_ns(50),
                figures.percentile_ns(99),
                figures.jitter_ns()
            ])
        );
    }
    text
}

/// The last three lines, to the letter those of ping(8): iputils, `finish` in `ping_common.c`.
fn last_lines(host: &str, total: &Figures) -> String {
    let mut text = format!("--- {host} ping statistics ---\n{}", counts(total));
    if total.sent > 0 {
        let ms = (total.span().as_micros() + 500) / 1000;
        text += &format!(", time {ms}ms");
    }
    text.push('\n');
    if total.received > 0 {
        let rtt = &total.round_trip;
        let times = [rtt.min_ns, rtt.mean_ns(), rtt.max_ns, rtt.deviation_ns()];
        text += &format!("rtt min/avg/max/mdev = {} ms\n", slashed(&times));
    }
    text
}

fn counts(figures: &Figures) -> String {
    let mut text = format!(
        "{} packets transmitted, {} received",
        figures.sent, figures.received
    );
    if figures.duplicates > 0 {
        text += &format!(", +{} duplicates", figures.duplicates);
    }
    if figures.errors > 0 {
        text += &format!(", +{} errors", figures.errors);
    }
    if figures.sent > 0 {
        let loss = percent(figures.lost(), figures.sent);
        text += &format!(", {loss}% packet loss");
    }
    text
}

/// The figures so far, as ping(8) tells them on SIGQUIT: its `status`.
#[must_use]
pub fn so_far(lanes: &[(Transport, &Figures)]) -> String {
    let mut text = String::new();
    for (transport, figures) in lanes {
        text.push('\r');
        if lanes.len() > 1 {
            text += &format!("{}: ", transport.name());
        }
        let loss = figures.lost() * 100 / figures.sent.max(1);
        text += &format!(
            "{}/{} packets, {loss}% loss",
            figures.received, figures.sent
        );
        if figures.received > 0 {
            let rtt = &figures.round_trip;
            let times = [rtt.min_ns, rtt.mean_ns(), figures.ewma_ns, rtt.max_ns];
            text += &format!(", min/avg/ewma/max = {} ms", slashed(&times));
        }
        text.push('\n');
    }
    text
}

/// The summary as a JSON object: over all, and each transport's own under its name.
#[must_use]
pub fn json(host: &str, lanes: &[(Transport, &Figures)]) -> String {
    let mut object = format!("{{\"type\":\"summary\",\"host\":{}", quoted(host));
    object += &json_figures(&total(lanes));
    for (transport, figures) in lanes {
        object += &format!(
            ",\"{}\":{{{}}}",
            transport.name(),
            json_figures(figures).trim_start_matches(',')
        );
    }
    object + "}\n"
}

fn json_figures(figures: &Figures) -> String {
    let mut members = String::new();
    for (key, count) in [
        ("sent", figures.sent),
        ("received", figures.received),
        ("lost", figures.lost()),
        ("late", figures.late),
        ("duplicates", figures.duplicates),
        ("errors", figures.errors),
    ] {
        members += &format!(",\"{key}\":{count}");
    }
    let loss = percent(figures.lost(), figures.sent);
    members += &format!(",\"loss_percent\":{loss}");
    members += &format!(",\"time_ms\":{}", (figures.span().as_micros() + 500) / 1000);
    let connect = &figures.connect;
    if connect.count > 0 {
        members += &json_times(
            "connect",
            &format!("\"connections\":{},", connect.count),
            &[
                ("min_us", connect.min_ns),
                ("avg_us", connect.mean_ns()),
                ("max_us", connect.max_ns),
            ],
        );
    }
    let rtt = &figures.round_trip;
    if rtt.count > 0 {
        members += &json_times(
            "rtt",
            "",
            &[
                ("min_us", rtt.min_ns),
                ("avg_us", rtt.mean_ns()),
                ("max_us", rtt.max_ns),
                ("mdev_us", rtt.deviation_ns()),
                ("p50_us", figures.percentile_ns(50)),
                ("p99_us", figures.percentile_ns(99)),
                ("jitter_us", figures.jitter_ns()),
            ],
        );
    }
    members
}

fn json_times(key: &str, before: &str, times: &[(&str, u64)]) -> String {
    let members: Vec<_> = times
        .iter()
        .map(|(name, ns)| format!("\"{name}\":{}", microseconds(*ns)))
        .collect();
    format!(",\"{key}\":{{{before}{}}}", members.join(","))
}

fn total(lanes: &[(Transport, &Figures)]) -> Figures {
    let mut total = Figures::default();
    for (_, figures) in lanes {
        total.add(figures);
    }
    total
}
