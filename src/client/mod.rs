//! The other end of the wire: connect, ask, follow leaders, retry. For the command line tools.
//!
//! Blocking and on one thread: a tool asks a few questions and ends, and a runtime would cost more than the questions. A
//! peer may be any Kafka broker since 2.8, or something that only claims to be one: versions are negotiated, every answer
//! is bounded in size and time, and what cannot be read is an [`Error`] with one sentence.

mod cluster;
mod connection;
mod consumer;
mod deadline;
mod error;
mod groups;
mod member;
mod offsets;
mod producer;
mod settings;

pub use cluster::{Broker, Client, TopicPartitions};
pub use connection::Connection;
pub use consumer::{Fetched, Fetcher};
pub use deadline::Deadline;
pub use error::Error;
pub use groups::{Group, GroupMember};
pub use member::Member;
pub use offsets::{Offsets, Spec, leader_of};
pub use producer::{Header, Outgoing, Producer, ProducerSettings, Sent};
pub use settings::{Properties, Settings};
