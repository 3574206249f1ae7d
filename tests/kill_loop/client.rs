//! The other end of the wire for a client that outlives the broker: one connection of one life, and what it means that it
//! ended. Nothing here retries; each worker knows best what an answer that never came leaves open.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// Longer than any answer of a living broker may take (I112), also on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// Nobody listens yet, or no longer.
    Refused,
    /// The connection ended.
    HungUp,
    /// Connected, and no answer within the patience.
    Silent(&'static str),
    /// An answer that cannot be read.
    Garbled(String),
}

pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    pub fn open(port: u16) -> Result<Self, Lost> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|_| Lost::Refused)?;
        let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        set.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(|_| Lost::HungUp)?;
        Ok(Connection { stream, correlation_id: 0 })
    }

    /// Sends a request and waits for its answer.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response, Lost> {
        self.send(version, request)?;
        self.answer::<R>(version)
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<(), Lost> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("kill-loop")));
        let key = ApiKey::try_from(R::KEY).expect("a request of the protocol has a key");
        let mut body = BytesMut::new();
        header.encode(&mut body, key.request_header_version(version)).expect("a header");
        request.encode(&mut body, version).expect("a request that fits its version");
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        self.stream.write_all(&frame).map_err(|error| lost(&error, "takes no request"))
    }

    /// The answer to the oldest request without one.
    pub fn answer<R: Request>(&mut self, version: i16) -> Result<R::Response, Lost> {
        let name = std::any::type_name::<R>().rsplit("::").next().unwrap_or_default();
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).map_err(|error| lost(&error, name))?;
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame).map_err(|error| lost(&error, name))?;
        let mut frame = Bytes::from(frame);
        let garbled = |error: &dyn std::fmt::Display| Lost::Garbled(format!("{name}: {error}"));
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(|error| garbled(&error))?;
        let response = R::Response::decode(&mut frame, version).map_err(|error| garbled(&error))?;
        if !frame.is_empty() {
            return Err(garbled(&"bytes are left behind the answer"));
        }
        Ok(response)
    }
}

fn lost(error: &io::Error, what: &'static str) -> Lost {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Lost::Silent(what),
        _ => Lost::HungUp,
    }
}

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub fn topic(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

pub fn group(name: &str) -> m::GroupId {
    m::GroupId(text(name))
}

/// The error codes that the workers reason about.
pub mod code {
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub const REQUEST_TIMED_OUT: i16 = 7;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    pub const MEMBER_ID_REQUIRED: i16 = 79;

    /// A broker that has just started may say so; the client tries again.
    pub fn is_passing(code: i16) -> bool {
        matches!(
            code,
            UNKNOWN_TOPIC_OR_PARTITION
                | LEADER_NOT_AVAILABLE
                | NOT_LEADER_OR_FOLLOWER
                | COORDINATOR_LOAD_IN_PROGRESS
                | COORDINATOR_NOT_AVAILABLE
                | NOT_COORDINATOR
        )
    }

    /// The write may have happened all the same.
    pub fn leaves_it_open(code: i16) -> bool {
        matches!(code, REQUEST_TIMED_OUT | NOT_ENOUGH_REPLICAS_AFTER_APPEND | KAFKA_STORAGE_ERROR)
    }
}
