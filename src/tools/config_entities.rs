//! What `kafka-configs` is about: the entities that its flags name, and the settings to change.

use std::path::Path;

use super::Failure;
use super::flags::Flags;
use crate::client::Properties;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Topics,
    Brokers,
    BrokerLoggers,
    Groups,
    ClientMetrics,
    Users,
    Clients,
    Ips,
}

impl Kind {
    fn named(word: &str) -> Result<Kind, Failure> {
        let kinds = [
            Kind::Topics,
            Kind::Brokers,
            Kind::BrokerLoggers,
            Kind::Groups,
            Kind::ClientMetrics,
            Kind::Users,
            Kind::Clients,
            Kind::Ips,
        ];
        let bad = || {
            Failure::Error(format!(
                "Invalid entity type {word}, the entity type must be one of topics, clients, users, brokers, ips, client-metrics, groups, broker-loggers with a --bootstrap-server or --bootstrap-controller argument"
            ))
        };
        kinds.into_iter().find(|kind| kind.plural() == word).ok_or_else(bad)
    }

    pub fn plural(self) -> &'static str {
        match self {
            Kind::Topics => "topics",
            Kind::Brokers => "brokers",
            Kind::BrokerLoggers => "broker-loggers",
            Kind::Groups => "groups",
            Kind::ClientMetrics => "client-metrics",
            Kind::Users => "users",
            Kind::Clients => "clients",
            Kind::Ips => "ips",
        }
    }

    pub fn singular(self) -> &'static str {
        match self {
            Kind::ClientMetrics => "client-metric",
            other => other.plural().trim_end_matches('s'),
        }
    }

    pub fn has_quotas(self) -> bool {
        matches!(self, Kind::Users | Kind::Clients | Kind::Ips)
    }

    /// `ConfigResource.Type`.
    pub fn resource_type(self) -> i8 {
        match self {
            Kind::Topics => 2,
            Kind::Brokers => 4,
            Kind::BrokerLoggers => 8,
            Kind::ClientMetrics => 16,
            Kind::Groups => 32,
            Kind::Users | Kind::Clients | Kind::Ips => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Entity {
    pub kind: Kind,
    /// `None`: the default, or all of them.
    pub name: Option<String>,
    pub is_default: bool,
}

impl Entity {
    /// Was a setting of this source made for this entity, rather than for all or none?
    pub fn is_own(&self, source: i8) -> bool {
        match (self.kind, self.is_default) {
            (Kind::Topics, _) => source == 1,
            (Kind::Brokers, false) => source == 2,
            (Kind::Brokers, true) => source == 3,
            (Kind::BrokerLoggers, _) => true,
            (Kind::ClientMetrics, _) => source == 7,
            (Kind::Groups, _) => source == 8,
            _ => false,
        }
    }
}

pub fn entities(flags: &Flags) -> Result<Vec<Entity>, Failure> {
    let mut entities = Vec::new();
    // Names and defaults belong to the types in the order in which they are given.
    let mut names = flags.in_order(&["entity-name", "entity-default"]);
    for word in flags.values("entity-type") {
        let next = names.next();
        let name = next.flatten().map(str::to_owned);
        entities.push(Entity { kind: Kind::named(word)?, is_default: next.is_some() && name.is_none(), name });
    }
    let short = [
        ("topic", Kind::Topics),
        ("broker", Kind::Brokers),
        ("broker-logger", Kind::BrokerLoggers),
        ("group", Kind::Groups),
        ("client-metrics", Kind::ClientMetrics),
        ("user", Kind::Users),
        ("client", Kind::Clients),
        ("ip", Kind::Ips),
    ];
    for (flag, kind) in short {
        entities.extend(flags.values(flag).map(|name| Entity { kind, name: Some(name.to_owned()), is_default: false }));
    }
    let defaults = [
        ("broker-defaults", Kind::Brokers),
        ("user-defaults", Kind::Users),
        ("client-defaults", Kind::Clients),
        ("ip-defaults", Kind::Ips),
    ];
    for (flag, kind) in defaults {
        entities.extend(flags.has(flag).then_some(Entity { kind, name: None, is_default: true }));
    }
    if entities.is_empty() {
        return Err(Failure::Error("At least one entity type must be specified".to_owned()));
    }
    // Users stand before clients, as a quota of both is a quota of the user.
    entities.sort_by_key(|entity| entity.kind != Kind::Users);
    Ok(entities)
}

/// Settings to be set and to be set back.
#[derive(Debug, Default)]
pub struct Changes {
    pub set: Vec<(String, String)>,
    pub unset: Vec<String>,
}

pub fn changes(flags: &Flags, entities: &[Entity]) -> Result<Changes, Failure> {
    if flags.count(&["add-config", "add-config-file", "delete-config"]) == 0 {
        let sentence =
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter";
        return Err(Failure::Error(sentence.to_owned()));
    }
    if let Some(entity) = entities.iter().find(|entity| entity.name.is_none() && !entity.is_default) {
        let sentence = format!("An entity name must be specified with --alter of {}", entity.kind.plural());
        return Err(Failure::Error(sentence));
    }
    let mut changes = Changes::default();
    if let Some(file) = flags.value("add-config-file") {
        let mut properties = Properties::default();
        properties.read(Path::new(file))?;
        changes.set.extend(properties.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    for list in flags.values("add-config") {
        changes.set.extend(pairs(list)?);
    }
    for list in flags.values("delete-config") {
        changes.unset.extend(list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
    }
    Ok(changes)
}

/// `a=b,c=[d,e]`: brackets keep commas together.
fn pairs(list: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    for pair in split_outside_brackets(list) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::Error(
                "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas.".to_owned(),
            )
        })?;
        let value = value.trim();
        let value = value.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(value);
        pairs.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

fn split_outside_brackets(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut depth) = (0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[begin..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_keep_commas_together() {
        let found = pairs("retention.ms=1000,cleanup.policy=[compact,delete], a= b").ok().unwrap();
        let expected = [("retention.ms", "1000"), ("cleanup.policy", "compact,delete"), ("a", "b")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(pairs("nonsense").is_err());
    }

    #[test]
    fn singular_and_plural_are_kafkas() {
        assert_eq!(Kind::Brokers.singular(), "broker");
        assert_eq!(Kind::BrokerLoggers.singular(), "broker-logger");
        assert!(Kind::named("nonsense").is_err());
    }
}
