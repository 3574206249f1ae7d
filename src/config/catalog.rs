//! Every setting once: its name, type, default, validator, meaning, and what Milena does with it.
//!
//! The rows are data in `generated.rs`, made from the tables in `scripts/schemas/`. Kafka's own names, types,
//! defaults and validators come from its released artifacts; so do the sentences of [`Setting::check`], which
//! clients print and tests of theirs compare. Where our default differs from Kafka's, the row keeps both.

use super::generated;

/// One setting of a broker, a topic or a group.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// The value when nobody sets one; `None` where there is none.
    pub default: Option<&'static str>,
    /// Apache Kafka 4.3's default, which is ours too but for a few that one broker needs otherwise.
    pub kafka_default: Option<&'static str>,
    pub importance: Importance,
    pub update: Update,
    /// Kafka does not show it in its documentation, nor in DescribeConfigs.
    pub internal: bool,
    pub valid: Valid,
    /// The settings this one falls back to when it is not set, in order; without itself.
    pub synonyms: &'static [&'static str],
    pub fate: Fate,
    pub doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Short,
    Int,
    Long,
    Double,
    List,
    Class,
    Password,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Who may change a broker setting at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    ReadOnly,
    PerBroker,
    ClusterWide,
}

/// What Milena does with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Honoured,
    /// Accepted, without an effect; the reason why that is right.
    Ignored(&'static str),
    /// Anything but the default stops the start (or refuses the change); the reason.
    Refused(&'static str),
}

/// Kafka's validators.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    Any,
    NonEmpty,
    AtLeast(f64),
    Between(f64, f64),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list without empty elements; each one of these, where any are named.
    ListOf(&'static [&'static str]),
    GzipLevel,
    /// `*`, or a list of partition:broker pairs.
    ThrottledReplicas,
    /// `earliest`, `latest` or `by_duration:` with an ISO 8601 duration.
    OffsetReset,
}

/// A value as its setting's type reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Number(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

/// The broker setting of this name: Kafka's, or one that begins with `milena.`.
pub fn broker(name: &str) -> Option<&'static Setting> {
    find(&generated::BROKER, name).or_else(|| find(&generated::MILENA, name))
}

/// The topic setting of this name.
pub fn topic(name: &str) -> Option<&'static Setting> {
    find(&generated::TOPIC, name)
}

/// The setting of a group (config resource type 32) of this name.
pub fn group(name: &str) -> Option<&'static Setting> {
    find(&generated::GROUP, name)
}

/// A setting that Kafka's definitions no longer have, or never had, but that files in use carry.
pub fn former(name: &str) -> Option<&'static Setting> {
    find(&generated::FORMER, name)
}

/// Kafka's broker settings, then Milena's own; each part sorted by name.
pub fn broker_settings() -> impl Iterator<Item = &'static Setting> {
    generated::BROKER.iter().chain(&generated::MILENA)
}

pub fn topic_settings() -> impl Iterator<Item = &'static Setting> {
    generated::TOPIC.iter()
}

pub fn group_settings() -> impl Iterator<Item = &'static Setting> {
    generated::GROUP.iter()
}

pub fn former_settings() -> impl Iterator<Item = &'static Setting> {
    generated::FORMER.iter()
}

fn find(sorted: &'static [Setting], name: &str) -> Option<&'static Setting> {
    sorted.binary_search_by(|setting| setting.name.cmp(name)).ok().map(|at| &sorted[at])
}

impl Setting {
    /// A value nobody may read back (S62): DescribeConfigs answers null.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    pub fn is_read_only(&self) -> bool {
        self.update == Update::ReadOnly
    }

    /// Reads `text` as this setting's type and asks its validator; the error is Kafka's sentence.
    pub fn check(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.read(text).map_err(|why| self.invalid(text, why))?;
        self.valid.check(self, text, &value)?;
        Ok(value)
    }

    /// Whether `text` says the same as the default.
    pub fn is_default(&self, text: &str) -> bool {
        match (self.kind.read(text), self.default) {
            (Ok(value), Some(default)) => self.kind.read(default) == Ok(value),
            (Ok(value), None) => value == Value::Text(String::new()) || value == Value::List(Vec::new()),
            (Err(_), _) => false,
        }
    }

    fn invalid(&self, value: impl std::fmt::Display, why: impl std::fmt::Display) -> String {
        // A secret must not come back in an error message.
        if self.is_sensitive() {
            return format!("Invalid value [hidden] for configuration {}: {why}", self.name);
        }
        format!("Invalid value {value} for configuration {}: {why}", self.name)
    }
}

impl Kind {
    /// Kafka's name of the type, as its sentences spell it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }

    /// The type as DescribeConfigs sends it.
    pub fn id(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }

    fn read(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let not_a_number = || format!("Not a number of type {}", self.name());
        let within = |low: i64, high: i64| match text.parse::<i64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Value::Number(number)),
            _ => Err(not_a_number()),
        };
        match self {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err("Expected value to be either true or false".into()),
            Kind::Short => within(i16::MIN.into(), i16::MAX.into()),
            Kind::Int => within(i32::MIN.into(), i32::MAX.into()),
            Kind::Long => within(i64::MIN, i64::MAX),
            Kind::Double => read_double(text).map(Value::Double).ok_or_else(not_a_number),
            Kind::List => Ok(Value::List(elements(text))),
            Kind::String | Kind::Class | Kind::Password => Ok(Value::Text(text.to_string())),
        }
    }
}

/// Java's spelling: an `f` or `d` may follow the digits, infinity is a word, and a bare `inf` is not one.
fn read_double(text: &str) -> Option<f64> {
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    match digits.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => text.parse().ok(),
        plain if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => digits.parse().ok(),
        _ => None,
    }
}

/// A list's elements, trimmed. The empty text is the empty list; empty elements stay, for the validator to refuse.
fn elements(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(|element| element.trim().to_string()).collect() }
}

impl Valid {
    fn check(&self, setting: &Setting, text: &str, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Valid::AtLeast(low), value) => setting.within(text, value, *low, f64::INFINITY),
            (Valid::Between(low, high), value) => setting.within(text, value, *low, *high),
            (Valid::NonEmpty, Value::Text(word)) if word.is_empty() => {
                Err(setting.invalid(text, "String must be non-empty"))
            }
            (Valid::OneOf(words), Value::Text(word)) => setting.one_of(word, words),
            (Valid::OneOfIgnoringCase(words), Value::Text(word))
                if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) =>
            {
                let why = format!("String must be one of (case insensitive): {}", words.join(", "));
                Err(setting.invalid(word, why))
            }
            (Valid::ListOf(words), Value::List(list)) => setting.list_of(list, words),
            (Valid::GzipLevel, Value::Number(level)) if *level != -1 && !(1..=9).contains(level) => {
                Err(setting.invalid(level, "Value must be between 1 and 9 or equal to -1"))
            }
            (Valid::ThrottledReplicas, Value::List(list)) if !are_throttled_replicas(list) => {
                let why = format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    setting.name
                );
                Err(setting.invalid(format_args!("[{}]", list.join(", ")), why))
            }
            (Valid::OffsetReset, Value::Text(word)) if !is_offset_reset(word) => Err(setting
                .invalid(word, "Value must be one of: earliest, latest or of the format by_duration:PnDTnHnMn.nS")),
            _ => Ok(()),
        }
    }
}

impl Setting {
    fn within(&self, text: &str, value: &Value, low: f64, high: f64) -> Result<(), String> {
        let number = match value {
            Value::Number(number) => *number as f64,
            Value::Double(number) => *number,
            _ => return Ok(()),
        };
        if number < low {
            Err(self.invalid(text.trim(), format_args!("Value must be at least {low}")))
        } else if number > high {
            Err(self.invalid(text.trim(), format_args!("Value must be no more than {high}")))
        } else {
            Ok(())
        }
    }

    fn one_of(&self, word: &str, words: &[&str]) -> Result<(), String> {
        if words.contains(&word) {
            return Ok(());
        }
        Err(self.invalid(word, format_args!("String must be one of: {}", words.join(", "))))
    }

    fn list_of(&self, list: &[String], words: &[&str]) -> Result<(), String> {
        if list.iter().any(String::is_empty) {
            return Err(format!("Configuration '{}' values must not be empty.", self.name));
        }
        if words.is_empty() {
            return Ok(());
        }
        list.iter().try_for_each(|word| self.one_of(word, words))
    }
}

fn are_throttled_replicas(list: &[String]) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |pair: &String| pair.split_once(':').is_some_and(|(left, right)| is_number(left) && is_number(right));
    list.iter().all(is_pair) || matches!(list, [only] if only == "*")
}

fn is_offset_reset(word: &str) -> bool {
    // The duration itself is not measured: share groups are not served, and DescribeConfigs only shows it again.
    matches!(word, "earliest" | "latest") || word.strip_prefix("by_duration:P").is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lookup = fn(&str) -> Option<&'static Setting>;

    /// name, type, default of each row of one of Kafka's tables.
    fn table(text: &'static str) -> Vec<[&'static str; 3]> {
        let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
        rows.map(|line| {
            let mut cells = line.split('\t');
            std::array::from_fn(|_| cells.next().expect("name, type and default"))
        })
        .collect()
    }

    #[test]
    fn every_setting_of_kafka_has_a_row_and_a_fate() {
        let tables: [(&str, Lookup, usize); 3] = [
            (include_str!("../../scripts/schemas/broker-configs.tsv"), broker, 360),
            (include_str!("../../scripts/schemas/topic-configs.tsv"), topic, 34),
            (include_str!("../../scripts/schemas/group-configs.tsv"), group, 17),
        ];
        for (text, lookup, count) in tables {
            let rows = table(text);
            assert_eq!(rows.len(), count);
            for [name, kind, default] in rows {
                let setting = lookup(name).unwrap_or_else(|| panic!("{name} is in no catalogue"));
                assert_eq!(setting.kind.name(), kind, "{name}");
                let expected = (default != "null" && default != "(required)").then_some(default);
                assert_eq!(setting.kafka_default, expected, "{name}");
                assert!(setting.doc.ends_with('.'), "{name}");
                if let Fate::Ignored(reason) | Fate::Refused(reason) = setting.fate {
                    assert!(!reason.is_empty(), "{name}");
                }
            }
        }
    }

    #[test]
    fn every_default_passes_its_own_validator() {
        for setting in broker_settings().chain(topic_settings()).chain(group_settings()) {
            for default in [setting.default, setting.kafka_default].into_iter().flatten() {
                assert!(setting.check(default).is_ok(), "{}: {:?}", setting.name, setting.check(default));
            }
        }
    }

    #[test]
    fn a_synonym_is_a_broker_setting() {
        for setting in broker_settings().chain(topic_settings()).chain(group_settings()) {
            for synonym in setting.synonyms {
                assert!(broker(synonym).is_some(), "{}: {synonym}", setting.name);
            }
        }
        let retention = topic("retention.ms").unwrap();
        assert_eq!(retention.synonyms, ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]);
    }

    #[test]
    fn no_name_has_two_meanings() {
        let mut seen = std::collections::BTreeMap::new();
        for setting in broker_settings().chain(former_settings()) {
            assert!(seen.insert(setting.name, setting).is_none(), "{}", setting.name);
        }
        assert!(seen.values().filter(|setting| setting.name.starts_with("milena.")).count() >= 4);
    }

    #[test]
    fn what_differs_from_kafka_is_a_short_known_list() {
        let differs: Vec<_> = broker_settings()
            .filter(|setting| !setting.name.starts_with("milena.") && setting.default != setting.kafka_default)
            .map(|setting| setting.name)
            .collect();
        assert_eq!(
            differs,
            [
                "controller.listener.names",
                "group.initial.rebalance.delay.ms",
                "listeners",
                "log.dir",
                "node.id",
                "offsets.topic.replication.factor",
                "process.roles",
                "share.coordinator.state.topic.min.isr",
                "share.coordinator.state.topic.replication.factor",
                "transaction.state.log.min.isr",
                "transaction.state.log.replication.factor",
            ]
        );
    }

    #[test]
    fn a_secret_is_never_repeated_in_an_error() {
        for setting in broker_settings().filter(|setting| setting.is_sensitive()) {
            assert!(!setting.invalid("hunter2", "no").contains("hunter2"), "{}", setting.name);
        }
        assert!(broker("ssl.keystore.password").unwrap().is_sensitive());
    }

    #[test]
    fn doubles_are_read_as_java_reads_them() {
        for (text, value) in [("0.5", Some(0.5)), ("1e-1", Some(0.1)), ("0.5d", Some(0.5)), (".5f", Some(0.5))] {
            assert_eq!(read_double(text), value, "{text}");
        }
        for bad in ["", "abc", "inf", "nan", "infinity", "d", "1,5"] {
            assert_eq!(read_double(bad), None, "{bad}");
        }
        assert!(read_double("NaN").unwrap().is_nan());
    }
}
