//! How much came lately: a sum over samples of a fixed length, as Kafka's `Rate` over a `SampledStat` takes it.
//!
//! A sample begins with the first thing that is recorded after the last one was full, and counts until nothing was recorded
//! in it for as long as all samples span. So a rate looks back over at least all samples but one, and a burst on a quiet
//! client is measured over that, not over the millisecond it took.

use super::Window;
use crate::types::Monotonic;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    begun: Monotonic,
    last: Monotonic,
    sum: f64,
}

/// What one group of connections has used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    /// The newest is last; none is out of date.
    samples: Vec<Sample>,
}

impl Rate {
    pub fn record(&mut self, window: Window, now: Monotonic, value: f64) {
        self.forget(window, now);
        match self.samples.last_mut() {
            Some(sample) if now.ms_since(sample.begun) < window.sample_ms => {
                sample.sum += value;
                sample.last = now;
            }
            _ => self.samples.push(Sample { begun: now, last: now, sum: value }),
        }
        // One more than the window has, as one of them may reach out of it (Kafka's `SampledStat.advance`).
        if self.samples.len() > window.samples + 1 {
            self.samples.remove(0);
        }
    }

    /// In a second.
    pub fn measure(&mut self, window: Window, now: Monotonic) -> f64 {
        self.forget(window, now);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum * 1000.0 / self.span_ms(window, now)
    }

    /// How long to wait until the rate is within `limit` again, if nothing more comes; 0 while it is.
    pub fn throttle_ms(&mut self, window: Window, now: Monotonic, limit: f64) -> u64 {
        let rate = self.measure(window, now);
        if rate <= limit {
            return 0;
        }
        ((rate - limit) / limit * self.span_ms(window, now)).round() as u64
    }

    /// Nothing is left of what was recorded.
    pub fn is_over(&mut self, window: Window, now: Monotonic) -> bool {
        self.forget(window, now);
        self.samples.is_empty()
    }

    fn forget(&mut self, window: Window, now: Monotonic) {
        let span_ms = window.sample_ms.saturating_mul(window.samples as u64);
        self.samples.retain(|sample| now.ms_since(sample.last) < span_ms);
    }

    /// From the oldest sample on, and never less than all samples but one: of less, nothing could be said yet.
    fn span_ms(&self, window: Window, now: Monotonic) -> f64 {
        let elapsed = self.samples.first().map_or(0, |sample| now.ms_since(sample.begun));
        let (full, least) = (elapsed / window.sample_ms, window.samples as u64 - 1);
        let missing = least.saturating_sub(full).saturating_mul(window.sample_ms);
        (elapsed.saturating_add(missing) as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { samples: 11, sample_ms: 1000 };

    fn at(ms: u64) -> Monotonic {
        Monotonic(ms)
    }

    /// Kafka's own example of one burst: 10 s are looked at, however short it was.
    #[test]
    fn a_burst_is_measured_over_all_samples_but_one() {
        let mut rate = Rate::default();
        rate.record(WINDOW, at(5_000), 20_000.0);
        assert_eq!(rate.measure(WINDOW, at(5_000)), 2_000.0);
        assert_eq!(rate.throttle_ms(WINDOW, at(5_000), 2_000.0), 0);
        assert_eq!(rate.throttle_ms(WINDOW, at(5_000), 1_000.0), 10_000);
        assert_eq!(rate.throttle_ms(WINDOW, at(5_000), 1_600.0), 2_500);
    }

    #[test]
    fn a_part_of_a_sample_counts_as_the_time_it_took() {
        let mut rate = Rate::default();
        rate.record(WINDOW, at(0), 10_500.0);
        assert_eq!(rate.measure(WINDOW, at(500)), 1_000.0);
        // Ten whole samples and a half: nothing is made up any more.
        assert_eq!(rate.measure(WINDOW, at(10_500)), 1_000.0);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut rate = Rate::default();
        rate.record(WINDOW, at(0), 1_000.0);
        rate.record(WINDOW, at(900), 1_000.0);
        rate.record(WINDOW, at(1_000), 5_000.0);
        assert!(!rate.is_over(WINDOW, at(11_899)));
        assert!((rate.measure(WINDOW, at(11_900)) - 5_000.0 / 10.9).abs() < 1e-9);
        assert!(rate.is_over(WINDOW, at(12_000)));
        assert_eq!(rate.measure(WINDOW, at(12_000)), 0.0);
    }

    #[test]
    fn a_steady_flow_keeps_no_more_samples_than_the_window_has() {
        let mut rate = Rate::default();
        for ms in (0..60_000).step_by(100) {
            rate.record(WINDOW, at(ms), 100.0);
        }
        assert!(rate.samples.len() <= 12, "{}", rate.samples.len());
        let measured = rate.measure(WINDOW, at(60_000));
        assert!((measured - 1_000.0).abs() < 20.0, "{measured}");
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut rate = Rate::default();
        rate.record(WINDOW, at(0), 5_000.0);
        rate.record(WINDOW, at(0), -5_000.0);
        assert_eq!(rate.measure(WINDOW, at(0)), 0.0);
    }

    /// A window of one sample has nothing but what it just saw; Kafka takes a millisecond for the least.
    #[test]
    fn the_smallest_window_divides_by_no_zero() {
        let window = Window { samples: 1, sample_ms: 1000 };
        let mut rate = Rate::default();
        rate.record(window, at(7), 10.0);
        assert_eq!(rate.measure(window, at(7)), 10_000.0);
        assert_eq!(rate.throttle_ms(window, at(7), f64::NAN), 0);
    }
}
