//! A network in memory: each connection is two queues of bytes with a delay, which may stall, fill up, or be cut with
//! everything that is on its way.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::life::Pulse;
use crate::net::stream::Stream;
use crate::testing::seed::Seed;

/// What one direction holds before its writer has to wait: small, so that slow readers are felt.
const ROOM_BYTES: usize = 32 * 1024;

/// One direction of a connection.
#[derive(Default)]
struct Way {
    queue: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// No more will be written.
    closed: bool,
    /// Told when there may be something to read.
    filled: Arc<Notify>,
    /// Told when there may be room.
    drained: Arc<Notify>,
}

struct State {
    ways: [Way; 2],
    cut: bool,
    delays: Seed,
    /// The longest of the ordinary delays.
    delay_ms: u64,
    /// Nothing arrives before.
    stalled_until: Instant,
}

/// Who sees the bytes go by: the number of the connection, whether they go to the broker, and the bytes.
pub type Witness = Arc<dyn Fn(u64, bool, &[u8]) + Send + Sync>;

pub struct Link {
    number: u64,
    state: Mutex<State>,
    witness: Witness,
    /// What a dead process sends reaches nobody.
    pulse: Arc<Pulse>,
}

const TO_BROKER: usize = 0;
const TO_CLIENT: usize = 1;

impl Link {
    pub fn new(number: u64, mut delays: Seed, witness: Witness, pulse: Arc<Pulse>) -> Arc<Link> {
        let delay_ms = [0, 0, 1, 3, 20][delays.below(5) as usize];
        let ways = [Way::default(), Way::default()];
        let state = State { ways, cut: false, delays, delay_ms, stalled_until: Instant::now() };
        Arc::new(Link { number, state: Mutex::new(state), witness, pulse })
    }

    /// Does it take its time, as networks do?
    pub fn is_slow(&self) -> bool {
        self.lock().delay_ms > 0
    }

    /// Ends the connection; what is on its way arrives nowhere.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        for way in &mut state.ways {
            way.queue.clear();
            way.filled.notify_one();
            way.drained.notify_one();
        }
    }

    /// Nothing arrives for a while, either way.
    pub fn stall(&self, time: Duration) {
        let mut state = self.lock();
        state.stalled_until = state.stalled_until.max(Instant::now() + time);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self, way: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.cut || self.pulse.is_dead.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let room = ROOM_BYTES.saturating_sub(state.ways[way].bytes);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut taken = BytesMut::new();
        for slice in slices {
            let left = room - taken.len();
            taken.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        let written = taken.len();
        (self.witness)(self.number, way == TO_BROKER, &taken);
        let limit = state.delay_ms + 1;
        let delay = Duration::from_millis(state.delays.below(limit));
        let stalled_until = state.stalled_until;
        let target = &mut state.ways[way];
        let after = target.queue.back().map_or(stalled_until, |(at, _)| (*at).max(stalled_until));
        target.queue.push_back(((Instant::now() + delay).max(after), taken.freeze()));
        target.bytes += written;
        target.filled.notify_one();
        Ok(written)
    }

    /// What has arrived; an empty answer is the end.
    fn read(&self, way: usize) -> io::Result<Bytes> {
        let mut state = self.lock();
        if state.cut {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let now = Instant::now();
        let way = &mut state.ways[way];
        match way.queue.front() {
            Some((at, _)) if *at > now => Err(io::ErrorKind::WouldBlock.into()),
            Some(_) => {
                let (_, bytes) = way.queue.pop_front().expect("it was looked at a line above");
                way.bytes -= bytes.len();
                way.drained.notify_one();
                Ok(bytes)
            }
            None if way.closed => Ok(Bytes::new()),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    async fn until_readable(&self, way: usize) {
        loop {
            let (next, filled) = {
                let state = self.lock();
                let way = &state.ways[way];
                if state.cut || (way.closed && way.queue.is_empty()) {
                    return;
                }
                (way.queue.front().map(|(at, _)| *at), way.filled.clone())
            };
            match next {
                Some(at) if at <= Instant::now() => return,
                Some(at) => tokio::time::sleep_until(at).await,
                None => filled.notified().await,
            }
        }
    }

    async fn until_writable(&self, way: usize) {
        loop {
            let drained = {
                let state = self.lock();
                if state.cut || state.ways[way].bytes < ROOM_BYTES {
                    return;
                }
                state.ways[way].drained.clone()
            };
            drained.notified().await;
        }
    }

    fn close(&self, way: usize) {
        let mut state = self.lock();
        state.ways[way].closed = true;
        state.ways[way].filled.notify_one();
    }
}

/// The broker's end: what a socket is to it.
pub struct BrokerEnd(pub Arc<Link>);

impl Stream for BrokerEnd {
    async fn readable(&self) -> io::Result<()> {
        self.0.until_readable(TO_BROKER).await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.until_writable(TO_CLIENT).await;
        Ok(())
    }

    fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        let bytes = self.0.read(TO_BROKER)?;
        into.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(TO_CLIENT, slices)
    }
}

impl Drop for BrokerEnd {
    fn drop(&mut self) {
        self.0.close(TO_CLIENT);
        // As a closed socket does: whoever writes to it learns of it.
        self.0.cut_unread();
    }
}

impl Link {
    /// The broker is gone: what it wrote may still be read, what it is sent finds nobody.
    fn cut_unread(&self) {
        let mut state = self.lock();
        let nothing_to_read = state.ways[TO_CLIENT].queue.is_empty();
        state.cut |= nothing_to_read;
        state.ways[TO_CLIENT].filled.notify_one();
        state.ways[TO_BROKER].drained.notify_one();
    }
}

/// A client's end.
pub struct ClientEnd(pub Arc<Link>);

impl ClientEnd {
    /// Hands all of it to the network, or learns that nobody is there.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.write(TO_BROKER, &[IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.until_writable(TO_BROKER).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next bytes; none at the end.
    pub async fn read(&self) -> io::Result<Bytes> {
        loop {
            self.0.until_readable(TO_CLIENT).await;
            match self.0.read(TO_CLIENT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        self.0.close(TO_BROKER);
    }
}
