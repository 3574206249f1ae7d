//! The settings of one topic: what was said about it, over what the broker says about all.
//!
//! Names, ranges and sentences are Kafka's (each sentence below was asked of Kafka 4.3.1); clients print them, and
//! some compare them. A name outside Kafka's list is refused, as Kafka refuses it.

use std::collections::BTreeMap;

use super::LogConfig;
use super::catalog::{self, Fate, Setting, Value};

/// The topic's own settings over `defaults`. The error is the sentence to answer with INVALID_CONFIG.
pub fn parse(overrides: &BTreeMap<String, String>, defaults: &LogConfig) -> Result<LogConfig, String> {
    // Kafka looks at all the names before it looks at any value.
    for name in overrides.keys() {
        catalog::topic(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
    }
    let mut config = defaults.clone();
    for (name, text) in overrides {
        let setting = catalog::topic(name).expect("every name was just found");
        set(&mut config, setting, text)?;
    }
    if let Some(bytes) = overrides.get("internal.segment.bytes").and_then(|text| text.trim().parse().ok()) {
        config.segment_bytes = bytes;
    }
    check_together(&config)?;
    Ok(config)
}

/// Sets one field. `internal.segment.bytes` is left to [`parse`], since it wins over `segment.bytes`.
pub(super) fn set(config: &mut LogConfig, setting: &Setting, text: &str) -> Result<(), String> {
    let value = setting.check(text)?;
    if let (Fate::Refused(_), false) = (setting.fate, setting.is_default(text)) {
        // The only one: remote.storage.enable. The sentence is Kafka's when its own tiered storage is off.
        return Err("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote \
                    log storage."
            .into());
    }
    match (setting.name, value) {
        ("cleanup.policy", Value::List(policies)) => {
            config.delete = policies.iter().any(|policy| policy == "delete");
            config.compact = policies.iter().any(|policy| policy == "compact");
        }
        ("compression.type", Value::Text(name)) => config.compression = codec(&name),
        ("message.timestamp.type", Value::Text(kind)) => config.log_append_time = kind == "LogAppendTime",
        ("min.cleanable.dirty.ratio", Value::Double(ratio)) => config.min_cleanable_dirty_ratio = ratio,
        ("preallocate", Value::Boolean(on)) => config.preallocate = on,
        (name, Value::Number(number)) => set_number(config, name, number),
        // Accepted without effect; the catalogue says why.
        _ => {}
    }
    Ok(())
}

fn set_number(config: &mut LogConfig, name: &str, number: i64) {
    // The validators have refused what is negative, except where negative means "no limit".
    let count = u64::try_from(number).unwrap_or(0);
    let limit = u64::try_from(number).ok();
    match name {
        "delete.retention.ms" => config.delete_retention_ms = count,
        "file.delete.delay.ms" => config.file_delete_delay_ms = count,
        "flush.messages" => config.flush_messages = count,
        "flush.ms" => config.flush_ms = count,
        "index.interval.bytes" => config.index_interval_bytes = count,
        "max.compaction.lag.ms" => config.max_compaction_lag_ms = count,
        "max.message.bytes" => config.max_message_bytes = usize::try_from(count).unwrap_or(usize::MAX),
        "message.timestamp.after.max.ms" => config.timestamp_after_max_ms = count,
        "message.timestamp.before.max.ms" => config.timestamp_before_max_ms = count,
        "min.compaction.lag.ms" => config.min_compaction_lag_ms = count,
        "min.insync.replicas" => config.min_insync_replicas = u32::try_from(count).unwrap_or(u32::MAX),
        "retention.bytes" => config.retention_bytes = limit,
        "retention.ms" => config.retention_ms = limit,
        "segment.bytes" => config.segment_bytes = count,
        "segment.index.bytes" => config.segment_index_bytes = count,
        "segment.jitter.ms" => config.segment_jitter_ms = count,
        "segment.ms" => config.segment_ms = count,
        _ => {}
    }
}

pub(super) fn check_together(config: &LogConfig) -> Result<(), String> {
    let (min, max) = (config.min_compaction_lag_ms, config.max_compaction_lag_ms);
    if min > max {
        return Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        ));
    }
    Ok(())
}

/// The codec id batches are stored in; `None` for `producer`, which keeps what was sent.
fn codec(name: &str) -> Option<u8> {
    match name {
        "uncompressed" => Some(0),
        "gzip" => Some(1),
        "snappy" => Some(2),
        "lz4" => Some(3),
        "zstd" => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(settings: &[(&str, &str)]) -> Result<LogConfig, String> {
        let overrides = settings.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        parse(&overrides, &LogConfig::default())
    }

    #[test]
    fn a_topic_without_settings_has_the_brokers() {
        let defaults = LogConfig { retention_ms: Some(5), ..LogConfig::default() };
        assert_eq!(parse(&BTreeMap::new(), &defaults), Ok(defaults));
    }

    #[test]
    fn the_typed_defaults_are_the_catalogues() {
        let defaults = catalog::topic_settings()
            .filter_map(|setting| Some((setting.name.to_string(), setting.default?.to_string())))
            .collect();
        let nothing_right = LogConfig {
            segment_bytes: 0,
            segment_ms: 0,
            segment_jitter_ms: 9,
            segment_index_bytes: 0,
            index_interval_bytes: 0,
            retention_ms: None,
            retention_bytes: Some(9),
            delete: false,
            compact: true,
            min_compaction_lag_ms: 9,
            max_compaction_lag_ms: 0,
            delete_retention_ms: 0,
            min_cleanable_dirty_ratio: 0.0,
            file_delete_delay_ms: 0,
            flush_messages: 0,
            flush_ms: 0,
            max_message_bytes: 0,
            log_append_time: true,
            timestamp_before_max_ms: 0,
            timestamp_after_max_ms: 0,
            compression: Some(9),
            min_insync_replicas: 0,
            preallocate: true,
        };
        assert_eq!(parse(&defaults, &nothing_right), Ok(LogConfig::default()));
    }

    #[test]
    fn what_is_said_of_a_topic_reaches_its_log() {
        let config = parsed(&[
            ("cleanup.policy", " compact , delete "),
            ("compression.type", "zstd"),
            ("message.timestamp.type", "LogAppendTime"),
            ("min.cleanable.dirty.ratio", "0.1"),
            ("preallocate", " TRUE "),
            ("retention.bytes", "4096"),
            ("retention.ms", "-1"),
            ("segment.bytes", "1048576"),
        ])
        .unwrap();
        assert!(config.compact && config.delete && config.log_append_time && config.preallocate);
        assert_eq!((config.compression, config.min_cleanable_dirty_ratio), (Some(4), 0.1));
        assert_eq!((config.retention_bytes, config.retention_ms), (Some(4096), None));
        assert_eq!(config.segment_bytes, 1_048_576);
    }

    #[test]
    fn an_empty_cleanup_policy_keeps_everything() {
        let config = parsed(&[("cleanup.policy", "")]).unwrap();
        assert!(!config.compact && !config.delete);
    }

    #[test]
    fn a_test_may_use_segments_smaller_than_kafka_allows() {
        let config = parsed(&[("internal.segment.bytes", "100"), ("segment.bytes", "1048576")]).unwrap();
        assert_eq!(config.segment_bytes, 100);
    }

    /// Each sentence is Kafka 4.3.1's own answer.
    #[test]
    fn a_mistake_is_answered_in_kafkas_words() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("foo", "1"), ("retention.ms", "abc")], "Unknown topic config name: foo"),
            (&[("message.format.version", "3.0-IV1")], "Unknown topic config name: message.format.version"),
            (&[("retention.ms", "abc")], "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
            (&[("retention.ms", "")], "Invalid value  for configuration retention.ms: Not a number of type LONG"),
            (&[("retention.ms", "-2")], "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
            (
                &[("retention.ms", "0x10")],
                "Invalid value 0x10 for configuration retention.ms: Not a number of type LONG",
            ),
            (
                &[("segment.bytes", "99999999999")],
                "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT",
            ),
            (
                &[("segment.bytes", "1")],
                "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576",
            ),
            (
                &[("cleanup.policy", "foo")],
                "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
            ),
            (&[("cleanup.policy", "compact,")], "Configuration 'cleanup.policy' values must not be empty."),
            (
                &[("compression.type", "GZIP")],
                "Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, \
                 lz4, snappy, gzip, producer",
            ),
            (
                &[("compression.gzip.level", "0")],
                "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
            ),
            (
                &[("compression.lz4.level", "18")],
                "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17",
            ),
            (
                &[("min.cleanable.dirty.ratio", "1.5")],
                "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
            ),
            (
                &[("min.cleanable.dirty.ratio", "abc")],
                "Invalid value abc for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE",
            ),
            (
                &[("preallocate", "maybe")],
                "Invalid value maybe for configuration preallocate: Expected value to be either true or false",
            ),
            (
                &[("leader.replication.throttled.replicas", "foo")],
                "Invalid value [foo] for configuration leader.replication.throttled.replicas: \
                 leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following \
                 format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
            (
                &[("max.compaction.lag.ms", "5"), ("min.compaction.lag.ms", "10")],
                "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
            ),
            (
                &[("remote.storage.enable", "true")],
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
                 storage.",
            ),
        ];
        for (settings, sentence) in cases {
            assert_eq!(parsed(settings), Err(sentence.to_string()), "{settings:?}");
        }
    }

    #[test]
    fn settings_without_effect_are_accepted() {
        for (name, text) in [
            ("unclean.leader.election.enable", "true"),
            ("leader.replication.throttled.replicas", "*"),
            ("follower.replication.throttled.replicas", "1:1,2:2"),
            ("local.retention.ms", "-2"),
            ("remote.storage.enable", "false"),
            ("compression.zstd.level", "-5"),
            ("min.insync.replicas", "2"),
        ] {
            assert!(parsed(&[(name, text)]).is_ok(), "{name}");
        }
    }
}
