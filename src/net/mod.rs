//! CARRIES bytes: sockets, frames, answers in request order. Knows no API by name.
//!
//! Requests go up through [`Service`], which `main` fulfils with `api`; so nothing here names a room above. An answer is a
//! list of pieces, bytes or a range of a file, and only `connection.rs` decides how pieces leave.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::file::FileRange;
pub use crate::types::ConnectionId;
pub use outgoing::COPY_BYTES;

pub mod budget;
pub mod connection;
pub mod deadlines;
pub mod frame;
pub mod listener;
mod outgoing;
pub mod schema;
pub mod socket;
mod splice;
pub mod stream;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How `net` gets a task started: the one place that spawns is above it (`broker/tasks.rs`).
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// Part of an answer.
#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(Bytes),
    File(FileRange),
}

impl Piece {
    pub fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::File(range) => range.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One whole answer, length prefix and header included.
#[derive(Clone, Debug)]
pub enum Answer {
    One(Bytes),
    Many(Vec<Piece>),
}

impl Answer {
    pub fn len(&self) -> usize {
        match self {
            Answer::One(bytes) => bytes.len(),
            Answer::Many(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// Without what lies in files.
    pub fn memory_bytes(&self) -> usize {
        let in_memory = |piece: &Piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 };
        match self {
            Answer::One(bytes) => bytes.len(),
            Answer::Many(pieces) => pieces.iter().map(in_memory).sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What comes of one request.
pub enum Reaction {
    Answer(Answer),
    /// The answer comes later; requests behind it may begin, their answers wait (I110).
    Later(BoxFuture<'static, Answer>),
    /// No answer at all (Produce with acks=0).
    Silent,
    /// The connection ends without an answer; the sentence goes to the log.
    Close(String),
}

/// Who is at the other end, and where they came in.
#[derive(Clone, Debug)]
pub struct Peer {
    pub connection: ConnectionId,
    pub address: SocketAddr,
    /// Index of the listener in the settings.
    pub listener: usize,
}

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    type Session: Send + 'static;

    fn connected(&self, peer: Peer) -> Self::Session;

    /// How long a new connection from there is held back, and then closed unserved, because its address opens them too fast.
    fn too_fast(&self, ip: IpAddr) -> Option<Duration>;

    /// Begins one request. Called in request order, one at a time per connection.
    fn call<'a>(&'a self, session: &'a mut Self::Session, frame: Bytes) -> impl Future<Output = Reaction> + Send + 'a;

    /// How long the connection is not to be read, as its client has used more than it may; asked after each request that has
    /// begun and each answer that has come.
    fn muted(&self, session: &Self::Session) -> Option<Duration>;

    fn disconnected(&self, session: Self::Session);
}
