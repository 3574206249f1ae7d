//! Client quotas in force: what clients have used, and how long who used too much has to wait.
//!
//! A machine without a log: `record` takes the time and what was used, and answers with a wait. A restart forgets all of it, as
//! Kafka does. Bytes and time are measured as rates, changes of topics are paid with tokens (`metadata/mutations.rs`).

mod bucket;
mod groups;
mod limits;
mod rate;

use crate::types::Monotonic;

pub use bucket::Bucket;
pub use groups::Groups;
pub use limits::{Group, Limits};
pub use rate::Rate;

/// How far back a quota looks: `quota.window.num` samples of `quota.window.size.seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub samples: usize,
    pub sample_ms: u64,
}

/// The use of one thing, bytes produced for one, held against its limits.
#[derive(Debug)]
pub struct Meter {
    window: Window,
    limits: Limits,
    groups: Groups<Rate>,
}

impl Meter {
    pub fn new(window: Window) -> Meter {
        Meter { window, limits: Limits::default(), groups: Groups::default() }
    }

    /// Other limits from now on; what was used stays.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes what was used, and tells how many milliseconds it was too soon.
    pub fn record(&mut self, now: Monotonic, user: &str, client_id: &str, value: f64) -> u64 {
        let Some((limit, group)) = self.limits.find(user, client_id) else { return 0 };
        let window = self.window;
        let rate = self.groups.of(window, now, group);
        rate.record(window, now, value);
        rate.throttle_ms(window, now, limit)
    }

    /// What was recorded at that time was not used after all.
    pub fn take_back(&mut self, now: Monotonic, user: &str, client_id: &str, value: f64) {
        if let Some((_, group)) = self.limits.find(user, client_id) {
            let window = self.window;
            self.groups.of(window, now, group).record(window, now, -value);
        }
    }

    /// More than this at once is too much even if nothing was used before.
    pub fn most_at_once(&self, user: &str, client_id: &str) -> Option<f64> {
        let seconds = (self.window.samples as u64 - 1).saturating_mul(self.window.sample_ms) as f64 / 1000.0;
        self.limits.find(user, client_id).map(|(limit, _)| limit * seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{
        EntityName, Image, Metadata, MetadataRecord, MetadataSettings, QuotaEntity, QuotaValue,
    };

    const WINDOW: Window = Window { samples: 11, sample_ms: 1000 };

    fn image(client_id: EntityName, limit: f64) -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        machine.apply(&MetadataRecord::ClientQuota {
            entity: QuotaEntity { client_id: Some(client_id), ..QuotaEntity::default() },
            key: "producer_byte_rate".into(),
            value: Some(QuotaValue(limit)),
        });
        machine.image().clone()
    }

    fn meter(client_id: EntityName, limit: f64) -> Meter {
        let mut meter = Meter::new(WINDOW);
        meter.limit(Limits::of(&image(client_id, limit), "producer_byte_rate"));
        meter
    }

    #[test]
    fn who_uses_more_than_the_limit_waits_until_it_is_as_much_as_was_used() {
        let mut meter = meter(EntityName::Named("c".into()), 1000.0);
        let now = Monotonic(50);
        assert_eq!(meter.record(now, "u", "c", 10_000.0), 0);
        assert_eq!(meter.record(now, "u", "c", 500.0), 500);
        assert_eq!(meter.record(now, "u", "other", 1e9), 0);
        assert_eq!(meter.record(Monotonic(560), "u", "c", 0.0), 0);
        assert_eq!(meter.most_at_once("u", "c"), Some(10_000.0));
    }

    #[test]
    fn a_default_is_each_clients_own() {
        let mut meter = meter(EntityName::Default, 1000.0);
        assert!(meter.record(Monotonic(0), "u", "a", 20_000.0) > 0);
        assert_eq!(meter.record(Monotonic(0), "u", "b", 5_000.0), 0);
        meter.take_back(Monotonic(0), "u", "a", 20_000.0);
        assert_eq!(meter.record(Monotonic(0), "u", "a", 1.0), 0);
    }

    #[test]
    fn another_limit_holds_for_what_was_used_before() {
        let mut meter = meter(EntityName::Named("c".into()), 1000.0);
        assert_eq!(meter.record(Monotonic(0), "u", "c", 10_000.0), 0);
        meter.limit(Limits::of(&image(EntityName::Named("c".into()), 500.0), "producer_byte_rate"));
        assert_eq!(meter.record(Monotonic(0), "u", "c", 0.0), 10_000);
        meter.limit(Limits::default());
        assert_eq!(meter.record(Monotonic(0), "u", "c", 1e9), 0);
    }

    /// S10: a stranger who comes under a new name each time neither fills the memory nor gets more than the limit for long.
    #[test]
    fn s10_names_without_end_share_one_group() {
        let mut meter = meter(EntityName::Default, 1000.0);
        let mut waits = 0;
        for number in 0..10_000 {
            waits += u64::from(meter.record(Monotonic(0), "u", &format!("{}{number}", "x".repeat(200)), 5_000.0) > 0);
        }
        assert_eq!(meter.groups.known.len(), groups::MAX_GROUPS + 1);
        assert!(waits > 5_000);
        let long = |end: &str| format!("{}{end}", "y".repeat(40_000));
        meter.record(Monotonic(60_000), "u", &long("a"), 1.0);
        assert_eq!(meter.groups.known.len(), 1, "what is over is forgotten");
        assert!(meter.groups.known.keys().all(|group| group.client_id.len() <= groups::MAX_NAME_BYTES));
    }
}
