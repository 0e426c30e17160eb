//! What the pings came to, in bounded memory.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::require::{Kind, count, percent};
use crate::transport::Transport;

/// The longest round trip that is told from longer ones: two and a half hours.
const LONGEST_NS: u64 = 1 << 43;

/// Percentiles are right to two digits and more: a slot's middle is within 1 / 256 of all in it.
const PRECISION_DIGITS: u8 = 2;

/// A duration in nanoseconds; what would not fit is longer than any ping waits.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
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
    pub fn record(&mut self, time: Duration) {
        self.record_ns(nanoseconds(time));
    }

    fn record_ns(&mut self, ns: u64) {
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
pub struct PingStats {
    /// Pings that were begun, whether or not they could leave.
    pub sent: u64,
    /// Pings whose right reply came, late ones among them.
    pub received: u64,
    /// Pings that were on their way when it was ended.
    pub in_flight: u64,
    /// Those of the received whose reply came after their time-out.
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
    begun: Option<(Instant, Instant)>,
    /// The exponentially weighted mean of round-trip times, an eighth for each new one, as ping(8)
    /// has it.
    pub ewma_ns: u64,
    times: Times,
    previous_ns: Option<u64>,
    differences: Spread,
}

/// How often each time was seen.
#[derive(Clone, Debug)]
struct Times(Histogram<u32>);

impl Default for Times {
    #[expect(clippy::expect_used, reason = "the bounds are no input's")]
    fn default() -> Self {
        let none = Histogram::new_with_bounds(1, LONGEST_NS, PRECISION_DIGITS);
        Self(none.expect("these bounds can be had"))
    }
}

impl PingStats {
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
        self.round_trip.record_ns(ns);
        self.times.0.saturating_record(ns);
        if let Some(previous) = self.previous_ns.replace(ns) {
            self.differences.record_ns(ns.abs_diff(previous));
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
        self.in_flight += other.in_flight;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.errors += other.errors;
        self.round_trip.add(&other.round_trip);
        self.connect.add(&other.connect);
        let added = self.times.0.add(&other.times.0);
        debug_assert!(added.is_ok(), "they have the same bounds");
        self.differences.add(&other.differences);
        self.begun = match (self.begun, other.begun) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (mine, others) => mine.or(others),
        };
    }

    /// The sum of several transports'.
    #[must_use]
    pub fn total(probes: &[(Transport, &Self)]) -> Self {
        let mut total = Self::default();
        for (_, stats) in probes {
            total.add(stats);
        }
        total
    }

    /// The last ping that counts was begun then; `None` if none does.
    pub(super) fn end_span(&mut self, last: Option<Instant>) {
        self.begun = self.begun.and_then(|(first, _)| Some((first, last?)));
    }

    /// The time that so many percent of the replies stayed within (nearest rank): exact where that
    /// is the shortest or the longest, else to 0.4 %.
    #[must_use]
    pub fn percentile_ns(&self, percent: u64) -> u64 {
        let (shortest, longest) = (self.round_trip.min_ns, self.round_trip.max_ns);
        let rank = (self.received * percent).div_ceil(100);
        if rank >= self.received {
            return longest;
        }
        if rank <= 1 {
            return shortest;
        }
        let mut seen = 0;
        let mut slots = self.times.0.iter_recorded();
        let slot = slots.find(|slot| {
            seen += slot.count_since_last_iteration();
            seen >= rank
        });
        slot.map_or(longest, |slot| {
            let middle = self.times.0.median_equivalent(slot.value_iterated_to());
            middle.clamp(shortest, longest)
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

    /// A figure of `--require`, in nanoseconds, percent or as it is; `None` where nothing is known.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<f64> {
        let time = |ns| Some(count(ns)).filter(|_| self.received > 0);
        match name {
            "loss" => percent(self.lost(), self.sent),
            "sent" => Some(count(self.sent)),
            "received" => Some(count(self.received)),
            "late" => Some(count(self.late)),
            "duplicates" => Some(count(self.duplicates)),
            "errors" => Some(count(self.errors)),
            "min" => time(self.round_trip.min_ns),
            "avg" => time(self.round_trip.mean_ns()),
            "max" => time(self.round_trip.max_ns),
            "mdev" => time(self.round_trip.deviation_ns()),
            "jitter" => time(self.jitter_ns()),
            "connect" => Some(count(self.connect.mean_ns())).filter(|_| self.connect.count > 0),
            _ => time(self.percentile_ns(percentile(name)?)),
        }
    }

    /// What kind of figure a name of `--require` stands for.
    #[must_use]
    pub fn kind_of(name: &str) -> Option<Kind> {
        match name {
            "loss" => Some(Kind::Percent),
            "sent" | "received" | "late" | "duplicates" | "errors" => Some(Kind::Count),
            "min" | "avg" | "max" | "mdev" | "jitter" | "connect" => Some(Kind::Time),
            _ => percentile(name).map(|_| Kind::Time),
        }
    }

    /// How many pings were not answered.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// `p50`, `p99`: a whole percentile.
fn percentile(name: &str) -> Option<u64> {
    let percent = name.strip_prefix('p')?.parse().ok()?;
    (1..=100).contains(&percent).then_some(percent)
}
