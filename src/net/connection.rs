//! One connection: frames in, answers out in request order, with a bound on what is in flight.
//!
//! One task holds all of it. While answers are awaited, reading goes on, so many requests may be under way and a peer that
//! leaves is noticed; once `max_in_flight` requests wait, reading stops and TCP slows the peer down (S7). While an answer is
//! being written nothing is read: a slow reader holds only its own connection. Nothing is read either while there is no
//! memory for it (`budget.rs`), or while the client waits for having used more than its quota (Kafka mutes the channel): what
//! it was told leaves at once, what it asked before is still answered.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::budget::{Account, Held, Memory};
use super::deadlines::{Deadlines, Doing, Late, Patience};
use super::frame::FrameReader;
use super::outgoing::Outgoing;
use super::stream::Stream;
use super::{Answer, BoxFuture, Reaction, Service};
use crate::memory::shares::FIRST_READ_BYTES;

/// What one connection may use.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`, or less where memory is short.
    pub max_frame_bytes: usize,
    /// `milena.connection.max.in.flight.requests`
    pub max_in_flight: usize,
    pub patience: Patience,
    /// What it shares with all others.
    pub memory: Arc<Memory>,
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

/// Answers that are ready and wait for one before them, or for the socket: with more bytes than this no request is begun.
const READY_BYTES: usize = 256 * 1024;

/// A client that has to wait longer is not told less, but is read again: its next request makes it wait anew.
const LONGEST_MUTE: Duration = Duration::from_secs(3600);

/// After so long without a byte, memory is given back.
const QUIET: Duration = Duration::from_secs(1);

/// Runs a connection to its end.
pub async fn run<S: Service, T: Stream>(
    stream: &T,
    service: &S,
    session: &mut S::Session,
    limits: &ConnectionLimits,
    shutdown: watch::Receiver<bool>,
) -> End {
    let connection = Connection {
        stream,
        service,
        session,
        limits,
        frames: FrameReader::new(limits.max_frame_bytes),
        account: Account::new(limits.memory.clone()),
        hunger: None,
        muted: None,
        waiting: VecDeque::new(),
        ready_bytes: 0,
        out: Outgoing::default(),
        deadlines: Deadlines::new(limits.patience),
        read_open: true,
    };
    connection.run(shutdown).await
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

/// What a connection waits for in line.
enum Hunger {
    /// Memory to read into.
    Read(BoxFuture<'static, Held>),
    /// Others to take their answers.
    Answer(BoxFuture<'static, ()>),
}

struct Connection<'a, S: Service, T: Stream> {
    stream: &'a T,
    service: &'a S,
    session: &'a mut S::Session,
    limits: &'a ConnectionLimits,
    frames: FrameReader,
    account: Account,
    hunger: Option<Hunger>,
    /// Until when nothing is read.
    muted: Option<Pin<Box<Sleep>>>,
    waiting: VecDeque<Waiting>,
    /// Of the answers in `waiting`.
    ready_bytes: usize,
    out: Outgoing,
    deadlines: Deadlines,
    read_open: bool,
}

impl<S: Service, T: Stream> Connection<'_, S, T> {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> End {
        loop {
            let answering = !self.waiting.is_empty();
            let reading = self.is_reading();
            let step = tokio::select! {
                biased;
                answer = next_answer(&mut self.waiting), if answering => self.answered(answer).await,
                fed = feed(&mut self.hunger), if self.hunger.is_some() => self.fed(fed),
                () = unmuted(&mut self.muted), if self.muted.is_some() => {
                    self.muted = None;
                    Ok(())
                }
                ready = self.stream.readable(), if reading => match ready {
                    Ok(()) => self.read().await,
                    Err(error) => Err(End::Socket(error)),
                },
                () = self.deadlines.tick() => self.look(reading, answering),
                () = stopped(&mut shutdown), if self.read_open => {
                    // What was begun is answered; nothing new is read.
                    self.read_open = false;
                    Ok(())
                }
            };
            if let Err(end) = step {
                return end;
            }
            if !self.read_open && self.waiting.is_empty() {
                return End::Shutdown;
            }
            // Frames that were left in the buffer while too much was in flight.
            if self.may_begin()
                && self.frames.has_whole_frame()
                && let Err(end) = self.begin_and_flush().await
            {
                return end;
            }
        }
    }

    fn may_begin(&self) -> bool {
        self.hunger.is_none()
            && self.muted.is_none()
            && self.waiting.len() < self.limits.max_in_flight
            && self.ready_bytes < READY_BYTES
    }

    fn is_reading(&self) -> bool {
        self.read_open && self.may_begin()
    }

    /// The socket has something to read.
    async fn read(&mut self) -> Result<(), End> {
        let Some((size, end)) = self.room_to_read() else {
            let needed = self.frames.needed();
            self.hunger = Some(Hunger::Read(self.account.stand_in_line(needed)));
            return Ok(());
        };
        let missing = end.saturating_sub(self.frames.received()).max(1);
        let buffer = self.frames.room(size);
        let room = missing.min(buffer.capacity() - buffer.len());
        match self.stream.try_read_at_most(buffer, missing) {
            Ok(0) if self.waiting.iter().any(|w| matches!(w, Waiting::Later(_))) => Err(End::PeerClosed),
            Ok(0) if self.waiting.is_empty() => Err(End::PeerClosed),
            // The peer has finished sending but may still read: what is under way is answered first.
            Ok(0) => {
                self.read_open = false;
                Ok(())
            }
            Ok(read) => {
                self.frames.came(read, room);
                self.begin_and_flush().await
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(End::Socket(error)),
        }
    }

    /// How large the buffer may be for the next read, and up to where it may be filled; `None` where memory has to be waited
    /// for. While others wait no more is read than the request that has begun, so that what it needs can be given back.
    fn room_to_read(&mut self) -> Option<(usize, usize)> {
        let (needed, hoped, whole) = (self.frames.needed(), self.frames.hoped(), self.frames.whole());
        if !self.account.cover(needed, whole) {
            return None;
        }
        if self.account.cover_ahead(hoped) {
            // A buffer of the first size is used up bit by bit; a larger one ends where the run of requests does.
            let is_run = hoped > needed.max(FIRST_READ_BYTES);
            return Some((hoped, if is_run { hoped } else { usize::MAX }));
        }
        let ends = self.account.has_the_turn() || (self.account.is_pressed() && whole > 0);
        Some((needed, if ends { whole } else { usize::MAX }))
    }

    /// Begins every whole frame in the buffer, and writes what is answered at once.
    async fn begin_and_flush(&mut self) -> Result<(), End> {
        let before = self.frames.received();
        let begun = self.begin().await;
        // What was answered before an offence still leaves.
        let flushed = self.flush().await;
        begun?;
        flushed?;
        let rest = self.frames.received();
        self.deadlines.received(rest < before, rest > 0);
        if self.account.should_give_back() {
            self.give_back();
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), End> {
        while self.may_begin() {
            if self.limits.memory.answers.is_full() {
                self.hunger = Some(Hunger::Answer(self.account.room_for_answers()));
                return Ok(());
            }
            let frame = match self.frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(bad) => return Err(End::Refused(bad.to_string())),
            };
            match self.service.call(self.session, frame).await {
                Reaction::Answer(answer) if self.waiting.is_empty() => {
                    self.out.push(answer);
                    if self.out.bytes() >= READY_BYTES {
                        self.flush().await?;
                    }
                }
                Reaction::Answer(answer) => {
                    self.ready_bytes += answer.memory_bytes();
                    self.waiting.push_back(Waiting::Ready(answer));
                }
                Reaction::Later(future) => self.waiting.push_back(Waiting::Later(future)),
                Reaction::Silent => {}
                Reaction::Close(reason) => return Err(End::Refused(reason)),
            }
            self.hush();
        }
        Ok(())
    }

    /// Reads nothing for as long as the client has to wait; what is told twice counts from each time. A request that is half
    /// read holds memory, or the turn to get some; while others wait for that, it is read to its end or ended (I113).
    fn hush(&mut self) {
        let Some(time) = self.service.muted(self.session) else { return };
        if self.hunger.is_some() || self.account.is_pressed() {
            return;
        }
        let until = Instant::now() + time.min(LONGEST_MUTE);
        match &mut self.muted {
            Some(timer) if timer.deadline() < until => timer.as_mut().reset(until),
            Some(_) => {}
            None => self.muted = Some(Box::pin(sleep_until(until))),
        }
    }

    /// The answer whose turn it was has come; those behind it that are ready share its write.
    async fn answered(&mut self, answer: Answer) -> Result<(), End> {
        self.hush();
        self.out.push(answer);
        while let Some(Waiting::Ready(_)) = self.waiting.front() {
            if let Some(Waiting::Ready(answer)) = self.waiting.pop_front() {
                self.ready_bytes -= answer.memory_bytes();
                self.out.push(answer);
            }
        }
        self.flush().await?;
        self.deadlines.touch();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.out.flush(self.stream, &self.limits.memory, self.limits.patience.idle).await
    }

    fn fed(&mut self, held: Option<Held>) -> Result<(), End> {
        self.hunger = None;
        held.into_iter().for_each(|held| self.account.add(held));
        Ok(())
    }

    /// After a tick of the timer.
    fn look(&mut self, reading: bool, answering: bool) -> Result<(), End> {
        let received = self.frames.received();
        let doing = Doing { received, reading, answering, pressed: self.account.is_pressed() };
        if received == 0 && self.deadlines.quiet() >= QUIET {
            self.give_back();
        }
        if doing.pressed {
            // See `hush`.
            self.muted = None;
        }
        match self.deadlines.look(&doing, self.account.holds_anything()) {
            None => Ok(()),
            Some(Late::Idle) => Err(End::Idle),
            Some(Late::FirstRequest) => Err(End::Refused("the first request did not come in time".into())),
            Some(Late::RestOfRequest) => Err(End::Refused("the rest of a started request did not come in time".into())),
        }
    }

    /// Gives the buffers back, between requests.
    fn give_back(&mut self) {
        if self.frames.is_mid_frame() {
            return;
        }
        self.frames.shrink();
        self.out.shrink();
        self.account.give_back();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }
}

/// The answer whose turn it is.
async fn next_answer(waiting: &mut VecDeque<Waiting>) -> Answer {
    let answer = match waiting.front_mut().expect("asked for only while somebody waits") {
        Waiting::Later(future) => future.await,
        Waiting::Ready(_) => unreachable!("what is ready leaves with the answer before it"),
    };
    waiting.pop_front();
    answer
}

/// The client has waited long enough.
async fn unmuted(muted: &mut Option<Pin<Box<Sleep>>>) {
    muted.as_mut().expect("asked for only by the muted").await;
}

/// What is waited for in line has come.
async fn feed(hunger: &mut Option<Hunger>) -> Option<Held> {
    match hunger.as_mut().expect("asked for only by the hungry") {
        Hunger::Read(held) => Some(held.await),
        Hunger::Answer(room) => {
            room.await;
            None
        }
    }
}
