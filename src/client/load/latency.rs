//! Latencies in bounded memory, and what may be said of them.

use std::io;

use hdrhistogram::Histogram;

use super::schedule::{Nanos, SECOND};

/// The longest time that is told apart from longer ones.
const LATENCY_MAX: Nanos = 3600 * SECOND;
/// Histograms keep so many decimal digits: 0.1 % off at most.
const PRECISION_DIGITS: u8 = 3;

/// A percentile with fewer samples beyond it says more of chance than of the server.
pub const BEYOND_MIN: u64 = 10;

/// A percentile in hundredths: 9990 is p99.9.
pub type Hundredths = u64;
/// All there are.
pub const ALL: Hundredths = 10_000;

/// What can be said of a percentile, or of the longest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// So few lie beyond it that it is not said.
    TooFew,
    /// It is one of those that were never answered: longer than the timeout.
    Unanswered,
    /// It is this.
    Is(Nanos),
}

/// How long requests took: exact ends, and the rest to 0.1 %.
#[derive(Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    min: Nanos,
    max: Nanos,
}

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// There is no memory for the histogram.
    pub fn new() -> io::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX, PRECISION_DIGITS);
        Ok(Self {
            histogram: histogram.map_err(io::Error::other)?,
            min: Nanos::MAX,
            max: 0,
        })
    }

    /// Takes in one.
    pub fn record(&mut self, latency: Nanos) {
        self.histogram.saturating_record(latency);
        self.min = self.min.min(latency);
        self.max = self.max.max(latency);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    fn ends(&self) -> Option<(Nanos, Nanos)> {
        (self.count() > 0).then_some((self.min, self.max))
    }

    /// The shortest.
    #[must_use]
    pub fn min(&self) -> Option<Nanos> {
        self.ends().map(|(min, _)| min)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Option<Nanos> {
        self.ends().map(|(_, max)| max)
    }

    /// The mean, in nanoseconds.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let (min, max) = self.ends()?;
        // One sample is shown as itself, not as the middle of its bucket.
        #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
        let (min, max) = (min as f64, max as f64);
        Some(self.histogram.mean().clamp(min, max))
    }

    /// How many took no longer than this.
    #[must_use]
    pub fn within(&self, latency: Nanos) -> u64 {
        self.histogram.count_between(0, latency)
    }

    /// A percentile of these and of `unanswered` more, each of which took longer than any of them.
    #[must_use]
    pub fn percentile(&self, percentile: Hundredths, unanswered: u64) -> Quantile {
        let count = self.count();
        let all = u128::from(count) + u128::from(unanswered);
        let beyond = all * u128::from(ALL.saturating_sub(percentile));
        if beyond < u128::from(BEYOND_MIN * ALL) {
            return Quantile::TooFew;
        }
        let rank = (all * u128::from(percentile)).div_ceil(u128::from(ALL));
        match (self.ends(), u64::try_from(rank)) {
            (Some((min, max)), Ok(rank)) if rank <= count => {
                Quantile::Is(self.at_rank(rank).clamp(min, max))
            }
            _ => Quantile::Unanswered,
        }
    }

    /// The histogram takes a share of all: from between this rank and the one below it, so that no
    /// rounding makes it another.
    #[expect(clippy::cast_precision_loss, reason = "a share of fewer than 2^52")]
    fn at_rank(&self, rank: u64) -> Nanos {
        let share = (rank as f64 - 0.5) / self.count().max(1) as f64;
        self.histogram.value_at_quantile(share)
    }

    /// All of them, for the tools that read HdrHistogram's own formats.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}
