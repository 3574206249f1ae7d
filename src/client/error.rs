//! What can go wrong at the other end of the wire, in one sentence each.

use std::fmt;
use std::io;

use crate::types::ErrorCode;

/// Why there is no answer, or why the answer is no.
#[derive(Debug)]
pub enum Error {
    /// A setting or flag that cannot be meant.
    Setting(String),
    /// No connection to an address.
    Unreachable { address: String, source: io::Error },
    /// The connection broke before the answer was whole.
    Disconnected { address: String, source: io::Error },
    /// Nothing came in time; what was waited for.
    TimedOut(String),
    /// The broker does not have the API, or no version that is known here.
    Unsupported { api: String },
    /// Bytes that are no answer to what was asked.
    Malformed { address: String, reason: String },
    /// The broker said no.
    Refused { code: ErrorCode, message: Option<String> },
}

impl Error {
    /// `None` for success, else the refusal.
    pub fn check(code: i16, message: Option<&str>) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        let message = message.filter(|text| !text.is_empty()).map(str::to_owned);
        Err(Error::Refused { code, message })
    }

    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Is it worth asking again, after a look at who leads now?
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Disconnected { .. } => true,
            Error::Refused { code, .. } => is_retriable(*code),
            _ => false,
        }
    }

    /// Kafka's name of the exception, as its tools print it in front of some sentences.
    pub fn java_class(&self) -> String {
        let name = match self {
            Error::Refused { code, .. } => java_exception(*code),
            Error::Setting(_) => return "org.apache.kafka.common.config.ConfigException".to_owned(),
            Error::Unsupported { .. } => "UnsupportedVersionException".to_owned(),
            Error::TimedOut(_) => "TimeoutException".to_owned(),
            Error::Unreachable { .. } | Error::Disconnected { .. } => "DisconnectException".to_owned(),
            Error::Malformed { .. } => return "java.lang.IllegalStateException".to_owned(),
        };
        format!("org.apache.kafka.common.errors.{name}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Setting(sentence) | Error::TimedOut(sentence) => f.write_str(sentence),
            Error::Unreachable { address, source } => write!(f, "no connection to {address}: {source}"),
            Error::Disconnected { address, source } => write!(f, "the connection to {address} broke: {source}"),
            Error::Unsupported { api } => write!(f, "The node does not support {api}"),
            Error::Malformed { address, reason } => write!(f, "{address} does not speak Kafka's protocol: {reason}"),
            Error::Refused { message: Some(message), .. } => f.write_str(message),
            Error::Refused { code, message: None } => f.write_str(sentence(*code)),
        }
    }
}

impl std::error::Error for Error {}

fn is_retriable(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::LeaderNotAvailable
            | E::NotLeaderOrFollower
            | E::NotController
            | E::CoordinatorLoadInProgress
            | E::CoordinatorNotAvailable
            | E::NotCoordinator
            | E::RequestTimedOut
            | E::NetworkException
            | E::NotEnoughReplicas
            | E::NotEnoughReplicasAfterAppend
            | E::KafkaStorageError
            | E::FencedLeaderEpoch
            | E::UnknownLeaderEpoch
            | E::OffsetNotAvailable
            | E::ListenerNotFound
            | E::ReplicaNotAvailable
            | E::UnstableOffsetCommit
            | E::ConcurrentTransactions
            | E::ThrottlingQuotaExceeded
            | E::BrokerNotAvailable
    )
}

/// What Kafka's client library says for a code when the broker sent no words of its own.
fn sentence(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::UnknownServerError => "The server experienced an unexpected error when processing the request.",
        E::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        E::InvalidTopicException => "The request attempted to perform an operation on an invalid topic.",
        E::TopicAlreadyExists => "Topic with this name already exists.",
        E::TopicAuthorizationFailed => "Topic authorization failed.",
        E::GroupAuthorizationFailed => "Group authorization failed.",
        E::ClusterAuthorizationFailed => "Cluster authorization failed.",
        E::GroupIdNotFound => "The group id does not exist.",
        E::NonEmptyGroup => "The group is not empty.",
        E::OffsetOutOfRange => "The requested offset is not within the range of offsets maintained by the server.",
        E::SecurityDisabled => "Security features are disabled.",
        E::TransactionalIdNotFound => "The transactionalId could not be found",
        E::UnsupportedVersion => "The version of API is not supported.",
        E::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
        }
        E::UnknownMemberId => "The coordinator is not aware of this member.",
        E::PolicyViolation => "Request parameters do not satisfy the configured policy.",
        E::NotController => "This is not the correct controller for this cluster.",
        E::RequestTimedOut => "The request timed out.",
        E::MessageTooLarge => "The request included a message larger than the max message size the server will accept.",
        E::InvalidRequest => {
            "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."
        }
        E::NotLeaderOrFollower => {
            "For requests intended only for the leader, this error indicates that the broker is not the current leader."
        }
        other => other.name(),
    }
}

/// `GROUP_ID_NOT_FOUND` is `GroupIdNotFoundException`.
fn java_exception(code: ErrorCode) -> String {
    let mut name = String::new();
    for word in code.name().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next());
        name.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }
    match code {
        ErrorCode::InvalidConfig => name = "InvalidConfiguration".to_owned(),
        ErrorCode::TopicAlreadyExists => name = "TopicExists".to_owned(),
        ErrorCode::NonEmptyGroup => name = "GroupNotEmpty".to_owned(),
        _ => {}
    }
    if !name.ends_with("Exception") {
        name.push_str("Exception");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_have_kafkas_names() {
        assert_eq!(java_exception(ErrorCode::GroupIdNotFound), "GroupIdNotFoundException");
        assert_eq!(java_exception(ErrorCode::InvalidTopicException), "InvalidTopicException");
        assert_eq!(java_exception(ErrorCode::NonEmptyGroup), "GroupNotEmptyException");
    }

    #[test]
    fn a_code_without_words_gets_a_sentence_and_one_with_words_keeps_them() {
        let bare = Error::check(3, None).unwrap_err();
        assert_eq!(bare.to_string(), "This server does not host this topic-partition.");
        let told = Error::check(36, Some("Topic 'x' already exists.")).unwrap_err();
        assert_eq!(told.to_string(), "Topic 'x' already exists.");
        assert!(Error::check(0, None).is_ok());
    }
}
