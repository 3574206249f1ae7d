//! One connection: frames in, answers out in request order, with a bound on what is in flight.
//!
//! One task holds all of it. While answers are awaited, reading goes on, so many requests may be under way and a peer that
//! leaves is noticed; once `max_in_flight` requests wait, reading stops and TCP slows the peer down (S7). While an answer is
//! being written nothing is read: a slow reader holds only its own connection.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::file::FileRange;

use super::frame::FrameReader;
use super::stream::Stream;
use super::{Answer, BoxFuture, Piece, Reaction, Service};

/// What one connection may use.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`
    pub max_frame_bytes: usize,
    /// `milena.connection.max.in.flight.requests`
    pub max_in_flight: usize,
    /// `connections.max.idle.ms`
    pub max_idle: Duration,
    /// `milena.connection.frame.timeout.ms`: how long the rest of a started frame may take, and one answer to be taken.
    pub frame_timeout: Duration,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    PeerClosed,
    Idle,
    Shutdown,
    /// The peer broke the protocol; the sentence says how.
    Refused(String),
    Socket(io::Error),
}

/// Answers up to this size are gathered into one write with their neighbours.
const GATHER_BYTES: usize = 64 * 1024;
/// Ranges of files up to this size are read and written with their header; larger ones are spliced.
pub const COPY_BYTES: usize = 64 * 1024;

/// Runs a connection to its end.
pub async fn run<S: Service, T: Stream>(
    stream: &T,
    service: &S,
    session: &mut S::Session,
    limits: &ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
) -> End {
    let mut frames = FrameReader::new(limits.max_frame_bytes);
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let mut out = Outgoing::default();
    let mut clock = Idle::new(limits);
    let mut read_open = true;
    loop {
        let answering = !waiting.is_empty();
        let has_room = waiting.len() < limits.max_in_flight;
        let mid_frame = frames.is_mid_frame();
        tokio::select! {
            biased;
            answer = next_answer(&mut waiting), if answering => {
                out.push(answer);
                while let Some(ready) = take_ready(&mut waiting) {
                    out.push(ready);
                }
                if let Err(end) = flush(stream, &mut out, limits).await {
                    return end;
                }
                clock.touch();
            }
            ready = stream.readable(), if read_open && has_room => {
                if let Err(error) = ready {
                    return End::Socket(error);
                }
                match stream.try_read(frames.room()) {
                    Ok(0) if waiting.is_empty() => return End::PeerClosed,
                    // The peer has finished sending but may still read: what is under way is answered first.
                    Ok(0) if waiting.iter().any(|w| matches!(w, Waiting::Later(_))) => return End::PeerClosed,
                    Ok(0) => read_open = false,
                    Ok(_) => {
                        clock.touch();
                        if let Err(end) = begin(service, session, &mut frames, &mut waiting, &mut out, limits).await {
                            // What was answered before the offence still leaves.
                            let _ = flush(stream, &mut out, limits).await;
                            return end;
                        }
                        if let Err(end) = flush(stream, &mut out, limits).await {
                            return end;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return End::Socket(error),
                }
            }
            verdict = clock.expired(mid_frame, answering) => {
                match verdict {
                    Some(end) => return end,
                    None => frames.shrink(),
                }
            }
            () = stopped(&mut shutdown), if read_open => {
                // What was begun is answered; nothing new is read.
                if waiting.is_empty() {
                    return End::Shutdown;
                }
                read_open = false;
            }
        }
        if !read_open && waiting.is_empty() {
            return End::Shutdown;
        }
        // Frames that were left in the buffer while too much was in flight.
        if waiting.len() < limits.max_in_flight && frames.is_mid_frame() {
            if let Err(end) = begin(service, session, &mut frames, &mut waiting, &mut out, limits).await {
                let _ = flush(stream, &mut out, limits).await;
                return end;
            }
            if let Err(end) = flush(stream, &mut out, limits).await {
                return end;
            }
        }
    }
}

/// Until the broker stops.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// A request that has begun and is not answered, or whose answer waits for one before it.
enum Waiting {
    Later(BoxFuture<'static, Answer>),
    Ready(Answer),
}

/// Begins every whole frame in the buffer. Answers that are ready and have nobody before them go straight to `out`.
async fn begin<S: Service>(
    service: &S,
    session: &mut S::Session,
    frames: &mut FrameReader,
    waiting: &mut VecDeque<Waiting>,
    out: &mut Outgoing,
    limits: &ConnectionLimits,
) -> Result<(), End> {
    while waiting.len() < limits.max_in_flight {
        let frame = match frames.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(bad) => return Err(End::Refused(bad.to_string())),
        };
        match service.call(session, frame).await {
            Reaction::Answer(answer) if waiting.is_empty() => out.push(answer),
            Reaction::Answer(answer) => waiting.push_back(Waiting::Ready(answer)),
            Reaction::Later(future) => waiting.push_back(Waiting::Later(future)),
            Reaction::Silent => {}
            Reaction::Close(reason) => return Err(End::Refused(reason)),
        }
    }
    Ok(())
}

/// The answer whose turn it is.
async fn next_answer(waiting: &mut VecDeque<Waiting>) -> Answer {
    let answer = match waiting.front_mut().expect("asked for only while somebody waits") {
        Waiting::Later(future) => future.await,
        Waiting::Ready(_) => match waiting.pop_front() {
            Some(Waiting::Ready(answer)) => return answer,
            _ => unreachable!("the front was looked at a line above"),
        },
    };
    waiting.pop_front();
    answer
}

/// The next answer if it is there already, so that it shares a write with the one before.
fn take_ready(waiting: &mut VecDeque<Waiting>) -> Option<Answer> {
    match waiting.front()? {
        Waiting::Ready(_) => match waiting.pop_front() {
            Some(Waiting::Ready(answer)) => Some(answer),
            _ => None,
        },
        Waiting::Later(_) => None,
    }
}

/// Pieces on their way to the socket.
#[derive(Default)]
struct Outgoing {
    pieces: VecDeque<Piece>,
}

impl Outgoing {
    fn push(&mut self, answer: Answer) {
        match answer {
            Answer::One(bytes) => self.pieces.push_back(Piece::Bytes(bytes)),
            Answer::Many(pieces) => self.pieces.extend(pieces.into_iter().filter(|piece| !piece.is_empty())),
        }
    }
}

/// Writes all pieces, under the frame deadline per progress made.
async fn flush<T: Stream>(stream: &T, out: &mut Outgoing, limits: &ConnectionLimits) -> Result<(), End> {
    while let Some(piece) = out.pieces.front() {
        match piece {
            Piece::File(range) if is_spliced(stream, range) => {
                let range = range.clone();
                out.pieces.pop_front();
                if let Some(socket) = stream.socket() {
                    super::splice::send(socket, range, limits.frame_timeout).await?;
                }
            }
            _ => write_gathered(stream, &mut out.pieces, limits).await?,
        }
    }
    Ok(())
}

/// Does this range go from file to socket by itself? Else it is read and written.
fn is_spliced<T: Stream>(stream: &T, range: &FileRange) -> bool {
    range.len > COPY_BYTES && range.file.fd().is_some() && stream.socket().is_some()
}

/// Writes the run of small pieces at the front in as few calls as it takes.
async fn write_gathered<T: Stream>(
    stream: &T,
    pieces: &mut VecDeque<Piece>,
    limits: &ConnectionLimits,
) -> Result<(), End> {
    let mut gathered: Vec<Bytes> = Vec::with_capacity(pieces.len().min(64));
    let mut total = 0;
    while let Some(piece) = pieces.front() {
        let copied = match piece {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::File(range) if is_spliced(stream, range) => break,
            Piece::File(range) => read_range(range)?,
        };
        total += copied.len();
        gathered.push(copied);
        pieces.pop_front();
        if total >= GATHER_BYTES || gathered.len() >= 64 {
            break;
        }
    }
    write_all(stream, gathered, limits.frame_timeout).await
}

fn read_range(range: &FileRange) -> Result<Bytes, End> {
    range.read().map(Bytes::from).map_err(|error| End::Refused(format!("reading the log for an answer: {error}")))
}

async fn write_all<T: Stream>(stream: &T, mut gathered: Vec<Bytes>, patience: Duration) -> Result<(), End> {
    let mut first = 0;
    while first < gathered.len() {
        let slices: Vec<io::IoSlice<'_>> = gathered[first..].iter().map(|bytes| io::IoSlice::new(bytes)).collect();
        match stream.try_write_vectored(&slices) {
            Ok(mut written) => {
                while first < gathered.len() && written >= gathered[first].len() {
                    written -= gathered[first].len();
                    first += 1;
                }
                if written > 0 {
                    let rest = gathered[first].slice(written..);
                    gathered[first] = rest;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream, patience).await?,
            Err(error) => return Err(End::Socket(error)),
        }
    }
    Ok(())
}

/// Waits until the peer takes more; a peer that takes nothing for `patience` is let go (S8).
pub(super) async fn writable<T: Stream>(stream: &T, patience: Duration) -> Result<(), End> {
    match tokio::time::timeout(patience, stream.writable()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Socket(error)),
        Err(_) => Err(End::Refused("the peer took nothing of its answer in time".into())),
    }
}

/// One coarse timer for everything that may take too long. It is set again only when it has run out, so that a request
/// costs no timer.
struct Idle {
    sleep: Pin<Box<Sleep>>,
    last_activity: Instant,
    step: Duration,
    max_idle: Duration,
    frame_timeout: Duration,
}

impl Idle {
    fn new(limits: &ConnectionLimits) -> Self {
        let step = limits.max_idle.min(limits.frame_timeout).min(Duration::from_secs(10));
        Idle {
            sleep: Box::pin(tokio::time::sleep(step)),
            last_activity: Instant::now(),
            step,
            max_idle: limits.max_idle,
            frame_timeout: limits.frame_timeout,
        }
    }

    fn touch(&mut self) {
        self.last_activity = Instant::now();
    }

    /// Resolves at each step; with an end when a limit has passed.
    async fn expired(&mut self, mid_frame: bool, answering: bool) -> Option<End> {
        Tick(&mut self.sleep).await;
        let quiet = self.last_activity.elapsed();
        self.sleep.as_mut().reset(Instant::now() + self.step);
        if mid_frame && !answering && quiet >= self.frame_timeout {
            return Some(End::Refused("the rest of a started request did not come in time".into()));
        }
        // A peer whose request is being answered is not idle, however long that takes.
        (!answering && quiet >= self.max_idle).then_some(End::Idle)
    }
}

struct Tick<'a>(&'a mut Pin<Box<Sleep>>);

impl Future for Tick<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
