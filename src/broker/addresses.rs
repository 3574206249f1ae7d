//! What the clients of each listener are told to connect to: the addresses of the start, or those that were set since.
//!
//! Kafka without ZooKeeper takes `advertised.listeners` at the start alone. With ZooKeeper it could be changed in a running
//! broker, and test tools of that time start a broker before they know the port that leads to it. So the addresses follow
//! the published image: whoever was told that they changed finds the new ones in the next answer, and in those after a restart.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::config::{ADVERTISED, Advertised, Bind, Listener, Settings};
use crate::state::metadata::{ConfigResource, Image};

pub struct Addresses {
    settings: Arc<Settings>,
    /// The port of each listener; known once the sockets are bound.
    ports: OnceLock<Vec<u16>>,
    told: ArcSwap<Vec<Advertised>>,
}

impl Addresses {
    pub fn new(settings: Arc<Settings>) -> Self {
        Addresses { settings, ports: OnceLock::new(), told: ArcSwap::default() }
    }

    /// The sockets are bound; from here on there are addresses.
    pub fn bound(&self, ports: Vec<u16>, image: &Image) {
        let _ = self.ports.set(ports);
        let set_since = self.set_since(image);
        if let Some(why) =
            set_since.as_deref().and_then(|text| self.settings.listener_names().check_advertised(text).err())
        {
            tracing::warn!("{why}; it was set while the broker ran, and clients are told the addresses of the start");
        }
        self.learn(set_since.as_deref());
    }

    pub fn follow(&self, before: &Image, now: &Image) {
        let set_since = self.set_since(now);
        if set_since == self.set_since(before) || self.ports.get().is_none() {
            return;
        }
        self.learn(set_since.as_deref());
        let listeners = self.settings.net.listeners.iter().enumerate();
        for (index, listener) in listeners.filter(|(_, listener)| !listener.is_for_controllers) {
            let Advertised { host, port } = self.of(index);
            tracing::info!("clients of listener {} are told to connect to {host}:{port} from now on", listener.name);
        }
    }

    /// Host and port for the clients of a listener.
    pub fn of(&self, listener: usize) -> Advertised {
        let told = self.told.load();
        told.get(listener).cloned().unwrap_or_else(|| Advertised { host: "localhost".to_owned(), port: 9092 })
    }

    fn set_since(&self, image: &Image) -> Option<String> {
        image.configs(&ConfigResource::Broker(Some(self.settings.node_id))).get(ADVERTISED).cloned()
    }

    fn learn(&self, set_since: Option<&str>) {
        let ports = self.ports.get().map_or(&[][..], Vec::as_slice);
        let said = self.settings.advertised(set_since);
        let listeners = self.settings.net.listeners.iter().zip(said).zip(ports);
        self.told.store(Arc::new(listeners.map(|((listener, said), port)| address(listener, said, *port)).collect()));
    }
}

/// Where nothing is said, the address that a listener is bound to.
fn address(listener: &Listener, said: Option<Advertised>, bound: u16) -> Advertised {
    let (host, port) = said.map_or((listener.host.clone(), 0), |said| (said.host, said.port));
    let host = if Bind::of(&host) == Bind::Everywhere { "localhost".to_owned() } else { host };
    Advertised { host, port: if port == 0 { bound } else { port } }
}
