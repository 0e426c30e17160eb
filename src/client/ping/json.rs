//! Results as JSON: an object a line.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::plan::{Manner, PingPlan};
use super::stats::{PingStats, nanoseconds};
use super::text::{percent, rounded_ms};
use crate::transport::Transport;

/// The number of what these objects look like: it rises when a key goes or changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Stamped<'a, T> {
    r#type: &'a str,
    unix_s: f64,
    /// `-D`: the same, by the name that it had before every line had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unix_time_s: Option<f64>,
    #[serde(flatten)]
    members: &'a T,
}

/// An object with its type and the time of day, and the end of its line.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 have fifteen digits or sixteen, and a double holds them"
)]
pub(super) fn line(name: &str, manner: &Manner, members: &impl Serialize) -> String {
    let unix_s = manner.unix_us() as f64 / 1e6;
    let stamped = Stamped {
        r#type: name,
        unix_s,
        unix_time_s: manner.timestamps.then_some(unix_s),
        members,
    };
    match serde_json::to_string(&stamped) {
        Ok(text) => text + "\n",
        Err(error) => {
            log::error!("a result has no JSON: {error}: please report this bug");
            String::new()
        }
    }
}

#[derive(Serialize)]
struct Start<'a> {
    schema: u32,
    version: &'static str,
    targets: [StartTarget<'a>; 1],
    options: StartOptions,
}

#[derive(Serialize)]
struct StartTarget<'a> {
    host: &'a str,
    addresses: Vec<String>,
}

#[derive(Serialize)]
struct StartOptions {
    transports: Vec<&'static str>,
    count: Option<u64>,
    interval_s: f64,
    timeout_s: Option<f64>,
    deadline_s: Option<f64>,
    payload_bytes: usize,
    rotate_port: bool,
}

/// The first line: what was asked for.
pub(super) fn start(
    manner: &Manner,
    (host, addresses): (&str, &[SocketAddr]),
    transports: &[Transport],
    plan: &PingPlan,
) -> String {
    let start = Start {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        targets: [StartTarget {
            host,
            addresses: addresses.iter().map(ToString::to_string).collect(),
        }],
        options: StartOptions {
            transports: transports.iter().map(|it| it.name()).collect(),
            count: plan.count,
            interval_s: plan.interval.as_secs_f64(),
            timeout_s: plan.timeout.map(|it| it.as_secs_f64()),
            deadline_s: plan.deadline.map(|it| it.as_secs_f64()),
            payload_bytes: plan.payload_bytes,
            rotate_port: plan.rotate_port,
        },
    };
    line("start", manner, &start)
}

#[derive(Serialize)]
struct Summary<'a> {
    host: &'a str,
    #[serde(flatten)]
    total: Sums,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Sums>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<Sums>,
}

#[derive(Serialize)]
struct Sums {
    sent: u64,
    received: u64,
    in_flight: u64,
    lost: u64,
    late: u64,
    duplicates: u64,
    errors: u64,
    loss_percent: f64,
    time_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<Connects>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<Micros<7>>,
}

#[derive(Serialize)]
struct Connects {
    connections: u64,
    #[serde(flatten)]
    times: Micros<3>,
}

/// Micros in nanoseconds, which become microseconds under these names.
struct Micros<const N: usize>([(&'static str, u64); N]);

impl<const N: usize> Serialize for Micros<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.map(|(name, ns)| (name, us(ns))))
    }
}

/// The last line: over all, and each transport's own under its name.
pub(super) fn summary(manner: &Manner, host: &str, probes: &[(Transport, &PingStats)]) -> String {
    let of = |wanted| {
        let found = probes.iter().find(|(transport, _)| *transport == wanted);
        found.map(|(_, stats)| Sums::from(*stats))
    };
    let summary = Summary {
        host,
        total: Sums::from(&PingStats::total(probes)),
        tcp: of(Transport::Tcp),
        udp: of(Transport::Udp),
    };
    line("summary", manner, &summary)
}

impl From<&PingStats> for Sums {
    fn from(stats: &PingStats) -> Self {
        let (connect, rtt) = (&stats.connect, &stats.round_trip);
        Self {
            sent: stats.sent,
            received: stats.received,
            in_flight: stats.in_flight,
            lost: stats.lost(),
            late: stats.late,
            duplicates: stats.duplicates,
            errors: stats.errors,
            loss_percent: percent(stats.lost(), stats.sent).parse().unwrap_or(0.0),
            time_ms: rounded_ms(stats.span()),
            connect: (connect.count > 0).then(|| Connects {
                connections: connect.count,
                times: Micros([
                    ("min_us", connect.min_ns),
                    ("avg_us", connect.mean_ns()),
                    ("max_us", connect.max_ns),
                ]),
            }),
            rtt: (rtt.count > 0).then(|| {
                Micros([
                    ("min_us", rtt.min_ns),
                    ("avg_us", rtt.mean_ns()),
                    ("max_us", rtt.max_ns),
                    ("mdev_us", rtt.deviation_ns()),
                    ("p50_us", stats.percentile_ns(50)),
                    ("p99_us", stats.percentile_ns(99)),
                    ("jitter_us", stats.jitter_ns()),
                ])
            }),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a double holds a hundred days of nanoseconds"
)]
fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// For a field that JSON shows as people read it.
pub(super) fn as_text<S: Serializer>(shown: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(shown)
}

/// For a field of time: microseconds, to the nanosecond.
#[expect(clippy::ref_option, reason = "serde asks so")]
pub(super) fn as_us<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(us(nanoseconds(time.unwrap_or_default())))
}
