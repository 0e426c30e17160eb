//! The figures, against the same computed the long way.

use std::time::{Duration, Instant};

use pingpong::inside::client::ping::PingStats;

const TIMES_US: [u64; 9] = [120, 40, 41, 39, 80, 1_000_000, 45, 44, 43];

fn figures(times_us: &[u64]) -> PingStats {
    let mut figures = PingStats::default();
    for time_us in times_us {
        figures.begin(Instant::now());
        figures.reply(Duration::from_micros(*time_us));
    }
    figures
}

/// Mean and standard deviation, in whole nanoseconds.
fn naive(times_us: &[u64]) -> (u64, u64) {
    let ns: Vec<i128> = times_us.iter().map(|us| i128::from(*us) * 1000).collect();
    let count = i128::try_from(ns.len()).unwrap();
    let mean = ns.iter().sum::<i128>() / count;
    let scaled: i128 = ns.iter().map(|ns| (ns - mean) * (ns - mean)).sum::<i128>() / count;
    (
        u64::try_from(mean).unwrap(),
        u64::try_from(scaled.isqrt()).unwrap(),
    )
}

#[test]
fn spread_is_that_of_all_replies() {
    let figures = figures(&TIMES_US);
    let (mean, deviation) = naive(&TIMES_US);
    let spread = &figures.round_trip;
    assert_eq!((spread.min_ns, spread.max_ns), (39_000, 1_000_000_000));
    assert_eq!(spread.mean_ns(), mean);
    assert!(spread.deviation_ns().abs_diff(deviation) <= 1);
}

#[test]
fn percentiles_are_of_nearest_rank_and_within_what_was_seen() {
    let figures = figures(&TIMES_US);
    assert!(figures.percentile_ns(50).abs_diff(44_000) * 256 <= 44_000);
    assert_eq!(figures.percentile_ns(99), 1_000_000_000);
    assert!(figures.percentile_ns(1) >= 39_000);
    assert_eq!(PingStats::default().percentile_ns(50), 0);
}

#[test]
fn jitter_is_the_mean_difference_of_successive_times() {
    assert_eq!(figures(&[100, 160, 130]).jitter_ns(), 45_000);
    assert_eq!(figures(&[100]).jitter_ns(), 0);
}

#[test]
fn figures_of_two_transports_add_up() {
    let (first, second) = TIMES_US.split_at(4);
    let mut sum = figures(first);
    sum.add(&figures(second));
    sum.add(&PingStats::default());
    let whole = figures(&TIMES_US);
    assert_eq!((sum.sent, sum.received), (whole.sent, whole.received));
    assert_eq!(sum.round_trip.min_ns, whole.round_trip.min_ns);
    assert_eq!(sum.round_trip.max_ns, whole.round_trip.max_ns);
    assert_eq!(
        sum.round_trip.deviation_ns(),
        whole.round_trip.deviation_ns()
    );
    assert_eq!(sum.percentile_ns(50), whole.percentile_ns(50));
    let mut none = PingStats::default();
    none.add(&whole);
    assert_eq!(none.round_trip.min_ns, whole.round_trip.min_ns);
}
