//! A key or value out of a log whose checksum matched but whose writer is unknown.
//!
//! The first byte chooses between a metadata record, a coordinator key, and one of the coordinator's values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena::state::group::generated::*;
use milena::state::metadata::generated::MetadataRecord;

/// What was read must write something that reads the same.
macro_rules! again {
    ($record:ident, $bytes:ident) => {
        if let Ok(record) = $record::decode_framed($bytes) {
            let version = i16::from_be_bytes([$bytes[0], $bytes[1]]).min(*$record::VERSIONS.end());
            let mut out = Vec::new();
            record.encode_framed(version, &mut out);
            assert_eq!($record::decode_framed(&out), Ok(record));
        }
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    match choice % 12 {
        0 => {
            if let Ok((record, version)) = MetadataRecord::decode_framed(bytes) {
                let mut out = Vec::new();
                record.encode_framed(version, &mut out);
                let (again, _) = MetadataRecord::decode_framed(&out).expect("what was written reads");
                // A quota may be NaN, which is not equal to itself; its bytes are.
                let mut twice = Vec::new();
                again.encode_framed(version, &mut twice);
                assert_eq!(out, twice);
            }
        }
        1 => {
            if let Ok(key) = CoordinatorKey::decode_framed(bytes) {
                let mut out = Vec::new();
                key.encode_framed(&mut out);
                assert_eq!(CoordinatorKey::decode_framed(&out), Ok(key));
            }
        }
        2 => again!(OffsetCommitValue, bytes),
        3 => again!(GroupMetadataValue, bytes),
        4 => again!(ConsumerGroupMetadataValue, bytes),
        5 => again!(ConsumerGroupMemberMetadataValue, bytes),
        6 => again!(ConsumerGroupCurrentMemberAssignmentValue, bytes),
        7 => again!(ConsumerGroupTargetAssignmentMemberValue, bytes),
        8 => again!(ConsumerGroupTargetAssignmentMetadataValue, bytes),
        9 => again!(ConsumerGroupRegularExpressionValue, bytes),
        10 => again!(ConsumerProtocolSubscription, bytes),
        _ => again!(ConsumerProtocolAssignment, bytes),
    }
});
