//! The nouns as types: names, ids, offsets and points in time, so that two bare integers never sit side by side.
//!
//! Kafka's words throughout. `Offset::NONE` (-1) and its like are what the protocol itself uses for "not known".

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

pub use crate::error_code::ErrorCode;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// What the protocol sends where there is none.
            pub const NONE: $name = $name(-1);

            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                $name(value)
            }
        }
    };
}

number!(
    /// The place of a record in its partition, counted from 0.
    Offset(i64)
);
number!(
    /// How often the leadership of a partition has changed hands.
    LeaderEpoch(i32)
);
number!(
    /// The id of an idempotent or transactional producer.
    ProducerId(i64)
);
number!(
    /// How often a producer id was fenced and handed on.
    ProducerEpoch(i16)
);
number!(
    /// The number of a record in the sequence of one producer to one partition; wraps from 2147483647 to 0.
    Sequence(i32)
);
number!(
    /// `node.id`: the number of a broker in its cluster.
    BrokerId(i32)
);
number!(
    /// Milliseconds since 1970-01-01T00:00:00Z, as records and group commits carry them.
    Timestamp(i64)
);

impl Offset {
    pub const ZERO: Offset = Offset(0);
    pub const MAX: Offset = Offset(i64::MAX);

    /// The offset `count` records further on.
    pub const fn plus(self, count: i64) -> Offset {
        Offset(self.0.saturating_add(count))
    }

    /// The offset behind this one.
    pub const fn next(self) -> Offset {
        self.plus(1)
    }
}

impl LeaderEpoch {
    pub const ZERO: LeaderEpoch = LeaderEpoch(0);
}

impl ProducerId {
    /// Negative ids other than -1 occur in hostile input; all mean "no producer id".
    pub const fn is_some(self) -> bool {
        self.0 >= 0
    }
}

impl Timestamp {
    pub const fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }
}

/// One connection of a client, for as long as the process lives. Numbers are not used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Is it the address of a host, in one of the two families?
pub fn is_ip_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// Milliseconds on a clock that never goes back and has no date; every timeout is measured on it (I24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    pub const fn plus_ms(self, ms: u64) -> Monotonic {
        Monotonic(self.0.saturating_add(ms))
    }

    pub const fn ms_since(self, earlier: Monotonic) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One reading of both clocks, the only way in which time reaches a room that must be repeatable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub wall: Timestamp,
    pub mono: Monotonic,
}

/// The name of a topic. Cheap to clone; compare and hash as a string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Kafka's rule for a legal topic name (S60): 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
    /// The error is the sentence that Kafka's clients print.
    pub fn check(name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("Topic name is invalid: the empty string is not allowed".into());
        }
        if name == "." || name == ".." {
            return Err(format!("Topic name is invalid: '{name}' is not allowed"));
        }
        if name.len() > 249 {
            return Err(format!(
                "Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"
            ));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.chars().all(legal) {
            return Err(format!(
                "Topic name is invalid: '{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
                name.escape_debug()
            ));
        }
        Ok(())
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        TopicName(Arc::from(name))
    }
}

impl std::borrow::Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The id of a topic: a new one at each creation, kept over restarts (I22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    pub const ZERO: TopicId = TopicId(Uuid::nil());

    pub fn is_zero(self) -> bool {
        self.0.is_nil()
    }
}

/// Kafka prints ids as 22 characters of URL-safe base64 without padding.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_id(self.0))
    }
}

/// One partition by name, as the data directory is called: `topic-partition`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A 16-byte id in Kafka's spelling: 22 characters of URL-safe base64, unpadded.
pub fn base64_id(id: Uuid) -> String {
    let value = id.as_u128();
    // 128 bits are 21 groups of six and a last one of two, padded with four zero bits.
    let digit = |shift: u32| BASE64_URL[((value >> shift) & 63) as usize] as char;
    let mut text: String = (0..21).map(|i| digit(122 - 6 * i)).collect();
    text.push(BASE64_URL[((value << 4) & 63) as usize] as char);
    text
}

/// The inverse of [`base64_id`]; `None` where the text is not such an id.
pub fn parse_base64_id(text: &str) -> Option<Uuid> {
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() != 22 {
        return None;
    }
    let mut value: u128 = 0;
    for (i, byte) in digits.iter().enumerate() {
        let six = BASE64_URL.iter().position(|digit| digit == byte)? as u128;
        value = if i < 21 { (value << 6) | six } else { (value << 2) | (six >> 4) };
    }
    Some(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_base64_reads_back() {
        for value in [0u128, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let id = Uuid::from_u128(value);
            let text = base64_id(id);
            assert_eq!(text.len(), 22);
            assert_eq!(parse_base64_id(&text), Some(id), "{text}");
        }
        assert_eq!(base64_id(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse_base64_id("short"), None);
    }

    #[test]
    fn s60_only_kafka_topic_names_are_legal() {
        for good in ["a", "my_topic", "A.b-c_9", &"x".repeat(249)] {
            assert!(TopicName::check(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(TopicName::check(bad).is_err(), "{bad}");
        }
    }
}
