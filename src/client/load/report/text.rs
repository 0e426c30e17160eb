//! A report for people: a unit behind every number.

use std::fmt;

use hdrhistogram::Histogram;

use super::super::schedule::Nanos;
use super::super::{Opened, nanos};
use super::{Found, QUANTILES, Report, ratio, time};

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
        if self.run.rate_per_s.is_some() && transport == "udp" {
            writeln!(f)?;
        } else {
            let waiting = plural(self.pipeline as u64, "request");
            writeln!(f, ", at most {waiting} waiting on a connection")?;
        }
        let broken_off = if self.is_interrupted {
            ", broken off"
        } else {
            ""
        };
        let warmup = match nanos(self.run.warmup) {
            0 => "without warm-up".into(),
            warmup => format!("after {} of warm-up", time(warmup)),
        };
        let measured = time(self.figures.measured());
        writeln!(f, "time         {measured}{broken_off}, {warmup}")
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        let requests_per_s = figures.per_second(figures.requests_in_time);
        let replies_per_s = figures.per_second(figures.replies_in_time);
        let (sent, received) = self.bytes_per_s();
        write!(
            f,
            "requests     {}, {requests_per_s:.1} requests/s",
            plural(figures.requests, "request")
        )?;
        match self.run.rate_per_s {
            None => writeln!(f)?,
            Some(rate_per_s) => writeln!(f, " of a target of {rate_per_s} requests/s")?,
        }
        writeln!(
            f,
            "replies      {} replies, {replies_per_s:.1} replies/s",
            figures.replies
        )?;
        writeln!(
            f,
            "traffic      {:.3} MB/s sent, {:.3} MB/s received",
            sent / 1e6,
            received / 1e6
        )
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        let columns: &[(&str, &Histogram<u64>)] = match self.run.rate_per_s {
            None => &[("from sending", &figures.latency)],
            Some(_) => &[
                ("from intended", &figures.latency),
                ("from sending", &figures.uncorrected),
                ("sent late by", &figures.send_delay),
            ],
        };
        let mut row = |name: &str, cell: &dyn Fn(&str, &Histogram<u64>) -> String| {
            write!(f, "{name:<12}")?;
            for (title, histogram) in columns {
                write!(f, " {:>15}", cell(title, histogram))?;
            }
            writeln!(f)
        };
        let figure = |of: &dyn Fn(&Histogram<u64>) -> Nanos, histogram: &Histogram<u64>| {
            if histogram.is_empty() {
                "-".into()
            } else {
                time(of(histogram))
            }
        };
        row("latency", &|title, _| title.into())?;
        row("  min", &|_, it| figure(&Histogram::min, it))?;
        row("  mean", &|_, it| figure(&|it| rounded(it.mean()), it))?;
        for (name, _, quantile) in QUANTILES {
            row(&format!("  {name}"), &|_, it| {
                figure(&|it| it.value_at_quantile(quantile), it)
            })?;
        }
        row("  max", &|_, it| figure(&Histogram::max, it))
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        let mut some = counts.iter().filter(|(_, _, count)| *count > 0).peekable();
        if some.peek().is_none() {
            return writeln!(f, "errors       none: every reply was right");
        }
        writeln!(f, "errors")?;
        some.try_for_each(|(_, words, count)| writeln!(f, "  {count:>10} {words}"))
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
        let offload = &self.figures.offload;
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
        self.write_latency(f)?;
        self.write_errors(f)?;
        self.write_client(f)?;
        if self.transport == "udp" {
            self.write_offload(f)?;
        }
        match &self.found {
            None => Ok(()),
            Some(Found {
                promise,
                rate_per_s: Some(rate_per_s),
            }) => {
                writeln!(
                    f,
                    "found        {rate_per_s} requests/s is the highest rate with {promise}"
                )
            }
            Some(Found { promise, .. }) => writeln!(f, "found        no rate with {promise}"),
        }
    }
}

fn plural(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of some nanoseconds, from a histogram that has no negative ones"
)]
fn rounded(nanos: f64) -> Nanos {
    nanos.round() as Nanos
}
