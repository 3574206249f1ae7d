//! What is said about the addresses that clients are told: at the start, and when a client never comes back to one.
//!
//! Nothing here stops or changes anything. A name that does not resolve here may well resolve where the clients are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;

use crate::broker::Broker;
use crate::config::Advertised;

/// How often it is looked whether somebody asked in vain.
const ROUND: Duration = Duration::from_secs(5);
/// A resolver that does not answer must not keep a task for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the advertised addresses, then watches for clients that never come to them.
pub async fn watch(broker: Arc<Broker>) {
    look_at_addresses(&broker).await;
    loop {
        tokio::time::sleep(ROUND).await;
        for (ip, listener) in broker.visitors.in_vain(broker.clock.now().mono) {
            say_in_vain(&broker, ip, listener);
        }
    }
}

fn say_in_vain(broker: &Broker, client: IpAddr, listener: usize) {
    let Advertised { host, port } = broker.advertised(listener);
    let name = &broker.settings.net.listeners[listener].name;
    tracing::warn!(
        "client {client} asked for the brokers and never came to the address it was told, {host}:{port} (listener {name}): it \
         probably cannot reach it; name one that it can in {}, or have it use the listener that is meant for it",
        broker.settings.advertised_by()
    );
}

async fn look_at_addresses(broker: &Broker) {
    let mut all_local = true;
    let listeners = broker.settings.net.listeners.iter().enumerate();
    for (index, listener) in listeners.filter(|(_, listener)| !listener.is_for_controllers) {
        let Advertised { host, port } = broker.advertised(index);
        let found = tokio::time::timeout(PATIENCE, lookup_host((host.as_str(), port))).await;
        let Ok(Ok(found)) = found else {
            all_local = false;
            tracing::warn!(
                "clients of listener {} are told {host}:{port}, and {host} does not resolve here; if it does not where they \
                 are, change {}",
                listener.name,
                broker.settings.advertised_by()
            );
            continue;
        };
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        all_local &= addresses.iter().all(IpAddr::is_loopback) && listener.bind() != crate::config::Bind::Loopback;
        broker.visitors.know_own(addresses);
    }
    if all_local {
        tracing::info!(
            "all clients are told an address of this machine alone; for others, name one in {}",
            broker.settings.advertised_by()
        );
    }
}
