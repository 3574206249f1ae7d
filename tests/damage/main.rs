//! Damaged files: whatever happens to any file of a data directory, what is served is what was written, nothing panics, and what is
//! missing or refused is reported by the name of its file or directory (I9, I10, I14, I26).
//!
//! A broker works once: several topics, segments, a compacted one, producers, groups, snapshots of metadata. Then, `DAMAGES` times,
//! one file of the directory, as a clean stop or a kill left it, suffers one thing; a broker is started on it and asked for
//! everything. `SEED` repeats a run and `ONLY=n` one damage of it; `scripts/damage.sh` is the long run.

// The test has its own clock and its own threads beside the broker's.
#![allow(clippy::disallowed_methods)]

mod damage;
#[path = "../../fuzz/targets/disk.rs"]
#[allow(dead_code)]
mod disk;
mod ground;
mod judge;
mod report;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Instant;

use ground::Ground;
use judge::{Verdict, judge};

/// How many damages a plain `cargo test` takes the time for.
const DAMAGES: u64 = 60;

#[test]
fn i10_i14_damaged_files_are_reported_and_nothing_wrong_is_served() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, count) = (number("SEED").unwrap_or(1), number("DAMAGES").unwrap_or(DAMAGES));
    let limit = number("DAMAGE_SECONDS");
    println!("SEED={seed}");
    report::listen();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let ground = runtime.block_on(Ground::make());
    assert_eq!(report::panics(), 0, "while the ground was made");
    let began = Instant::now();
    let mut tally: BTreeMap<Verdict, u64> = BTreeMap::new();
    let mut faults = Vec::new();
    let only = number("ONLY");
    let mut done = 0;
    for index in only.map_or(0..count, |only| only..only + 1) {
        if limit.is_some_and(|limit| began.elapsed().as_secs() >= limit) {
            println!("the time was up");
            break;
        }
        let damage = damage::choose(&ground, seed, index);
        let verdict = runtime.block_on(judge(&ground, &damage));
        done += 1;
        match verdict {
            Ok(verdict) => *tally.entry(verdict).or_default() += 1,
            Err(fault) => {
                println!("ONLY={index}: {damage}: {fault}");
                faults.push(format!("{damage}: {fault}"));
            }
        }
    }
    let count_of = |verdict| tally.get(&verdict).copied().unwrap_or(0);
    println!(
        r#"{{"tier":"damage","unit":"damaged files","count":{done},"seed":{seed},"result":"{}","figures":{{"harmless":{},"reported":{},"left_to_clients":{},"start_refused":{},"like_a_crash":{},"faults":{},"panics":{},"seconds":{}}}}}"#,
        if faults.is_empty() { "ok" } else { "failed" },
        count_of(Verdict::Harmless),
        count_of(Verdict::Reported),
        count_of(Verdict::LeftToClients),
        count_of(Verdict::Refused),
        count_of(Verdict::LikeACrash),
        faults.len(),
        report::panics(),
        began.elapsed().as_secs()
    );
    assert!(faults.is_empty(), "{} of {done} damages, SEED={seed}; the first: {}", faults.len(), faults[0]);
    assert_eq!(report::panics(), 0);
    if only.is_none() {
        let all = [Verdict::Harmless, Verdict::Reported, Verdict::Refused];
        assert!(all.iter().all(|verdict| count_of(*verdict) > 0), "the damages were of one kind: {tally:?}");
    }
}
