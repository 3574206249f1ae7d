//! Where wall time and randomness enter. Everything else is told the time and handed its random numbers,
//! so that a run can be repeated from a seed.

#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::types::{Monotonic, Now, Timestamp};

/// The clock and the dice of a broker.
pub trait Clock: Send + Sync {
    fn now(&self) -> Now;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// A random (version 4) id.
    fn random_id(&self) -> Uuid {
        let high = u128::from(self.random()) << 64;
        uuid::Builder::from_random_bytes((high | u128::from(self.random())).to_be_bytes()).into_uuid()
    }
}

/// The machine's own clocks.
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        // A clock set before 1970 reads as 1970: no record may carry a negative time.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
            mono: Monotonic(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn random(&self) -> u64 {
        Uuid::new_v4().as_u64_pair().0.rotate_left(17) ^ Uuid::new_v4().as_u64_pair().1
    }
}

/// Measures how long something takes, for whoever has to know and decides nothing by it.
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that stands still until it is moved, with dice that follow from a seed.
pub struct ManualClock {
    wall_ms: AtomicU64,
    mono_ms: AtomicU64,
    seed: AtomicU64,
}

impl ManualClock {
    pub fn new(wall: Timestamp, seed: u64) -> Self {
        ManualClock {
            wall_ms: AtomicU64::new(wall.0.unsigned_abs()),
            mono_ms: AtomicU64::new(0),
            seed: AtomicU64::new(seed),
        }
    }

    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.mono_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now {
            wall: Timestamp(self.wall_ms.load(Ordering::SeqCst) as i64),
            mono: Monotonic(self.mono_ms.load(Ordering::SeqCst)),
        }
    }

    /// SplitMix64: small, and good enough for ids in tests.
    fn random(&self) -> u64 {
        let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
