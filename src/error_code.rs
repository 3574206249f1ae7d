//! Kafka's error codes as a type: what a client is told, by the name the protocol gives it.
//!
//! Codes and meanings follow Apache Kafka 4.4's `Errors`. An `ErrorCode` is chosen once, where the fact is known
//! (ARCHITECTURE.md), and travels unchanged into the response.

use std::fmt;

macro_rules! error_codes {
    ($($code:literal $variant:ident $name:literal $meaning:literal;)*) => {
        /// An answer to a client. The doc line of each says what the client is to make of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ErrorCode { $(#[doc = $meaning] $variant = $code,)* }

        impl ErrorCode {
            /// Every code there is, in the order of its number.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The name as the protocol spells it, for logs and messages.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The code of that number, if the protocol has one.
            pub fn from_code(code: i16) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$variant),)* _ => None }
            }
        }
    };
}

error_codes! {
    -1 UnknownServerError "UNKNOWN_SERVER_ERROR" "unexpected server fault; clients surface it, do not retry blindly";
    0 None "NONE" "success";
    1 OffsetOutOfRange "OFFSET_OUT_OF_RANGE" "fetch offset outside [log start, log end]; consumer applies auto.offset.reset";
    2 CorruptMessage "CORRUPT_MESSAGE" "batch CRC/size/format check failed";
    3 UnknownTopicOrPartition "UNKNOWN_TOPIC_OR_PARTITION" "no such topic or partition on this broker; clients refresh metadata and retry";
    4 InvalidFetchSize "INVALID_FETCH_SIZE" "fetch size not usable";
    5 LeaderNotAvailable "LEADER_NOT_AVAILABLE" "leader election under way (also returned while an auto-created topic is not ready)";
    6 NotLeaderOrFollower "NOT_LEADER_OR_FOLLOWER" "request reached a non-leader; refresh metadata";
    7 RequestTimedOut "REQUEST_TIMED_OUT" "request deadline passed on the server (e.g. acks=all not reached in time)";
    8 BrokerNotAvailable "BROKER_NOT_AVAILABLE" "named broker not there (legacy)";
    9 ReplicaNotAvailable "REPLICA_NOT_AVAILABLE" "replica not here or not caught up";
    10 MessageTooLarge "MESSAGE_TOO_LARGE" "single batch or record above max.message.bytes";
    11 StaleControllerEpoch "STALE_CONTROLLER_EPOCH" "older controller epoch";
    12 OffsetMetadataTooLarge "OFFSET_METADATA_TOO_LARGE" "offset commit metadata string above offset.metadata.max.bytes (4096)";
    13 NetworkException "NETWORK_EXCEPTION" "connection dropped before a reply (client side only)";
    14 CoordinatorLoadInProgress "COORDINATOR_LOAD_IN_PROGRESS" "coordinator is still loading its state partition";
    15 CoordinatorNotAvailable "COORDINATOR_NOT_AVAILABLE" "coordinator topic not available; retry FindCoordinator";
    16 NotCoordinator "NOT_COORDINATOR" "this broker is not the coordinator; redo FindCoordinator";
    17 InvalidTopicException "INVALID_TOPIC_EXCEPTION" "illegal topic name, or direct use of a protected internal topic";
    18 RecordListTooLarge "RECORD_LIST_TOO_LARGE" "request's batch larger than the segment size";
    19 NotEnoughReplicas "NOT_ENOUGH_REPLICAS" "ISR below min.insync.replicas before append";
    20 NotEnoughReplicasAfterAppend "NOT_ENOUGH_REPLICAS_AFTER_APPEND" "append done but ISR fell below min.insync.replicas";
    21 InvalidRequiredAcks "INVALID_REQUIRED_ACKS" "acks not in {-1,0,1}";
    22 IllegalGeneration "ILLEGAL_GENERATION" "generation id is stale; rejoin";
    23 InconsistentGroupProtocol "INCONSISTENT_GROUP_PROTOCOL" "no shared protocol type/name between members";
    24 InvalidGroupId "INVALID_GROUP_ID" "empty or illegal group id";
    25 UnknownMemberId "UNKNOWN_MEMBER_ID" "member id unknown to coordinator; reset id and rejoin";
    26 InvalidSessionTimeout "INVALID_SESSION_TIMEOUT" "session timeout outside group.min/max.session.timeout.ms";
    27 RebalanceInProgress "REBALANCE_IN_PROGRESS" "rebalance running; rejoin";
    28 InvalidCommitOffsetSize "INVALID_COMMIT_OFFSET_SIZE" "offset commit record too large";
    29 TopicAuthorizationFailed "TOPIC_AUTHORIZATION_FAILED" "no topic ACL";
    30 GroupAuthorizationFailed "GROUP_AUTHORIZATION_FAILED" "no group ACL";
    31 ClusterAuthorizationFailed "CLUSTER_AUTHORIZATION_FAILED" "no cluster ACL";
    32 InvalidTimestamp "INVALID_TIMESTAMP" "timestamp outside the topic's allowed difference";
    33 UnsupportedSaslMechanism "UNSUPPORTED_SASL_MECHANISM" "mechanism not enabled; response lists enabled ones";
    34 IllegalSaslState "ILLEGAL_SASL_STATE" "SASL bytes or request out of order";
    35 UnsupportedVersion "UNSUPPORTED_VERSION" "API version not supported; ApiVersions answers it in v0 shape with its supported list";
    36 TopicAlreadyExists "TOPIC_ALREADY_EXISTS" "topic name taken";
    37 InvalidPartitions "INVALID_PARTITIONS" "partition count < 1, or shrinking asked";
    38 InvalidReplicationFactor "INVALID_REPLICATION_FACTOR" "replication factor < 1 or more than live brokers";
    39 InvalidReplicaAssignment "INVALID_REPLICA_ASSIGNMENT" "manual assignment wrong";
    40 InvalidConfig "INVALID_CONFIG" "unknown/invalid config value";
    41 NotController "NOT_CONTROLLER" "not the active controller; retry there";
    42 InvalidRequest "INVALID_REQUEST" "malformed or contradictory request";
    43 UnsupportedForMessageFormat "UNSUPPORTED_FOR_MESSAGE_FORMAT" "operation needs newer record format";
    44 PolicyViolation "POLICY_VIOLATION" "rejected by create/alter policy";
    45 OutOfOrderSequenceNumber "OUT_OF_ORDER_SEQUENCE_NUMBER" "producer sequence gap";
    46 DuplicateSequenceNumber "DUPLICATE_SEQUENCE_NUMBER" "sequence already persisted; producer treats as success";
    47 InvalidProducerEpoch "INVALID_PRODUCER_EPOCH" "producer epoch older than the latest one";
    48 InvalidTxnState "INVALID_TXN_STATE" "transaction operation illegal in the current state";
    49 InvalidProducerIdMapping "INVALID_PRODUCER_ID_MAPPING" "transactional id maps to another producer id";
    50 InvalidTransactionTimeout "INVALID_TRANSACTION_TIMEOUT" "timeout above transaction.max.timeout.ms";
    51 ConcurrentTransactions "CONCURRENT_TRANSACTIONS" "previous transaction still completing; retry";
    52 TransactionCoordinatorFenced "TRANSACTION_COORDINATOR_FENCED" "old transaction coordinator epoch";
    53 TransactionalIdAuthorizationFailed "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" "no transactional-id ACL";
    54 SecurityDisabled "SECURITY_DISABLED" "authorizer not configured";
    55 OperationNotAttempted "OPERATION_NOT_ATTEMPTED" "step skipped because an earlier one failed";
    56 KafkaStorageError "KAFKA_STORAGE_ERROR" "disk fault on the leader's log dir";
    57 LogDirNotFound "LOG_DIR_NOT_FOUND" "log dir unknown";
    58 SaslAuthenticationFailed "SASL_AUTHENTICATION_FAILED" "authentication failed; carries a message, connection closes after it";
    59 UnknownProducerId "UNKNOWN_PRODUCER_ID" "producer state gone (expired/truncated)";
    60 ReassignmentInProgress "REASSIGNMENT_IN_PROGRESS" "reassignment already running";
    61 DelegationTokenAuthDisabled "DELEGATION_TOKEN_AUTH_DISABLED" "delegation tokens off (no secret key)";
    62 DelegationTokenNotFound "DELEGATION_TOKEN_NOT_FOUND" "token unknown";
    63 DelegationTokenOwnerMismatch "DELEGATION_TOKEN_OWNER_MISMATCH" "requester is not owner/renewer";
    64 DelegationTokenRequestNotAllowed "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" "tokens not allowed over this channel (needs TLS/SASL, not token auth)";
    65 DelegationTokenAuthorizationFailed "DELEGATION_TOKEN_AUTHORIZATION_FAILED" "no token ACL";
    66 DelegationTokenExpired "DELEGATION_TOKEN_EXPIRED" "token past expiry";
    67 InvalidPrincipalType "INVALID_PRINCIPAL_TYPE" "principal type not supported";
    68 NonEmptyGroup "NON_EMPTY_GROUP" "group has members; cannot delete/alter";
    69 GroupIdNotFound "GROUP_ID_NOT_FOUND" "no such group";
    70 FetchSessionIdNotFound "FETCH_SESSION_ID_NOT_FOUND" "fetch session evicted; client starts a full session";
    71 InvalidFetchSessionEpoch "INVALID_FETCH_SESSION_EPOCH" "fetch session epoch mismatch; client restarts session";
    72 ListenerNotFound "LISTENER_NOT_FOUND" "leader lacks the listener used by the client";
    73 TopicDeletionDisabled "TOPIC_DELETION_DISABLED" "delete.topic.enable=false";
    74 FencedLeaderEpoch "FENCED_LEADER_EPOCH" "client's leader epoch older than broker's; refresh metadata";
    75 UnknownLeaderEpoch "UNKNOWN_LEADER_EPOCH" "client's leader epoch newer than broker's; retry";
    76 UnsupportedCompressionType "UNSUPPORTED_COMPRESSION_TYPE" "codec not usable at this request version (zstd before Produce v7 / Fetch v10)";
    77 StaleBrokerEpoch "STALE_BROKER_EPOCH" "broker epoch stale";
    78 OffsetNotAvailable "OFFSET_NOT_AVAILABLE" "leader just elected, high watermark not yet usable";
    79 MemberIdRequired "MEMBER_ID_REQUIRED" "first JoinGroup (v4+) without id: broker answers with an id to use";
    80 PreferredLeaderNotAvailable "PREFERRED_LEADER_NOT_AVAILABLE" "preferred leader not in ISR";
    81 GroupMaxSizeReached "GROUP_MAX_SIZE_REACHED" "group at group.max.size";
    82 FencedInstanceId "FENCED_INSTANCE_ID" "static member replaced by another with same instance id";
    83 EligibleLeadersNotAvailable "ELIGIBLE_LEADERS_NOT_AVAILABLE" "no eligible leader";
    84 ElectionNotNeeded "ELECTION_NOT_NEEDED" "leader is already the wanted one";
    85 NoReassignmentInProgress "NO_REASSIGNMENT_IN_PROGRESS" "nothing to cancel";
    86 GroupSubscribedToTopic "GROUP_SUBSCRIBED_TO_TOPIC" "offsets of a topic still subscribed cannot be deleted";
    87 InvalidRecord "INVALID_RECORD" "record failed validation (e.g. no key on compacted topic)";
    88 UnstableOffsetCommit "UNSTABLE_OFFSET_COMMIT" "pending transactional offset commit; retry (require-stable)";
    89 ThrottlingQuotaExceeded "THROTTLING_QUOTA_EXCEEDED" "controller mutation quota hit (KIP-599)";
    90 ProducerFenced "PRODUCER_FENCED" "newer producer with same transactional id";
    91 ResourceNotFound "RESOURCE_NOT_FOUND" "resource (user/config) not found";
    92 DuplicateResource "DUPLICATE_RESOURCE" "duplicate entries in request";
    93 UnacceptableCredential "UNACCEPTABLE_CREDENTIAL" "SCRAM credential not acceptable (iterations, empty)";
    94 InconsistentVoterSet "INCONSISTENT_VOTER_SET" "voter set mismatch";
    95 InvalidUpdateVersion "INVALID_UPDATE_VERSION" "feature update version wrong";
    96 FeatureUpdateFailed "FEATURE_UPDATE_FAILED" "feature update failed";
    97 PrincipalDeserializationFailure "PRINCIPAL_DESERIALIZATION_FAILURE" "forwarded principal undecodable";
    98 SnapshotNotFound "SNAPSHOT_NOT_FOUND" "metadata snapshot missing";
    99 PositionOutOfRange "POSITION_OUT_OF_RANGE" "snapshot position outside file";
    100 UnknownTopicId "UNKNOWN_TOPIC_ID" "topic id unknown; refresh metadata and retry";
    101 DuplicateBrokerRegistration "DUPLICATE_BROKER_REGISTRATION" "broker id already registered by another incarnation";
    102 BrokerIdNotRegistered "BROKER_ID_NOT_REGISTERED" "broker id unknown";
    103 InconsistentTopicId "INCONSISTENT_TOPIC_ID" "topic id does not match log's";
    104 InconsistentClusterId "INCONSISTENT_CLUSTER_ID" "request carries another cluster's id";
    105 TransactionalIdNotFound "TRANSACTIONAL_ID_NOT_FOUND" "transactional id unknown";
    106 FetchSessionTopicIdError "FETCH_SESSION_TOPIC_ID_ERROR" "fetch session mixes topic ids and names";
    107 IneligibleReplica "INELIGIBLE_REPLICA" "replica not eligible for ISR";
    108 NewLeaderElected "NEW_LEADER_ELECTED" "leader changed during AlterPartition";
    109 OffsetMovedToTieredStorage "OFFSET_MOVED_TO_TIERED_STORAGE" "offset only in the remote tier (follower path)";
    110 FencedMemberEpoch "FENCED_MEMBER_EPOCH" "member epoch is not the current one (KIP-848); rejoin with epoch 0";
    111 UnreleasedInstanceId "UNRELEASED_INSTANCE_ID" "instance id still in use by a live member";
    112 UnsupportedAssignor "UNSUPPORTED_ASSIGNOR" "server assignor unknown";
    113 StaleMemberEpoch "STALE_MEMBER_EPOCH" "commit/fetch with a stale member epoch; retry after next heartbeat";
    114 MismatchedEndpointType "MISMATCHED_ENDPOINT_TYPE" "broker endpoint asked as controller or reverse";
    115 UnsupportedEndpointType "UNSUPPORTED_ENDPOINT_TYPE" "endpoint type not supported";
    116 UnknownControllerId "UNKNOWN_CONTROLLER_ID" "controller id unknown";
    117 UnknownSubscriptionId "UNKNOWN_SUBSCRIPTION_ID" "client telemetry subscription id outdated; re-get subscriptions";
    118 TelemetryTooLarge "TELEMETRY_TOO_LARGE" "telemetry payload above telemetry.max.bytes";
    119 InvalidRegistration "INVALID_REGISTRATION" "registration data invalid";
    120 TransactionAbortable "TRANSACTION_ABORTABLE" "abort the transaction, producer itself stays usable (KIP-890)";
    121 InvalidRecordState "INVALID_RECORD_STATE" "share-group record not in a state that allows this acknowledgement";
    122 ShareSessionNotFound "SHARE_SESSION_NOT_FOUND" "share session gone";
    123 InvalidShareSessionEpoch "INVALID_SHARE_SESSION_EPOCH" "share session epoch wrong";
    124 FencedStateEpoch "FENCED_STATE_EPOCH" "share/streams state epoch fenced";
    125 InvalidVoterKey "INVALID_VOTER_KEY" "voter key wrong";
    126 DuplicateVoter "DUPLICATE_VOTER" "voter already present";
    127 VoterNotFound "VOTER_NOT_FOUND" "voter not found";
    128 InvalidRegularExpression "INVALID_REGULAR_EXPRESSION" "server-side RE2 subscription regex invalid (KIP-848)";
    129 RebootstrapRequired "REBOOTSTRAP_REQUIRED" "client must restart from bootstrap servers (KIP-1102/1242)";
    130 StreamsInvalidTopology "STREAMS_INVALID_TOPOLOGY" "Streams topology unusable";
    131 StreamsInvalidTopologyEpoch "STREAMS_INVALID_TOPOLOGY_EPOCH" "Streams topology epoch wrong";
    132 StreamsTopologyFenced "STREAMS_TOPOLOGY_FENCED" "member's topology outdated";
    133 ShareSessionLimitReached "SHARE_SESSION_LIMIT_REACHED" "share session cache full";
    134 GroupDeletionFailed "GROUP_DELETION_FAILED" "group deletion failed, see text";
    135 StreamsTopologyDescriptionUpdateFailed "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED" "topology description rejected (KIP-1331)";
    136 ControllerIdNotRegistered "CONTROLLER_ID_NOT_REGISTERED" "controller id not registered";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    pub fn is_none(self) -> bool {
        self == ErrorCode::None
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code), "{code}");
        }
    }
}
