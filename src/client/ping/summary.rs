//! The figures at the end, and those on SIGQUIT.

use super::stats::PingStats;
use super::text::{percent, rounded_ms, slashed};
use crate::transport::Transport;

/// The summary for people: first each transport's own figures, then the three lines of ping(8) over
/// all.
pub(super) fn text(host: &str, probes: &[(Transport, &PingStats)]) -> String {
    let mut text = String::from("\n");
    for (transport, stats) in probes {
        text += &probe(*transport, stats, probes.len() > 1);
    }
    text + &last_lines(host, &PingStats::total(probes))
}

fn probe(transport: Transport, stats: &PingStats, with_counts: bool) -> String {
    let name = transport.name();
    let mut text = String::new();
    if with_counts {
        text += &format!("{name} {}\n", counts(stats));
    }
    if stats.late > 0 {
        text += &format!("{name} late = {} of those received\n", stats.late);
    }
    let connect = &stats.connect;
    if connect.count > 0 {
        let times = [connect.min_ns, connect.mean_ns(), connect.max_ns];
        let plural = if connect.count == 1 { "" } else { "s" };
        text += &format!(
            "{name} connect min/avg/max = {} ms, {} connection{plural}\n",
            slashed(&times),
            connect.count
        );
    }
    if stats.received > 0 {
        text += &format!(
            "{name} rtt p50/p99/jitter = {} ms\n",
            slashed(&[
                stats.percentile_ns(50),
                stats.percentile_ns(99),
                stats.jitter_ns()
            ])
        );
    }
    text
}

/// The last three lines, to the letter those of ping(8): iputils, `finish` in `ping_common.c`.
fn last_lines(host: &str, total: &PingStats) -> String {
    let mut text = format!("--- {host} ping statistics ---\n{}", counts(total));
    if total.sent > 0 {
        text += &format!(", time {}ms", rounded_ms(total.span()));
    }
    text.push('\n');
    if total.received > 0 {
        let rtt = &total.round_trip;
        let times = [rtt.min_ns, rtt.mean_ns(), rtt.max_ns, rtt.deviation_ns()];
        text += &format!("rtt min/avg/max/mdev = {} ms\n", slashed(&times));
    }
    text
}

fn counts(stats: &PingStats) -> String {
    let mut text = format!(
        "{} packets transmitted, {} received",
        stats.sent, stats.received
    );
    if stats.duplicates > 0 {
        text += &format!(", +{} duplicates", stats.duplicates);
    }
    if stats.errors > 0 {
        text += &format!(", +{} errors", stats.errors);
    }
    if stats.in_flight > 0 {
        text += &format!(", {} in flight", stats.in_flight);
    }
    if stats.sent > 0 {
        let loss = percent(stats.lost(), stats.sent);
        text += &format!(", {loss}% packet loss");
    }
    text
}

/// The figures so far, as ping(8) tells them on SIGQUIT: its `status`.
pub(super) fn so_far(probes: &[(Transport, &PingStats)]) -> String {
    let mut text = String::new();
    for (transport, stats) in probes {
        text.push('\r');
        if probes.len() > 1 {
            text += &format!("{}: ", transport.name());
        }
        let loss = stats.lost() * 100 / stats.sent.max(1);
        text += &format!("{}/{} packets, {loss}% loss", stats.received, stats.sent);
        if stats.received > 0 {
            let rtt = &stats.round_trip;
            let times = [rtt.min_ns, rtt.mean_ns(), stats.ewma_ns, rtt.max_ns];
            text += &format!(", min/avg/ewma/max = {} ms", slashed(&times));
        }
        text.push('\n');
    }
    text
}
