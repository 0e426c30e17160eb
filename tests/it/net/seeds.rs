//! Server and ping against each other, by seeds: so many of them, or one.

use std::time::Instant;

use super::hosts::S;
use super::plan::Plan;
use crate::sim::seeds::env;

/// How many worlds the ordinary test run makes.
const WORLDS: u64 = 500;

/// Runs a seed with its trace, and fails with what is wrong.
fn explain(seed: u64) {
    let plan = Plan::drawn(seed);
    println!("{plan:#?}");
    let outcome = plan.run(true);
    println!("{}", outcome.trace.join("\n"));
    let replay = format!("SEED={seed} cargo test --test it net::seeds::worlds -- --nocapture");
    match outcome.violation {
        Some(violation) => panic!("seed {seed}: {violation}\nreplay: {replay}"),
        None => println!("seed {seed} passes"),
    }
}

/// Every world of a range of seeds, or the one of `SEED`.
#[test]
fn worlds() {
    if let Some(seed) = env("SEED") {
        return explain(seed);
    }
    let count = env("SEEDS").unwrap_or(WORLDS);
    let first = env("FIRST_SEED").unwrap_or(0);
    let start = Instant::now();
    let (mut turns, mut calls, mut faults, mut sent, mut received, mut ran_s) = (0, 0, 0, 0, 0, 0);
    for seed in first..first + count {
        let outcome = Plan::drawn(seed).run(false);
        if outcome.violation.is_some() {
            explain(seed);
        }
        turns += outcome.turns;
        calls += outcome.stats.calls;
        faults += outcome.stats.faults;
        sent += outcome.sent;
        received += outcome.received;
        ran_s += outcome.ran_ns / S;
    }
    println!(
        "{count} worlds in {:.1?}: {turns} turns, {calls} calls, {faults} faults, {sent} pings, \
         {received} replies, {ran_s} s of virtual time",
        start.elapsed()
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..50 {
        let [one, other] = [0, 1].map(|_| Plan::drawn(seed).run(true));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        let untraced = Plan::drawn(seed).run(false);
        assert_eq!(one.stats, untraced.stats, "seed {seed}");
    }
}
