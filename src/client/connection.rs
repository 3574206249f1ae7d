//! One connection to one broker: versions negotiated on opening, then one question and one answer at a time, or several
//! questions before the first answer.
//!
//! ```text
//! request   i32 length | header (api key, version, correlation id, client id) | body
//! answer    i32 length | i32 correlation id | tagged fields (flexible versions) | body
//! ```
//! The length of an answer is believed as far as bytes really arrive, and never above the settings' bound.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::{Deadline, Error, Settings};

pub struct Connection {
    /// `host:port` as it was asked for.
    address: String,
    stream: TcpStream,
    client_id: StrBytes,
    correlation_id: i32,
    max_response_bytes: usize,
    /// Per API the versions that the broker offers.
    offered: BTreeMap<i16, (i16, i16)>,
}

impl Connection {
    pub fn open(address: &str, settings: &Settings, deadline: &Deadline) -> Result<Connection, Error> {
        let stream = dial(address, deadline)?;
        let mut connection = Connection {
            address: address.to_owned(),
            stream,
            client_id: StrBytes::from_string(settings.client_id.clone()),
            correlation_id: 0,
            max_response_bytes: settings.max_response_bytes,
            offered: BTreeMap::new(),
        };
        let versions = connection.negotiate(deadline)?;
        Error::check(versions.error_code, None)?;
        connection.offered =
            versions.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(connection)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every API that the broker offers with its lowest and highest version, by key.
    pub fn offered(&self) -> &BTreeMap<i16, (i16, i16)> {
        &self.offered
    }

    /// The highest version of an API that both ends know, up to `highest`.
    pub fn version<R: Request>(&self, highest: i16) -> Result<i16, Error> {
        let unsupported = || Error::Unsupported { api: api_name(R::KEY) };
        let (first, last) = *self.offered.get(&R::KEY).ok_or_else(unsupported)?;
        let version = last.min(R::VERSIONS.max).min(highest);
        if version < first.max(R::VERSIONS.min) { Err(unsupported()) } else { Ok(version) }
    }

    pub fn has<R: Request>(&self) -> bool {
        self.version::<R>(i16::MAX).is_ok()
    }

    /// Asks in the highest version up to `highest` and waits for the answer.
    pub fn ask<R: Request>(&mut self, request: &R, highest: i16, deadline: &Deadline) -> Result<R::Response, Error> {
        let version = self.version::<R>(highest)?;
        let sent = self.send(request, version, deadline)?;
        self.receive::<R>(sent, version, deadline)
    }

    /// Writes one request; its number is what [`Connection::receive`] waits for.
    pub fn send<R: Request>(&mut self, request: &R, version: i16, deadline: &Deadline) -> Result<i32, Error> {
        self.correlation_id = self.correlation_id.wrapping_add(1) & i32::MAX;
        let frame = self.encode(request, version)?;
        self.stream.set_write_timeout(Some(self.left(deadline)?)).map_err(|error| self.broke(error))?;
        self.stream.write_all(&frame).map_err(|error| self.broke(error))?;
        Ok(self.correlation_id)
    }

    /// Reads the next answer, which must be to `sent`.
    pub fn receive<R: Request>(&mut self, sent: i32, version: i16, deadline: &Deadline) -> Result<R::Response, Error> {
        let mut frame = self.read_frame(deadline)?;
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).map_err(|_| self.malformed("no header"))?;
        if header.correlation_id != sent {
            return Err(self.malformed(&format!("answer {} where {sent} was asked", header.correlation_id)));
        }
        self.decode::<R>(frame, version)
    }

    fn encode<R: Request>(&self, request: &R, version: i16) -> Result<BytesMut, Error> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::zeroed(4);
        // A field that this version cannot carry: the broker is too old for what was asked.
        let too_old = |_| Error::Unsupported { api: api_name(R::KEY) };
        header.encode(&mut frame, R::header_version(version)).map_err(too_old)?;
        request.encode(&mut frame, version).map_err(too_old)?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| self.malformed("a request above 2 GiB"))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    fn decode<R: Request>(&self, mut body: Bytes, version: i16) -> Result<R::Response, Error> {
        R::Response::decode(&mut body, version).map_err(|error| self.malformed(&error.to_string()))
    }

    /// ApiVersions 3, or 0 where the broker does not know that (KIP-511): its refusal has the shape of version 0.
    fn negotiate(&mut self, deadline: &Deadline) -> Result<ApiVersionsResponse, Error> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("milena-tools"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let sent = self.send(&request, 3, deadline)?;
        let mut frame = self.read_frame(deadline)?;
        if frame.len() < 6 || frame.get_i32() != sent {
            return Err(self.malformed("no answer to ApiVersions"));
        }
        if frame[..2] != [0, 35] {
            return self.decode::<ApiVersionsRequest>(frame, 3);
        }
        let sent = self.send(&ApiVersionsRequest::default(), 0, deadline)?;
        self.receive::<ApiVersionsRequest>(sent, 0, deadline)
    }

    fn read_frame(&mut self, deadline: &Deadline) -> Result<Bytes, Error> {
        let mut length = [0; 4];
        self.fill(&mut length, deadline)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > self.max_response_bytes {
            return Err(self.malformed(&format!("an answer of {length} bytes")));
        }
        let mut frame = Vec::new();
        while frame.len() < length {
            // Room for what has come and a step more: a length alone takes no memory.
            let begin = frame.len();
            frame.resize(length.min(begin + STEP_BYTES.max(begin)), 0);
            self.fill(&mut frame[begin..], deadline)?;
        }
        Ok(frame.into())
    }

    fn fill(&mut self, mut room: &mut [u8], deadline: &Deadline) -> Result<(), Error> {
        while !room.is_empty() {
            self.stream.set_read_timeout(Some(self.left(deadline)?)).map_err(|error| self.broke(error))?;
            match self.stream.read(room) {
                Ok(0) => return Err(self.broke(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => room = &mut room[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broke(error)),
            }
        }
        Ok(())
    }

    fn left(&self, deadline: &Deadline) -> Result<std::time::Duration, Error> {
        deadline.left().ok_or_else(|| Error::TimedOut(format!("{} did not answer in time", self.address)))
    }

    fn broke(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::TimedOut(format!("{} did not answer in time", self.address))
            }
            _ => Error::Disconnected { address: self.address.clone(), source: error },
        }
    }

    fn malformed(&self, reason: &str) -> Error {
        Error::Malformed { address: self.address.clone(), reason: reason.to_owned() }
    }
}

/// How much of an answer is asked for at once while nothing of it has come.
const STEP_BYTES: usize = 256 << 10;

/// Kafka's name for an API.
pub fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("UNKNOWN({key})"), |api| format!("{api:?}"))
}

fn dial(address: &str, deadline: &Deadline) -> Result<TcpStream, Error> {
    let unreachable = |source| Error::Unreachable { address: address.to_owned(), source };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in address.to_socket_addrs().map_err(unreachable)? {
        let Some(left) = deadline.left() else { break };
        match TcpStream::connect_timeout(&place, left.min(CONNECT_PATIENCE)) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(unreachable)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// `socket.connection.setup.timeout.ms`, Kafka's default.
const CONNECT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
