//! What a run came to, for people and for programs.

mod json;
mod text;

use std::time::{Duration, SystemTime};

use super::latency::{Hundredths, Quantile};
use super::schedule::{Nanos, SECOND};
use super::stats::{Cost, Stats};
use super::{Opened, Run, nanos};
use crate::client::require::{Kind, count, percent};
use crate::transport::Transport;

/// What was asked, and what came of it.
#[derive(Debug)]
pub struct Report {
    /// The target as it was named.
    pub target: String,
    /// Over what.
    pub transport: Transport,
    /// How many connections were asked for.
    pub connections: usize,
    /// What became of them.
    pub opened: Opened,
    /// How many requests may wait on one connection.
    pub pipeline: usize,
    /// How long a request is.
    pub request_bytes: usize,
    /// How long a reply is.
    pub reply_bytes: usize,
    /// How long a reply may take.
    pub timeout: Duration,
    /// When it began to connect.
    pub started: SystemTime,
    /// The command line.
    pub command: String,
    /// The run.
    pub run: Run,
    /// What it measured.
    pub stats: Stats,
    /// What it cost.
    pub cost: Cost,
    /// What was searched for, and the answer.
    pub found: Option<Found>,
}

/// A client that is on its CPU for more of the time has nothing to spare.
const CPU_SHARE_MAX: f64 = 0.95;
/// Nor has one that waits for a CPU for more than one part in so many of the time.
const WAITED_PART_MAX: u32 = 50;

/// The answer to `--find-max`.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was to be kept.
    pub goal: String,
    /// The highest rate that kept it; `None` if none did.
    pub rate_per_s: Option<u64>,
    /// It did so over a whole run.
    pub is_confirmed: bool,
}

/// The percentiles that are shown.
const PERCENTILES: [(&str, Hundredths); 5] = [
    ("p50", 5_000),
    ("p90", 9_000),
    ("p99", 9_900),
    ("p99.9", 9_990),
    ("p99.99", 9_999),
];

/// Something that went wrong.
struct Trouble {
    /// Its key in JSON.
    key: &'static str,
    /// Its words for people: behind a 1, and behind any other count.
    words: [&'static str; 2],
    count: u64,
}

impl Report {
    /// Every reply was right, and there were some.
    #[must_use]
    pub fn is_all_right(&self) -> bool {
        let loss_is_wrong = self.transport == Transport::Tcp;
        let is_found = self.found.as_ref().is_none_or(|it| it.is_confirmed);
        self.stats.is_all_right(loss_is_wrong) && self.opened.ready == self.connections && is_found
    }

    /// A figure of `--require`, in nanoseconds, percent or as it is; `None` where nothing is known. A
    /// latency that nobody has waited for to its end is longer than any bound.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<f64> {
        let stats = &self.stats;
        let all = &stats.latency;
        match name {
            "min" => all.min().map(count),
            "mean" => all.mean(),
            "max" if stats.unanswered() > 0 => Some(f64::INFINITY),
            "max" => all.max().map(count),
            "loss" => percent(stats.unanswered(), stats.due),
            "errors" => Some(count(self.troubles().iter().map(|it| it.count).sum())),
            "requests_per_s" => Some(stats.per_second(stats.sent_in_window)),
            "replies_per_s" => Some(stats.per_second(stats.came_in_window)),
            _ => {
                let (_, percentile) = PERCENTILES.iter().find(|(it, _)| *it == name)?;
                match all.percentile(*percentile, stats.unanswered()) {
                    Quantile::Is(nanos) => Some(count(nanos)),
                    Quantile::Unanswered => Some(f64::INFINITY),
                    Quantile::TooFew => None,
                }
            }
        }
    }

    /// What kind of figure a name of `--require` stands for.
    #[must_use]
    pub fn kind_of(name: &str) -> Option<Kind> {
        match name {
            "min" | "mean" | "max" => Some(Kind::Time),
            "loss" => Some(Kind::Percent),
            "errors" | "requests_per_s" | "replies_per_s" => Some(Kind::Count),
            _ => PERCENTILES
                .iter()
                .find(|(it, _)| *it == name)
                .map(|_| Kind::Time),
        }
    }

    fn bytes_per_s(&self) -> (f64, f64) {
        let of = |count, bytes: usize| self.stats.per_second(count * bytes as u64);
        (
            of(self.stats.sent_in_window, self.request_bytes),
            of(self.stats.came_in_window, self.reply_bytes),
        )
    }

    /// What went wrong.
    fn troubles(&self) -> [Trouble; 12] {
        let stats = &self.stats;
        let not_connected = self.connections.saturating_sub(self.opened.ready) as u64;
        let trouble = |key, one, several, count| Trouble {
            key,
            words: [one, several],
            count,
        };
        [
            trouble("wrong", "wrong reply", "wrong replies", stats.wrong),
            trouble(
                "lost",
                "request without a reply",
                "requests without a reply",
                stats.lost,
            ),
            trouble(
                "late",
                "reply after its request was given up",
                "replies after their requests were given up",
                stats.late,
            ),
            trouble(
                "duplicated",
                "duplicated reply",
                "duplicated replies",
                stats.duplicated,
            ),
            trouble(
                "reordered",
                "reordered reply",
                "reordered replies",
                stats.reordered,
            ),
            trouble(
                "unsent",
                "request that was due and could not be sent",
                "requests that were due and could not be sent",
                stats.unsent(),
            ),
            trouble(
                "abandoned",
                "request whose reply was not waited for",
                "requests whose replies were not waited for",
                stats.abandoned,
            ),
            trouble(
                "not_connected",
                "connection that did not come about",
                "connections that did not come about",
                not_connected,
            ),
            trouble(
                "closed_early",
                "connection that the peer closed; it was opened again",
                "connections that the peer closed; they were opened again",
                stats.closed_early,
            ),
            trouble(
                "send_errors",
                "datagram that the kernel refused",
                "datagrams that the kernel refused",
                stats.send_errors,
            ),
            trouble(
                "refused",
                "answer that the port is unreachable",
                "answers that the port is unreachable",
                stats.refused,
            ),
            trouble(
                "foreign",
                "datagram from somebody else",
                "datagrams from somebody else",
                stats.foreign,
            ),
        ]
    }

    fn peer(&self) -> String {
        self.opened
            .peer
            .map_or_else(String::new, |it| it.to_string())
    }

    fn cpu_share(&self) -> f64 {
        let wall = self.cost.wall.as_secs_f64();
        if wall > 0.0 {
            self.cost.cpu.as_secs_f64() / wall
        } else {
            0.0
        }
    }

    /// The client had no CPU to spare, or had to wait for it: then it has measured itself too.
    fn client_is_short_of_cpu(&self) -> bool {
        let waited = self.cost.waited_for_cpu.unwrap_or_default();
        self.cpu_share() > CPU_SHARE_MAX || waited > self.cost.wall / WAITED_PART_MAX
    }

    fn cpu_per_reply_ns(&self) -> f64 {
        ratio(nanos(self.cost.cpu), self.stats.came_in_window)
    }
}

/// A time in the unit in which it reads best.
#[must_use]
pub fn time(nanos: Nanos) -> String {
    if nanos < SECOND / 1000 {
        format!("{:.1} us", micros(nanos))
    } else if nanos < SECOND {
        format!("{:.2} ms", micros(nanos) / 1e3)
    } else {
        format!("{:.2} s", seconds(nanos))
    }
}

/// What can be said of a percentile, where an unanswered request has waited for `timeout`.
#[must_use]
pub fn quantile(quantile: Quantile, timeout: Duration) -> String {
    match quantile {
        Quantile::TooFew => "-".into(),
        Quantile::Unanswered => format!("> {}", time(nanos(timeout))),
        Quantile::Is(nanos) => time(nanos),
    }
}

/// A count and its noun.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
fn micros(nanos: Nanos) -> f64 {
    nanos as f64 / 1e3
}

fn seconds(nanos: Nanos) -> f64 {
    micros(nanos) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
