//! What the pings came to, in bounded memory.

use std::time::{Duration, Instant};

use crate::client::histogram::Histogram;

/// A duration in nanoseconds; what would not fit is longer than any ping waits.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The spread of times: exact, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    sum_ns: u128,
    squares_ns2: u128,
}

impl Spread {
    /// Takes in one more time.
    pub fn record(&mut self, ns: u64) {
        self.min_ns = if self.count == 0 {
            ns
        } else {
            self.min_ns.min(ns)
        };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.squares_ns2 = self
            .squares_ns2
            .saturating_add(u128::from(ns) * u128::from(ns));
    }

    fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min_ns = if self.count == 0 {
            other.min_ns
        } else {
            self.min_ns.min(other.min_ns)
        };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.squares_ns2 = self.squares_ns2.saturating_add(other.squares_ns2);
    }

    /// The mean.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        let mean = self.sum_ns / u128::from(self.count.max(1));
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// The standard deviation of all of them, which ping(8) calls mdev.
    #[must_use]
    pub fn deviation_ns(&self) -> u64 {
        let count = u128::from(self.count.max(1));
        // n * sum of squares - square of sum: exact, where the difference of two rounded means is
        // not.
        let scaled = (self.squares_ns2.saturating_mul(count))
            .saturating_sub(self.sum_ns.saturating_mul(self.sum_ns));
        u64::try_from((scaled / (count * count)).isqrt()).unwrap_or(u64::MAX)
    }
}

/// All figures of one transport, or of both together.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Pings that were begun, whether or not they could leave.
    pub sent: u64,
    /// Pings whose right reply came, late ones among them.
    pub received: u64,
    /// Those of them whose reply came after their time-out.
    pub late: u64,
    /// Right replies to pings that had been answered before.
    pub duplicates: u64,
    /// Refusals, resets, wrong replies and the like.
    pub errors: u64,
    /// From sending to the reply.
    pub round_trip: Spread,
    /// The time to connect, of every connection that came about.
    pub connect: Spread,
    /// Pings were begun from the first to the second of these.
    pub begun: Option<(Instant, Instant)>,
    /// The exponentially weighted mean of round-trip times, an eighth for each new one, as ping(8)
    /// has it.
    pub ewma_ns: u64,
    times: Histogram,
    previous_ns: Option<u64>,
    differences: Spread,
}

impl Figures {
    /// A ping was begun.
    pub fn begin(&mut self, now: Instant) {
        self.sent += 1;
        let first = self.begun.map_or(now, |(first, _)| first);
        self.begun = Some((first, now));
    }

    /// A ping was answered.
    pub fn reply(&mut self, round_trip: Duration) {
        let ns = nanoseconds(round_trip);
        self.received += 1;
        self.round_trip.record(ns);
        self.times.record(ns);
        if let Some(previous) = self.previous_ns.replace(ns) {
            self.differences.record(ns.abs_diff(previous));
        }
        self.ewma_ns = match self.received {
            1 => ns,
            _ => self.ewma_ns - self.ewma_ns / 8 + ns / 8,
        };
    }

    /// Takes in another transport's figures. There is no order among the replies of two, so
    /// `ewma_ns` stays.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.errors += other.errors;
        self.round_trip.add(&other.round_trip);
        self.connect.add(&other.connect);
        self.times.add(&other.times);
        self.differences.add(&other.differences);
        self.begun = match (self.begun, other.begun) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (mine, others) => mine.or(others),
        };
    }

    /// The time that so many percent of the replies stayed within, to 0.4 %.
    #[must_use]
    pub fn percentile_ns(&self, percent: u64) -> u64 {
        // Whoever ranks last is known exactly, and so are the bounds that a slot's middle can lie
        // beyond.
        if (self.received * percent).div_ceil(100) >= self.received {
            return self.round_trip.max_ns;
        }
        self.times.percentile(percent).map_or(0, |ns| {
            ns.clamp(self.round_trip.min_ns, self.round_trip.max_ns)
        })
    }

    /// The mean difference between one round-trip time and the next.
    #[must_use]
    pub fn jitter_ns(&self) -> u64 {
        self.differences.mean_ns()
    }

    /// From the first ping to the last, as ping(8) has it.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.begun
            .map_or(Duration::ZERO, |(first, last)| last.duration_since(first))
    }

    /// How many pings were not answered.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}
