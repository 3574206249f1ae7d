//! Committed offsets, apart from what kind of group committed them: a group may change its kind and keep them (I70).
//!
//! They change only by records. An offset goes by a tombstone: when it is deleted, when its topic is, or when it has
//! expired (I68) — in a group without members, or of a topic that a stable consumer group no longer subscribes to.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{GroupRecord, Text};
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicName};

/// What a group committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// The client's own words, given back byte for byte.
    pub metadata: Text,
    pub commit_timestamp: Timestamp,
    /// Only from clients that still send `retention_time_ms` (OffsetCommit 2 to 4).
    pub expire_timestamp: Option<Timestamp>,
    /// Zero where it was not known.
    pub topic_id: TopicId,
}

impl Committed {
    /// Whether it was committed for this topic, and not for an earlier one of the same name (I22). An id that is not
    /// known, on either side, speaks against nothing.
    pub fn is_of(&self, topic_id: TopicId) -> bool {
        self.topic_id.is_zero() || topic_id.is_zero() || self.topic_id == topic_id
    }
}

type Topics = BTreeMap<TopicName, BTreeMap<i32, Committed>>;

/// The offsets of all groups of one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offsets {
    groups: BTreeMap<Text, Topics>,
}

/// From when on the retention of an offset counts, and which offsets it does not touch.
pub(super) enum Expiry<'a> {
    /// The group is in use in a way that keeps every offset.
    Never,
    /// Every offset, counted from its commit.
    SinceCommit,
    /// Every offset, counted from when the group became empty.
    SinceEmpty(Timestamp),
    /// Offsets of other topics than these, counted from their commit.
    Unsubscribed(&'a BTreeSet<Text>),
}

impl Offsets {
    pub fn put(&mut self, group: &Text, topic: &TopicName, partition: i32, committed: Committed) {
        let topics = self.groups.entry(group.clone()).or_default();
        topics.entry(topic.clone()).or_default().insert(partition, committed);
    }

    pub fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group) else { return };
        if let Some(partitions) = topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// All offsets of one group; none when it has none.
    pub fn of(&self, group: &str) -> Option<&Topics> {
        self.groups.get(group)
    }

    pub fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub fn groups(&self) -> impl Iterator<Item = &Text> {
        self.groups.keys()
    }

    /// The tombstones that delete every offset of a group.
    pub fn delete_all(&self, group: &str) -> Vec<GroupRecord> {
        self.tombstones(group, |_, _| true)
    }

    /// The tombstones that delete every group's offsets of these topics.
    pub fn delete_topics(&self, gone: &[(TopicName, TopicId)]) -> Vec<GroupRecord> {
        let mut ids: BTreeMap<&TopicName, Vec<TopicId>> = BTreeMap::new();
        for (name, id) in gone {
            ids.entry(name).or_default().push(*id);
        }
        let is_gone = |topic: &TopicName, committed: &Committed| {
            ids.get(topic).is_some_and(|ids| ids.iter().any(|id| committed.is_of(*id)))
        };
        self.groups.keys().flat_map(|group| self.tombstones(group, is_gone)).collect()
    }

    /// The tombstones of what has expired in a group.
    pub fn expired(&self, group: &str, expiry: &Expiry<'_>, now: Timestamp, retention_ms: i64) -> Vec<GroupRecord> {
        let kept_for = |since: Timestamp| now.0.saturating_sub(since.0);
        self.tombstones(group, |topic, committed| {
            let since = match expiry {
                Expiry::Never => return false,
                Expiry::Unsubscribed(topics) if topics.contains(topic.as_str()) => return false,
                Expiry::SinceEmpty(since) => *since,
                Expiry::SinceCommit | Expiry::Unsubscribed(_) => committed.commit_timestamp,
            };
            match committed.expire_timestamp {
                Some(at) => now >= at,
                None => kept_for(since) >= retention_ms,
            }
        })
    }

    pub fn count(&self, group: &str) -> usize {
        self.groups.get(group).map_or(0, |topics| topics.values().map(BTreeMap::len).sum())
    }

    fn tombstones(&self, group: &str, goes: impl Fn(&TopicName, &Committed) -> bool) -> Vec<GroupRecord> {
        let Some((group, topics)) = self.groups.get_key_value(group) else { return Vec::new() };
        let mut records = Vec::new();
        for (topic, partitions) in topics {
            for (partition, committed) in partitions {
                if goes(topic, committed) {
                    records.push(GroupRecord::Offset {
                        group: group.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                        value: None,
                    });
                }
            }
        }
        records
    }
}
