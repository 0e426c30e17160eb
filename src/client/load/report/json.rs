//! A report for programs: one JSON object, with the units in its keys.

use hdrhistogram::Histogram;

use super::super::nanos;
use super::{QUANTILES, Report, micros, ratio, seconds};
use crate::client::json::Object;

impl Report {
    /// For programs: one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let figures = &self.figures;
        let (sent, received) = self.bytes_per_s();
        let mode = if self.run.rate_per_s.is_some() {
            "open"
        } else {
            "closed"
        };
        let mut object = Object::new()
            .text("target", &self.target)
            .text("address", &self.peer())
            .text("transport", self.transport)
            .text("mode", mode)
            .with("connections_target", self.connections)
            .with("connections", self.opened.ready)
            .decimal("connect_us", micros(nanos(self.opened.took)))
            .with("pipeline", self.pipeline)
            .with("request_bytes", self.request_bytes)
            .with("reply_bytes", self.reply_bytes)
            .decimal("warmup_s", self.run.warmup.as_secs_f64())
            .decimal("duration_s", seconds(figures.measured()))
            .with("rate_target_per_s", self.run.rate_per_s)
            .with("requests", figures.requests)
            .decimal(
                "requests_per_s",
                figures.per_second(figures.requests_in_time),
            )
            .with("replies", figures.replies)
            .decimal("replies_per_s", figures.per_second(figures.replies_in_time))
            .decimal("sent_bytes_per_s", sent)
            .decimal("received_bytes_per_s", received)
            .object("latency", &distribution(&figures.latency))
            .object("latency_uncorrected", &distribution(figures.from_send()))
            .object("send_delay", &distribution(&figures.send_delay));
        for (key, _, count) in self.counts() {
            object = object.with(key, count);
        }
        object = object.object("client", &self.client_json());
        if self.transport == "udp" {
            object = object.object("offload", &self.offload_json());
        }
        if let Some(found) = &self.found {
            let answer = Object::new()
                .text("promise", &found.promise)
                .with("rate_per_s", found.rate_per_s);
            object = object.object("find_max", &answer);
        }
        object
            .with("interrupted", self.is_interrupted)
            .with("ok", self.is_all_right())
            .written()
    }

    fn client_json(&self) -> Object {
        let waited = self
            .cost
            .waited_for_cpu
            .map_or(f64::NAN, |it| micros(nanos(it)));
        Object::new()
            .decimal("cpu_share", self.cpu_share())
            .decimal("cpu_us_per_reply", self.cpu_per_reply_ns() / 1e3)
            .decimal("waited_for_cpu_us", waited)
            .with("short_of_cpu", self.client_is_short_of_cpu())
    }

    fn offload_json(&self) -> Object {
        let offload = &self.figures.offload;
        Object::new()
            .with("gso", offload.super_sends > 0)
            .with("gro", offload.super_receives > 0)
            .decimal("datagrams_per_send", ratio(offload.sent, offload.sends))
            .decimal(
                "datagrams_per_receive",
                ratio(offload.received, offload.receives),
            )
    }
}

/// A distribution in microseconds; null where nothing was recorded.
fn distribution(histogram: &Histogram<u64>) -> Object {
    let or_null = |value: f64| {
        if histogram.is_empty() {
            f64::NAN
        } else {
            value
        }
    };
    let mut object = Object::new()
        .decimal("min_us", or_null(micros(histogram.min())))
        .decimal("mean_us", or_null(histogram.mean() / 1e3));
    for (_, key, quantile) in QUANTILES {
        object = object.decimal(key, or_null(micros(histogram.value_at_quantile(quantile))));
    }
    object.decimal("max_us", or_null(micros(histogram.max())))
}
