//! What may be said of latencies.

use pingpong::inside::client::load::latency::{Latencies, Quantile};

fn of(latencies: impl IntoIterator<Item = u64>) -> Latencies {
    let mut all = Latencies::new().unwrap();
    latencies.into_iter().for_each(|it| all.record(it));
    all
}

/// Nine beyond it are too few, ten are enough; those without an answer are beyond it too.
#[test]
fn a_percentile_needs_ten_samples_beyond_it() {
    for (count, unanswered, percentile, is_known) in [
        (19, 0, 5_000, false),
        (20, 0, 5_000, true),
        (99, 0, 9_000, false),
        (100, 0, 9_000, true),
        (999, 0, 9_900, false),
        (1_000, 0, 9_900, true),
        (9_999, 0, 9_990, false),
        (10_000, 0, 9_990, true),
        (99_999, 0, 9_999, false),
        (100_000, 0, 9_999, true),
        (10, 10, 5_000, true),
        (10, 9, 5_000, false),
    ] {
        let latencies = of(std::iter::repeat_n(1_000, count));
        let said = latencies.percentile(percentile, unanswered);
        assert_eq!(
            said != Quantile::TooFew,
            is_known,
            "{count} {percentile} {said:?}"
        );
    }
}

/// Of a thousand, the nearest rank, to a thousandth.
#[test]
fn percentiles_are_of_all_that_was_due() {
    let latencies = of((1..=1_000).map(|us| us * 1_000));
    let is = |percentile, unanswered, expected: u64| match latencies
        .percentile(percentile, unanswered)
    {
        Quantile::Is(ns) => assert!(ns.abs_diff(expected) <= expected / 1_000, "{ns} {expected}"),
        other => panic!("{other:?}"),
    };
    is(5_000, 0, 500_000);
    is(9_000, 0, 900_000);
    is(9_900, 0, 990_000);
    // A thousand more without an answer: what was the longest is the middle.
    is(5_000, 1_000, 1_000_000);
    is(2_500, 1_000, 500_000);
    assert_eq!(latencies.percentile(5_000, 1_001), Quantile::Unanswered);
    assert_eq!(latencies.percentile(9_900, 1_000), Quantile::Unanswered);
    // One in twenty without an answer: p99 is one of those.
    assert_eq!(latencies.percentile(9_900, 53), Quantile::Unanswered);
    assert_eq!(of([]).percentile(5_000, 20), Quantile::Unanswered);
    assert_eq!(of([]).percentile(5_000, 0), Quantile::TooFew);
}

/// Not as the edge or the middle of its bucket.
#[test]
fn one_sample_is_shown_as_itself() {
    for sample in [1, 999, 123_456_789, 987_654_321_987] {
        let one = of([sample]);
        assert_eq!(
            (one.min(), one.max(), one.count()),
            (Some(sample), Some(sample), 1)
        );
        #[expect(clippy::cast_precision_loss, reason = "exact")]
        let expected = sample as f64;
        assert_eq!(one.mean().map(f64::to_bits), Some(expected.to_bits()));
        let many = of(std::iter::repeat_n(sample, 1_000));
        assert_eq!(many.percentile(9_900, 0), Quantile::Is(sample));
    }
    assert_eq!(
        (of([]).min(), of([]).max(), of([]).mean()),
        (None, None, None)
    );
}

#[test]
fn so_many_were_within() {
    let latencies = of((1..=1_000).map(|us| us * 1_000));
    assert!(latencies.within(500_000).abs_diff(500) <= 1);
    assert_eq!(latencies.within(2_000_000), 1_000);
}
