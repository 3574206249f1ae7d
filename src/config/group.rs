//! The settings of one consumer group (config resource type 32): what was said about it, over what the broker says of all.

use std::collections::BTreeMap;

use super::ConsumerGroupSettings;
use super::catalog::{self, Value};

/// The group's own settings over `defaults`, within the limits the broker sets. The error is Kafka's sentence, to be
/// answered with INVALID_CONFIG.
pub fn parse(
    overrides: &BTreeMap<String, String>,
    defaults: &ConsumerGroupSettings,
) -> Result<ConsumerGroupSettings, String> {
    for name in overrides.keys() {
        catalog::group(name).ok_or_else(|| format!("Unknown group config name: {name}"))?;
    }
    let mut settings = defaults.clone();
    for (name, text) in overrides {
        let setting = catalog::group(name).expect("every name was just found");
        let Value::Number(number) = setting.check(text)? else { continue };
        let number = u64::try_from(number).unwrap_or(0);
        match setting.name {
            "consumer.session.timeout.ms" => {
                let limits = (defaults.min_session_timeout_ms, defaults.max_session_timeout_ms);
                settings.session_timeout_ms = within(number, limits, "session.timeout.ms")?;
            }
            "consumer.heartbeat.interval.ms" => {
                let limits = (defaults.min_heartbeat_interval_ms, defaults.max_heartbeat_interval_ms);
                settings.heartbeat_interval_ms = within(number, limits, "heartbeat.interval.ms")?;
            }
            // Accepted without effect; the catalogue says why.
            _ => {}
        }
    }
    Ok(settings)
}

fn within(number: u64, (min, max): (u64, u64), what: &str) -> Result<u64, String> {
    if number < min {
        Err(format!("consumer.{what} must be greater than or equal to group.consumer.min.{what}"))
    } else if number > max {
        Err(format!("consumer.{what} must be less than or equal to group.consumer.max.{what}"))
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Sources};
    use super::*;

    fn parsed(name: &str, text: &str) -> Result<ConsumerGroupSettings, String> {
        let defaults = Settings::load(&Sources::default()).unwrap().groups.consumer;
        parse(&[(name.to_string(), text.to_string())].into(), &defaults)
    }

    #[test]
    fn a_group_has_its_own_times_within_the_brokers_limits() {
        assert_eq!(parsed("consumer.session.timeout.ms", "50000").unwrap().session_timeout_ms, 50_000);
        assert_eq!(parsed("consumer.heartbeat.interval.ms", "6000").unwrap().heartbeat_interval_ms, 6_000);
        assert!(parsed("share.isolation.level", "read_committed").is_ok());
    }

    /// Each sentence is Kafka 4.3.1's own answer.
    #[test]
    fn a_mistake_is_answered_in_kafkas_words() {
        for (name, text, sentence) in [
            ("foo", "1", "Unknown group config name: foo"),
            (
                "consumer.session.timeout.ms",
                "1",
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
            ),
            (
                "consumer.session.timeout.ms",
                "99999999",
                "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
            ),
            (
                "share.isolation.level",
                "x",
                "Invalid value x for configuration share.isolation.level: String must be one of: read_committed, \
                 read_uncommitted",
            ),
        ] {
            assert_eq!(parsed(name, text).unwrap_err(), sentence);
        }
    }
}
