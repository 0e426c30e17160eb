//! A report for people: a unit behind every number.

use std::fmt;

use super::super::latency::Latencies;
use super::super::schedule::Nanos;
use super::super::stats::Ended;
use super::super::{Opened, nanos};
use super::{Found, PERCENTILES, Report, Trouble, plural, quantile, ratio, time};
use crate::transport::Transport;

impl Report {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Opened { ready, took, .. } = self.opened;
        let (took, transport) = (time(nanos(took)), self.transport);
        let at = match self.opened.peer {
            Some(peer) => format!(" ({peer})"),
            None => String::new(),
        };
        writeln!(f, "target       {transport}://{}{at}", self.target)?;
        writeln!(
            f,
            "connections  {ready} connected of {} asked for, in {took}",
            self.connections
        )?;
        let loop_kind = match self.run.rate_per_s {
            None => "closed loop".into(),
            Some(rate_per_s) => format!("open loop of {rate_per_s} requests/s"),
        };
        write!(
            f,
            "load         {loop_kind}, {} bytes a request",
            self.request_bytes
        )?;
        if self.run.rate_per_s.is_some() && transport == Transport::Udp {
            writeln!(f)?;
        } else {
            let waiting = plural(self.pipeline as u64, "request");
            writeln!(f, ", at most {waiting} waiting on a connection")?;
        }
        let ended = match self.stats.ended {
            Ended::Complete => "",
            Ended::BrokenOff => ", broken off",
            Ended::NoConnection => ", as there was no connection",
        };
        let warmup = match nanos(self.run.warmup) {
            0 => "without warm-up".into(),
            warmup => format!("after {} of warm-up", time(warmup)),
        };
        let measured = time(self.stats.measured());
        writeln!(f, "time         {measured}{ended}, {warmup}")
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        let requests_per_s = stats.per_second(stats.sent_in_window);
        let replies_per_s = stats.per_second(stats.came_in_window);
        let (sent, received) = self.bytes_per_s();
        write!(
            f,
            "requests     {}, {requests_per_s:.1} requests/s",
            plural(stats.requests, "request")
        )?;
        match self.run.rate_per_s {
            None => writeln!(f)?,
            Some(rate_per_s) => writeln!(f, " of a target of {rate_per_s} requests/s")?,
        }
        writeln!(
            f,
            "replies      {}, {replies_per_s:.1} replies/s",
            replies(stats.replies)
        )?;
        writeln!(
            f,
            "traffic      {:.3} MB/s sent, {:.3} MB/s received",
            sent / 1e6,
            received / 1e6
        )
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        // What was due and had no reply took longer than any that had one. What was late to leave
        // did leave.
        let unanswered = stats.unanswered();
        let columns: &[(&str, &Latencies, u64)] = match self.run.rate_per_s {
            None => &[("from sending", &stats.latency, unanswered)],
            Some(_) => &[
                ("from intended", &stats.latency, unanswered),
                ("from sending", &stats.uncorrected, stats.lost),
                ("sent late by", &stats.send_delay, 0),
            ],
        };
        let mut row = |name: &str, cell: &dyn Fn(&Latencies, u64) -> String| {
            write!(f, "{name:<12}")?;
            for (_, latencies, unanswered) in columns {
                write!(f, " {:>15}", cell(latencies, *unanswered))?;
            }
            writeln!(f)
        };
        let or_dash = |time_ns: Option<Nanos>| time_ns.map_or_else(|| "-".into(), time);
        row("  min", &|it, _| or_dash(it.min()))?;
        row("  mean", &|it, _| or_dash(it.mean().map(rounded)))?;
        for (name, percentile) in PERCENTILES {
            row(&format!("  {name}"), &|it, unanswered| {
                quantile(it.percentile(percentile, unanswered), self.timeout)
            })?;
        }
        row("  max", &|it, unanswered| match unanswered {
            0 => or_dash(it.max()),
            _ => format!("> {}", time(nanos(self.timeout))),
        })
    }

    fn write_titles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: &[&str] = match self.run.rate_per_s {
            None => &["from sending"],
            Some(_) => &["from intended", "from sending", "sent late by"],
        };
        write!(f, "{:<12}", "latency")?;
        for title in titles {
            write!(f, " {title:>15}")?;
        }
        writeln!(f)
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let troubles = self.troubles();
        let mut some = troubles.iter().filter(|it| it.count > 0).peekable();
        if some.peek().is_none() {
            let none = match self.stats.replies {
                0 => "none, but there was no reply either",
                _ => "none: every reply was right",
            };
            return writeln!(f, "errors       {none}");
        }
        writeln!(f, "errors")?;
        some.try_for_each(|Trouble { words, count, .. }| {
            let [one, several] = words;
            let words = if *count == 1 { one } else { several };
            writeln!(f, "  {count:>10} {words}")
        })
    }

    fn write_client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.cpu_share() * 100.0;
        let per_reply = time(rounded(self.cpu_per_reply_ns()));
        write!(
            f,
            "client       {share:.1} % of a CPU, {per_reply} of CPU a reply"
        )?;
        match self.cost.waited_for_cpu {
            Some(waited) => writeln!(f, ", {} waiting for a CPU", time(nanos(waited)))?,
            None => writeln!(f)?,
        }
        if self.client_is_short_of_cpu() {
            writeln!(
                f,
                "             short of CPU: its own delays are in these latencies"
            )?;
        }
        Ok(())
    }

    fn write_offload(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offload = &self.stats.offload;
        let used = |count| if count > 0 { "in use" } else { "not used" };
        writeln!(
            f,
            "offload      GSO {}, {:.1} datagrams a send; GRO {}, {:.1} datagrams a receive",
            used(offload.super_sends),
            ratio(offload.sent, offload.sends),
            used(offload.super_receives),
            ratio(offload.received, offload.receives)
        )
    }
}

/// For people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_rates(f)?;
        self.write_titles(f)?;
        self.write_latency(f)?;
        self.write_errors(f)?;
        self.write_client(f)?;
        if self.transport == Transport::Udp {
            self.write_offload(f)?;
        }
        let Some(Found {
            goal,
            rate_per_s,
            is_confirmed,
        }) = &self.found
        else {
            return Ok(());
        };
        match rate_per_s {
            None => writeln!(f, "found        no rate with {goal}"),
            Some(rate) if *is_confirmed => {
                writeln!(
                    f,
                    "found        {rate} requests/s is the highest rate with {goal}"
                )
            }
            Some(rate) => writeln!(
                f,
                "found        {rate} requests/s with {goal} so far, not over a whole run"
            ),
        }
    }
}

fn replies(count: u64) -> String {
    match count {
        1 => "1 reply".into(),
        _ => format!("{count} replies"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of some nanoseconds, from a histogram that has no negative ones"
)]
fn rounded(nanos: f64) -> Nanos {
    nanos.round() as Nanos
}
