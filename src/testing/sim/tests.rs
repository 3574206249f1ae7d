//! The fast tier: some dozens of seeds with every commit. `SEED=n` runs that one alone.

use std::collections::BTreeSet;

use super::{FAULTS, run, run_with_every_fault};

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
    for seed in 0..12 {
        check(seed);
    }
}

/// A fault that never comes tries nothing.
#[test]
fn every_fault_there_is_occurs() {
    let mut absent: BTreeSet<&str> = FAULTS.iter().copied().collect();
    for seed in 200..220 {
        println!("SEED={seed}");
        let report = run_with_every_fault(seed, 60);
        assert_eq!(report.violation, None, "SEED={seed}: {report:?}");
        absent.retain(|what| report.counts.get(what).is_none_or(|count| *count == 0));
        if absent.is_empty() {
            return;
        }
    }
    panic!("faults that never occurred: {absent:?}");
}

#[test]
fn i116_a_seed_replays_to_the_same_trace() {
    for seed in 100..103 {
        let (one, other) = (check(seed), check(seed));
        assert_eq!((one.trace, one.steps), (other.trace, other.steps), "SEED={seed}");
    }
}
