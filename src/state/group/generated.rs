//! What the group coordinator keeps in `__consumer_offsets`, and what members tell each other in the classic protocol.
//!
//! Made by scripts/generate.py from scripts/schemas/record-schemas.tsv; never edited by hand. A field that a version does
//! not have is left out when writing and takes its default when reading; tagged fields are written when they differ from
//! their default. `Default` gives the schema's defaults: a field that may be null is null only where the schema says so.
//!
//! ```text
//! key    i16 kind | body, always in version 0
//! value  i16 version | body            (no value: a tombstone)
//! ```

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::wire::{self, DecodeError, Reader, Reason};

/// The key of any record in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorKey {
    LegacyOffsetCommit(LegacyOffsetCommitKey),
    OffsetCommit(OffsetCommitKey),
    GroupMetadata(GroupMetadataKey),
    ConsumerGroupMetadata(ConsumerGroupMetadataKey),
    ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey),
    ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey),
    ConsumerGroupTargetAssignmentMetadata(ConsumerGroupTargetAssignmentMetadataKey),
    ConsumerGroupTargetAssignmentMember(ConsumerGroupTargetAssignmentMemberKey),
    ConsumerGroupCurrentMemberAssignment(ConsumerGroupCurrentMemberAssignmentKey),
    ConsumerGroupRegularExpression(ConsumerGroupRegularExpressionKey),
    /// A kind that is not in this table; its record is to be passed over.
    Unknown(i16),
}

impl CoordinatorKey {
    pub fn kind(&self) -> i16 {
        match self {
            CoordinatorKey::LegacyOffsetCommit(_) => LegacyOffsetCommitKey::KIND,
            CoordinatorKey::OffsetCommit(_) => OffsetCommitKey::KIND,
            CoordinatorKey::GroupMetadata(_) => GroupMetadataKey::KIND,
            CoordinatorKey::ConsumerGroupMetadata(_) => ConsumerGroupMetadataKey::KIND,
            CoordinatorKey::ConsumerGroupPartitionMetadata(_) => ConsumerGroupPartitionMetadataKey::KIND,
            CoordinatorKey::ConsumerGroupMemberMetadata(_) => ConsumerGroupMemberMetadataKey::KIND,
            CoordinatorKey::ConsumerGroupTargetAssignmentMetadata(_) => ConsumerGroupTargetAssignmentMetadataKey::KIND,
            CoordinatorKey::ConsumerGroupTargetAssignmentMember(_) => ConsumerGroupTargetAssignmentMemberKey::KIND,
            CoordinatorKey::ConsumerGroupCurrentMemberAssignment(_) => ConsumerGroupCurrentMemberAssignmentKey::KIND,
            CoordinatorKey::ConsumerGroupRegularExpression(_) => ConsumerGroupRegularExpressionKey::KIND,
            CoordinatorKey::Unknown(kind) => *kind,
        }
    }

    /// The whole record key; of an unknown one only its kind.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, self.kind());
        match self {
            CoordinatorKey::LegacyOffsetCommit(key) => key.write(0, out),
            CoordinatorKey::OffsetCommit(key) => key.write(0, out),
            CoordinatorKey::GroupMetadata(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupMetadata(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupPartitionMetadata(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupMemberMetadata(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupTargetAssignmentMetadata(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupTargetAssignmentMember(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupCurrentMemberAssignment(key) => key.write(0, out),
            CoordinatorKey::ConsumerGroupRegularExpression(key) => key.write(0, out),
            CoordinatorKey::Unknown(_) => {}
        }
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let key = match r.i16()? {
            LegacyOffsetCommitKey::KIND => {
                CoordinatorKey::LegacyOffsetCommit(LegacyOffsetCommitKey::decode_from(0, r)?)
            }
            OffsetCommitKey::KIND => CoordinatorKey::OffsetCommit(OffsetCommitKey::decode_from(0, r)?),
            GroupMetadataKey::KIND => CoordinatorKey::GroupMetadata(GroupMetadataKey::decode_from(0, r)?),
            ConsumerGroupMetadataKey::KIND => {
                CoordinatorKey::ConsumerGroupMetadata(ConsumerGroupMetadataKey::decode_from(0, r)?)
            }
            ConsumerGroupPartitionMetadataKey::KIND => {
                CoordinatorKey::ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey::decode_from(0, r)?)
            }
            ConsumerGroupMemberMetadataKey::KIND => {
                CoordinatorKey::ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey::decode_from(0, r)?)
            }
            ConsumerGroupTargetAssignmentMetadataKey::KIND => CoordinatorKey::ConsumerGroupTargetAssignmentMetadata(
                ConsumerGroupTargetAssignmentMetadataKey::decode_from(0, r)?,
            ),
            ConsumerGroupTargetAssignmentMemberKey::KIND => CoordinatorKey::ConsumerGroupTargetAssignmentMember(
                ConsumerGroupTargetAssignmentMemberKey::decode_from(0, r)?,
            ),
            ConsumerGroupCurrentMemberAssignmentKey::KIND => CoordinatorKey::ConsumerGroupCurrentMemberAssignment(
                ConsumerGroupCurrentMemberAssignmentKey::decode_from(0, r)?,
            ),
            ConsumerGroupRegularExpressionKey::KIND => {
                CoordinatorKey::ConsumerGroupRegularExpression(ConsumerGroupRegularExpressionKey::decode_from(0, r)?)
            }
            kind => CoordinatorKey::Unknown(kind),
        };
        Ok(key)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LegacyOffsetCommitKey {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

impl LegacyOffsetCommitKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group, false);
        wire::put_string(out, &self.topic, false);
        wire::put_i32(out, self.partition);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = r.string(false)?.to_owned();
        let topic = r.string(false)?.to_owned();
        let partition = r.i32()?;
        Ok(LegacyOffsetCommitKey { group, topic, partition })
    }
}

impl LegacyOffsetCommitKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "LegacyOffsetCommitKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl LegacyOffsetCommitKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 0;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LegacyOffsetCommitValue {
    pub offset: i64,
    pub metadata: String,
    pub commit_timestamp: i64,
}

impl LegacyOffsetCommitValue {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i64(out, self.offset);
        wire::put_string(out, &self.metadata, false);
        wire::put_i64(out, self.commit_timestamp);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = r.i64()?;
        let metadata = r.string(false)?.to_owned();
        let commit_timestamp = r.i64()?;
        Ok(LegacyOffsetCommitValue { offset, metadata, commit_timestamp })
    }
}

impl LegacyOffsetCommitValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "LegacyOffsetCommitValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl LegacyOffsetCommitValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OffsetCommitKey {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

impl OffsetCommitKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group, false);
        wire::put_string(out, &self.topic, false);
        wire::put_i32(out, self.partition);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = r.string(false)?.to_owned();
        let topic = r.string(false)?.to_owned();
        let partition = r.i32()?;
        Ok(OffsetCommitKey { group, topic, partition })
    }
}

impl OffsetCommitKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "OffsetCommitKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl OffsetCommitKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 1;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    pub commit_timestamp: i64,
    pub expire_timestamp: i64,
    pub topic_id: Uuid,
}

impl Default for OffsetCommitValue {
    fn default() -> Self {
        OffsetCommitValue {
            offset: 0,
            leader_epoch: -1,
            metadata: String::new(),
            commit_timestamp: 0,
            expire_timestamp: -1,
            topic_id: Uuid::nil(),
        }
    }
}

impl OffsetCommitValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        let flexible = body_version >= 4;
        wire::put_i64(out, self.offset);
        if body_version >= 3 {
            wire::put_i32(out, self.leader_epoch);
        }
        wire::put_string(out, &self.metadata, flexible);
        wire::put_i64(out, self.commit_timestamp);
        if body_version == 1 {
            wire::put_i64(out, self.expire_timestamp);
        }
        if flexible {
            let has_topic_id = !self.topic_id.is_nil();
            wire::put_unsigned_varint(out, u32::from(has_topic_id));
            if has_topic_id {
                wire::put_tagged(out, 0, |out| {
                    wire::put_uuid(out, self.topic_id);
                });
            }
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flexible = body_version >= 4;
        let offset = r.i64()?;
        let leader_epoch = if body_version >= 3 { r.i32()? } else { -1 };
        let metadata = r.string(flexible)?.to_owned();
        let commit_timestamp = r.i64()?;
        let expire_timestamp = if body_version == 1 { r.i64()? } else { -1 };
        let mut topic_id = Uuid::nil();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => topic_id = r.uuid()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(OffsetCommitValue { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp, topic_id })
    }
}

impl OffsetCommitValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=4;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "OffsetCommitValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl OffsetCommitValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupMetadataKey {
    pub group: String,
}

impl GroupMetadataKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = r.string(false)?.to_owned();
        Ok(GroupMetadataKey { group })
    }
}

impl GroupMetadataKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "GroupMetadataKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl GroupMetadataKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 2;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadataValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub current_state_timestamp: i64,
    pub members: Vec<GroupMetadataMemberMetadata>,
}

impl Default for GroupMetadataValue {
    fn default() -> Self {
        GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: Some(String::new()),
            leader: Some(String::new()),
            current_state_timestamp: -1,
            members: Vec::new(),
        }
    }
}

impl GroupMetadataValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        let flexible = body_version >= 4;
        wire::put_string(out, &self.protocol_type, flexible);
        wire::put_i32(out, self.generation);
        wire::put_nullable_string(out, self.protocol.as_deref(), flexible);
        wire::put_nullable_string(out, self.leader.as_deref(), flexible);
        if body_version >= 2 {
            wire::put_i64(out, self.current_state_timestamp);
        }
        wire::put_length(out, Some(self.members.len()), flexible);
        for element in &self.members {
            element.write(body_version, out);
        }
        if flexible {
            wire::put_unsigned_varint(out, 0);
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flexible = body_version >= 4;
        let protocol_type = r.string(flexible)?.to_owned();
        let generation = r.i32()?;
        let protocol = r.nullable_string(flexible)?.map(String::from);
        let leader = r.nullable_string(flexible)?.map(String::from);
        let current_state_timestamp = if body_version >= 2 { r.i64()? } else { -1 };
        let members = r.array_of(flexible, |r| GroupMetadataMemberMetadata::read(body_version, r))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(GroupMetadataValue { protocol_type, generation, protocol, leader, current_state_timestamp, members })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadataMemberMetadata {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout: i32,
    pub session_timeout: i32,
    pub subscription: Vec<u8>,
    pub assignment: Vec<u8>,
}

impl Default for GroupMetadataMemberMetadata {
    fn default() -> Self {
        GroupMetadataMemberMetadata {
            member_id: String::new(),
            group_instance_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout: -1,
            session_timeout: 0,
            subscription: Vec::new(),
            assignment: Vec::new(),
        }
    }
}

impl GroupMetadataMemberMetadata {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        let flexible = body_version >= 4;
        wire::put_string(out, &self.member_id, flexible);
        if body_version >= 3 {
            if body_version >= 3 {
                wire::put_nullable_string(out, self.group_instance_id.as_deref(), flexible);
            } else {
                wire::put_string(out, self.group_instance_id.as_deref().unwrap_or_default(), flexible);
            }
        }
        wire::put_string(out, &self.client_id, flexible);
        wire::put_string(out, &self.client_host, flexible);
        if body_version >= 1 {
            wire::put_i32(out, self.rebalance_timeout);
        }
        wire::put_i32(out, self.session_timeout);
        wire::put_bytes(out, &self.subscription, flexible);
        wire::put_bytes(out, &self.assignment, flexible);
        if flexible {
            wire::put_unsigned_varint(out, 0);
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flexible = body_version >= 4;
        let member_id = r.string(flexible)?.to_owned();
        let group_instance_id = if body_version >= 3 {
            if body_version >= 3 {
                r.nullable_string(flexible)?.map(String::from)
            } else {
                Some(r.string(flexible)?.to_owned())
            }
        } else {
            None
        };
        let client_id = r.string(flexible)?.to_owned();
        let client_host = r.string(flexible)?.to_owned();
        let rebalance_timeout = if body_version >= 1 { r.i32()? } else { -1 };
        let session_timeout = r.i32()?;
        let subscription = r.bytes(flexible)?.to_vec();
        let assignment = r.bytes(flexible)?.to_vec();
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(GroupMetadataMemberMetadata {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            rebalance_timeout,
            session_timeout,
            subscription,
            assignment,
        })
    }
}

impl GroupMetadataValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=4;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "GroupMetadataValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl GroupMetadataValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupMetadataKey {
    pub group_id: String,
}

impl ConsumerGroupMetadataKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupMetadataKey { group_id })
    }
}

impl ConsumerGroupMetadataKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupMetadataKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupMetadataKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 3;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupMetadataValue {
    pub epoch: i32,
    pub metadata_hash: i64,
}

impl ConsumerGroupMetadataValue {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.epoch);
        let has_metadata_hash = self.metadata_hash != 0;
        wire::put_unsigned_varint(out, u32::from(has_metadata_hash));
        if has_metadata_hash {
            wire::put_tagged(out, 0, |out| {
                wire::put_i64(out, self.metadata_hash);
            });
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let epoch = r.i32()?;
        let mut metadata_hash = 0;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => metadata_hash = r.i64()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ConsumerGroupMetadataValue { epoch, metadata_hash })
    }
}

impl ConsumerGroupMetadataValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupMetadataValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupMetadataValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupPartitionMetadataKey {
    pub group_id: String,
}

impl ConsumerGroupPartitionMetadataKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupPartitionMetadataKey { group_id })
    }
}

impl ConsumerGroupPartitionMetadataKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupPartitionMetadataKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupPartitionMetadataKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 4;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupPartitionMetadataValue {
    pub topics: Vec<ConsumerGroupPartitionMetadataTopicMetadata>,
}

impl ConsumerGroupPartitionMetadataValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.topics.len()), true);
        for element in &self.topics {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topics = r.array_of(true, |r| ConsumerGroupPartitionMetadataTopicMetadata::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupPartitionMetadataValue { topics })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupPartitionMetadataTopicMetadata {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub num_partitions: i32,
    pub partition_metadata: Vec<ConsumerGroupPartitionMetadataPartitionMetadata>,
}

impl ConsumerGroupPartitionMetadataTopicMetadata {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.topic_id);
        wire::put_string(out, &self.topic_name, true);
        wire::put_i32(out, self.num_partitions);
        wire::put_length(out, Some(self.partition_metadata.len()), true);
        for element in &self.partition_metadata {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_id = r.uuid()?;
        let topic_name = r.string(true)?.to_owned();
        let num_partitions = r.i32()?;
        let partition_metadata =
            r.array_of(true, |r| ConsumerGroupPartitionMetadataPartitionMetadata::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupPartitionMetadataTopicMetadata { topic_id, topic_name, num_partitions, partition_metadata })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupPartitionMetadataPartitionMetadata {
    pub partition: i32,
    pub racks: Vec<String>,
}

impl ConsumerGroupPartitionMetadataPartitionMetadata {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.partition);
        wire::put_length(out, Some(self.racks.len()), true);
        for element in &self.racks {
            wire::put_string(out, element, true);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let partition = r.i32()?;
        let racks = r.array_of(true, |r| r.string(true).map(String::from))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupPartitionMetadataPartitionMetadata { partition, racks })
    }
}

impl ConsumerGroupPartitionMetadataValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupPartitionMetadataValue has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupPartitionMetadataValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupMemberMetadataKey {
    pub group_id: String,
    pub member_id: String,
}

impl ConsumerGroupMemberMetadataKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
        wire::put_string(out, &self.member_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        let member_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupMemberMetadataKey { group_id, member_id })
    }
}

impl ConsumerGroupMemberMetadataKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupMemberMetadataKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupMemberMetadataKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 5;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMemberMetadataValue {
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    pub subscribed_topic_regex: Option<String>,
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<String>,
    pub classic_member_metadata: Option<ConsumerGroupMemberMetadataClassicMemberMetadata>,
}

impl Default for ConsumerGroupMemberMetadataValue {
    fn default() -> Self {
        ConsumerGroupMemberMetadataValue {
            instance_id: Some(String::new()),
            rack_id: Some(String::new()),
            client_id: String::new(),
            client_host: String::new(),
            subscribed_topic_names: Vec::new(),
            subscribed_topic_regex: Some(String::new()),
            rebalance_timeout_ms: -1,
            server_assignor: Some(String::new()),
            classic_member_metadata: Some(ConsumerGroupMemberMetadataClassicMemberMetadata::default()),
        }
    }
}

impl ConsumerGroupMemberMetadataValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_nullable_string(out, self.instance_id.as_deref(), true);
        wire::put_nullable_string(out, self.rack_id.as_deref(), true);
        wire::put_string(out, &self.client_id, true);
        wire::put_string(out, &self.client_host, true);
        wire::put_length(out, Some(self.subscribed_topic_names.len()), true);
        for element in &self.subscribed_topic_names {
            wire::put_string(out, element, true);
        }
        wire::put_nullable_string(out, self.subscribed_topic_regex.as_deref(), true);
        wire::put_i32(out, self.rebalance_timeout_ms);
        wire::put_nullable_string(out, self.server_assignor.as_deref(), true);
        let has_classic_member_metadata = self
            .classic_member_metadata
            .as_ref()
            .is_none_or(|value| *value != ConsumerGroupMemberMetadataClassicMemberMetadata::default());
        wire::put_unsigned_varint(out, u32::from(has_classic_member_metadata));
        if has_classic_member_metadata {
            wire::put_tagged(out, 0, |out| match &self.classic_member_metadata {
                Some(value) => {
                    wire::put_unsigned_varint(out, 1);
                    value.write(body_version, out);
                }
                None => wire::put_unsigned_varint(out, 0),
            });
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let instance_id = r.nullable_string(true)?.map(String::from);
        let rack_id = r.nullable_string(true)?.map(String::from);
        let client_id = r.string(true)?.to_owned();
        let client_host = r.string(true)?.to_owned();
        let subscribed_topic_names = r.array_of(true, |r| r.string(true).map(String::from))?;
        let subscribed_topic_regex = r.nullable_string(true)?.map(String::from);
        let rebalance_timeout_ms = r.i32()?;
        let server_assignor = r.nullable_string(true)?.map(String::from);
        let mut classic_member_metadata = Some(ConsumerGroupMemberMetadataClassicMemberMetadata::default());
        r.tagged_fields(|tag, r| {
            match tag {
                0 => {
                    classic_member_metadata = if r.unsigned_varint()? > 0 {
                        Some(ConsumerGroupMemberMetadataClassicMemberMetadata::read(body_version, r)?)
                    } else {
                        None
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ConsumerGroupMemberMetadataValue {
            instance_id,
            rack_id,
            client_id,
            client_host,
            subscribed_topic_names,
            subscribed_topic_regex,
            rebalance_timeout_ms,
            server_assignor,
            classic_member_metadata,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupMemberMetadataClassicMemberMetadata {
    pub session_timeout_ms: i32,
    pub supported_protocols: Vec<ConsumerGroupMemberMetadataClassicProtocol>,
}

impl ConsumerGroupMemberMetadataClassicMemberMetadata {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.session_timeout_ms);
        wire::put_length(out, Some(self.supported_protocols.len()), true);
        for element in &self.supported_protocols {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let session_timeout_ms = r.i32()?;
        let supported_protocols =
            r.array_of(true, |r| ConsumerGroupMemberMetadataClassicProtocol::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupMemberMetadataClassicMemberMetadata { session_timeout_ms, supported_protocols })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupMemberMetadataClassicProtocol {
    pub name: String,
    pub metadata: Vec<u8>,
}

impl ConsumerGroupMemberMetadataClassicProtocol {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_bytes(out, &self.metadata, true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let metadata = r.bytes(true)?.to_vec();
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupMemberMetadataClassicProtocol { name, metadata })
    }
}

impl ConsumerGroupMemberMetadataValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupMemberMetadataValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupMemberMetadataValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupTargetAssignmentMetadataKey {
    pub group_id: String,
}

impl ConsumerGroupTargetAssignmentMetadataKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupTargetAssignmentMetadataKey { group_id })
    }
}

impl ConsumerGroupTargetAssignmentMetadataKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupTargetAssignmentMetadataKey has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupTargetAssignmentMetadataKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 6;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    pub assignment_timestamp: i64,
}

impl ConsumerGroupTargetAssignmentMetadataValue {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.assignment_epoch);
        let has_assignment_timestamp = self.assignment_timestamp != 0;
        wire::put_unsigned_varint(out, u32::from(has_assignment_timestamp));
        if has_assignment_timestamp {
            wire::put_tagged(out, 0, |out| {
                wire::put_i64(out, self.assignment_timestamp);
            });
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let assignment_epoch = r.i32()?;
        let mut assignment_timestamp = 0;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => assignment_timestamp = r.i64()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp })
    }
}

impl ConsumerGroupTargetAssignmentMetadataValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupTargetAssignmentMetadataValue has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupTargetAssignmentMetadataValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupTargetAssignmentMemberKey {
    pub group_id: String,
    pub member_id: String,
}

impl ConsumerGroupTargetAssignmentMemberKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
        wire::put_string(out, &self.member_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        let member_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupTargetAssignmentMemberKey { group_id, member_id })
    }
}

impl ConsumerGroupTargetAssignmentMemberKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupTargetAssignmentMemberKey has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupTargetAssignmentMemberKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 7;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<ConsumerGroupTargetAssignmentMemberTopicPartition>,
}

impl ConsumerGroupTargetAssignmentMemberValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.topic_partitions.len()), true);
        for element in &self.topic_partitions {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_partitions =
            r.array_of(true, |r| ConsumerGroupTargetAssignmentMemberTopicPartition::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupTargetAssignmentMemberValue { topic_partitions })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupTargetAssignmentMemberTopicPartition {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

impl ConsumerGroupTargetAssignmentMemberTopicPartition {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.topic_id);
        wire::put_length(out, Some(self.partitions.len()), true);
        for element in &self.partitions {
            wire::put_i32(out, *element);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_id = r.uuid()?;
        let partitions = r.array_of(true, Reader::i32)?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupTargetAssignmentMemberTopicPartition { topic_id, partitions })
    }
}

impl ConsumerGroupTargetAssignmentMemberValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupTargetAssignmentMemberValue has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupTargetAssignmentMemberValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupCurrentMemberAssignmentKey {
    pub group_id: String,
    pub member_id: String,
}

impl ConsumerGroupCurrentMemberAssignmentKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
        wire::put_string(out, &self.member_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        let member_id = r.string(false)?.to_owned();
        Ok(ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id })
    }
}

impl ConsumerGroupCurrentMemberAssignmentKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupCurrentMemberAssignmentKey has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupCurrentMemberAssignmentKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 8;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<ConsumerGroupCurrentMemberAssignmentTopicPartitions>,
    pub partitions_pending_revocation: Vec<ConsumerGroupCurrentMemberAssignmentTopicPartitions>,
}

impl ConsumerGroupCurrentMemberAssignmentValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.member_epoch);
        wire::put_i32(out, self.previous_member_epoch);
        wire::put_i8(out, self.state);
        wire::put_length(out, Some(self.assigned_partitions.len()), true);
        for element in &self.assigned_partitions {
            element.write(body_version, out);
        }
        wire::put_length(out, Some(self.partitions_pending_revocation.len()), true);
        for element in &self.partitions_pending_revocation {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let member_epoch = r.i32()?;
        let previous_member_epoch = r.i32()?;
        let state = r.i8()?;
        let assigned_partitions =
            r.array_of(true, |r| ConsumerGroupCurrentMemberAssignmentTopicPartitions::read(body_version, r))?;
        let partitions_pending_revocation =
            r.array_of(true, |r| ConsumerGroupCurrentMemberAssignmentTopicPartitions::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch,
            previous_member_epoch,
            state,
            assigned_partitions,
            partitions_pending_revocation,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupCurrentMemberAssignmentTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
    pub assignment_epochs: Option<Vec<i32>>,
}

impl Default for ConsumerGroupCurrentMemberAssignmentTopicPartitions {
    fn default() -> Self {
        ConsumerGroupCurrentMemberAssignmentTopicPartitions {
            topic_id: Uuid::nil(),
            partitions: Vec::new(),
            assignment_epochs: Some(Vec::new()),
        }
    }
}

impl ConsumerGroupCurrentMemberAssignmentTopicPartitions {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.topic_id);
        wire::put_length(out, Some(self.partitions.len()), true);
        for element in &self.partitions {
            wire::put_i32(out, *element);
        }
        let has_assignment_epochs = self.assignment_epochs.as_ref().is_none_or(|value| !value.is_empty());
        wire::put_unsigned_varint(out, u32::from(has_assignment_epochs));
        if has_assignment_epochs {
            wire::put_tagged(out, 0, |out| {
                wire::put_length(out, self.assignment_epochs.as_ref().map(Vec::len), true);
                for element in self.assignment_epochs.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_id = r.uuid()?;
        let partitions = r.array_of(true, Reader::i32)?;
        let mut assignment_epochs = Some(Vec::new());
        r.tagged_fields(|tag, r| {
            match tag {
                0 => assignment_epochs = r.nullable_array(true, Reader::i32)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ConsumerGroupCurrentMemberAssignmentTopicPartitions { topic_id, partitions, assignment_epochs })
    }
}

impl ConsumerGroupCurrentMemberAssignmentValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupCurrentMemberAssignmentValue has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupCurrentMemberAssignmentValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupRegularExpressionKey {
    pub group_id: String,
    pub regular_expression: String,
}

impl ConsumerGroupRegularExpressionKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.group_id, false);
        wire::put_string(out, &self.regular_expression, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group_id = r.string(false)?.to_owned();
        let regular_expression = r.string(false)?.to_owned();
        Ok(ConsumerGroupRegularExpressionKey { group_id, regular_expression })
    }
}

impl ConsumerGroupRegularExpressionKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerGroupRegularExpressionKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupRegularExpressionKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 16;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerGroupRegularExpressionValue {
    pub topics: Vec<String>,
    pub version: i64,
    pub timestamp: i64,
}

impl ConsumerGroupRegularExpressionValue {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.topics.len()), true);
        for element in &self.topics {
            wire::put_string(out, element, true);
        }
        wire::put_i64(out, self.version);
        wire::put_i64(out, self.timestamp);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topics = r.array_of(true, |r| r.string(true).map(String::from))?;
        let version = r.i64()?;
        let timestamp = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(ConsumerGroupRegularExpressionValue { topics, version, timestamp })
    }
}

impl ConsumerGroupRegularExpressionValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(
            Self::VERSIONS.contains(&version),
            "ConsumerGroupRegularExpressionValue has no version {version}"
        );
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerGroupRegularExpressionValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<ConsumerProtocolAssignmentTopicPartition>,
    pub user_data: Option<Vec<u8>>,
}

impl ConsumerProtocolAssignment {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.assigned_partitions.len()), false);
        for element in &self.assigned_partitions {
            element.write(body_version, out);
        }
        wire::put_nullable_bytes(out, self.user_data.as_deref(), false);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let assigned_partitions =
            r.array_of(false, |r| ConsumerProtocolAssignmentTopicPartition::read(body_version, r))?;
        let user_data = r.nullable_bytes(false)?.map(<[u8]>::to_vec);
        Ok(ConsumerProtocolAssignment { assigned_partitions, user_data })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerProtocolAssignmentTopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}

impl ConsumerProtocolAssignmentTopicPartition {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.topic, false);
        wire::put_length(out, Some(self.partitions.len()), false);
        for element in &self.partitions {
            wire::put_i32(out, *element);
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic = r.string(false)?.to_owned();
        let partitions = r.array_of(false, Reader::i32)?;
        Ok(ConsumerProtocolAssignmentTopicPartition { topic, partitions })
    }
}

impl ConsumerProtocolAssignment {
    pub const VERSIONS: RangeInclusive<i16> = 0..=3;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerProtocolAssignment has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerProtocolAssignment {
    /// With the version in front, as members exchange it.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    /// A newer version is read as far as the newest one known; what it has behind that is left alone.
    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        if version < *Self::VERSIONS.start() {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        Self::read(version.min(*Self::VERSIONS.end()), &mut r)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<String>,
    pub user_data: Option<Vec<u8>>,
    pub owned_partitions: Vec<ConsumerProtocolSubscriptionTopicPartition>,
    pub generation_id: i32,
    pub rack_id: Option<String>,
}

impl Default for ConsumerProtocolSubscription {
    fn default() -> Self {
        ConsumerProtocolSubscription {
            topics: Vec::new(),
            user_data: None,
            owned_partitions: Vec::new(),
            generation_id: -1,
            rack_id: None,
        }
    }
}

impl ConsumerProtocolSubscription {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.topics.len()), false);
        for element in &self.topics {
            wire::put_string(out, element, false);
        }
        wire::put_nullable_bytes(out, self.user_data.as_deref(), false);
        if body_version >= 1 {
            wire::put_length(out, Some(self.owned_partitions.len()), false);
            for element in &self.owned_partitions {
                element.write(body_version, out);
            }
        }
        if body_version >= 2 {
            wire::put_i32(out, self.generation_id);
        }
        if body_version >= 3 {
            if body_version >= 3 {
                wire::put_nullable_string(out, self.rack_id.as_deref(), false);
            } else {
                wire::put_string(out, self.rack_id.as_deref().unwrap_or_default(), false);
            }
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topics = r.array_of(false, |r| r.string(false).map(String::from))?;
        let user_data = r.nullable_bytes(false)?.map(<[u8]>::to_vec);
        let owned_partitions = if body_version >= 1 {
            r.array_of(false, |r| ConsumerProtocolSubscriptionTopicPartition::read(body_version, r))?
        } else {
            Vec::new()
        };
        let generation_id = if body_version >= 2 { r.i32()? } else { -1 };
        let rack_id = if body_version >= 3 {
            if body_version >= 3 {
                r.nullable_string(false)?.map(String::from)
            } else {
                Some(r.string(false)?.to_owned())
            }
        } else {
            None
        };
        Ok(ConsumerProtocolSubscription { topics, user_data, owned_partitions, generation_id, rack_id })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerProtocolSubscriptionTopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}

impl ConsumerProtocolSubscriptionTopicPartition {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        if body_version >= 1 {
            wire::put_string(out, &self.topic, false);
        }
        if body_version >= 1 {
            wire::put_length(out, Some(self.partitions.len()), false);
            for element in &self.partitions {
                wire::put_i32(out, *element);
            }
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic = if body_version >= 1 { r.string(false)?.to_owned() } else { String::new() };
        let partitions = if body_version >= 1 { r.array_of(false, Reader::i32)? } else { Vec::new() };
        Ok(ConsumerProtocolSubscriptionTopicPartition { topic, partitions })
    }
}

impl ConsumerProtocolSubscription {
    pub const VERSIONS: RangeInclusive<i16> = 0..=3;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConsumerProtocolSubscription has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl ConsumerProtocolSubscription {
    /// With the version in front, as members exchange it.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    /// A newer version is read as far as the newest one known; what it has behind that is left alone.
    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        if version < *Self::VERSIONS.start() {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        Self::read(version.min(*Self::VERSIONS.end()), &mut r)
    }
}
