//! Figures as Prometheus reads them: its text format 0.0.4, and OpenMetrics 1.0.

use std::fmt::{Display, Write};
use std::time::Duration;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What kind of figure a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often what lasted how long.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label and its value.
pub type Label<'a> = Option<(&'a str, &'a str)>;

/// A page of metrics that is being written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

/// What every name begins with, but for those of processes in general.
const PREFIX: &str = "pingpong_";

impl Exposition {
    /// An empty one.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// A family begins. Its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let name = full(name);
        // OpenMetrics' counters are called without the ending that their samples have.
        let name = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.trim_end_matches("_total"),
            _ => &name,
        };
        let _ = writeln!(self.text, "# HELP {name} {help}");
        let _ = writeln!(self.text, "# TYPE {name} {}", kind.name());
    }

    /// A sample of the family.
    pub fn sample(&mut self, name: &str, label: Label<'_>, value: impl Display) {
        self.text.push_str(&full(name));
        // Names of labels and values are this program's own, so nothing has to be escaped.
        if let Some((key, label)) = label {
            let _ = write!(self.text, "{{{key}=\"{label}\"}}");
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A family of one sample.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, None, value);
    }

    /// A family of one histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, Kind::Histogram, help);
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
            below += count;
            let bound = bound.as_secs_f64().to_string();
            self.sample(&format!("{name}_bucket"), Some(("le", &bound)), below);
        }
        let all = histogram.count();
        self.sample(&format!("{name}_bucket"), Some(("le", "+Inf")), all);
        self.sample(&format!("{name}_sum"), None, histogram.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), None, all);
    }

    /// The whole page.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

fn full(name: &str) -> String {
    let prefix = if name.starts_with("process_") {
        ""
    } else {
        PREFIX
    };
    format!("{prefix}{name}")
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// The upper bounds of a histogram's buckets: from a turn with nothing to do to one that somebody
/// notices.
const BOUNDS: [Duration; 16] = [
    Duration::from_nanos(10 * US),
    Duration::from_nanos(25 * US),
    Duration::from_nanos(50 * US),
    Duration::from_nanos(100 * US),
    Duration::from_nanos(250 * US),
    Duration::from_nanos(500 * US),
    Duration::from_nanos(MS),
    Duration::from_nanos(2500 * US),
    Duration::from_nanos(5 * MS),
    Duration::from_nanos(10 * MS),
    Duration::from_nanos(25 * MS),
    Duration::from_nanos(50 * MS),
    Duration::from_nanos(100 * MS),
    Duration::from_nanos(250 * MS),
    Duration::from_nanos(500 * MS),
    Duration::from_nanos(1000 * MS),
];

/// How often what lasted how long.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BOUNDS.len()],
    above: u64,
    sum: Duration,
}

impl Histogram {
    /// Takes one in.
    pub fn record(&mut self, duration: Duration) {
        let bucket = BOUNDS.iter().position(|bound| duration <= *bound);
        let count = bucket.and_then(|bucket| self.counts.get_mut(bucket));
        *count.unwrap_or(&mut self.above) += 1;
        self.sum += duration;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }
}
