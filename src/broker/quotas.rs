//! Client quotas in force: follows the image, and holds what clients use against what they may.
//!
//! Where nobody has a quota of a kind, asking costs one load of an atomic. Where somebody has, each use takes the lock of its
//! meter for a look-up and a sum. As there is no authentication yet, every client is the user ANONYMOUS, as in Kafka.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::Clock;
use crate::state::metadata::Image;
use crate::state::quota::{Limits, Meter, Window};
use crate::types::Monotonic;

/// Who a client is that has not said who it is (`KafkaPrincipal.ANONYMOUS`).
pub const USER: &str = "ANONYMOUS";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Bytes of Produce requests.
    Produce,
    /// Bytes of Fetch answers.
    Fetch,
    /// Time spent on requests, in percent of one thread's.
    Request,
    /// New connections of an address.
    Connect,
}

impl Use {
    const ALL: [Use; 4] = [Use::Produce, Use::Fetch, Use::Request, Use::Connect];

    fn key(self) -> &'static str {
        match self {
            Use::Produce => "producer_byte_rate",
            Use::Fetch => "consumer_byte_rate",
            Use::Request => "request_percentage",
            Use::Connect => "connection_creation_rate",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which kinds of use anybody has a quota for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered(u8);

impl Metered {
    pub fn is(self, what: Use) -> bool {
        self.0 & what.bit() != 0
    }
}

pub struct Quotas {
    clock: Arc<dyn Clock>,
    metered: AtomicU8,
    /// By `Use`; each guards its own sums.
    meters: [Mutex<Meter>; 4],
    sample_ms: u64,
}

impl Quotas {
    pub fn new(window: Window, clock: Arc<dyn Clock>) -> Self {
        let meters = Use::ALL.map(|_| Mutex::new(Meter::new(window)));
        Quotas { clock, metered: AtomicU8::new(0), meters, sample_ms: window.sample_ms }
    }

    /// Takes over what has changed in the image.
    pub fn follow(&self, before: &Image, now: &Image) {
        if now.quotas().since(before.quotas(), Arc::ptr_eq).is_empty() {
            return;
        }
        let mut metered = 0;
        for what in Use::ALL {
            let limits = match what {
                Use::Connect => Limits::of_addresses(now, what.key(), canonical),
                _ => Limits::of(now, what.key()),
            };
            metered |= if limits.is_empty() { 0 } else { what.bit() };
            self.meter(what).limit(limits);
        }
        self.metered.store(metered, Ordering::Relaxed);
    }

    pub fn metered(&self) -> Metered {
        Metered(self.metered.load(Ordering::Relaxed))
    }

    /// Takes what a client has used. Tells when that was, and how many milliseconds the client has to wait for it. Time spent on
    /// requests costs at most one sample (Kafka's `ClientRequestQuotaManager`).
    pub fn record(&self, what: Use, client_id: &str, value: f64) -> (Monotonic, u64) {
        let now = self.clock.now().mono;
        let wait_ms = self.meter(what).record(now, USER, client_id, value);
        (now, if what == Use::Request { wait_ms.min(self.sample_ms) } else { wait_ms })
    }

    /// How long a new connection of this address is to be held back for being too many; it is not counted then.
    pub fn connect(&self, ip: IpAddr) -> Option<Duration> {
        if !self.metered().is(Use::Connect) {
            return None;
        }
        let (now, ip) = (self.clock.now().mono, ip.to_canonical().to_string());
        let mut meter = self.meter(Use::Connect);
        let wait_ms = meter.record(now, "", &ip, 1.0).min(self.sample_ms);
        if wait_ms == 0 {
            return None;
        }
        meter.take_back(now, "", &ip, 1.0);
        Some(Duration::from_millis(wait_ms))
    }

    /// What was recorded then was not used after all.
    pub fn take_back(&self, what: Use, when: Monotonic, client_id: &str, value: f64) {
        self.meter(what).take_back(when, USER, client_id, value);
    }

    /// More than this is too much in any case.
    pub fn most_at_once(&self, what: Use, client_id: &str) -> Option<f64> {
        self.meter(what).most_at_once(USER, client_id)
    }

    fn meter(&self, what: Use) -> MutexGuard<'_, Meter> {
        self.meters[what as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An address has many spellings, and one in which it is compared.
fn canonical(address: &str) -> Option<String> {
    address.parse::<IpAddr>().ok().map(|ip| ip.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::state::Machine;
    use crate::state::metadata::{EntityName, Metadata, MetadataRecord, MetadataSettings, QuotaEntity, QuotaValue};
    use crate::types::Timestamp;

    const WINDOW: Window = Window { samples: 11, sample_ms: 1000 };

    fn set(machine: &mut Metadata, key: &str, value: Option<f64>) -> Image {
        machine.apply(&MetadataRecord::ClientQuota {
            entity: QuotaEntity { user: Some(EntityName::Named(USER.into())), ..QuotaEntity::default() },
            key: key.into(),
            value: value.map(QuotaValue),
        });
        machine.image().clone()
    }

    #[test]
    fn quotas_come_and_go_with_the_image() {
        let clock = Arc::new(ManualClock::new(Timestamp(0), 1));
        let quotas = Quotas::new(WINDOW, clock.clone());
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let empty = machine.image().clone();
        assert_eq!(quotas.metered(), Metered(0));
        let first = set(&mut machine, "producer_byte_rate", Some(1000.0));
        quotas.follow(&empty, &first);
        assert!(quotas.metered().is(Use::Produce) && !quotas.metered().is(Use::Fetch));
        assert_eq!(quotas.record(Use::Produce, "c", 11_000.0), (Monotonic(0), 1000));
        clock.advance_ms(11_000);
        assert_eq!(quotas.record(Use::Produce, "other", 0.0).1, 0);
        let second = set(&mut machine, "producer_byte_rate", None);
        quotas.follow(&first, &second);
        assert_eq!(quotas.metered(), Metered(0));
    }

    /// Kafka: who comes too fast is not counted, so that it is let in as soon as its rate allows it.
    #[test]
    fn an_address_gets_so_many_connections() {
        let clock = Arc::new(ManualClock::new(Timestamp(0), 1));
        let quotas = Quotas::new(WINDOW, clock.clone());
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let before = machine.image().clone();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(quotas.connect(address("::1")), None);
        for (ip, limit) in [(EntityName::Named("0:0::1".into()), 1.0), (EntityName::Default, 5.0)] {
            machine.apply(&MetadataRecord::ClientQuota {
                entity: QuotaEntity { ip: Some(ip), ..QuotaEntity::default() },
                key: "connection_creation_rate".into(),
                value: Some(QuotaValue(limit)),
            });
        }
        quotas.follow(&before, machine.image());
        let admitted = |ip: &str| (0..100).filter(|_| quotas.connect(address(ip)).is_none()).count();
        assert_eq!((admitted("::1"), admitted("127.0.0.1"), admitted("::ffff:127.0.0.1")), (10, 50, 0));
        assert_eq!(quotas.connect(address("::1")), Some(Duration::from_millis(1000)));
        clock.advance_ms(11_000);
        assert_eq!(admitted("::1"), 10);
    }

    #[test]
    fn time_spent_costs_no_more_than_a_sample() {
        let quotas = Quotas::new(WINDOW, Arc::new(ManualClock::new(Timestamp(0), 1)));
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let before = machine.image().clone();
        quotas.follow(&before, &set(&mut machine, "request_percentage", Some(1.0)));
        assert_eq!(quotas.record(Use::Request, "c", 1e6).1, 1000);
    }
}
