//! What is known of the consumer groups of a run: who was given what in which generation, what was committed, and when a
//! group may have been without members.

use std::collections::BTreeMap;

use super::history::Place;

#[derive(Default)]
pub struct Groups {
    by_name: BTreeMap<String, Group>,
}

#[derive(Default)]
pub struct Group {
    generation: Generation,
    /// What the leader of a generation gave to each member, and who has been told so.
    plan: Option<Plan>,
    commits: BTreeMap<Place, Commits>,
    /// When a member was last told that it is one.
    last_seen_ms: u64,
    /// The longest time since the last commit in which nobody was.
    longest_silence_ms: u64,
    last_value: i64,
}

/// What is known of a group's generation.
///
/// A generation is written down when its leader's plan is; until then a coordinator has it in memory only, and forgets it
/// with a restart or when its log refuses an append, as Kafka's does when a partition moves. What a member was given in a
/// generation it was given after that, so this one can never be forgotten.
#[derive(Clone, Copy, Default)]
pub struct Generation {
    /// The highest that a member has joined, in this life of the broker.
    joined: i32,
    /// How often the disk had failed when that one asked.
    failures: u64,
    /// The highest in which a member was given its part.
    written: i32,
}

impl Generation {
    /// The lowest that may be at large now that the disk has failed so often.
    pub fn at_least(&self, failures: u64) -> i32 {
        if failures == self.failures { self.joined.max(self.written) } else { self.written }
    }
}

struct Plan {
    generation: i32,
    leader: String,
    given: BTreeMap<String, Vec<Place>>,
    owners: BTreeMap<Place, String>,
}

#[derive(Default)]
struct Commits {
    sent: Vec<i64>,
    acked: i64,
    /// The longest silence of the group since the last commit here: another partition's keeps this offset no longer.
    longest_silence_ms: u64,
}

/// Above this an empty group may have lost its offsets (`offsets.retention.minutes` is 1).
const RETENTION_MS: u64 = 55_000;
/// A group whose members were silent for less was not empty: connections that end have their grace.
const GRACE_MS: u64 = 2_500;

impl Groups {
    /// The broker starts anew: a generation that was not written down is forgotten.
    pub fn restarted(&mut self) {
        self.by_name.values_mut().for_each(|group| (group.generation.joined, group.plan) = (0, None));
    }

    pub fn of(&mut self, name: &str) -> &mut Group {
        self.by_name.entry(name.to_owned()).or_default()
    }
}

impl Group {
    /// A member was told that it is one.
    pub fn seen(&mut self, now_ms: u64) {
        let silence = now_ms.saturating_sub(self.last_seen_ms);
        self.was_silent(silence);
        self.last_seen_ms = now_ms;
    }

    /// The last member may just have left.
    pub fn left(&mut self) {
        self.was_silent(GRACE_MS);
    }

    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// A member joined a generation; `before` is what was known when it asked, `failures` how often the disk had failed then
    /// and has failed now.
    pub fn joined(&mut self, generation: i32, before: Generation, [then, now]: [u64; 2]) -> Result<(), String> {
        let least = before.at_least(now);
        let is_older = generation < least;
        // A group that was empty may have been forgotten, and begins anew.
        if is_older && self.longest_silence_ms < GRACE_MS {
            return Err(format!("I61: generation {generation} after {least}"));
        }
        if is_older {
            self.generation = Generation::default();
        }
        if then > self.generation.failures || self.generation.joined == 0 {
            (self.generation.joined, self.generation.failures) = (generation, then);
        } else if then == self.generation.failures {
            self.generation.joined = self.generation.joined.max(generation);
        }
        Ok(())
    }

    /// The leader of a generation says who gets what.
    pub fn planned(&mut self, generation: i32, leader: &str, given: BTreeMap<String, Vec<Place>>) {
        self.plan = Some(Plan { generation, leader: leader.to_owned(), given, owners: BTreeMap::new() });
    }

    /// A member was told what is its own in a generation (I60).
    pub fn assigned(&mut self, generation: i32, leader: &str, member: &str, places: &[Place]) -> Result<(), String> {
        self.generation.written = self.generation.written.max(generation);
        let Some(plan) = &mut self.plan else { return Ok(()) };
        if plan.generation != generation || plan.leader != leader {
            return Ok(());
        }
        let planned = plan.given.get(member).map_or(&[][..], Vec::as_slice);
        if planned != places {
            return Err(format!("I60: {member} was given {places:?} in generation {generation}, not {planned:?}"));
        }
        for place in places {
            let owner = plan.owners.entry(*place).or_insert_with(|| member.to_owned());
            if owner != member {
                return Err(format!("I60: {place:?} is owned by {owner} and {member} in generation {generation}"));
            }
        }
        Ok(())
    }

    fn was_silent(&mut self, ms: u64) {
        self.longest_silence_ms = self.longest_silence_ms.max(ms);
        let all = self.commits.values_mut();
        all.for_each(|commits| commits.longest_silence_ms = commits.longest_silence_ms.max(ms));
    }

    /// A value to commit that is larger than all before.
    pub fn next_value(&mut self, place: Place) -> i64 {
        self.last_value += 1;
        self.commits.entry(place).or_default().sent.push(self.last_value);
        self.last_value
    }

    pub fn committed(&mut self, place: Place, value: i64) {
        let commits = self.commits.entry(place).or_default();
        commits.acked = commits.acked.max(value);
        commits.longest_silence_ms = 0;
        self.longest_silence_ms = 0;
    }

    /// What a fetch of the committed offset may at least give; asked before it is sent.
    pub fn at_least(&self, place: Place) -> i64 {
        self.commits.get(&place).map_or(0, |commits| commits.acked)
    }

    /// A fetch of the committed offset gave this (I62, I63, I68). `clocks_jump`: the age of offsets cannot be told.
    pub fn fetched(&self, place: Place, value: i64, at_least: i64, clocks_jump: bool) -> Result<(), String> {
        let patience = if clocks_jump { GRACE_MS } else { RETENTION_MS };
        let silence = self.commits.get(&place).map_or(0, |commits| commits.longest_silence_ms);
        if value == -1 && (at_least == 0 || silence >= patience) {
            return Ok(());
        }
        let is_known = self.commits.get(&place).is_some_and(|commits| commits.sent.contains(&value));
        match is_known && value >= at_least {
            true => Ok(()),
            false => Err(format!("I62: the committed offset of {place:?} is {value}, {at_least} was acknowledged")),
        }
    }
}
