//! What a run came to, for people and for programs.

mod json;
mod text;

use super::figures::{Cost, Figures};
use super::schedule::{Nanos, SECOND};

use super::{Opened, Run, nanos};

/// What was asked, and what came of it.
#[derive(Debug)]
pub struct Report {
    /// The target as it was named.
    pub target: String,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// How many connections were asked for, and what came of them.
    pub connections: usize,
    /// What became of them.
    pub opened: Opened,
    /// How many requests may wait on one connection.
    pub pipeline: usize,
    /// How long a request is, and a reply.
    pub request_bytes: usize,
    /// The other of the two.
    pub reply_bytes: usize,
    /// The run.
    pub run: Run,
    /// What it measured.
    pub figures: Figures,
    /// What it cost.
    pub cost: Cost,
    /// It was broken off by a signal.
    pub is_interrupted: bool,
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
    pub promise: String,
    /// The highest rate that kept it over a whole run; `None` if none did.
    pub rate_per_s: Option<u64>,
}

/// The columns of a distribution: what it is called for people, in JSON, and its quantile.
const QUANTILES: [(&str, &str, f64); 5] = [
    ("p50", "p50_us", 0.5),
    ("p90", "p90_us", 0.9),
    ("p99", "p99_us", 0.99),
    ("p99.9", "p99_9_us", 0.999),
    ("p99.99", "p99_99_us", 0.9999),
];

impl Report {
    /// Every reply was right, and there were some.
    #[must_use]
    pub fn is_all_right(&self) -> bool {
        let loss_is_wrong = self.transport == "tcp";
        let nothing_found = matches!(
            &self.found,
            Some(Found {
                rate_per_s: None,
                ..
            })
        );
        self.figures.is_all_right(loss_is_wrong)
            && self.opened.ready == self.connections
            && !nothing_found
    }

    /// Requests that were due and could not be sent.
    fn unsent(&self) -> u64 {
        self.figures.due.saturating_sub(self.figures.requests)
    }

    fn bytes_per_s(&self) -> (f64, f64) {
        let of = |count, bytes: usize| self.figures.per_second(count * bytes as u64);
        (
            of(self.figures.requests_in_time, self.request_bytes),
            of(self.figures.replies_in_time, self.reply_bytes),
        )
    }

    /// What went wrong: its key in JSON, its words for people, and how often.
    fn counts(&self) -> [(&'static str, &'static str, u64); 11] {
        let figures = &self.figures;
        let not_connected = self.connections.saturating_sub(self.opened.ready) as u64;
        [
            ("wrong", "wrong replies", figures.wrong),
            ("lost", "requests without a reply", figures.lost),
            (
                "late",
                "replies after their requests were given up",
                figures.late,
            ),
            ("duplicated", "duplicated replies", figures.duplicated),
            ("reordered", "reordered replies", figures.reordered),
            (
                "unsent",
                "requests that were due and could not be sent",
                self.unsent(),
            ),
            (
                "abandoned",
                "requests whose replies were not waited for",
                figures.abandoned,
            ),
            (
                "not_connected",
                "connections that did not come about",
                not_connected,
            ),
            (
                "closed_early",
                "connections that the peer closed",
                figures.closed_early,
            ),
            (
                "send_errors",
                "datagrams that the kernel refused",
                figures.send_errors,
            ),
            (
                "strangers",
                "datagrams from somebody else",
                figures.strangers,
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
        ratio(nanos(self.cost.cpu), self.figures.replies_in_time)
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
