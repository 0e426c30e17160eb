//! The token bucket: one second's worth at once, so many a second after that.

use std::time::{Duration, Instant};

use pingpong::inside::reactor::bucket::Bucket;
use proptest::prelude::*;

use crate::support::cases;

const SECOND: Duration = Duration::from_secs(1);

/// `Instant` counts from the host's start; here time starts late enough for a second to lie before
/// it.
fn start() -> Instant {
    Instant::now() + SECOND * 10
}

fn take_all(bucket: &mut Bucket, now: Instant) -> usize {
    std::iter::from_fn(|| bucket.take(now).then_some(()))
        .take(1_000_000)
        .count()
}

#[test]
fn it_starts_full_and_holds_one_second() {
    for rate_per_s in [1, 2, 3, 7, 10, 999, 1000, 50_000] {
        let now = start();
        let mut bucket = Bucket::new(rate_per_s, now);
        let full = usize::try_from(rate_per_s).unwrap();
        assert_eq!(take_all(&mut bucket, now), full, "{rate_per_s} a second");
        assert_eq!(take_all(&mut bucket, now + SECOND), full);
        assert_eq!(take_all(&mut bucket, now + SECOND * 3600), full, "saved up");
    }
}

#[test]
fn it_fills_steadily() {
    let now = start();
    let mut bucket = Bucket::new(10, now);
    take_all(&mut bucket, now);
    for tenth in 1..50 {
        let now = now + SECOND / 10 * tenth;
        assert!(!bucket.take(now - Duration::from_nanos(1)));
        assert!(bucket.take(now));
        assert!(!bucket.take(now));
    }
}

#[test]
fn zero_is_no_limit() {
    let now = start();
    let mut bucket = Bucket::new(0, now);
    assert_eq!(take_all(&mut bucket, now), 1_000_000);
}

proptest! {
    #![proptest_config(cases(256))]

    /// Against a level in nanoseconds, which rises with time up to one second and pays one period
    /// for each.
    #[test]
    fn like_a_level(
        rate_per_s in prop_oneof![1u32..20, 20u32..5000],
        pauses_us in prop::collection::vec(prop_oneof![0u64..2000, 0u64..3_000_000], 0..200),
    ) {
        let mut now = start();
        let mut bucket = Bucket::new(rate_per_s, now);
        let full_ns = SECOND.as_nanos();
        let period_ns = full_ns / u128::from(rate_per_s);
        let mut level_ns = full_ns;
        for pause_us in pauses_us {
            let pause = Duration::from_micros(pause_us);
            now += pause;
            level_ns = full_ns.min(level_ns + pause.as_nanos());
            let expected = level_ns >= period_ns;
            if expected {
                level_ns -= period_ns;
            }
            prop_assert_eq!(bucket.take(now), expected);
        }
    }
}
