//! What a soak measures once a minute, and whether it stays flat.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Sample;

/// The first part of a run fills caches and reaches what retention keeps; it is not judged.
const WARM_UP: f64 = 0.25;
/// Resident memory may grow by so much of itself in an hour ...
const PERCENT_PER_HOUR: f64 = 1.0;
/// ... or by so much: below it the measure is finer than an allocator's page.
const KIB_PER_HOUR: f64 = 256.0;
/// Connections that come and go are caught in the act.
const DESCRIPTORS: f64 = 8.0;

/// Times from a request to its acknowledgement, since they were last taken.
#[derive(Default)]
pub struct Latencies(Mutex<Vec<Duration>>);

impl Latencies {
    pub fn note(&self, time: Duration) {
        self.0.lock().expect("no holder panics").push(time);
    }

    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().expect("no holder panics"))
    }
}

pub struct Minute {
    pub at: Duration,
    pub sample: Sample,
    acks: usize,
    p99: Duration,
}

impl Minute {
    pub fn take(at: Duration, sample: Sample, latencies: &Latencies) -> Self {
        let mut all = latencies.take();
        all.sort_unstable();
        let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or_default();
        Minute { at, sample, acks: all.len(), p99 }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { resident_kib, anonymous_kib, descriptors, threads, cpu_seconds } = self.sample;
        write!(
            f,
            "soak: at {:>5.0} s: {resident_kib} KiB resident, {anonymous_kib} KiB anonymous, {descriptors} descriptors, \
             {threads} threads, {cpu_seconds:.1} s of processor, {} acks, p99 {:.1} ms",
            self.at.as_secs_f64(),
            self.acks,
            self.p99.as_secs_f64() * 1e3
        )
    }
}

/// The run behind its warm-up as lines, and what the first and the last third of it measured.
pub struct Trend {
    resident_kib: f64,
    resident_per_hour: f64,
    most_resident_kib: u64,
    descriptors: (f64, f64),
    threads: (f64, f64),
    p99_ms: (f64, f64),
}

impl Trend {
    /// Nothing is said of a run shorter than half an hour.
    pub fn of(minutes: &[Minute]) -> Option<Self> {
        let warm = &minutes[(minutes.len() as f64 * WARM_UP) as usize..];
        let time = minutes.last().map_or(Duration::ZERO, |last| last.at);
        if time < Duration::from_secs(30 * 60) {
            return None;
        }
        let (early, late) = (&warm[..warm.len() / 3], &warm[warm.len() - warm.len() / 3..]);
        let both = |of: &dyn Fn(&Minute) -> f64| (median(early.iter().map(of)), median(late.iter().map(of)));
        let points: Vec<_> =
            warm.iter().map(|minute| (minute.at.as_secs_f64() / 3600.0, minute.sample.resident_kib as f64)).collect();
        Some(Trend {
            resident_kib: median(points.iter().map(|point| point.1)),
            resident_per_hour: slope(&points),
            most_resident_kib: warm.iter().map(|minute| minute.sample.resident_kib).max().unwrap_or(0),
            descriptors: both(&|minute| minute.sample.descriptors as f64),
            threads: both(&|minute| minute.sample.threads as f64),
            p99_ms: both(&|minute| minute.p99.as_secs_f64() * 1e3),
        })
    }

    /// The machine's other work moves latencies: they are told and not judged.
    pub fn is_flat(&self) -> bool {
        let limit = (self.resident_kib * PERCENT_PER_HOUR / 100.0).max(KIB_PER_HOUR);
        self.resident_per_hour <= limit
            && self.descriptors.1 <= self.descriptors.0 + DESCRIPTORS
            && self.threads.1 <= self.threads.0 + 2.0
    }

    pub fn figures(&self) -> Value {
        json!({
            "resident_mib": self.resident_kib / 1024.0,
            "most_resident_mib": self.most_resident_kib as f64 / 1024.0,
            "resident_percent_per_hour": 100.0 * self.resident_per_hour / self.resident_kib,
            "resident_kib_per_hour": self.resident_per_hour,
            "descriptors_first_and_last_third": [self.descriptors.0, self.descriptors.1],
            "threads_first_and_last_third": [self.threads.0, self.threads.1],
            "ack_p99_ms_first_and_last_third": [self.p99_ms.0, self.p99_ms.1],
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The median of the slopes between all pairs (Theil and Sen): a single odd sample does not move it.
fn slope(points: &[(f64, f64)]) -> f64 {
    let pairs = points.iter().enumerate().flat_map(|(index, a)| points[index + 1..].iter().map(move |b| (a, b)));
    median(pairs.map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(resident: impl Fn(u64) -> u64, descriptors: impl Fn(u64) -> u64) -> Vec<Minute> {
        let minute = |at: u64| Minute {
            at: Duration::from_secs(60 * at),
            sample: Sample {
                resident_kib: resident(at),
                descriptors: descriptors(at),
                threads: 5,
                ..Sample::default()
            },
            acks: 1,
            p99: Duration::from_millis(2),
        };
        (1..=120).map(minute).collect()
    }

    fn is_flat(resident: impl Fn(u64) -> u64, descriptors: impl Fn(u64) -> u64) -> bool {
        Trend::of(&minutes(resident, descriptors)).expect("enough samples").is_flat()
    }

    #[test]
    fn a_warm_up_and_noise_are_flat() {
        assert!(is_flat(|at| 20_000 + 100 * at.min(28) + 50 * (at % 3), |at| 40 + at % 5));
    }

    #[test]
    fn a_leak_of_memory_or_descriptors_is_not() {
        assert!(!is_flat(|at| 60_000 + 15 * at, |_| 40), "1.5 % in an hour");
        assert!(!is_flat(|_| 20_000, |at| 40 + at / 4));
    }

    #[test]
    fn a_short_run_says_nothing() {
        assert!(Trend::of(&minutes(|_| 1, |_| 1)[..29]).is_none());
    }
}
