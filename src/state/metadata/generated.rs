//! The records of the cluster metadata log, and of the control batches in it and its snapshots.
//!
//! Made by scripts/generate.py from scripts/schemas/record-schemas.tsv; never edited by hand. A field that a version does
//! not have is left out when writing and takes its default when reading; tagged fields are written when they differ from
//! their default. `Default` gives the schema's defaults: a field that may be null is null only where the schema says so.
//!
//! ```text
//! record value  varint frame version (1) | varint kind | varint version | body
//! ```
//! Control records carry no frame; their kind is in the record key.

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::wire::{self, DecodeError, Reader, Reason};

/// The only way in which a record of the metadata log has been framed since Kafka 3.0.
const FRAME_VERSION: u32 = 1;

/// Any record of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataRecord {
    RegisterBroker(RegisterBrokerRecord),
    UnregisterBroker(UnregisterBrokerRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    PartitionChange(PartitionChangeRecord),
    FenceBroker(FenceBrokerRecord),
    UnfenceBroker(UnfenceBrokerRecord),
    RemoveTopic(RemoveTopicRecord),
    DelegationToken(DelegationTokenRecord),
    UserScramCredential(UserScramCredentialRecord),
    FeatureLevel(FeatureLevelRecord),
    ClientQuota(ClientQuotaRecord),
    ProducerIds(ProducerIdsRecord),
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    AccessControlEntry(AccessControlEntryRecord),
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord),
    NoOp(NoOpRecord),
    ZkMigrationState(ZkMigrationStateRecord),
    RemoveUserScramCredential(RemoveUserScramCredentialRecord),
    BeginTransaction(BeginTransactionRecord),
    EndTransaction(EndTransactionRecord),
    AbortTransaction(AbortTransactionRecord),
    RemoveDelegationToken(RemoveDelegationTokenRecord),
    RegisterController(RegisterControllerRecord),
    ClearElr(ClearElrRecord),
}

impl MetadataRecord {
    /// The number of its kind.
    pub fn kind(&self) -> i16 {
        match self {
            MetadataRecord::RegisterBroker(_) => 0,
            MetadataRecord::UnregisterBroker(_) => 1,
            MetadataRecord::Topic(_) => 2,
            MetadataRecord::Partition(_) => 3,
            MetadataRecord::Config(_) => 4,
            MetadataRecord::PartitionChange(_) => 5,
            MetadataRecord::FenceBroker(_) => 7,
            MetadataRecord::UnfenceBroker(_) => 8,
            MetadataRecord::RemoveTopic(_) => 9,
            MetadataRecord::DelegationToken(_) => 10,
            MetadataRecord::UserScramCredential(_) => 11,
            MetadataRecord::FeatureLevel(_) => 12,
            MetadataRecord::ClientQuota(_) => 14,
            MetadataRecord::ProducerIds(_) => 15,
            MetadataRecord::BrokerRegistrationChange(_) => 17,
            MetadataRecord::AccessControlEntry(_) => 18,
            MetadataRecord::RemoveAccessControlEntry(_) => 19,
            MetadataRecord::NoOp(_) => 20,
            MetadataRecord::ZkMigrationState(_) => 21,
            MetadataRecord::RemoveUserScramCredential(_) => 22,
            MetadataRecord::BeginTransaction(_) => 23,
            MetadataRecord::EndTransaction(_) => 24,
            MetadataRecord::AbortTransaction(_) => 25,
            MetadataRecord::RemoveDelegationToken(_) => 26,
            MetadataRecord::RegisterController(_) => 27,
            MetadataRecord::ClearElr(_) => 28,
        }
    }

    /// Kafka's name for its kind.
    pub fn name(&self) -> &'static str {
        match self {
            MetadataRecord::RegisterBroker(_) => "RegisterBrokerRecord",
            MetadataRecord::UnregisterBroker(_) => "UnregisterBrokerRecord",
            MetadataRecord::Topic(_) => "TopicRecord",
            MetadataRecord::Partition(_) => "PartitionRecord",
            MetadataRecord::Config(_) => "ConfigRecord",
            MetadataRecord::PartitionChange(_) => "PartitionChangeRecord",
            MetadataRecord::FenceBroker(_) => "FenceBrokerRecord",
            MetadataRecord::UnfenceBroker(_) => "UnfenceBrokerRecord",
            MetadataRecord::RemoveTopic(_) => "RemoveTopicRecord",
            MetadataRecord::DelegationToken(_) => "DelegationTokenRecord",
            MetadataRecord::UserScramCredential(_) => "UserScramCredentialRecord",
            MetadataRecord::FeatureLevel(_) => "FeatureLevelRecord",
            MetadataRecord::ClientQuota(_) => "ClientQuotaRecord",
            MetadataRecord::ProducerIds(_) => "ProducerIdsRecord",
            MetadataRecord::BrokerRegistrationChange(_) => "BrokerRegistrationChangeRecord",
            MetadataRecord::AccessControlEntry(_) => "AccessControlEntryRecord",
            MetadataRecord::RemoveAccessControlEntry(_) => "RemoveAccessControlEntryRecord",
            MetadataRecord::NoOp(_) => "NoOpRecord",
            MetadataRecord::ZkMigrationState(_) => "ZkMigrationStateRecord",
            MetadataRecord::RemoveUserScramCredential(_) => "RemoveUserScramCredentialRecord",
            MetadataRecord::BeginTransaction(_) => "BeginTransactionRecord",
            MetadataRecord::EndTransaction(_) => "EndTransactionRecord",
            MetadataRecord::AbortTransaction(_) => "AbortTransactionRecord",
            MetadataRecord::RemoveDelegationToken(_) => "RemoveDelegationTokenRecord",
            MetadataRecord::RegisterController(_) => "RegisterControllerRecord",
            MetadataRecord::ClearElr(_) => "ClearElrRecord",
        }
    }

    /// The versions in which it can be written.
    pub fn versions(&self) -> RangeInclusive<i16> {
        match self {
            MetadataRecord::RegisterBroker(_) => RegisterBrokerRecord::VERSIONS,
            MetadataRecord::UnregisterBroker(_) => UnregisterBrokerRecord::VERSIONS,
            MetadataRecord::Topic(_) => TopicRecord::VERSIONS,
            MetadataRecord::Partition(_) => PartitionRecord::VERSIONS,
            MetadataRecord::Config(_) => ConfigRecord::VERSIONS,
            MetadataRecord::PartitionChange(_) => PartitionChangeRecord::VERSIONS,
            MetadataRecord::FenceBroker(_) => FenceBrokerRecord::VERSIONS,
            MetadataRecord::UnfenceBroker(_) => UnfenceBrokerRecord::VERSIONS,
            MetadataRecord::RemoveTopic(_) => RemoveTopicRecord::VERSIONS,
            MetadataRecord::DelegationToken(_) => DelegationTokenRecord::VERSIONS,
            MetadataRecord::UserScramCredential(_) => UserScramCredentialRecord::VERSIONS,
            MetadataRecord::FeatureLevel(_) => FeatureLevelRecord::VERSIONS,
            MetadataRecord::ClientQuota(_) => ClientQuotaRecord::VERSIONS,
            MetadataRecord::ProducerIds(_) => ProducerIdsRecord::VERSIONS,
            MetadataRecord::BrokerRegistrationChange(_) => BrokerRegistrationChangeRecord::VERSIONS,
            MetadataRecord::AccessControlEntry(_) => AccessControlEntryRecord::VERSIONS,
            MetadataRecord::RemoveAccessControlEntry(_) => RemoveAccessControlEntryRecord::VERSIONS,
            MetadataRecord::NoOp(_) => NoOpRecord::VERSIONS,
            MetadataRecord::ZkMigrationState(_) => ZkMigrationStateRecord::VERSIONS,
            MetadataRecord::RemoveUserScramCredential(_) => RemoveUserScramCredentialRecord::VERSIONS,
            MetadataRecord::BeginTransaction(_) => BeginTransactionRecord::VERSIONS,
            MetadataRecord::EndTransaction(_) => EndTransactionRecord::VERSIONS,
            MetadataRecord::AbortTransaction(_) => AbortTransactionRecord::VERSIONS,
            MetadataRecord::RemoveDelegationToken(_) => RemoveDelegationTokenRecord::VERSIONS,
            MetadataRecord::RegisterController(_) => RegisterControllerRecord::VERSIONS,
            MetadataRecord::ClearElr(_) => ClearElrRecord::VERSIONS,
        }
    }

    /// The whole record value. `version` must be one of [`MetadataRecord::versions`]; which one the log may hold is
    /// for `metadata.version` to say.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_unsigned_varint(out, FRAME_VERSION);
        wire::put_unsigned_varint(out, self.kind() as u32);
        wire::put_unsigned_varint(out, version as u32);
        match self {
            MetadataRecord::RegisterBroker(record) => record.encode(version, out),
            MetadataRecord::UnregisterBroker(record) => record.encode(version, out),
            MetadataRecord::Topic(record) => record.encode(version, out),
            MetadataRecord::Partition(record) => record.encode(version, out),
            MetadataRecord::Config(record) => record.encode(version, out),
            MetadataRecord::PartitionChange(record) => record.encode(version, out),
            MetadataRecord::FenceBroker(record) => record.encode(version, out),
            MetadataRecord::UnfenceBroker(record) => record.encode(version, out),
            MetadataRecord::RemoveTopic(record) => record.encode(version, out),
            MetadataRecord::DelegationToken(record) => record.encode(version, out),
            MetadataRecord::UserScramCredential(record) => record.encode(version, out),
            MetadataRecord::FeatureLevel(record) => record.encode(version, out),
            MetadataRecord::ClientQuota(record) => record.encode(version, out),
            MetadataRecord::ProducerIds(record) => record.encode(version, out),
            MetadataRecord::BrokerRegistrationChange(record) => record.encode(version, out),
            MetadataRecord::AccessControlEntry(record) => record.encode(version, out),
            MetadataRecord::RemoveAccessControlEntry(record) => record.encode(version, out),
            MetadataRecord::NoOp(record) => record.encode(version, out),
            MetadataRecord::ZkMigrationState(record) => record.encode(version, out),
            MetadataRecord::RemoveUserScramCredential(record) => record.encode(version, out),
            MetadataRecord::BeginTransaction(record) => record.encode(version, out),
            MetadataRecord::EndTransaction(record) => record.encode(version, out),
            MetadataRecord::AbortTransaction(record) => record.encode(version, out),
            MetadataRecord::RemoveDelegationToken(record) => record.encode(version, out),
            MetadataRecord::RegisterController(record) => record.encode(version, out),
            MetadataRecord::ClearElr(record) => record.encode(version, out),
        }
    }

    /// Reads a whole record value; also tells its version.
    pub fn decode_framed(bytes: &[u8]) -> Result<(Self, i16), DecodeError> {
        let mut r = Reader::new(bytes);
        match r.unsigned_varint()? {
            FRAME_VERSION => {}
            other => return r.fail(Reason::UnsupportedFrame(other)),
        }
        let kind = i16::try_from(r.unsigned_varint()?).unwrap_or(i16::MAX);
        let version = i16::try_from(r.unsigned_varint()?).unwrap_or(i16::MAX);
        let record = match kind {
            0 => MetadataRecord::RegisterBroker(RegisterBrokerRecord::decode_from(version, r)?),
            1 => MetadataRecord::UnregisterBroker(UnregisterBrokerRecord::decode_from(version, r)?),
            2 => MetadataRecord::Topic(TopicRecord::decode_from(version, r)?),
            3 => MetadataRecord::Partition(PartitionRecord::decode_from(version, r)?),
            4 => MetadataRecord::Config(ConfigRecord::decode_from(version, r)?),
            5 => MetadataRecord::PartitionChange(PartitionChangeRecord::decode_from(version, r)?),
            7 => MetadataRecord::FenceBroker(FenceBrokerRecord::decode_from(version, r)?),
            8 => MetadataRecord::UnfenceBroker(UnfenceBrokerRecord::decode_from(version, r)?),
            9 => MetadataRecord::RemoveTopic(RemoveTopicRecord::decode_from(version, r)?),
            10 => MetadataRecord::DelegationToken(DelegationTokenRecord::decode_from(version, r)?),
            11 => MetadataRecord::UserScramCredential(UserScramCredentialRecord::decode_from(version, r)?),
            12 => MetadataRecord::FeatureLevel(FeatureLevelRecord::decode_from(version, r)?),
            14 => MetadataRecord::ClientQuota(ClientQuotaRecord::decode_from(version, r)?),
            15 => MetadataRecord::ProducerIds(ProducerIdsRecord::decode_from(version, r)?),
            17 => MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord::decode_from(version, r)?),
            18 => MetadataRecord::AccessControlEntry(AccessControlEntryRecord::decode_from(version, r)?),
            19 => MetadataRecord::RemoveAccessControlEntry(RemoveAccessControlEntryRecord::decode_from(version, r)?),
            20 => MetadataRecord::NoOp(NoOpRecord::decode_from(version, r)?),
            21 => MetadataRecord::ZkMigrationState(ZkMigrationStateRecord::decode_from(version, r)?),
            22 => MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredentialRecord::decode_from(version, r)?),
            23 => MetadataRecord::BeginTransaction(BeginTransactionRecord::decode_from(version, r)?),
            24 => MetadataRecord::EndTransaction(EndTransactionRecord::decode_from(version, r)?),
            25 => MetadataRecord::AbortTransaction(AbortTransactionRecord::decode_from(version, r)?),
            26 => MetadataRecord::RemoveDelegationToken(RemoveDelegationTokenRecord::decode_from(version, r)?),
            27 => MetadataRecord::RegisterController(RegisterControllerRecord::decode_from(version, r)?),
            28 => MetadataRecord::ClearElr(ClearElrRecord::decode_from(version, r)?),
            _ => return r.fail(Reason::UnknownKind(kind)),
        };
        Ok((record, version))
    }
}

impl From<RegisterBrokerRecord> for MetadataRecord {
    fn from(record: RegisterBrokerRecord) -> Self {
        MetadataRecord::RegisterBroker(record)
    }
}

impl From<UnregisterBrokerRecord> for MetadataRecord {
    fn from(record: UnregisterBrokerRecord) -> Self {
        MetadataRecord::UnregisterBroker(record)
    }
}

impl From<TopicRecord> for MetadataRecord {
    fn from(record: TopicRecord) -> Self {
        MetadataRecord::Topic(record)
    }
}

impl From<PartitionRecord> for MetadataRecord {
    fn from(record: PartitionRecord) -> Self {
        MetadataRecord::Partition(record)
    }
}

impl From<ConfigRecord> for MetadataRecord {
    fn from(record: ConfigRecord) -> Self {
        MetadataRecord::Config(record)
    }
}

impl From<PartitionChangeRecord> for MetadataRecord {
    fn from(record: PartitionChangeRecord) -> Self {
        MetadataRecord::PartitionChange(record)
    }
}

impl From<FenceBrokerRecord> for MetadataRecord {
    fn from(record: FenceBrokerRecord) -> Self {
        MetadataRecord::FenceBroker(record)
    }
}

impl From<UnfenceBrokerRecord> for MetadataRecord {
    fn from(record: UnfenceBrokerRecord) -> Self {
        MetadataRecord::UnfenceBroker(record)
    }
}

impl From<RemoveTopicRecord> for MetadataRecord {
    fn from(record: RemoveTopicRecord) -> Self {
        MetadataRecord::RemoveTopic(record)
    }
}

impl From<DelegationTokenRecord> for MetadataRecord {
    fn from(record: DelegationTokenRecord) -> Self {
        MetadataRecord::DelegationToken(record)
    }
}

impl From<UserScramCredentialRecord> for MetadataRecord {
    fn from(record: UserScramCredentialRecord) -> Self {
        MetadataRecord::UserScramCredential(record)
    }
}

impl From<FeatureLevelRecord> for MetadataRecord {
    fn from(record: FeatureLevelRecord) -> Self {
        MetadataRecord::FeatureLevel(record)
    }
}

impl From<ClientQuotaRecord> for MetadataRecord {
    fn from(record: ClientQuotaRecord) -> Self {
        MetadataRecord::ClientQuota(record)
    }
}

impl From<ProducerIdsRecord> for MetadataRecord {
    fn from(record: ProducerIdsRecord) -> Self {
        MetadataRecord::ProducerIds(record)
    }
}

impl From<BrokerRegistrationChangeRecord> for MetadataRecord {
    fn from(record: BrokerRegistrationChangeRecord) -> Self {
        MetadataRecord::BrokerRegistrationChange(record)
    }
}

impl From<AccessControlEntryRecord> for MetadataRecord {
    fn from(record: AccessControlEntryRecord) -> Self {
        MetadataRecord::AccessControlEntry(record)
    }
}

impl From<RemoveAccessControlEntryRecord> for MetadataRecord {
    fn from(record: RemoveAccessControlEntryRecord) -> Self {
        MetadataRecord::RemoveAccessControlEntry(record)
    }
}

impl From<NoOpRecord> for MetadataRecord {
    fn from(record: NoOpRecord) -> Self {
        MetadataRecord::NoOp(record)
    }
}

impl From<ZkMigrationStateRecord> for MetadataRecord {
    fn from(record: ZkMigrationStateRecord) -> Self {
        MetadataRecord::ZkMigrationState(record)
    }
}

impl From<RemoveUserScramCredentialRecord> for MetadataRecord {
    fn from(record: RemoveUserScramCredentialRecord) -> Self {
        MetadataRecord::RemoveUserScramCredential(record)
    }
}

impl From<BeginTransactionRecord> for MetadataRecord {
    fn from(record: BeginTransactionRecord) -> Self {
        MetadataRecord::BeginTransaction(record)
    }
}

impl From<EndTransactionRecord> for MetadataRecord {
    fn from(record: EndTransactionRecord) -> Self {
        MetadataRecord::EndTransaction(record)
    }
}

impl From<AbortTransactionRecord> for MetadataRecord {
    fn from(record: AbortTransactionRecord) -> Self {
        MetadataRecord::AbortTransaction(record)
    }
}

impl From<RemoveDelegationTokenRecord> for MetadataRecord {
    fn from(record: RemoveDelegationTokenRecord) -> Self {
        MetadataRecord::RemoveDelegationToken(record)
    }
}

impl From<RegisterControllerRecord> for MetadataRecord {
    fn from(record: RegisterControllerRecord) -> Self {
        MetadataRecord::RegisterController(record)
    }
}

impl From<ClearElrRecord> for MetadataRecord {
    fn from(record: ClearElrRecord) -> Self {
        MetadataRecord::ClearElr(record)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    pub broker_id: i32,
    pub is_migrating_zk_broker: bool,
    pub incarnation_id: Uuid,
    pub broker_epoch: i64,
    pub end_points: Vec<RegisterBrokerBrokerEndpoint>,
    pub features: Vec<RegisterBrokerBrokerFeature>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl Default for RegisterBrokerRecord {
    fn default() -> Self {
        RegisterBrokerRecord {
            broker_id: 0,
            is_migrating_zk_broker: false,
            incarnation_id: Uuid::nil(),
            broker_epoch: 0,
            end_points: Vec::new(),
            features: Vec::new(),
            rack: Some(String::new()),
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        }
    }
}

impl RegisterBrokerRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.broker_id);
        if body_version >= 2 {
            wire::put_bool(out, self.is_migrating_zk_broker);
        }
        wire::put_uuid(out, self.incarnation_id);
        wire::put_i64(out, self.broker_epoch);
        wire::put_length(out, Some(self.end_points.len()), true);
        for element in &self.end_points {
            element.write(body_version, out);
        }
        wire::put_length(out, Some(self.features.len()), true);
        for element in &self.features {
            element.write(body_version, out);
        }
        wire::put_nullable_string(out, self.rack.as_deref(), true);
        wire::put_bool(out, self.fenced);
        if body_version >= 1 {
            wire::put_bool(out, self.in_controlled_shutdown);
        }
        let has_log_dirs = body_version >= 3 && !self.log_dirs.is_empty();
        let has_cordoned_log_dirs = body_version >= 4 && self.cordoned_log_dirs.is_some();
        wire::put_unsigned_varint(out, u32::from(has_log_dirs) + u32::from(has_cordoned_log_dirs));
        if has_log_dirs {
            wire::put_tagged(out, 0, |out| {
                wire::put_length(out, Some(self.log_dirs.len()), true);
                for element in &self.log_dirs {
                    wire::put_uuid(out, *element);
                }
            });
        }
        if has_cordoned_log_dirs {
            wire::put_tagged(out, 1, |out| {
                wire::put_length(
                    out,
                    self.cordoned_log_dirs.as_ref().map(Vec::len).or(if body_version >= 4 { None } else { Some(0) }),
                    true,
                );
                for element in self.cordoned_log_dirs.iter().flatten() {
                    wire::put_uuid(out, *element);
                }
            });
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let broker_id = r.i32()?;
        let is_migrating_zk_broker = if body_version >= 2 { r.bool()? } else { false };
        let incarnation_id = r.uuid()?;
        let broker_epoch = r.i64()?;
        let end_points = r.array_of(true, |r| RegisterBrokerBrokerEndpoint::read(body_version, r))?;
        let features = r.array_of(true, |r| RegisterBrokerBrokerFeature::read(body_version, r))?;
        let rack = r.nullable_string(true)?.map(String::from);
        let fenced = r.bool()?;
        let in_controlled_shutdown = if body_version >= 1 { r.bool()? } else { false };
        let mut log_dirs = Vec::new();
        let mut cordoned_log_dirs = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 if body_version >= 3 => log_dirs = r.array_of(true, Reader::uuid)?,
                1 if body_version >= 4 => {
                    cordoned_log_dirs = if body_version >= 4 {
                        r.nullable_array(true, Reader::uuid)?
                    } else {
                        Some(r.array_of(true, Reader::uuid)?)
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(RegisterBrokerRecord {
            broker_id,
            is_migrating_zk_broker,
            incarnation_id,
            broker_epoch,
            end_points,
            features,
            rack,
            fenced,
            in_controlled_shutdown,
            log_dirs,
            cordoned_log_dirs,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegisterBrokerBrokerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

impl RegisterBrokerBrokerEndpoint {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_string(out, &self.host, true);
        wire::put_u16(out, self.port);
        wire::put_i16(out, self.security_protocol);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let host = r.string(true)?.to_owned();
        let port = r.u16()?;
        let security_protocol = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(RegisterBrokerBrokerEndpoint { name, host, port, security_protocol })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegisterBrokerBrokerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

impl RegisterBrokerBrokerFeature {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_i16(out, self.min_supported_version);
        wire::put_i16(out, self.max_supported_version);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let min_supported_version = r.i16()?;
        let max_supported_version = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(RegisterBrokerBrokerFeature { name, min_supported_version, max_supported_version })
    }
}

impl RegisterBrokerRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=4;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RegisterBrokerRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UnregisterBrokerRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
}

impl UnregisterBrokerRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.broker_id);
        wire::put_i64(out, self.broker_epoch);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let broker_id = r.i32()?;
        let broker_epoch = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(UnregisterBrokerRecord { broker_id, broker_epoch })
    }
}

impl UnregisterBrokerRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "UnregisterBrokerRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: Uuid,
}

impl TopicRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_uuid(out, self.topic_id);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let topic_id = r.uuid()?;
        r.skip_tagged_fields()?;
        Ok(TopicRecord { name, topic_id })
    }
}

impl TopicRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "TopicRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    pub leader: i32,
    pub leader_recovery_state: i8,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub directories: Vec<Uuid>,
    pub eligible_leader_replicas: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

impl Default for PartitionRecord {
    fn default() -> Self {
        PartitionRecord {
            partition_id: -1,
            topic_id: Uuid::nil(),
            replicas: Vec::new(),
            isr: Vec::new(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: -1,
            leader_recovery_state: 0,
            leader_epoch: -1,
            partition_epoch: -1,
            directories: Vec::new(),
            eligible_leader_replicas: None,
            last_known_elr: None,
        }
    }
}

impl PartitionRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.partition_id);
        wire::put_uuid(out, self.topic_id);
        wire::put_length(out, Some(self.replicas.len()), true);
        for element in &self.replicas {
            wire::put_i32(out, *element);
        }
        wire::put_length(out, Some(self.isr.len()), true);
        for element in &self.isr {
            wire::put_i32(out, *element);
        }
        wire::put_length(out, Some(self.removing_replicas.len()), true);
        for element in &self.removing_replicas {
            wire::put_i32(out, *element);
        }
        wire::put_length(out, Some(self.adding_replicas.len()), true);
        for element in &self.adding_replicas {
            wire::put_i32(out, *element);
        }
        wire::put_i32(out, self.leader);
        wire::put_i32(out, self.leader_epoch);
        wire::put_i32(out, self.partition_epoch);
        if body_version >= 1 {
            wire::put_length(out, Some(self.directories.len()), true);
            for element in &self.directories {
                wire::put_uuid(out, *element);
            }
        }
        let has_leader_recovery_state = self.leader_recovery_state != 0;
        let has_eligible_leader_replicas = body_version >= 2 && self.eligible_leader_replicas.is_some();
        let has_last_known_elr = body_version >= 2 && self.last_known_elr.is_some();
        wire::put_unsigned_varint(
            out,
            u32::from(has_leader_recovery_state)
                + u32::from(has_eligible_leader_replicas)
                + u32::from(has_last_known_elr),
        );
        if has_leader_recovery_state {
            wire::put_tagged(out, 0, |out| {
                wire::put_i8(out, self.leader_recovery_state);
            });
        }
        if has_eligible_leader_replicas {
            wire::put_tagged(out, 1, |out| {
                wire::put_length(
                    out,
                    self.eligible_leader_replicas.as_ref().map(Vec::len).or(if body_version >= 2 {
                        None
                    } else {
                        Some(0)
                    }),
                    true,
                );
                for element in self.eligible_leader_replicas.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_last_known_elr {
            wire::put_tagged(out, 2, |out| {
                wire::put_length(
                    out,
                    self.last_known_elr.as_ref().map(Vec::len).or(if body_version >= 2 { None } else { Some(0) }),
                    true,
                );
                for element in self.last_known_elr.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let partition_id = r.i32()?;
        let topic_id = r.uuid()?;
        let replicas = r.array_of(true, Reader::i32)?;
        let isr = r.array_of(true, Reader::i32)?;
        let removing_replicas = r.array_of(true, Reader::i32)?;
        let adding_replicas = r.array_of(true, Reader::i32)?;
        let leader = r.i32()?;
        let leader_epoch = r.i32()?;
        let partition_epoch = r.i32()?;
        let directories = if body_version >= 1 { r.array_of(true, Reader::uuid)? } else { Vec::new() };
        let mut leader_recovery_state = 0;
        let mut eligible_leader_replicas = None;
        let mut last_known_elr = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => leader_recovery_state = r.i8()?,
                1 if body_version >= 2 => {
                    eligible_leader_replicas = if body_version >= 2 {
                        r.nullable_array(true, Reader::i32)?
                    } else {
                        Some(r.array_of(true, Reader::i32)?)
                    }
                }
                2 if body_version >= 2 => {
                    last_known_elr = if body_version >= 2 {
                        r.nullable_array(true, Reader::i32)?
                    } else {
                        Some(r.array_of(true, Reader::i32)?)
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(PartitionRecord {
            partition_id,
            topic_id,
            replicas,
            isr,
            removing_replicas,
            adding_replicas,
            leader,
            leader_recovery_state,
            leader_epoch,
            partition_epoch,
            directories,
            eligible_leader_replicas,
            last_known_elr,
        })
    }
}

impl PartitionRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=2;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "PartitionRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    pub resource_type: i8,
    pub resource_name: String,
    pub name: String,
    pub value: Option<String>,
}

impl Default for ConfigRecord {
    fn default() -> Self {
        ConfigRecord { resource_type: 0, resource_name: String::new(), name: String::new(), value: Some(String::new()) }
    }
}

impl ConfigRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i8(out, self.resource_type);
        wire::put_string(out, &self.resource_name, true);
        wire::put_string(out, &self.name, true);
        wire::put_nullable_string(out, self.value.as_deref(), true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let resource_type = r.i8()?;
        let resource_name = r.string(true)?.to_owned();
        let name = r.string(true)?.to_owned();
        let value = r.nullable_string(true)?.map(String::from);
        r.skip_tagged_fields()?;
        Ok(ConfigRecord { resource_type, resource_name, name, value })
    }
}

impl ConfigRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ConfigRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub isr: Option<Vec<i32>>,
    pub leader: i32,
    pub replicas: Option<Vec<i32>>,
    pub removing_replicas: Option<Vec<i32>>,
    pub adding_replicas: Option<Vec<i32>>,
    pub leader_recovery_state: i8,
    pub directories: Option<Vec<Uuid>>,
    pub eligible_leader_replicas: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

impl Default for PartitionChangeRecord {
    fn default() -> Self {
        PartitionChangeRecord {
            partition_id: -1,
            topic_id: Uuid::nil(),
            isr: None,
            leader: -2,
            replicas: None,
            removing_replicas: None,
            adding_replicas: None,
            leader_recovery_state: -1,
            directories: None,
            eligible_leader_replicas: None,
            last_known_elr: None,
        }
    }
}

impl PartitionChangeRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.partition_id);
        wire::put_uuid(out, self.topic_id);
        let has_isr = self.isr.is_some();
        let has_leader = self.leader != -2;
        let has_replicas = self.replicas.is_some();
        let has_removing_replicas = self.removing_replicas.is_some();
        let has_adding_replicas = self.adding_replicas.is_some();
        let has_leader_recovery_state = self.leader_recovery_state != -1;
        let has_eligible_leader_replicas = body_version >= 2 && self.eligible_leader_replicas.is_some();
        let has_last_known_elr = body_version >= 2 && self.last_known_elr.is_some();
        let has_directories = body_version >= 1 && self.directories.is_some();
        wire::put_unsigned_varint(
            out,
            u32::from(has_isr)
                + u32::from(has_leader)
                + u32::from(has_replicas)
                + u32::from(has_removing_replicas)
                + u32::from(has_adding_replicas)
                + u32::from(has_leader_recovery_state)
                + u32::from(has_eligible_leader_replicas)
                + u32::from(has_last_known_elr)
                + u32::from(has_directories),
        );
        if has_isr {
            wire::put_tagged(out, 0, |out| {
                wire::put_length(out, self.isr.as_ref().map(Vec::len), true);
                for element in self.isr.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_leader {
            wire::put_tagged(out, 1, |out| {
                wire::put_i32(out, self.leader);
            });
        }
        if has_replicas {
            wire::put_tagged(out, 2, |out| {
                wire::put_length(out, self.replicas.as_ref().map(Vec::len), true);
                for element in self.replicas.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_removing_replicas {
            wire::put_tagged(out, 3, |out| {
                wire::put_length(out, self.removing_replicas.as_ref().map(Vec::len), true);
                for element in self.removing_replicas.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_adding_replicas {
            wire::put_tagged(out, 4, |out| {
                wire::put_length(out, self.adding_replicas.as_ref().map(Vec::len), true);
                for element in self.adding_replicas.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_leader_recovery_state {
            wire::put_tagged(out, 5, |out| {
                wire::put_i8(out, self.leader_recovery_state);
            });
        }
        if has_eligible_leader_replicas {
            wire::put_tagged(out, 6, |out| {
                wire::put_length(
                    out,
                    self.eligible_leader_replicas.as_ref().map(Vec::len).or(if body_version >= 2 {
                        None
                    } else {
                        Some(0)
                    }),
                    true,
                );
                for element in self.eligible_leader_replicas.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_last_known_elr {
            wire::put_tagged(out, 7, |out| {
                wire::put_length(
                    out,
                    self.last_known_elr.as_ref().map(Vec::len).or(if body_version >= 2 { None } else { Some(0) }),
                    true,
                );
                for element in self.last_known_elr.iter().flatten() {
                    wire::put_i32(out, *element);
                }
            });
        }
        if has_directories {
            wire::put_tagged(out, 8, |out| {
                wire::put_length(
                    out,
                    self.directories.as_ref().map(Vec::len).or(if body_version >= 1 { None } else { Some(0) }),
                    true,
                );
                for element in self.directories.iter().flatten() {
                    wire::put_uuid(out, *element);
                }
            });
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let partition_id = r.i32()?;
        let topic_id = r.uuid()?;
        let mut isr = None;
        let mut leader = -2;
        let mut replicas = None;
        let mut removing_replicas = None;
        let mut adding_replicas = None;
        let mut leader_recovery_state = -1;
        let mut eligible_leader_replicas = None;
        let mut last_known_elr = None;
        let mut directories = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => isr = r.nullable_array(true, Reader::i32)?,
                1 => leader = r.i32()?,
                2 => replicas = r.nullable_array(true, Reader::i32)?,
                3 => removing_replicas = r.nullable_array(true, Reader::i32)?,
                4 => adding_replicas = r.nullable_array(true, Reader::i32)?,
                5 => leader_recovery_state = r.i8()?,
                6 if body_version >= 2 => {
                    eligible_leader_replicas = if body_version >= 2 {
                        r.nullable_array(true, Reader::i32)?
                    } else {
                        Some(r.array_of(true, Reader::i32)?)
                    }
                }
                7 if body_version >= 2 => {
                    last_known_elr = if body_version >= 2 {
                        r.nullable_array(true, Reader::i32)?
                    } else {
                        Some(r.array_of(true, Reader::i32)?)
                    }
                }
                8 if body_version >= 1 => {
                    directories = if body_version >= 1 {
                        r.nullable_array(true, Reader::uuid)?
                    } else {
                        Some(r.array_of(true, Reader::uuid)?)
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(PartitionChangeRecord {
            partition_id,
            topic_id,
            isr,
            leader,
            replicas,
            removing_replicas,
            adding_replicas,
            leader_recovery_state,
            directories,
            eligible_leader_replicas,
            last_known_elr,
        })
    }
}

impl PartitionChangeRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=2;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "PartitionChangeRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FenceBrokerRecord {
    pub id: i32,
    pub epoch: i64,
}

impl FenceBrokerRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.id);
        wire::put_i64(out, self.epoch);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.i32()?;
        let epoch = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(FenceBrokerRecord { id, epoch })
    }
}

impl FenceBrokerRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "FenceBrokerRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UnfenceBrokerRecord {
    pub id: i32,
    pub epoch: i64,
}

impl UnfenceBrokerRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.id);
        wire::put_i64(out, self.epoch);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.i32()?;
        let epoch = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(UnfenceBrokerRecord { id, epoch })
    }
}

impl UnfenceBrokerRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "UnfenceBrokerRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RemoveTopicRecord {
    pub topic_id: Uuid,
}

impl RemoveTopicRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.topic_id);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_id = r.uuid()?;
        r.skip_tagged_fields()?;
        Ok(RemoveTopicRecord { topic_id })
    }
}

impl RemoveTopicRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RemoveTopicRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DelegationTokenRecord {
    pub owner: String,
    pub requester: String,
    pub renewers: Vec<String>,
    pub issue_timestamp: i64,
    pub max_timestamp: i64,
    pub expiration_timestamp: i64,
    pub token_id: String,
}

impl DelegationTokenRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.owner, true);
        wire::put_string(out, &self.requester, true);
        wire::put_length(out, Some(self.renewers.len()), true);
        for element in &self.renewers {
            wire::put_string(out, element, true);
        }
        wire::put_i64(out, self.issue_timestamp);
        wire::put_i64(out, self.max_timestamp);
        wire::put_i64(out, self.expiration_timestamp);
        wire::put_string(out, &self.token_id, true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let owner = r.string(true)?.to_owned();
        let requester = r.string(true)?.to_owned();
        let renewers = r.array_of(true, |r| r.string(true).map(String::from))?;
        let issue_timestamp = r.i64()?;
        let max_timestamp = r.i64()?;
        let expiration_timestamp = r.i64()?;
        let token_id = r.string(true)?.to_owned();
        r.skip_tagged_fields()?;
        Ok(DelegationTokenRecord {
            owner,
            requester,
            renewers,
            issue_timestamp,
            max_timestamp,
            expiration_timestamp,
            token_id,
        })
    }
}

impl DelegationTokenRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "DelegationTokenRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UserScramCredentialRecord {
    pub name: String,
    pub mechanism: i8,
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
    pub iterations: i32,
}

impl UserScramCredentialRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_i8(out, self.mechanism);
        wire::put_bytes(out, &self.salt, true);
        wire::put_bytes(out, &self.stored_key, true);
        wire::put_bytes(out, &self.server_key, true);
        wire::put_i32(out, self.iterations);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let mechanism = r.i8()?;
        let salt = r.bytes(true)?.to_vec();
        let stored_key = r.bytes(true)?.to_vec();
        let server_key = r.bytes(true)?.to_vec();
        let iterations = r.i32()?;
        r.skip_tagged_fields()?;
        Ok(UserScramCredentialRecord { name, mechanism, salt, stored_key, server_key, iterations })
    }
}

impl UserScramCredentialRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "UserScramCredentialRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FeatureLevelRecord {
    pub name: String,
    pub feature_level: i16,
}

impl FeatureLevelRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_i16(out, self.feature_level);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let feature_level = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(FeatureLevelRecord { name, feature_level })
    }
}

impl FeatureLevelRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "FeatureLevelRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ClientQuotaRecord {
    pub entity: Vec<ClientQuotaEntityData>,
    pub key: String,
    pub value: f64,
    pub remove: bool,
}

impl ClientQuotaRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_length(out, Some(self.entity.len()), true);
        for element in &self.entity {
            element.write(body_version, out);
        }
        wire::put_string(out, &self.key, true);
        wire::put_f64(out, self.value);
        wire::put_bool(out, self.remove);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let entity = r.array_of(true, |r| ClientQuotaEntityData::read(body_version, r))?;
        let key = r.string(true)?.to_owned();
        let value = r.f64()?;
        let remove = r.bool()?;
        r.skip_tagged_fields()?;
        Ok(ClientQuotaRecord { entity, key, value, remove })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientQuotaEntityData {
    pub entity_type: String,
    pub entity_name: Option<String>,
}

impl Default for ClientQuotaEntityData {
    fn default() -> Self {
        ClientQuotaEntityData { entity_type: String::new(), entity_name: Some(String::new()) }
    }
}

impl ClientQuotaEntityData {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.entity_type, true);
        wire::put_nullable_string(out, self.entity_name.as_deref(), true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let entity_type = r.string(true)?.to_owned();
        let entity_name = r.nullable_string(true)?.map(String::from);
        r.skip_tagged_fields()?;
        Ok(ClientQuotaEntityData { entity_type, entity_name })
    }
}

impl ClientQuotaRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ClientQuotaRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub next_producer_id: i64,
}

impl Default for ProducerIdsRecord {
    fn default() -> Self {
        ProducerIdsRecord { broker_id: 0, broker_epoch: -1, next_producer_id: 0 }
    }
}

impl ProducerIdsRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.broker_id);
        wire::put_i64(out, self.broker_epoch);
        wire::put_i64(out, self.next_producer_id);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let broker_id = r.i32()?;
        let broker_epoch = r.i64()?;
        let next_producer_id = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id })
    }
}

impl ProducerIdsRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ProducerIdsRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub fenced: i8,
    pub in_controlled_shutdown: i8,
    pub log_dirs: Vec<Uuid>,
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl BrokerRegistrationChangeRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.broker_id);
        wire::put_i64(out, self.broker_epoch);
        let has_fenced = self.fenced != 0;
        let has_in_controlled_shutdown = body_version >= 1 && self.in_controlled_shutdown != 0;
        let has_log_dirs = body_version >= 2 && !self.log_dirs.is_empty();
        let has_cordoned_log_dirs = body_version >= 3 && self.cordoned_log_dirs.is_some();
        wire::put_unsigned_varint(
            out,
            u32::from(has_fenced)
                + u32::from(has_in_controlled_shutdown)
                + u32::from(has_log_dirs)
                + u32::from(has_cordoned_log_dirs),
        );
        if has_fenced {
            wire::put_tagged(out, 0, |out| {
                wire::put_i8(out, self.fenced);
            });
        }
        if has_in_controlled_shutdown {
            wire::put_tagged(out, 1, |out| {
                wire::put_i8(out, self.in_controlled_shutdown);
            });
        }
        if has_log_dirs {
            wire::put_tagged(out, 2, |out| {
                wire::put_length(out, Some(self.log_dirs.len()), true);
                for element in &self.log_dirs {
                    wire::put_uuid(out, *element);
                }
            });
        }
        if has_cordoned_log_dirs {
            wire::put_tagged(out, 3, |out| {
                wire::put_length(
                    out,
                    self.cordoned_log_dirs.as_ref().map(Vec::len).or(if body_version >= 3 { None } else { Some(0) }),
                    true,
                );
                for element in self.cordoned_log_dirs.iter().flatten() {
                    wire::put_uuid(out, *element);
                }
            });
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let broker_id = r.i32()?;
        let broker_epoch = r.i64()?;
        let mut fenced = 0;
        let mut in_controlled_shutdown = 0;
        let mut log_dirs = Vec::new();
        let mut cordoned_log_dirs = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => fenced = r.i8()?,
                1 if body_version >= 1 => in_controlled_shutdown = r.i8()?,
                2 if body_version >= 2 => log_dirs = r.array_of(true, Reader::uuid)?,
                3 if body_version >= 3 => {
                    cordoned_log_dirs = if body_version >= 3 {
                        r.nullable_array(true, Reader::uuid)?
                    } else {
                        Some(r.array_of(true, Reader::uuid)?)
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            fenced,
            in_controlled_shutdown,
            log_dirs,
            cordoned_log_dirs,
        })
    }
}

impl BrokerRegistrationChangeRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=3;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "BrokerRegistrationChangeRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AccessControlEntryRecord {
    pub id: Uuid,
    pub resource_type: i8,
    pub resource_name: String,
    pub pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission_type: i8,
}

impl AccessControlEntryRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.id);
        wire::put_i8(out, self.resource_type);
        wire::put_string(out, &self.resource_name, true);
        wire::put_i8(out, self.pattern_type);
        wire::put_string(out, &self.principal, true);
        wire::put_string(out, &self.host, true);
        wire::put_i8(out, self.operation);
        wire::put_i8(out, self.permission_type);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.uuid()?;
        let resource_type = r.i8()?;
        let resource_name = r.string(true)?.to_owned();
        let pattern_type = r.i8()?;
        let principal = r.string(true)?.to_owned();
        let host = r.string(true)?.to_owned();
        let operation = r.i8()?;
        let permission_type = r.i8()?;
        r.skip_tagged_fields()?;
        Ok(AccessControlEntryRecord {
            id,
            resource_type,
            resource_name,
            pattern_type,
            principal,
            host,
            operation,
            permission_type,
        })
    }
}

impl AccessControlEntryRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "AccessControlEntryRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RemoveAccessControlEntryRecord {
    pub id: Uuid,
}

impl RemoveAccessControlEntryRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_uuid(out, self.id);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.uuid()?;
        r.skip_tagged_fields()?;
        Ok(RemoveAccessControlEntryRecord { id })
    }
}

impl RemoveAccessControlEntryRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RemoveAccessControlEntryRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NoOpRecord {}

impl NoOpRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.skip_tagged_fields()?;
        Ok(NoOpRecord {})
    }
}

impl NoOpRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "NoOpRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ZkMigrationStateRecord {
    pub zk_migration_state: i8,
}

impl ZkMigrationStateRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i8(out, self.zk_migration_state);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let zk_migration_state = r.i8()?;
        r.skip_tagged_fields()?;
        Ok(ZkMigrationStateRecord { zk_migration_state })
    }
}

impl ZkMigrationStateRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ZkMigrationStateRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RemoveUserScramCredentialRecord {
    pub name: String,
    pub mechanism: i8,
}

impl RemoveUserScramCredentialRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_i8(out, self.mechanism);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let mechanism = r.i8()?;
        r.skip_tagged_fields()?;
        Ok(RemoveUserScramCredentialRecord { name, mechanism })
    }
}

impl RemoveUserScramCredentialRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RemoveUserScramCredentialRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BeginTransactionRecord {
    pub name: Option<String>,
}

impl BeginTransactionRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        let has_name = self.name.is_some();
        wire::put_unsigned_varint(out, u32::from(has_name));
        if has_name {
            wire::put_tagged(out, 0, |out| {
                wire::put_nullable_string(out, self.name.as_deref(), true);
            });
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut name = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => name = r.nullable_string(true)?.map(String::from),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(BeginTransactionRecord { name })
    }
}

impl BeginTransactionRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "BeginTransactionRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EndTransactionRecord {}

impl EndTransactionRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.skip_tagged_fields()?;
        Ok(EndTransactionRecord {})
    }
}

impl EndTransactionRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "EndTransactionRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AbortTransactionRecord {
    pub reason: Option<String>,
}

impl AbortTransactionRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        let has_reason = self.reason.is_some();
        wire::put_unsigned_varint(out, u32::from(has_reason));
        if has_reason {
            wire::put_tagged(out, 0, |out| {
                wire::put_nullable_string(out, self.reason.as_deref(), true);
            });
        }
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut reason = None;
        r.tagged_fields(|tag, r| {
            match tag {
                0 => reason = r.nullable_string(true)?.map(String::from),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(AbortTransactionRecord { reason })
    }
}

impl AbortTransactionRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "AbortTransactionRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RemoveDelegationTokenRecord {
    pub token_id: String,
}

impl RemoveDelegationTokenRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.token_id, true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let token_id = r.string(true)?.to_owned();
        r.skip_tagged_fields()?;
        Ok(RemoveDelegationTokenRecord { token_id })
    }
}

impl RemoveDelegationTokenRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RemoveDelegationTokenRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegisterControllerRecord {
    pub controller_id: i32,
    pub incarnation_id: Uuid,
    pub zk_migration_ready: bool,
    pub end_points: Vec<RegisterControllerControllerEndpoint>,
    pub features: Vec<RegisterControllerControllerFeature>,
}

impl RegisterControllerRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.controller_id);
        wire::put_uuid(out, self.incarnation_id);
        wire::put_bool(out, self.zk_migration_ready);
        wire::put_length(out, Some(self.end_points.len()), true);
        for element in &self.end_points {
            element.write(body_version, out);
        }
        wire::put_length(out, Some(self.features.len()), true);
        for element in &self.features {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let controller_id = r.i32()?;
        let incarnation_id = r.uuid()?;
        let zk_migration_ready = r.bool()?;
        let end_points = r.array_of(true, |r| RegisterControllerControllerEndpoint::read(body_version, r))?;
        let features = r.array_of(true, |r| RegisterControllerControllerFeature::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(RegisterControllerRecord { controller_id, incarnation_id, zk_migration_ready, end_points, features })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegisterControllerControllerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

impl RegisterControllerControllerEndpoint {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_string(out, &self.host, true);
        wire::put_u16(out, self.port);
        wire::put_i16(out, self.security_protocol);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let host = r.string(true)?.to_owned();
        let port = r.u16()?;
        let security_protocol = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(RegisterControllerControllerEndpoint { name, host, port, security_protocol })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegisterControllerControllerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

impl RegisterControllerControllerFeature {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_i16(out, self.min_supported_version);
        wire::put_i16(out, self.max_supported_version);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let min_supported_version = r.i16()?;
        let max_supported_version = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(RegisterControllerControllerFeature { name, min_supported_version, max_supported_version })
    }
}

impl RegisterControllerRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "RegisterControllerRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClearElrRecord {
    pub topic_name: String,
}

impl ClearElrRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.topic_name, true);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic_name = r.string(true)?.to_owned();
        r.skip_tagged_fields()?;
        Ok(ClearElrRecord { topic_name })
    }
}

impl ClearElrRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "ClearElrRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KRaftVersionRecord {
    pub version: i16,
    pub kraft_version: i16,
}

impl KRaftVersionRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.version);
        wire::put_i16(out, self.kraft_version);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.i16()?;
        let kraft_version = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(KRaftVersionRecord { version, kraft_version })
    }
}

impl KRaftVersionRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "KRaftVersionRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeaderChangeMessage {
    pub version: i16,
    pub leader_id: i32,
    pub voters: Vec<LeaderChangeMessageVoter>,
    pub granting_voters: Vec<LeaderChangeMessageVoter>,
}

impl LeaderChangeMessage {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.version);
        wire::put_i32(out, self.leader_id);
        wire::put_length(out, Some(self.voters.len()), true);
        for element in &self.voters {
            element.write(body_version, out);
        }
        wire::put_length(out, Some(self.granting_voters.len()), true);
        for element in &self.granting_voters {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.i16()?;
        let leader_id = r.i32()?;
        let voters = r.array_of(true, |r| LeaderChangeMessageVoter::read(body_version, r))?;
        let granting_voters = r.array_of(true, |r| LeaderChangeMessageVoter::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(LeaderChangeMessage { version, leader_id, voters, granting_voters })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeaderChangeMessageVoter {
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
}

impl LeaderChangeMessageVoter {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.voter_id);
        if body_version >= 1 {
            wire::put_uuid(out, self.voter_directory_id);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let voter_id = r.i32()?;
        let voter_directory_id = if body_version >= 1 { r.uuid()? } else { Uuid::nil() };
        r.skip_tagged_fields()?;
        Ok(LeaderChangeMessageVoter { voter_id, voter_directory_id })
    }
}

impl LeaderChangeMessage {
    pub const VERSIONS: RangeInclusive<i16> = 0..=1;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "LeaderChangeMessage has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SnapshotFooterRecord {
    pub version: i16,
}

impl SnapshotFooterRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.version);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(SnapshotFooterRecord { version })
    }
}

impl SnapshotFooterRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "SnapshotFooterRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SnapshotHeaderRecord {
    pub version: i16,
    pub last_contained_log_timestamp: i64,
}

impl SnapshotHeaderRecord {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.version);
        wire::put_i64(out, self.last_contained_log_timestamp);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.i16()?;
        let last_contained_log_timestamp = r.i64()?;
        r.skip_tagged_fields()?;
        Ok(SnapshotHeaderRecord { version, last_contained_log_timestamp })
    }
}

impl SnapshotHeaderRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "SnapshotHeaderRecord has no version {version}");
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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VotersRecord {
    pub version: i16,
    pub voters: Vec<VotersVoter>,
}

impl VotersRecord {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.version);
        wire::put_length(out, Some(self.voters.len()), true);
        for element in &self.voters {
            element.write(body_version, out);
        }
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.i16()?;
        let voters = r.array_of(true, |r| VotersVoter::read(body_version, r))?;
        r.skip_tagged_fields()?;
        Ok(VotersRecord { version, voters })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VotersVoter {
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub endpoints: Vec<VotersEndpoint>,
    pub kraft_version_feature: VotersKRaftVersionFeature,
}

impl VotersVoter {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        wire::put_i32(out, self.voter_id);
        wire::put_uuid(out, self.voter_directory_id);
        wire::put_length(out, Some(self.endpoints.len()), true);
        for element in &self.endpoints {
            element.write(body_version, out);
        }
        self.kraft_version_feature.write(body_version, out);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let voter_id = r.i32()?;
        let voter_directory_id = r.uuid()?;
        let endpoints = r.array_of(true, |r| VotersEndpoint::read(body_version, r))?;
        let kraft_version_feature = VotersKRaftVersionFeature::read(body_version, r)?;
        r.skip_tagged_fields()?;
        Ok(VotersVoter { voter_id, voter_directory_id, endpoints, kraft_version_feature })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VotersEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
}

impl VotersEndpoint {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.name, true);
        wire::put_string(out, &self.host, true);
        wire::put_u16(out, self.port);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.string(true)?.to_owned();
        let host = r.string(true)?.to_owned();
        let port = r.u16()?;
        r.skip_tagged_fields()?;
        Ok(VotersEndpoint { name, host, port })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VotersKRaftVersionFeature {
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

impl VotersKRaftVersionFeature {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, self.min_supported_version);
        wire::put_i16(out, self.max_supported_version);
        wire::put_unsigned_varint(out, 0);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let min_supported_version = r.i16()?;
        let max_supported_version = r.i16()?;
        r.skip_tagged_fields()?;
        Ok(VotersKRaftVersionFeature { min_supported_version, max_supported_version })
    }
}

impl VotersRecord {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "VotersRecord has no version {version}");
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
