//! The clock of a simulation: it stands still while anything can be done and moves when all of the broker and its clients
//! wait. The wall clock beside it jumps when the simulation says so; nothing but records may care (I24).

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use crate::clock::Clock;
use crate::testing::seed::Seed;
use crate::types::{Monotonic, Now, Timestamp};

/// 2026-01-01, when every simulation begins.
pub const BEGIN_MS: i64 = 1_767_225_600_000;

pub struct SimClock {
    start: Instant,
    /// The wall clock at `start`, with the jumps since.
    wall_at_start: AtomicI64,
    dice: Mutex<Seed>,
}

impl SimClock {
    /// A clock of a process that starts now, `elapsed_ms` after the simulation began.
    pub fn new(elapsed_ms: u64, jumped_ms: i64, dice: Seed) -> Self {
        let wall = BEGIN_MS + elapsed_ms as i64 + jumped_ms;
        SimClock { start: Instant::now(), wall_at_start: AtomicI64::new(wall), dice: Mutex::new(dice) }
    }

    /// Milliseconds since the process started.
    pub fn elapsed_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    pub fn jump(&self, ms: i64) {
        self.wall_at_start.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let elapsed = self.elapsed_ms();
        let wall = self.wall_at_start.load(Ordering::SeqCst) + elapsed as i64;
        Now { wall: Timestamp(wall), mono: Monotonic(elapsed) }
    }

    fn random(&self) -> u64 {
        self.dice.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).roll()
    }
}
