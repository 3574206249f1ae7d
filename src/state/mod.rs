//! DECIDES. Pure machines: no I/O, no clock, no async, no locks. The same inputs give the same effects, always.
//!
//! The one contract: `step` reads everything and returns what shall happen; what must survive a restart is in the
//! records it returns and changes only in `apply`, which the driver calls for a record the moment it is in the log and
//! again at each replay. `step` itself may change only what a restart may forget (waiting tickets, deadlines).
//! Iterate in a stated order (`BTreeMap`, insertion order): hash order must never reach an effect.

use std::fmt::Debug;

use crate::types::{Monotonic, Now};

pub mod fetch_session;
pub mod group;
pub mod metadata;
pub mod quota;
pub mod transaction;

/// Names one caller who waits for an answer; given out by the driver, opaque to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A machine that decides, driven over a log by `broker/driver.rs`.
pub trait Machine: Send {
    type Input: Send + Debug;
    type Record: Send + Debug;
    type Answer: Send + Debug;
    /// Work for others that the driver hands out after the commit (never needed for correctness of the state).
    type Message: Send + Debug;

    /// Decides about one input. Every ticket handed in is answered exactly once, now or in a later step or tick.
    fn step(&mut self, now: Now, ticket: Ticket, input: Self::Input) -> Effects<Self>;

    /// Called when `next_deadline` has passed, and once after replay.
    fn tick(&mut self, now: Now) -> Effects<Self>;

    /// When `tick` wants to be called next.
    fn next_deadline(&self) -> Option<Monotonic>;

    /// Takes in one record of the log: the only change that survives a restart. Total: it never fails, never asks, and
    /// tolerates unknown kinds, tombstones for unknown things and repetition (I69).
    fn apply(&mut self, record: &Self::Record);
}

/// What a step wants done, in this order: append the records (as one batch, all or nothing), apply them, wait for the
/// commit, then send and answer.
pub struct Effects<M: Machine + ?Sized> {
    pub append: Vec<M::Record>,
    pub send: Vec<M::Message>,
    pub answer: Vec<(Ticket, M::Answer)>,
}

impl<M: Machine + ?Sized> Effects<M> {
    pub fn none() -> Self {
        Effects { append: Vec::new(), send: Vec::new(), answer: Vec::new() }
    }

    /// One answer and nothing else.
    pub fn answer(ticket: Ticket, answer: M::Answer) -> Self {
        Effects { append: Vec::new(), send: Vec::new(), answer: vec![(ticket, answer)] }
    }
}

impl<M: Machine + ?Sized> Debug for Effects<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effects")
            .field("append", &self.append)
            .field("send", &self.send)
            .field("answer", &self.answer)
            .finish()
    }
}
