//! Accepts connections: bounded in number, one task each, counted and logged when they end badly.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

use super::connection::{ConnectionLimits, End, run, stopped};
use super::stream::Stream;
use super::{ConnectionId, Peer, Service, Spawn};

/// What all listeners together may use.
#[derive(Clone, Debug)]
pub struct ListenerLimits {
    pub connection: ConnectionLimits,
    /// `max.connections`
    pub max_connections: usize,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: usize,
}

/// Everything a listener shares with its connections.
pub struct Door<S: Service> {
    pub service: Arc<S>,
    pub limits: ListenerLimits,
    pub metrics: Arc<Metrics>,
    pub spawn: Spawn,
    pub shutdown: watch::Receiver<bool>,
    census: Mutex<Census>,
    next_id: AtomicU64,
}

/// Who is connected; guarded by `Door::census`.
#[derive(Default)]
struct Census {
    total: usize,
    per_ip: HashMap<IpAddr, usize>,
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
            census: Mutex::default(),
            next_id: AtomicU64::new(1),
        })
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.lock().total
    }

    /// Accepts until shutdown.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, index: usize) {
        let mut shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => self.clone().admit(stream, address, index),
                    Err(error) => {
                        // Out of descriptors, mostly: wait for some to come back instead of spinning.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                () = stopped(&mut shutdown) => return,
            }
        }
    }

    /// Serves a connection that has come, if there is room for one more.
    pub fn admit<T: Stream>(self: Arc<Self>, stream: T, address: SocketAddr, listener: usize) {
        if !self.enter(address.ip()) {
            self.metrics.connections_refused.add(1);
            return;
        }
        let peer = Peer { connection: ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed)), address, listener };
        let spawn = self.spawn.clone();
        spawn(Box::pin(self.attend(stream, peer)));
    }

    async fn attend<T: Stream>(self: Arc<Self>, stream: T, peer: Peer) {
        // Leaving is counted even when the connection ends by a panic.
        let _leave = Leave { door: &self, ip: peer.address.ip() };
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
                tracing::warn!(peer = %address, reason = %reason.escape_debug(), "connection ended by the broker");
            }
            End::Socket(error) => tracing::debug!(peer = %address, %error, "connection lost"),
            End::PeerClosed | End::Idle | End::Shutdown => {}
        }
    }

    fn enter(&self, ip: IpAddr) -> bool {
        let mut census = self.lock();
        let of_ip = census.per_ip.get(&ip).copied().unwrap_or(0);
        if census.total >= self.limits.max_connections || of_ip >= self.limits.max_connections_per_ip {
            return false;
        }
        census.total += 1;
        census.per_ip.insert(ip, of_ip + 1);
        true
    }

    fn leave(&self, ip: IpAddr) {
        let mut census = self.lock();
        census.total -= 1;
        if let Some(count) = census.per_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                census.per_ip.remove(&ip);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
