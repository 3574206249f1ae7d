//! Accepts connections: bounded in number and in rate (S9), one task each, counted and logged when they end badly.
//!
//! As in Kafka, an address that has too many is turned away, and where there are too many in all, or they come too fast, the
//! next one waits in the system's queue. One whose address has a quota and opens them too fast is held for a moment and closed,
//! so that its client does not come back at once. The memory and the descriptors that connections may take are bounds of the same
//! kind. What a stranger can cause is logged at most once in a while.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::seldom::Seldom;

use super::connection::{ConnectionLimits, End, run, stopped};
use super::stream::Stream;
use super::{ConnectionId, Peer, Service, Spawn};

/// What all listeners together may use.
#[derive(Clone, Debug)]
pub struct ListenerLimits {
    pub connection: ConnectionLimits,
    /// `max.connections`, or what memory and descriptors are there for, and what to say of it.
    pub max_connections: usize,
    pub max_connections_reason: &'static str,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`
    pub max_connections_of: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, in a second.
    pub max_creation_rate: u32,
}

/// After an accept that failed.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How many connections are held back at the same time; each takes a descriptor. More than that are closed at once.
const MAX_HELD: usize = 1_000;

/// Everything a listener shares with its connections.
pub struct Door<S: Service> {
    pub service: Arc<S>,
    pub limits: ListenerLimits,
    pub metrics: Arc<Metrics>,
    pub spawn: Spawn,
    pub shutdown: watch::Receiver<bool>,
    census: Mutex<Census>,
    /// A connection has ended.
    left: Notify,
    next_id: AtomicU64,
    held: AtomicUsize,
    opened: Instant,
    said: Said,
}

/// What is logged seldom, each kind for itself.
#[derive(Default)]
struct Said {
    full: Seldom,
    per_ip: Seldom,
    too_fast: Seldom,
    no_accept: Seldom,
    ended: Seldom,
}

/// Who is connected; guarded by `Door::census`.
struct Census {
    total: usize,
    per_ip: HashMap<IpAddr, usize>,
    /// When the next connection is due by the rate; in the past while there are few.
    next_due: Instant,
}

/// What becomes of a connection that was just accepted.
enum Entry {
    In,
    /// There are too many in all.
    Full,
    /// Its address has too many.
    Refused,
}

impl<S: Service> Door<S> {
    pub fn new(
        service: Arc<S>,
        limits: ListenerLimits,
        metrics: Arc<Metrics>,
        spawn: Spawn,
        shutdown: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Door {
            service,
            limits,
            metrics,
            spawn,
            shutdown,
            census: Mutex::new(Census { total: 0, per_ip: HashMap::new(), next_due: Instant::now() }),
            left: Notify::new(),
            next_id: AtomicU64::new(1),
            held: AtomicUsize::new(0),
            opened: Instant::now(),
            said: Said::default(),
        })
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.lock().total
    }

    /// Accepts until shutdown.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, index: usize) {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.accept_all(&listener, index) => {}
            () = stopped(&mut shutdown) => {}
        }
    }

    async fn accept_all(self: &Arc<Self>, listener: &TcpListener, index: usize) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    self.keep_the_rate().await;
                    if let Some(time) = self.service.too_fast(address.ip()) {
                        self.hold_back(stream, address.ip(), time);
                    } else if self.wait_for_room(address.ip()).await {
                        self.begin(stream, address, index);
                    }
                }
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to come back instead of spinning. Who knocks stays in the queue.
                    self.metrics.accepts_failed.add(1);
                    if let Some(more) = self.said.no_accept.due(self.now_ms()) {
                        tracing::warn!(%error, more, "cannot accept a connection; trying again");
                    }
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Keeps a connection unserved for so long, then closes it.
    fn hold_back(self: &Arc<Self>, stream: TcpStream, ip: IpAddr, time: Duration) {
        self.metrics.connections_refused.add(1);
        if let Some(more) = self.said.too_fast.due(self.now_ms()) {
            tracing::warn!(%ip, more, "a connection was refused: its address opens them faster than connection_creation_rate allows");
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= MAX_HELD {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let door = self.clone();
        (self.spawn)(Box::pin(async move {
            tokio::time::sleep(time).await;
            drop(stream);
            door.held.fetch_sub(1, Ordering::Relaxed);
        }));
    }

    async fn keep_the_rate(&self) {
        let early = self.lock().early(self.limits.max_creation_rate);
        if !early.is_zero() {
            self.metrics.connections_delayed.add(1);
            tokio::time::sleep(early).await;
        }
    }

    /// Serves a connection that has come, if there is room for one more.
    pub fn admit<T: Stream>(self: &Arc<Self>, stream: T, address: SocketAddr, listener: usize) {
        let ip = address.ip().to_canonical();
        let entry = self.lock().enter(ip, &self.limits);
        match entry {
            Entry::In => self.begin(stream, address, listener),
            Entry::Full => self.say_full(),
            Entry::Refused => self.refuse(ip),
        }
    }

    /// Lets one in as soon as there is room; false if its address has too many.
    async fn wait_for_room(&self, ip: IpAddr) -> bool {
        let (ip, mut delayed) = (ip.to_canonical(), false);
        loop {
            // Before the look, so that who leaves in between is not missed.
            let left = self.left.notified();
            let entry = self.lock().enter(ip, &self.limits);
            match entry {
                Entry::In => return true,
                Entry::Refused => {
                    self.refuse(ip);
                    return false;
                }
                Entry::Full if !delayed => {
                    delayed = true;
                    self.say_full();
                }
                Entry::Full => {}
            }
            left.await;
        }
    }

    fn begin<T: Stream>(self: &Arc<Self>, stream: T, address: SocketAddr, listener: usize) {
        let peer = Peer { connection: ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed)), address, listener };
        (self.spawn)(Box::pin(self.clone().attend(stream, peer)));
    }

    fn refuse(&self, ip: IpAddr) {
        self.metrics.connections_refused.add(1);
        if let Some(more) = self.said.per_ip.due(self.now_ms()) {
            tracing::warn!(%ip, more, "a connection was refused: its address has as many as max.connections.per.ip allows");
        }
    }

    fn say_full(&self) {
        self.metrics.connections_delayed.add(1);
        if let Some(more) = self.said.full.due(self.now_ms()) {
            let (open, why) = (self.limits.max_connections, self.limits.max_connections_reason);
            tracing::warn!(open, more, "new connections wait until others end: {why}");
        }
    }

    fn now_ms(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    async fn attend<T: Stream>(self: Arc<Self>, stream: T, peer: Peer) {
        // Leaving is counted even when the connection ends by a panic.
        let _leave = Leave { door: &self, ip: peer.address.ip().to_canonical() };
        let address = peer.address;
        stream.begin();
        self.metrics.connections_accepted.add(1);
        let mut session = Open { service: &*self.service, session: Some(self.service.connected(peer)) };
        let held = session.session.as_mut().expect("taken only when dropped");
        let end = run(&stream, &*self.service, held, &self.limits.connection, self.shutdown.clone()).await;
        drop(session);
        match end {
            End::Refused(reason) => {
                self.metrics.connections_closed_for_fault.add(1);
                if let Some(more) = self.said.ended.due(self.now_ms()) {
                    tracing::warn!(peer = %address, reason = %reason.escape_debug(), more, "connection ended by the broker");
                } else {
                    tracing::debug!(peer = %address, reason = %reason.escape_debug(), "connection ended by the broker");
                }
            }
            End::Socket(error) => tracing::debug!(peer = %address, %error, "connection lost"),
            End::PeerClosed | End::Idle | End::Shutdown => {}
        }
    }

    fn leave(&self, ip: IpAddr) {
        self.lock().leave(ip);
        self.left.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Census {
    fn enter(&mut self, ip: IpAddr, limits: &ListenerLimits) -> Entry {
        let of_ip = self.per_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= limits.max_connections_of.get(&ip).copied().unwrap_or(limits.max_connections_per_ip) {
            return Entry::Refused;
        }
        if self.total >= limits.max_connections {
            return Entry::Full;
        }
        self.total += 1;
        self.per_ip.insert(ip, of_ip + 1);
        Entry::In
    }

    fn leave(&mut self, ip: IpAddr) {
        self.total -= 1;
        if let Some(count) = self.per_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.per_ip.remove(&ip);
            }
        }
    }

    /// How much too early a connection comes that is accepted now. A second's worth may come at once.
    fn early(&mut self, rate: u32) -> Duration {
        let now = Instant::now();
        let gap = Duration::from_secs(1) / rate.max(1);
        self.next_due = self.next_due.max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now)) + gap;
        self.next_due.saturating_duration_since(now)
    }
}

struct Leave<'a, S: Service> {
    door: &'a Door<S>,
    ip: IpAddr,
}

impl<S: Service> Drop for Leave<'_, S> {
    fn drop(&mut self) {
        self.door.leave(self.ip);
    }
}

/// A session that is told when its connection ends, whichever way.
struct Open<'a, S: Service> {
    service: &'a S,
    session: Option<S::Session>,
}

impl<S: Service> Drop for Open<'_, S> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.service.disconnected(session);
        }
    }
}
