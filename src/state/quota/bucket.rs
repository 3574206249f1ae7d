//! Tokens that come at a steady pace and go in bursts, as Kafka's `TokenBucket` has them for changes of topics (KIP-599).
//!
//! A bucket holds what comes within the window, and is full at first. Taking may leave it below nothing; then who is strict gets
//! nothing until it is no longer, and everybody waits that long.

use super::Window;
use crate::types::Monotonic;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    tokens: f64,
    /// When that many were there; never: it is full.
    filled: Option<Monotonic>,
}

impl Bucket {
    /// What is there now, at so many a second.
    pub fn tokens(&mut self, window: Window, now: Monotonic, limit: f64) -> f64 {
        let most = span_ms(window) as f64 / 1000.0 * limit;
        self.tokens = match self.filled {
            Some(filled) => most.min(self.tokens + now.ms_since(filled) as f64 / 1000.0 * limit),
            None => most,
        };
        self.filled = Some(now);
        self.tokens
    }

    pub fn take(&mut self, window: Window, now: Monotonic, limit: f64, tokens: f64) {
        self.tokens(window, now, limit);
        self.tokens -= tokens;
    }

    /// How long it stays below nothing.
    pub fn wait_ms(&mut self, window: Window, now: Monotonic, limit: f64) -> u64 {
        (-self.tokens(window, now, limit) / limit * 1000.0).round().max(0.0) as u64
    }

    /// It must be full by now, whatever the limit.
    pub fn is_over(&self, window: Window, now: Monotonic) -> bool {
        self.filled.is_none_or(|filled| self.tokens >= 0.0 && now.ms_since(filled) >= span_ms(window))
    }
}

fn span_ms(window: Window) -> u64 {
    window.sample_ms.saturating_mul(window.samples as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { samples: 11, sample_ms: 1000 };

    fn at(ms: u64) -> Monotonic {
        Monotonic(ms)
    }

    #[test]
    fn a_burst_may_take_what_comes_in_the_window_and_is_paid_back_at_the_limit() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.tokens(WINDOW, at(5), 2.0), 22.0);
        bucket.take(WINDOW, at(5), 2.0, 30.0);
        assert_eq!(bucket.wait_ms(WINDOW, at(5), 2.0), 4_000);
        assert_eq!(bucket.wait_ms(WINDOW, at(3_005), 2.0), 1_000);
        assert_eq!(bucket.wait_ms(WINDOW, at(4_005), 2.0), 0);
        assert_eq!(bucket.tokens(WINDOW, at(60_000), 2.0), 22.0);
    }

    #[test]
    fn it_is_over_once_it_must_be_full() {
        let mut bucket = Bucket::default();
        assert!(bucket.is_over(WINDOW, at(0)));
        bucket.take(WINDOW, at(0), 1.0, 11.0);
        assert!(!bucket.is_over(WINDOW, at(10_999)) && bucket.is_over(WINDOW, at(11_000)));
        bucket.take(WINDOW, at(11_000), 1.0, 50.0);
        assert!(!bucket.is_over(WINDOW, at(30_000)), "it owes some");
    }
}
