//! A report for programs: one JSON object, with the units in its keys. docs/load.md describes it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::super::latency::{Latencies, Quantile};
use super::super::nanos;
use super::{Found, Report, micros, ratio, seconds};
use crate::client::load::UNENDING;
use crate::transport::Transport;

/// Which keys there are, and what they mean. It changes when a key goes or means something else.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    version: &'static str,
    started_unix_s: f64,
    host: String,
    command: &'a str,
    target: &'a str,
    address: String,
    transport: &'static str,
    mode: &'static str,
    connections_target: usize,
    connections: usize,
    connect_us: f64,
    pipeline: usize,
    request_bytes: usize,
    reply_bytes: usize,
    timeout_s: f64,
    warmup_s: f64,
    /// Not there where only a number of requests was asked for.
    duration_asked_s: Option<f64>,
    duration_s: f64,
    ended: &'static str,
    rate_target_per_s: Option<u64>,
    due: u64,
    requests: u64,
    requests_per_s: f64,
    replies: u64,
    replies_per_s: f64,
    sent_bytes_per_s: f64,
    received_bytes_per_s: f64,
    latency: Distribution,
    latency_uncorrected: Distribution,
    send_delay: Distribution,
    #[serde(flatten)]
    troubles: BTreeMap<&'static str, u64>,
    first_error: Option<&'a str>,
    client: Client,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload: Option<OffloadJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    find_max: Option<FindMax<'a>>,
    ok: bool,
}

/// A distribution in microseconds; null where too little is known, or where it is a request that was
/// never answered.
#[derive(Serialize)]
struct Distribution {
    count: u64,
    unanswered: u64,
    min_us: Option<f64>,
    mean_us: Option<f64>,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    p99_us: Option<f64>,
    p99_9_us: Option<f64>,
    p99_99_us: Option<f64>,
    max_us: Option<f64>,
}

#[derive(Serialize)]
struct Client {
    cpu_share: f64,
    cpu_us_per_reply: f64,
    waited_for_cpu_us: Option<f64>,
    short_of_cpu: bool,
}

#[derive(Serialize)]
struct OffloadJson {
    gso: bool,
    gro: bool,
    datagrams_per_send: f64,
    datagrams_per_receive: f64,
}

#[derive(Serialize)]
struct FindMax<'a> {
    goal: &'a str,
    rate_per_s: Option<u64>,
    confirmed: bool,
}

impl Report {
    /// For programs: one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let stats = &self.stats;
        let (sent, received) = self.bytes_per_s();
        let is_open_loop = self.run.rate_per_s.is_some();
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH);
        let troubles = self.troubles();
        let from_send_unanswered = if is_open_loop {
            stats.lost
        } else {
            stats.unanswered()
        };
        let json = Json {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            started_unix_s: thousandths(started.unwrap_or_default().as_secs_f64()),
            host: host(),
            command: &self.command,
            target: &self.target,
            address: self.peer(),
            transport: self.transport.name(),
            mode: if is_open_loop { "open" } else { "closed" },
            connections_target: self.connections,
            connections: self.opened.ready,
            connect_us: thousandths(micros(nanos(self.opened.took))),
            pipeline: self.pipeline,
            request_bytes: self.request_bytes,
            reply_bytes: self.reply_bytes,
            timeout_s: self.timeout.as_secs_f64(),
            warmup_s: self.run.warmup.as_secs_f64(),
            duration_asked_s: Some(self.run.duration)
                .filter(|it| *it < UNENDING)
                .map(|it| it.as_secs_f64()),
            duration_s: thousandths(seconds(stats.measured())),
            ended: stats.ended.name(),
            rate_target_per_s: self.run.rate_per_s,
            due: stats.due,
            requests: stats.requests,
            requests_per_s: thousandths(stats.per_second(stats.sent_in_window)),
            replies: stats.replies,
            replies_per_s: thousandths(stats.per_second(stats.came_in_window)),
            sent_bytes_per_s: thousandths(sent),
            received_bytes_per_s: thousandths(received),
            latency: Distribution::of(&stats.latency, stats.unanswered()),
            latency_uncorrected: Distribution::of(stats.from_send(), from_send_unanswered),
            send_delay: Distribution::of(&stats.send_delay, 0),
            troubles: troubles.iter().map(|it| (it.key, it.count)).collect(),
            first_error: stats.first_error.as_deref(),
            client: self.client(),
            offload: (self.transport == Transport::Udp).then(|| self.offload()),
            find_max: self.found.as_ref().map(|found| found.json()),
            ok: self.is_all_right(),
        };
        // Numbers and texts can always be written.
        serde_json::to_string(&json).unwrap_or_default()
    }

    fn client(&self) -> Client {
        let waited = self.cost.waited_for_cpu;
        Client {
            cpu_share: thousandths(self.cpu_share()),
            cpu_us_per_reply: thousandths(self.cpu_per_reply_ns() / 1e3),
            waited_for_cpu_us: waited.map(|it| thousandths(micros(nanos(it)))),
            short_of_cpu: self.client_is_short_of_cpu(),
        }
    }

    fn offload(&self) -> OffloadJson {
        let offload = &self.stats.offload;
        OffloadJson {
            gso: offload.super_sends > 0,
            gro: offload.super_receives > 0,
            datagrams_per_send: thousandths(ratio(offload.sent, offload.sends)),
            datagrams_per_receive: thousandths(ratio(offload.received, offload.receives)),
        }
    }
}

impl Found {
    fn json(&self) -> FindMax<'_> {
        FindMax {
            goal: &self.goal,
            rate_per_s: self.rate_per_s,
            confirmed: self.is_confirmed,
        }
    }
}

impl Distribution {
    fn of(latencies: &Latencies, unanswered: u64) -> Self {
        let us = |time_ns: Option<u64>| time_ns.map(|it| thousandths(micros(it)));
        let percentile = |percentile| match latencies.percentile(percentile, unanswered) {
            Quantile::Is(time_ns) => us(Some(time_ns)),
            Quantile::TooFew | Quantile::Unanswered => None,
        };
        Self {
            count: latencies.count(),
            unanswered,
            min_us: us(latencies.min()),
            mean_us: latencies.mean().map(|it| thousandths(it / 1e3)),
            p50_us: percentile(5_000),
            p90_us: percentile(9_000),
            p99_us: percentile(9_900),
            p99_9_us: percentile(9_990),
            p99_99_us: percentile(9_999),
            max_us: us(latencies.max().filter(|_| unanswered == 0)),
        }
    }
}

/// Three decimals are what is known; more would be noise of the binary system.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
