//! Client quotas in force: follows the image, and holds what clients use against what they may.
//!
//! Where nobody has a quota of a kind, asking costs one load of an atomic. Where somebody has, each use takes the lock of its
//! meter for a look-up and a sum. As there is no authentication yet, every client is the user ANONYMOUS, as in Kafka.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::state::metadata::Image;
use crate::state::quota::{Limits, Meter, Window};
use crate::types::Monotonic;

/// Who a client is that has not said who it is (`KafkaPrincipal.ANONYMOUS`).
const USER: &str = "ANONYMOUS";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Bytes of Produce requests.
    Produce,
    /// Bytes of Fetch answers.
    Fetch,
    /// Time spent on requests, in percent of one thread's.
    Request,
}

impl Use {
    const ALL: [Use; 3] = [Use::Produce, Use::Fetch, Use::Request];

    fn key(self) -> &'static str {
        match self {
            Use::Produce => "producer_byte_rate",
            Use::Fetch => "consumer_byte_rate",
            Use::Request => "request_percentage",
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
    meters: [Mutex<Meter>; 3],
    longest_request_ms: u64,
}

impl Quotas {
    pub fn new(window: Window, clock: Arc<dyn Clock>) -> Self {
        let meters = Use::ALL.map(|_| Mutex::new(Meter::new(window)));
        Quotas { clock, metered: AtomicU8::new(0), meters, longest_request_ms: window.sample_ms }
    }

    /// Takes over what has changed in the image.
    pub fn follow(&self, before: &Image, now: &Image) {
        if now.quotas().since(before.quotas(), Arc::ptr_eq).is_empty() {
            return;
        }
        let mut metered = 0;
        for what in Use::ALL {
            let limits = Limits::of(now, what.key());
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
        (now, if what == Use::Request { wait_ms.min(self.longest_request_ms) } else { wait_ms })
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

    #[test]
    fn time_spent_costs_no_more_than_a_sample() {
        let quotas = Quotas::new(WINDOW, Arc::new(ManualClock::new(Timestamp(0), 1)));
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let before = machine.image().clone();
        quotas.follow(&before, &set(&mut machine, "request_percentage", Some(1.0)));
        assert_eq!(quotas.record(Use::Request, "c", 1e6).1, 1000);
    }
}
