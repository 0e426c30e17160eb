//! Schedules that seeds decide: so many of them, or one.

use std::time::Instant;

use super::plan::Plan;
use super::schedule::run;
use super::world::Stats;

/// How many schedules the ordinary test run makes.
const SCHEDULES: u64 = 10_000;

pub fn env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// Runs a seed with its trace, and fails with what is wrong.
fn explain(seed: u64) {
    let plan = Plan::drawn(seed);
    println!("{:?}\n{:?}\n{:?}", plan.config, plan.sizes, plan.kernel);
    let outcome = run(plan, true);
    println!("{}", outcome.trace.join("\n"));
    let replay = format!("SEED={seed} cargo test --test it sim::seeds::schedules -- --nocapture");
    match outcome.violation {
        Some(violation) => panic!("seed {seed}: {violation}\nreplay: {replay}"),
        None => println!("seed {seed} passes"),
    }
}

/// Every schedule of a range of seeds, or the one of `SEED`.
#[test]
fn schedules() {
    if let Some(seed) = env("SEED") {
        return explain(seed);
    }
    let count = env("SCHEDULES").unwrap_or(SCHEDULES);
    let first = env("FIRST_SEED").unwrap_or(0);
    let start = Instant::now();
    let mut total = Stats::default();
    for seed in first..first + count {
        let outcome = run(Plan::drawn(seed), false);
        if outcome.violation.is_some() {
            explain(seed);
        }
        total.add(outcome.stats);
    }
    println!("{count} schedules in {:.1?}: {total:?}", start.elapsed());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..200 {
        let [one, other] = [0, 1].map(|_| run(Plan::drawn(seed), true));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.stats, other.stats, "seed {seed}");
        assert_eq!(
            one.stats,
            run(Plan::drawn(seed), false).stats,
            "seed {seed}: untraced"
        );
    }
}
