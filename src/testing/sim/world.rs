//! What outlives the broker's lives in a simulation: the plan, the history of what clients know, the trace, the verdict.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::groups::Groups;
use super::history::History;
use super::plan::Plan;
use crate::testing::seed::Seed;
use crate::types::{Offset, TopicId, TopicPartition};

pub struct World {
    pub plan: Plan,
    state: Mutex<State>,
    /// Told with the first violation.
    pub alarm: Notify,
}

struct State {
    trace: u64,
    steps: u64,
    counts: BTreeMap<&'static str, u64>,
    violation: Option<String>,
    history: History,
    groups: Groups,
    dice: Seed,
    /// Of the lives that have ended.
    elapsed_ms: u64,
    /// By how much the wall clock has been moved.
    jumped_ms: i64,
    /// The highest the wall clock has been moved: what it has shown, records may have been expired by.
    max_jumped_ms: i64,
    /// High watermark and log start of each partition as the broker itself sees them; neither falls (I6).
    marks: BTreeMap<(TopicId, i32), (Offset, Offset)>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let state = State {
            trace: plan.seed,
            steps: 0,
            counts: BTreeMap::new(),
            violation: None,
            history: History::default(),
            groups: Groups::default(),
            dice: Seed::new(plan.seed ^ 0x5eed),
            elapsed_ms: 0,
            jumped_ms: 0,
            max_jumped_ms: 0,
            marks: BTreeMap::new(),
        };
        World { plan, state: Mutex::new(state), alarm: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Something happened that must happen again when the seed is run again (I116).
    pub fn trace(&self, what: u64, bytes: &[u8]) {
        let mut state = self.lock();
        state.steps += 1;
        let seen = what ^ u64::from(crc32c::crc32c(bytes)) << 24;
        state.trace = (state.trace ^ seen).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    pub fn trace_hash(&self) -> u64 {
        self.lock().trace
    }

    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    pub fn count(&self, what: &'static str, by: u64) {
        *self.lock().counts.entry(what).or_insert(0) += by;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    /// Notes the first promise that was broken and ends the run.
    pub fn violated(&self, what: String) {
        self.lock().violation.get_or_insert(what);
        self.alarm.notify_one();
    }

    pub fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// Asks or tells the history; what it objects to is a violation.
    pub fn history<T>(&self, deal: impl FnOnce(&mut History) -> Result<T, String>) -> Option<T> {
        let answer = deal(&mut self.lock().history);
        answer.map_err(|what| self.violated(what)).ok()
    }

    pub fn groups<T>(&self, deal: impl FnOnce(&mut Groups) -> Result<T, String>) -> Option<T> {
        let answer = deal(&mut self.lock().groups);
        answer.map_err(|what| self.violated(what)).ok()
    }

    pub fn fork(&self) -> Seed {
        self.lock().dice.fork()
    }

    pub fn elapsed_ms(&self) -> u64 {
        self.lock().elapsed_ms
    }

    pub fn jumped_ms(&self) -> i64 {
        self.lock().jumped_ms
    }

    pub fn max_jumped_ms(&self) -> i64 {
        self.lock().max_jumped_ms
    }

    pub fn jumped(&self, by_ms: i64) {
        let mut state = self.lock();
        state.jumped_ms += by_ms;
        state.max_jumped_ms = state.max_jumped_ms.max(state.jumped_ms);
    }

    pub fn lived(&self, ms: u64) {
        self.lock().elapsed_ms += ms;
    }

    /// What the broker says of a partition must be in order, and must not fall (I6).
    pub fn mark(&self, partition: (TopicId, i32), name: &TopicPartition, [start, stable, high, end]: [Offset; 4]) {
        let mut state = self.lock();
        let before = state.marks.entry(partition).or_insert((high, start));
        let fell = high < before.0 || start < before.1;
        let was = *before;
        *before = (before.0.max(high), before.1.max(start));
        drop(state);
        if fell || start > stable || stable > high || high > end {
            self.violated(format!(
                "I6: {name}: log start {start}, LSO {stable}, HW {high}, LEO {end}; before HW {}, start {}",
                was.0, was.1
            ));
        }
    }
}
