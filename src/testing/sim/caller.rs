//! A client's connection: real frames of the protocol, answers in the order of the requests (I110), patience with an end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{self as m, ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::life::Life;
use super::network::ClientEnd;

/// How long a client waits for an answer: clients have 30 s (`request.timeout.ms`).
const PATIENCE: Duration = Duration::from_secs(30);

/// There is no answer: the connection ended, or the patience did. What was asked may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

pub struct Caller {
    end: ClientEnd,
    life: Arc<Life>,
    next_id: i32,
    unanswered: VecDeque<i32>,
    buffer: BytesMut,
}

impl Caller {
    pub fn connect(life: &Arc<Life>) -> Caller {
        let end = ClientEnd(life.connect());
        Caller { end, life: life.clone(), next_id: 0, unanswered: VecDeque::new(), buffer: BytesMut::new() }
    }

    /// Ends the connection; what is on its way is lost.
    pub fn hang_up(&self) {
        self.end.0.cut();
    }

    /// Sends a request and waits for its answer.
    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response, Lost> {
        self.send(version, request).await?;
        self.answer::<R>(version).await
    }

    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<(), Lost> {
        self.next_id += 1;
        let frame = frame(version, self.next_id, request);
        self.unanswered.push_back(self.next_id);
        let sent = tokio::time::timeout(PATIENCE, self.end.write_all(&frame)).await;
        sent.map_err(|_| Lost)?.map_err(|_| Lost)
    }

    /// The answer to the oldest request without one.
    pub async fn answer<R: Request>(&mut self, version: i16) -> Result<R::Response, Lost> {
        let read = tokio::time::timeout(PATIENCE, self.read_frame()).await;
        let mut frame = read.map_err(|_| Lost)??;
        self.life.world.count("answers", 1);
        let decoded = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
            .and_then(|header| Ok((header.correlation_id, R::Response::decode(&mut frame, version)?)));
        let expected = self.unanswered.pop_front();
        match decoded {
            Ok((id, response)) if Some(id) == expected && frame.is_empty() => Ok(response),
            Ok((id, _)) => {
                let left = frame.len();
                self.life.world.violated(format!("I110: answer {id} came for request {expected:?}, {left} bytes left"));
                Err(Lost)
            }
            Err(error) => {
                self.life.world.violated(format!("I110: an answer of API {} cannot be read: {error}", R::KEY));
                Err(Lost)
            }
        }
    }

    async fn read_frame(&mut self) -> Result<Bytes, Lost> {
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<4>() {
                let len = u32::from_be_bytes(*prefix) as usize;
                if self.buffer.len() >= 4 + len {
                    self.buffer.advance(4);
                    return Ok(self.buffer.split_to(len).freeze());
                }
            }
            let bytes = self.end.read().await.map_err(|_| Lost)?;
            if bytes.is_empty() {
                return Err(Lost);
            }
            self.buffer.extend_from_slice(&bytes);
        }
    }
}

fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("simulated")));
    let key = ApiKey::try_from(R::KEY).expect("a known key");
    let mut frame = BytesMut::from(&[0; 4][..]);
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).unwrap_or_else(|error| panic!("API {} version {version}: {error}", R::KEY));
    let len = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub fn topic_name(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}
