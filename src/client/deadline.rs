//! Until when something may take: one point in time for a whole question, however many reads and retries it needs.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;

#[derive(Clone)]
pub struct Deadline {
    clock: Arc<dyn Clock>,
    at_ms: u64,
}

impl Deadline {
    pub fn after(clock: &Arc<dyn Clock>, ms: u64) -> Deadline {
        Deadline { clock: clock.clone(), at_ms: clock.now().mono.0.saturating_add(ms) }
    }

    /// The sooner of this one and `ms` from now.
    pub fn at_most(&self, ms: u64) -> Deadline {
        let sooner = self.clock.now().mono.0.saturating_add(ms).min(self.at_ms);
        Deadline { clock: self.clock.clone(), at_ms: sooner }
    }

    /// What is left, never zero; `None` when the time is up.
    pub fn left(&self) -> Option<Duration> {
        let left = self.at_ms.saturating_sub(self.clock.now().mono.0);
        (left > 0).then(|| Duration::from_millis(left))
    }

    pub fn has_passed(&self) -> bool {
        self.left().is_none()
    }
}
