//! Says things seldom: what may happen a thousand times a second is logged once in a while, with how often it was kept back.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long after a line of the log the next one of its kind may come.
const EVERY_MS: u64 = 10_000;

/// One kind of line.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When the next one may come, on the caller's clock.
    next_ms: AtomicU64,
    kept_back: AtomicU64,
}

impl Seldom {
    /// May it be said now? Then how often it was kept back since the last time.
    pub fn due(&self, now_ms: u64) -> Option<u64> {
        let next = self.next_ms.load(Ordering::Relaxed);
        let mine = now_ms >= next
            && self.next_ms.compare_exchange(next, now_ms + EVERY_MS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !mine {
            self.kept_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.kept_back.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_once_and_counts_what_it_kept_back() {
        let seldom = Seldom::default();
        assert_eq!(seldom.due(5), Some(0));
        assert_eq!(seldom.due(6), None);
        assert_eq!(seldom.due(10_004), None);
        assert_eq!(seldom.due(10_005), Some(2));
    }
}
