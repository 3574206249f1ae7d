//! The generated codecs of stored records write the very bytes that Kafka writes, and read nothing they should not.
//!
//! `golden/records.tsv` was written by Kafka's own classes (scripts/RecordVectors.java), every kind in every version.

use milena::state::group::generated as group;
use milena::state::group::generated::*;
use milena::state::metadata::generated as metadata;
use milena::state::metadata::generated::*;
use milena::state::transaction::generated::{TransactionLogKey, TransactionLogValue};
use milena::wire::{DecodeError, Reason};
use uuid::Uuid;

/// Decodes and encodes again.
type Again = fn(i16, &[u8]) -> Result<Vec<u8>, DecodeError>;

macro_rules! codecs {
    ($($record:ident)*) => {
        vec![$((stringify!($record), $record::VERSIONS, (|version, body| {
            let record = $record::decode(version, body)?;
            let mut out = Vec::new();
            record.encode(version, &mut out);
            Ok(out)
        }) as Again, (|version| {
            let mut out = Vec::new();
            $record::default().encode(version, &mut out);
            out
        }) as fn(i16) -> Vec<u8>)),*]
    };
}

#[allow(clippy::type_complexity)]
fn codecs() -> Vec<(&'static str, std::ops::RangeInclusive<i16>, Again, fn(i16) -> Vec<u8>)> {
    codecs! {
        AbortTransactionRecord AccessControlEntryRecord BeginTransactionRecord BrokerRegistrationChangeRecord
        ClearElrRecord ClientQuotaRecord ConfigRecord ConsumerGroupCurrentMemberAssignmentKey
        ConsumerGroupCurrentMemberAssignmentValue ConsumerGroupMemberMetadataKey ConsumerGroupMemberMetadataValue
        ConsumerGroupMetadataKey ConsumerGroupMetadataValue ConsumerGroupPartitionMetadataKey
        ConsumerGroupPartitionMetadataValue ConsumerGroupRegularExpressionKey ConsumerGroupRegularExpressionValue
        ConsumerGroupTargetAssignmentMemberKey ConsumerGroupTargetAssignmentMemberValue
        ConsumerGroupTargetAssignmentMetadataKey ConsumerGroupTargetAssignmentMetadataValue ConsumerProtocolAssignment
        ConsumerProtocolSubscription DelegationTokenRecord EndTransactionRecord FeatureLevelRecord FenceBrokerRecord
        GroupMetadataKey GroupMetadataValue KRaftVersionRecord LeaderChangeMessage LegacyOffsetCommitKey
        LegacyOffsetCommitValue NoOpRecord OffsetCommitKey OffsetCommitValue PartitionChangeRecord PartitionRecord
        ProducerIdsRecord RegisterBrokerRecord RegisterControllerRecord RemoveAccessControlEntryRecord
        RemoveDelegationTokenRecord RemoveTopicRecord RemoveUserScramCredentialRecord SnapshotFooterRecord
        SnapshotHeaderRecord TopicRecord TransactionLogKey TransactionLogValue UnfenceBrokerRecord UnregisterBrokerRecord UserScramCredentialRecord
        VotersRecord ZkMigrationStateRecord
    }
}

fn golden() -> Vec<(String, i16, Vec<u8>)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.tsv")).expect("text");
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[0].to_owned(), columns[1].parse().expect("a version"), unhex(columns[2]))
    });
    rows.collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// Lessons 41, 42: structs of one name in two messages, nulls with an upper bound, defaults that are not zero: all of them
/// occur here.
#[test]
fn every_record_kafka_wrote_reads_and_writes_back_byte_for_byte() {
    let golden = golden();
    let mut failures = Vec::new();
    for (name, versions, again, _) in codecs() {
        for version in versions {
            let mut bodies = golden.iter().filter(|row| row.0 == name && row.1 == version).peekable();
            assert!(bodies.peek().is_some(), "{name} v{version} has no golden body");
            for (_, _, body) in bodies {
                let written = again(version, body);
                if written.as_ref() != Ok(body) {
                    failures.push(format!("{name} v{version}: {body:02x?}\n  {written:02x?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The first golden body of each version is Kafka's new object, nothing set.
#[test]
fn defaults_are_kafkas_defaults() {
    let golden = golden();
    for (name, versions, _, default) in codecs() {
        for version in versions {
            let kafkas = &golden.iter().find(|row| row.0 == name && row.1 == version).expect("golden").2;
            assert_eq!(&default(version), kafkas, "{name} v{version}");
        }
    }
}

/// Lesson 43: bytes behind a body are an error.
#[test]
fn a_record_cut_short_or_too_long_or_of_an_unknown_version_is_refused() {
    let golden = golden();
    for (name, versions, again, _) in codecs() {
        for (_, version, body) in golden.iter().filter(|row| row.0 == name) {
            for end in 0..body.len() {
                assert!(again(*version, &body[..end]).is_err(), "{name} v{version} cut at {end}: {body:02x?}");
            }
            let longer = [&body[..], &[0]].concat();
            assert_eq!(again(*version, &longer).unwrap_err().reason, Reason::TrailingBytes(1), "{name} v{version}");
        }
        let next = versions.end() + 1;
        assert_eq!(again(next, &[]).unwrap_err().reason, Reason::UnsupportedVersion(next), "{name}");
        assert_eq!(again(-1, &[]).unwrap_err().reason, Reason::UnsupportedVersion(-1), "{name}");
    }
}

/// I69: what a newer Kafka adds as a tagged field does not stop an older reader.
#[test]
fn an_unknown_tagged_field_is_passed_over() {
    let mut body = Vec::new();
    FeatureLevelRecord { name: "metadata.version".into(), feature_level: 29 }.encode(0, &mut body);
    assert_eq!(body.pop(), Some(0));
    body.extend_from_slice(&[1, 77, 3, 1, 2, 3]);
    let read = FeatureLevelRecord::decode(0, &body).expect("readable");
    assert_eq!((read.name.as_str(), read.feature_level), ("metadata.version", 29));
}

#[test]
fn fields_land_where_their_names_say() {
    let body = unhex("0000000000000007000000020002ff610000018bcfe56800");
    assert_eq!(OffsetCommitValue::decode(3, &body).unwrap_err().reason, Reason::NotUtf8);
    let body = unhex("000000000000000700000002000261620000018bcfe56800");
    let read = OffsetCommitValue::decode(3, &body).expect("readable");
    let expected = OffsetCommitValue {
        offset: 7,
        leader_epoch: 2,
        metadata: "ab".into(),
        commit_timestamp: 1_700_000_000_000,
        expire_timestamp: -1,
        topic_id: Uuid::nil(),
    };
    assert_eq!(read, expected);
}

#[test]
fn coordinator_keys_carry_their_kind_and_unknown_kinds_are_told_apart() {
    let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
    let mut bytes = Vec::new();
    key.encode_framed(&mut bytes);
    assert_eq!(bytes, unhex("000100016700017400000003"));
    assert_eq!(CoordinatorKey::decode_framed(&bytes), Ok(CoordinatorKey::OffsetCommit(key)));
    assert_eq!(CoordinatorKey::decode_framed(&[0, 99, 1, 2]), Ok(CoordinatorKey::Unknown(99)));
    assert!(CoordinatorKey::decode_framed(&[0]).is_err());

    let value = group::ConsumerGroupMetadataValue { epoch: 5, metadata_hash: 9 };
    let mut bytes = Vec::new();
    value.encode_framed(0, &mut bytes);
    assert_eq!(group::ConsumerGroupMetadataValue::decode_framed(&bytes), Ok(value));
}

#[test]
fn metadata_records_are_framed_as_kafka_frames_them() {
    let record: MetadataRecord = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 29 }.into();
    let mut bytes = Vec::new();
    record.encode_framed(0, &mut bytes);
    assert_eq!(bytes[..3], [1, 12, 0]);
    assert_eq!(MetadataRecord::decode_framed(&bytes), Ok((record, 0)));

    let refused = |bytes: &[u8]| MetadataRecord::decode_framed(bytes).unwrap_err().reason;
    assert_eq!(refused(&[0, 12, 0]), Reason::UnsupportedFrame(0));
    assert_eq!(refused(&[1, 99, 0]), Reason::UnknownKind(99));
    assert_eq!(refused(&[1, 12, 1]), Reason::UnsupportedVersion(1));
    assert_eq!(refused(&[1, 20, 0, 0, 0]), Reason::TrailingBytes(1));
}

/// Members may be newer than the broker: a later version only adds fields at the end.
#[test]
fn a_subscription_of_a_newer_version_is_read_as_far_as_it_is_known() {
    let subscription =
        ConsumerProtocolSubscription { topics: vec!["t".into()], generation_id: 4, ..Default::default() };
    let mut bytes = Vec::new();
    subscription.encode_framed(3, &mut bytes);
    assert_eq!(ConsumerProtocolSubscription::decode_framed(&bytes), Ok(subscription.clone()));
    bytes[1] = 9;
    bytes.extend_from_slice(b"what a later version adds");
    assert_eq!(ConsumerProtocolSubscription::decode_framed(&bytes), Ok(subscription));
    assert!(ConsumerProtocolSubscription::decode_framed(&[0xff, 0xff]).is_err());
}

#[test]
fn a_partition_change_writes_only_what_it_changes() {
    let change = metadata::PartitionChangeRecord { partition_id: 1, leader: 2, ..Default::default() };
    let mut bytes = Vec::new();
    change.encode(2, &mut bytes);
    assert_eq!(bytes.len(), 4 + 16 + 1 + 2 + 4);
    assert_eq!(metadata::PartitionChangeRecord::decode(2, &bytes), Ok(change));
}
