//! The codes that simulated clients tell apart, as they stand in answers.

use crate::types::ErrorCode;

pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = ErrorCode::CoordinatorLoadInProgress.code();
pub const COORDINATOR_NOT_AVAILABLE: i16 = ErrorCode::CoordinatorNotAvailable.code();
pub const ILLEGAL_GENERATION: i16 = ErrorCode::IllegalGeneration.code();
pub const KAFKA_STORAGE_ERROR: i16 = ErrorCode::KafkaStorageError.code();
pub const MEMBER_ID_REQUIRED: i16 = ErrorCode::MemberIdRequired.code();
pub const NOT_CONTROLLER: i16 = ErrorCode::NotController.code();
pub const NOT_COORDINATOR: i16 = ErrorCode::NotCoordinator.code();
pub const OFFSET_OUT_OF_RANGE: i16 = ErrorCode::OffsetOutOfRange.code();
pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = ErrorCode::OutOfOrderSequenceNumber.code();
pub const POLICY_VIOLATION: i16 = ErrorCode::PolicyViolation.code();
pub const REBALANCE_IN_PROGRESS: i16 = ErrorCode::RebalanceInProgress.code();
pub const REQUEST_TIMED_OUT: i16 = ErrorCode::RequestTimedOut.code();
pub const TOPIC_ALREADY_EXISTS: i16 = ErrorCode::TopicAlreadyExists.code();
pub const UNKNOWN_MEMBER_ID: i16 = ErrorCode::UnknownMemberId.code();
pub const UNKNOWN_TOPIC_ID: i16 = ErrorCode::UnknownTopicId.code();
pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = ErrorCode::UnknownTopicOrPartition.code();

/// Does the broker say that it cannot now? Whoever asked does so again.
pub fn passes(code: i16) -> bool {
    [
        REQUEST_TIMED_OUT,
        KAFKA_STORAGE_ERROR,
        NOT_CONTROLLER,
        NOT_COORDINATOR,
        COORDINATOR_NOT_AVAILABLE,
        COORDINATOR_LOAD_IN_PROGRESS,
    ]
    .contains(&code)
}
