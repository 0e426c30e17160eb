//! Times in bounded memory, with a bounded error.
//!
//! Each octave of nanoseconds is cut into 128 slots of one width, so that a
//! percentile is wrong by 0.4 % at most, whether it is microseconds or minutes.

/// How finely an octave is cut: the middle of a slot is within 1 / 256 of everything in it.
const SLOTS_PER_OCTAVE: u64 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 7;

/// Octaves up to 2^43 ns, two and a half hours; what took longer counts as that.
const OCTAVES: usize = 36;

/// All the memory: 18 KiB.
const SLOTS: usize = (OCTAVES + 1) << SLOT_BITS;

/// How often each time was seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; SLOTS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn record(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(slot(ns).min(SLOTS - 1)) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// Takes in what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }

    /// The time, in nanoseconds, that so many percent of all stay within (nearest rank); `None` if
    /// there are none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.counts
            .iter()
            .position(|count| {
                seen += u64::from(*count);
                seen >= rank
            })
            .map(middle)
    }
}

/// Below two octaves' worth of slots each nanosecond has its own; from there on, the leading bits
/// choose.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most 64 octaves of 128 slots"
)]
fn slot(ns: u64) -> usize {
    let octave = ns.checked_ilog2().unwrap_or(0).saturating_sub(SLOT_BITS);
    ((ns >> octave) + u64::from(octave) * SLOTS_PER_OCTAVE) as usize
}

/// The time in the middle of a slot.
const fn middle(slot: usize) -> u64 {
    let slot = slot as u64;
    let octave = (slot / SLOTS_PER_OCTAVE).saturating_sub(1);
    let first = (slot - octave * SLOTS_PER_OCTAVE) << octave;
    first + (1 << octave) / 2
}

#[cfg(test)]
mod tests {
    use super::{Histogram, SLOTS, middle, slot};

    #[test]
    fn every_slot_is_the_slot_of_its_middle() {
        for number in 0..SLOTS {
            assert_eq!(slot(middle(number)), number);
        }
    }

    #[test]
    fn percentiles_are_within_their_error() {
        let mut histogram = Histogram::default();
        for time_us in 1..=1000 {
            histogram.record(time_us * 1000);
        }
        for (percent, exact) in [(0, 1_000), (1, 10_000), (50, 500_000), (99, 990_000)] {
            let got = histogram.percentile(percent).unwrap_or_default();
            assert!(got.abs_diff(exact) * 256 <= exact, "p{percent} {got}");
        }
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn what_is_beyond_the_last_octave_counts_as_the_longest() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentile(50), Some(middle(SLOTS - 1)));
    }
}
