//! The classes of anomalies, when each is allowed, and a report of those that were found.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// One offset holds two values.
    InconsistentOffsets,
    /// One value is at two offsets.
    Duplicate,
    /// A committed value below the highest one read, which nobody read.
    LostWrite,
    /// Acknowledged, and not read by the end of the last polls.
    Unseen,
    /// A value was read whose write failed.
    G1a,
    /// A transaction polls what it sent itself.
    PrecommittedRead,
    /// A cycle of transactions that read from each other.
    G1c,
    /// A cycle of transactions that wrote behind each other.
    G0,
    /// Inside one operation a poll jumps ahead.
    IntPollSkip,
    /// Inside one operation a poll goes back.
    IntNonmonotonicPoll,
    /// From one operation of a process to its next a poll jumps ahead.
    PollSkip,
    /// From one operation of a process to its next a poll goes back.
    NonmonotonicPoll,
    /// A process's sends land in another order than it made them.
    NonmonotonicSend,
    /// The sends of one operation land in another order.
    IntNonmonotonicSend,
    /// Others' records lie between the sends of one transaction.
    IntSendSkip,
    /// A value was read that nobody wrote.
    Phantom,
    /// A value was consumed by two committed read-process-writes.
    DoubleConsume,
}

impl Class {
    pub const ALL: [Class; 17] = [
        Class::InconsistentOffsets,
        Class::Duplicate,
        Class::LostWrite,
        Class::Unseen,
        Class::G1a,
        Class::PrecommittedRead,
        Class::G1c,
        Class::G0,
        Class::IntPollSkip,
        Class::IntNonmonotonicPoll,
        Class::PollSkip,
        Class::NonmonotonicPoll,
        Class::NonmonotonicSend,
        Class::IntNonmonotonicSend,
        Class::IntSendSkip,
        Class::Phantom,
        Class::DoubleConsume,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Class::InconsistentOffsets => "inconsistent-offsets",
            Class::Duplicate => "duplicate",
            Class::LostWrite => "lost-write",
            Class::Unseen => "unseen",
            Class::G1a => "G1a",
            Class::PrecommittedRead => "precommitted-read",
            Class::G1c => "G1c",
            Class::G0 => "G0",
            Class::IntPollSkip => "int-poll-skip",
            Class::IntNonmonotonicPoll => "int-nonmonotonic-poll",
            Class::PollSkip => "poll-skip",
            Class::NonmonotonicPoll => "nonmonotonic-poll",
            Class::NonmonotonicSend => "nonmonotonic-send",
            Class::IntNonmonotonicSend => "int-nonmonotonic-send",
            Class::IntSendSkip => "int-send-skip",
            Class::Phantom => "phantom",
            Class::DoubleConsume => "double-consume",
        }
    }
}

/// What the clients were promised.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Producers are idempotent: what they send is there once, and in their order.
    pub idempotent: bool,
    /// Consumers read what is committed only.
    pub read_committed: bool,
    /// What a committed transaction consumed, no other did.
    pub exactly_once: bool,
    /// Also draw edges from each write to the next one of its key.
    pub write_order: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { idempotent: true, read_committed: true, exactly_once: false, write_order: false }
    }
}

impl Rules {
    /// May that happen? What depends on the single operation (subscribed, rebalanced) is decided where it is found.
    pub fn allow(&self, class: Class) -> bool {
        match class {
            Class::Duplicate | Class::NonmonotonicSend | Class::IntNonmonotonicSend => !self.idempotent,
            Class::G1a => !self.read_committed,
            Class::G1c => self.write_order,
            Class::G0 | Class::IntSendSkip => true,
            _ => false,
        }
    }
}

/// How many of a class are told in words.
const EXAMPLES: usize = 5;

#[derive(Clone, Debug, Default)]
pub struct Report {
    counts: [(u64, u64); Class::ALL.len()],
    pub examples: Vec<(Class, String)>,
    pub operations: usize,
    pub events: usize,
    /// Different values that were read.
    pub values_read: u64,
    /// Different values whose write counts as committed.
    pub values_committed: u64,
    pub keys: usize,
}

impl Report {
    pub(crate) fn add(&mut self, class: Class, is_allowed: bool, story: impl FnOnce() -> String) {
        let (forbidden, allowed) = &mut self.counts[class as usize];
        if is_allowed {
            *allowed += 1;
            return;
        }
        *forbidden += 1;
        if *forbidden as usize <= EXAMPLES {
            self.examples.push((class, story()));
        }
    }

    pub fn forbidden(&self, class: Class) -> u64 {
        self.counts[class as usize].0
    }

    pub fn allowed(&self, class: Class) -> u64 {
        self.counts[class as usize].1
    }

    /// Nothing forbidden was found.
    pub fn is_clean(&self) -> bool {
        self.counts.iter().all(|(forbidden, _)| *forbidden == 0)
    }

    /// The classes with something forbidden.
    pub fn forbidden_classes(&self) -> Vec<Class> {
        Class::ALL.into_iter().filter(|class| self.forbidden(*class) > 0).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} record events in {} operations on {} keys: {} values committed, {} read",
            self.events, self.operations, self.keys, self.values_committed, self.values_read
        )?;
        writeln!(f, "{:24} {:>12} {:>12}", "anomaly", "forbidden", "allowed")?;
        for class in Class::ALL {
            writeln!(f, "{:24} {:>12} {:>12}", class.name(), self.forbidden(class), self.allowed(class))?;
        }
        for (class, story) in &self.examples {
            writeln!(f, "  {}: {story}", class.name())?;
        }
        Ok(())
    }
}
