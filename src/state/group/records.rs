//! What a group leaves in `__consumer_offsets`, in Kafka's own format, so that Kafka's tools, Burrow and kminion read it.
//!
//! ```text
//! key    i16 1 | group, topic, partition      value  version 4 (1 with an expire timestamp)   an offset
//! key    i16 2 | group                        value  version 3                                 a classic group
//! no value: a tombstone
//! ```
//!
//! Those are the versions Apache Kafka 4.3 writes; older ones (the key kind 0 too) are read. Kinds of other group types
//! come back as [`GroupRecord::Unknown`] and change nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::generated::{
    CoordinatorKey, GroupMetadataKey, GroupMetadataMemberMetadata, GroupMetadataValue, LegacyOffsetCommitValue,
    OffsetCommitKey, OffsetCommitValue,
};
use super::offsets::Committed;
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicName};
use crate::wire::DecodeError;

/// A string of a client that is kept: shared, and not a piece of the frame it came in.
pub type Text = Arc<str>;

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// What a group committed for a partition; without value the offset is deleted.
    Offset { group: Text, topic: TopicName, partition: i32, value: Option<Committed> },
    /// A classic group as it is; without value it is deleted (its offsets are deleted by records of their own).
    Group { group: Text, value: Option<Arc<GroupMetadata>> },
    /// A kind this broker does not know, by the number in its key.
    Unknown(i16),
}

/// What survives of a classic group: its last stable generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer`, `connect`, …; empty for a group that never had a member.
    pub protocol_type: Text,
    pub generation: i32,
    pub protocol: Option<Text>,
    pub leader: Option<Text>,
    /// When the group came into its state; missing in old records.
    pub state_timestamp: Option<Timestamp>,
    pub members: Vec<KeptMember>,
}

/// A member in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMember {
    pub member_id: Text,
    pub instance_id: Option<Text>,
    pub client_id: Text,
    pub client_host: Text,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// What the member said about itself under the chosen protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// What Kafka 4.3 writes.
const GROUP_VERSION: i16 = 3;
const OFFSET_VERSION: i16 = 4;
/// The one version that has an expire timestamp.
const OFFSET_VERSION_WITH_EXPIRY: i16 = 1;

impl GroupRecord {
    /// Key and value as they stand in the log; `None` for the value is a tombstone.
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut key = Vec::new();
        let value = match self {
            GroupRecord::Offset { group, topic, partition, value } => {
                let names =
                    OffsetCommitKey { group: group.to_string(), topic: topic.to_string(), partition: *partition };
                names.encode_framed(&mut key);
                value.as_ref().map(encode_committed)
            }
            GroupRecord::Group { group, value } => {
                GroupMetadataKey { group: group.to_string() }.encode_framed(&mut key);
                value.as_ref().map(|value| encode_group(value))
            }
            GroupRecord::Unknown(kind) => unreachable!("a record of kind {kind} is never written"),
        };
        (key, value)
    }

    /// Reads one record. A kind of key that is not known is no error; a known one that cannot be read is.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<GroupRecord, DecodeError> {
        Ok(match CoordinatorKey::decode_framed(key)? {
            CoordinatorKey::OffsetCommit(key) => GroupRecord::Offset {
                group: key.group.into(),
                topic: key.topic.as_str().into(),
                partition: key.partition,
                value: value.map(decode_committed).transpose()?,
            },
            CoordinatorKey::LegacyOffsetCommit(key) => GroupRecord::Offset {
                group: key.group.into(),
                topic: key.topic.as_str().into(),
                partition: key.partition,
                value: value.map(decode_committed).transpose()?,
            },
            CoordinatorKey::GroupMetadata(key) => GroupRecord::Group {
                group: key.group.into(),
                value: value.map(decode_group).transpose()?.map(Arc::new),
            },
            other => GroupRecord::Unknown(other.kind()),
        })
    }
}

fn encode_committed(committed: &Committed) -> Vec<u8> {
    let value = OffsetCommitValue {
        offset: committed.offset.0,
        leader_epoch: committed.leader_epoch.0,
        metadata: committed.metadata.to_string(),
        commit_timestamp: committed.commit_timestamp.0,
        expire_timestamp: committed.expire_timestamp.map_or(-1, |at| at.0),
        topic_id: committed.topic_id.0,
    };
    let version = if committed.expire_timestamp.is_some() { OFFSET_VERSION_WITH_EXPIRY } else { OFFSET_VERSION };
    let mut out = Vec::new();
    value.encode_framed(version, &mut out);
    out
}

fn decode_committed(bytes: &[u8]) -> Result<Committed, DecodeError> {
    // Version 0 of the value has one definition under both kinds of key.
    let value = if bytes.starts_with(&[0, 0]) {
        let old = LegacyOffsetCommitValue::decode_framed(bytes)?;
        OffsetCommitValue {
            offset: old.offset,
            metadata: old.metadata,
            commit_timestamp: old.commit_timestamp,
            ..OffsetCommitValue::default()
        }
    } else {
        OffsetCommitValue::decode_framed(bytes)?
    };
    Ok(Committed {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: value.metadata.into(),
        commit_timestamp: Timestamp(value.commit_timestamp),
        expire_timestamp: (value.expire_timestamp != -1).then_some(Timestamp(value.expire_timestamp)),
        topic_id: TopicId(value.topic_id),
    })
}

fn encode_group(group: &GroupMetadata) -> Vec<u8> {
    let member = |member: &KeptMember| GroupMetadataMemberMetadata {
        member_id: member.member_id.to_string(),
        group_instance_id: member.instance_id.as_deref().map(str::to_string),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.to_vec(),
        assignment: member.assignment.to_vec(),
    };
    let value = GroupMetadataValue {
        protocol_type: group.protocol_type.to_string(),
        generation: group.generation,
        protocol: group.protocol.as_deref().map(str::to_string),
        leader: group.leader.as_deref().map(str::to_string),
        current_state_timestamp: group.state_timestamp.map_or(-1, |at| at.0),
        members: group.members.iter().map(member).collect(),
    };
    let mut out = Vec::new();
    value.encode_framed(GROUP_VERSION, &mut out);
    out
}

fn decode_group(bytes: &[u8]) -> Result<GroupMetadata, DecodeError> {
    let value = GroupMetadataValue::decode_framed(bytes)?;
    let member = |member: GroupMetadataMemberMetadata| KeptMember {
        member_id: member.member_id.into(),
        instance_id: member.group_instance_id.map(Text::from),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        // Version 0 had only the session timeout.
        rebalance_timeout_ms: match member.rebalance_timeout {
            -1 => member.session_timeout,
            timeout => timeout,
        },
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription.into(),
        assignment: member.assignment.into(),
    };
    Ok(GroupMetadata {
        protocol_type: value.protocol_type.into(),
        generation: value.generation,
        protocol: value.protocol.map(Text::from),
        leader: value.leader.map(Text::from),
        state_timestamp: (value.current_state_timestamp != -1).then_some(Timestamp(value.current_state_timestamp)),
        members: value.members.into_iter().map(member).collect(),
    })
}
