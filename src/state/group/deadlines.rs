//! When something must happen by itself, in the order of time; and which connection carried whose calls.
//!
//! Both are forgotten at a restart: a new machine gives every member a new session. Setting a deadline again moves it,
//! and a deadline that fires for a group or member that is gone does nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::records::Text;
use crate::types::{ConnectionId, Monotonic};

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The session of a member, or of a member id that was handed out and not yet joined with.
    Session { group: Text, member: Text },
    /// The wait for members to join.
    Join { group: Text },
    /// The wait for members to ask for their assignment.
    Sync { group: Text },
    /// The next look for expired offsets.
    Expiry,
}

/// All deadlines of a machine, at most one of each.
#[derive(Default)]
pub(super) struct Deadlines {
    in_order: BTreeSet<(Monotonic, Deadline)>,
    set: BTreeMap<Deadline, Monotonic>,
}

impl Deadlines {
    pub fn set(&mut self, deadline: Deadline, at: Monotonic) {
        if let Some(before) = self.set.insert(deadline.clone(), at) {
            if before == at {
                return;
            }
            self.in_order.remove(&(before, deadline.clone()));
        }
        self.in_order.insert((at, deadline));
    }

    pub fn cancel(&mut self, deadline: &Deadline) {
        if let Some(at) = self.set.remove(deadline) {
            self.in_order.remove(&(at, deadline.clone()));
        }
    }

    pub fn at(&self, deadline: &Deadline) -> Option<Monotonic> {
        self.set.get(deadline).copied()
    }

    pub fn next(&self) -> Option<Monotonic> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes out the first deadline that is not after `now`.
    pub fn pop_due(&mut self, now: Monotonic) -> Option<Deadline> {
        if self.next()? > now {
            return None;
        }
        let (_, deadline) = self.in_order.pop_first()?;
        self.set.remove(&deadline);
        Some(deadline)
    }
}

/// The connections that carried calls of members.
#[derive(Default)]
pub(super) struct Connections {
    carried: BTreeMap<ConnectionId, BTreeSet<(Text, Text)>>,
    of: BTreeMap<(Text, Text), BTreeSet<ConnectionId>>,
}

impl Connections {
    /// A call of this member came over this connection.
    pub fn carried(&mut self, connection: ConnectionId, group: &Text, member: &Text) {
        let key = (group.clone(), member.clone());
        if self.of.get(&key).is_some_and(|known| known.contains(&connection)) {
            return;
        }
        self.carried.entry(connection).or_default().insert(key.clone());
        self.of.entry(key).or_default().insert(connection);
    }

    /// The member is gone, whatever it was carried by.
    pub fn forget(&mut self, group: &Text, member: &Text) {
        let key = (group.clone(), member.clone());
        for connection in self.of.remove(&key).unwrap_or_default() {
            if let Some(members) = self.carried.get_mut(&connection) {
                members.remove(&key);
                if members.is_empty() {
                    self.carried.remove(&connection);
                }
            }
        }
    }

    /// The connection is closed; tells for whom it was the last one.
    pub fn closed(&mut self, connection: ConnectionId) -> Vec<(Text, Text)> {
        let mut last_of = Vec::new();
        for key in self.carried.remove(&connection).unwrap_or_default() {
            let Some(left) = self.of.get_mut(&key) else { continue };
            left.remove(&connection);
            if left.is_empty() {
                self.of.remove(&key);
                last_of.push(key);
            }
        }
        last_of
    }
}
