//! The fast tier: some dozens of seeds with every commit. `SEED=n` runs that one alone.

use std::collections::BTreeMap;

use super::{FAULTS, run};

/// How long each seed lives, in simulated seconds.
const SECONDS: u64 = 20;

fn check(seed: u64) -> super::Report {
    println!("SEED={seed}");
    let report = run(seed, SECONDS);
    assert_eq!(report.violation, None, "SEED={seed}: {report:?}");
    report
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", check(seed));
        return;
    }
    let mut counts = BTreeMap::new();
    for seed in 0..12 {
        for (what, count) in check(seed).counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    println!("{counts:?}");
    let absent: Vec<_> = FAULTS.iter().filter(|what| counts.get(*what).is_none_or(|count| *count == 0)).collect();
    assert!(absent.is_empty(), "faults that never occurred: {absent:?}");
}

#[test]
fn i116_a_seed_replays_to_the_same_trace() {
    for seed in 100..103 {
        let (one, other) = (check(seed), check(seed));
        assert_eq!((one.trace, one.steps), (other.trace, other.steps), "SEED={seed}");
    }
}
