//! Wires the house: the program and the tests start and stop the same thing, in the same order.
//!
//! Start: sockets bound (a taken port changes nothing on disk) → data directory opened, locked and recovered → broker
//! registered → connections served. Stop runs it backwards: no new connections, what is under way is answered, everything is
//! flushed, the clean-stop marker is written, the directory unlocked.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::watch;

use crate::api::Front;
use crate::broker::{Broker, StartError, hints, tasks};
use crate::clock::Clock;
use crate::config::{Bind, Listener, NetSettings, Settings};
use crate::file::descriptors;
use crate::net::budget::Memory;
use crate::net::connection::ConnectionLimits;
use crate::net::deadlines::Patience;
use crate::net::listener::{Door, ListenerLimits};
use crate::net::socket::{self, SocketOptions};
use crate::storage::disk::Disk;

/// How long requests under way may take once the broker is stopping.
const DRAIN: Duration = Duration::from_secs(5);

/// A broker that runs.
pub struct House {
    pub broker: Arc<Broker>,
    /// Where it listens, with the ports that the system chose.
    pub addresses: Vec<SocketAddr>,
    /// What its connections take of it.
    pub memory: Arc<Memory>,
    door: Arc<Door<Front>>,
    shutdown: watch::Sender<bool>,
}

/// A listener whose sockets are bound.
struct Bound {
    sockets: Vec<(TcpListener, SocketAddr)>,
    port: u16,
}

impl House {
    pub async fn start(settings: Settings, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<House, StartError> {
        let mut settings = settings;
        let bound = bind_all(&mut settings.net).await?;
        let ports = bound.iter().map(|listener| listener.port).collect();
        let limits = limits(&settings).await;
        let memory = limits.connection.memory.clone();
        let broker = tasks::blocking(move || Broker::open(settings, disk, clock)).await?;
        broker.employ();
        broker.start(ports).await?;
        let (shutdown, stopping) = watch::channel(false);
        let front = Arc::new(Front { broker: broker.clone() });
        let spawn = tasks::connections(broker.metrics.clone());
        let door = Door::new(front, limits, broker.metrics.clone(), spawn, stopping);
        let mut addresses = Vec::new();
        for (index, listener) in bound.into_iter().enumerate() {
            for (socket, address) in listener.sockets {
                addresses.push(address);
                tasks::organ("listener", door.clone().serve(socket, index));
            }
        }
        let starting_topics = broker.clone();
        tasks::organ("topics of the start", async move { starting_topics.make_starting_topics().await });
        tasks::organ("hints", hints::watch(broker.clone()));
        Ok(House { broker, addresses, memory, door, shutdown })
    }

    /// Ends connections, flushes, leaves the clean-stop marker.
    pub async fn stop(self) {
        let _ = self.shutdown.send(true);
        let drained = async {
            while self.door.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                connections = self.door.open_connections(),
                "connections were cut: their requests took too long"
            );
        }
        let broker = self.broker.clone();
        tasks::blocking(move || broker.stop()).await;
    }
}

/// Binds every listener. One for controllers is a courtesy to those who look whether its port is open: a single broker needs
/// none, so one that cannot be bound is left out instead of stopping the start.
async fn bind_all(net: &mut NetSettings) -> Result<Vec<Bound>, StartError> {
    let as_u32 = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let options = SocketOptions {
        backlog: net.socket_listen_backlog_size,
        send_buffer: net.socket_send_buffer_bytes.map(as_u32),
        receive_buffer: net.socket_receive_buffer_bytes.map(as_u32),
    };
    let mut bound = Vec::new();
    for listener in std::mem::take(&mut net.listeners) {
        match bind(&listener, options).await {
            Ok(sockets) => {
                bound.push(sockets);
                net.listeners.push(listener);
            }
            Err(error) if listener.is_for_controllers => tracing::warn!("{error}; the broker starts without it"),
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

async fn bind(listener: &Listener, options: SocketOptions) -> Result<Bound, StartError> {
    let port = listener.port;
    match listener.bind() {
        Bind::Loopback => bind_both(listener, Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), options),
        Bind::Everywhere => bind_both(listener, Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into(), options),
        Bind::Host(host) => {
            let found = lookup_host((host.as_str(), port)).await.map_err(|error| {
                StartError(format!("listener {}: the host name {host} cannot be resolved: {error}", listener.name))
            })?;
            let addresses: Vec<SocketAddr> = found.collect();
            let first = addresses.first().ok_or_else(|| {
                StartError(format!("listener {}: the host name {host} has no address", listener.name))
            })?;
            let socket = open(listener, *first, options)?;
            Ok(Bound { port: socket.1.port(), sockets: vec![socket] })
        }
    }
}

/// IPv4, and IPv6 on the same port where the machine has it: `localhost` may be either.
fn bind_both(listener: &Listener, v4: IpAddr, v6: IpAddr, options: SocketOptions) -> Result<Bound, StartError> {
    let first = open(listener, SocketAddr::new(v4, listener.port), options)?;
    let port = first.1.port();
    let mut sockets = vec![first];
    match socket::bind(SocketAddr::new(v6, port), options) {
        Ok(socket) => {
            let address = socket.local_addr().map_err(|error| taken(listener, SocketAddr::new(v6, port), &error))?;
            sockets.push((socket, address));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && listener.port != 0 => {
            return Err(taken(listener, SocketAddr::new(v6, port), &error));
        }
        Err(error) => tracing::debug!(%error, "no IPv6 here; listening on IPv4 only"),
    }
    Ok(Bound { sockets, port })
}

fn open(
    listener: &Listener,
    address: SocketAddr,
    options: SocketOptions,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let socket = socket::bind(address, options).map_err(|error| taken(listener, address, &error))?;
    let address = socket.local_addr().map_err(|error| taken(listener, address, &error))?;
    Ok((socket, address))
}

fn taken(listener: &Listener, address: SocketAddr, error: &std::io::Error) -> StartError {
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another process has it; stop that one or change the port in `listeners`".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => "this user may not; choose a port above 1023 in `listeners`".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => {
            "no interface has that address; change the host in `listeners`".to_owned()
        }
        _ => error.to_string(),
    };
    StartError(format!("cannot listen on {address} (listener {}): {why}", listener.name))
}

async fn limits(settings: &Settings) -> ListenerLimits {
    let (net, memory) = (&settings.net, &settings.memory);
    let idle = net.connections_max_idle_ms.map_or(Duration::MAX, Duration::from_millis);
    let patience = Patience {
        // One that never said anything is idle, too.
        first_request: Duration::from_millis(net.first_request_timeout_ms).min(idle),
        request: Duration::from_millis(net.request_timeout_ms),
        idle,
    };
    let bounds = [
        (net.max_connections, "max.connections"),
        (memory.max_connections(), "milena.memory.max.bytes has no room for more"),
        (descriptors::for_connections(), "the process may not have more files open; raise its limit (ulimit -n)"),
    ];
    let (max_connections, max_connections_reason) =
        bounds.into_iter().min_by_key(|(bound, _)| *bound).expect("there are three");
    ListenerLimits {
        connection: ConnectionLimits {
            max_frame_bytes: net.socket_request_max_bytes.min(memory.max_request_bytes()),
            max_in_flight: net.max_in_flight_requests,
            patience,
            memory: Memory::new(memory, net.queued_max_request_bytes),
        },
        max_connections,
        max_connections_reason,
        max_connections_per_ip: net.max_connections_per_ip,
        max_connections_of: overrides(&net.max_connections_per_ip_overrides).await,
        max_creation_rate: net.max_connection_creation_rate,
    }
}

/// The addresses of the hosts that have limits of their own. A name nobody knows is said and passed over: it may come back.
async fn overrides(by_host: &BTreeMap<String, usize>) -> HashMap<IpAddr, usize> {
    let mut found = HashMap::new();
    for (host, count) in by_host {
        match lookup_host((host.as_str(), 0)).await {
            Ok(addresses) => found.extend(addresses.map(|address| (address.ip().to_canonical(), *count))),
            Err(error) => {
                tracing::warn!(host, %error, "max.connections.per.ip.overrides names a host that cannot be resolved");
            }
        }
    }
    found
}
