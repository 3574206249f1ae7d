//! Client quotas: whose they are, what may be set, what a change of them comes to, and who is found by a filter.
//!
//! An entity is a user, a client id, both together, or an address; each of them by its name, or the default of all that have
//! no quota of their own. Codes and sentences are Kafka 4.3's. What is altered is decided entity by entity; the values that
//! pass are records of one batch, and a value that is there already writes nothing.

use std::collections::BTreeMap;
use std::fmt;

use super::*;

pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

/// The longest name that a record can carry.
const MAX_NAME_BYTES: usize = i16::MAX as usize;
/// More entities than this, or more bytes of names, are refused: all of them stay in memory (S10).
const MAX_ENTITIES: usize = 10_000;
const MAX_NAMES_BYTES: usize = 16 << 20;

/// A part of an entity: one name, or all that have no quota of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityName {
    Default,
    Named(String),
}

impl EntityName {
    /// As the protocol and the records have it: null is the default.
    pub fn new(name: Option<String>) -> EntityName {
        name.map_or(EntityName::Default, EntityName::Named)
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            EntityName::Default => None,
            EntityName::Named(name) => Some(name),
        }
    }
}

/// Whose quota it is. At least one part is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    pub user: Option<EntityName>,
    pub client_id: Option<EntityName>,
    pub ip: Option<EntityName>,
}

impl QuotaEntity {
    /// From type and name of each part; `None` where a type is not known, named twice, or where there is no part.
    pub fn from_parts(parts: impl IntoIterator<Item = (String, Option<String>)>) -> Option<QuotaEntity> {
        let mut entity = QuotaEntity::default();
        for (kind, name) in parts {
            let part = match kind.as_str() {
                USER => &mut entity.user,
                CLIENT_ID => &mut entity.client_id,
                IP => &mut entity.ip,
                _ => return None,
            };
            if part.replace(EntityName::new(name)).is_some() {
                return None;
            }
        }
        (entity != QuotaEntity::default()).then_some(entity)
    }

    /// Type and name of each part that is there.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        [(USER, &self.user), (CLIENT_ID, &self.client_id), (IP, &self.ip)]
            .into_iter()
            .filter_map(|(kind, part)| Some((kind, part.as_ref()?.name())))
    }

    fn part(&self, kind: &str) -> Option<&EntityName> {
        match kind {
            USER => self.user.as_ref(),
            CLIENT_ID => self.client_id.as_ref(),
            IP => self.ip.as_ref(),
            _ => None,
        }
    }

    fn names_bytes(&self) -> usize {
        self.parts().map(|(_, name)| name.map_or(0, str::len)).sum()
    }
}

/// A limit. Equal when its bits are: a record may carry what is no number, and is the same record then.
#[derive(Clone, Copy, Debug)]
pub struct QuotaValue(pub f64);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// The quotas of one entity, by key.
pub type Quotas = BTreeMap<String, QuotaValue>;

/// An entity as a request names it: type and name of each part, the last one of a type counting.
pub type WantedEntity = BTreeMap<String, Option<String>>;

/// What is to become of one entity's quotas; without a value the key is removed.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaAlteration {
    pub entity: WantedEntity,
    pub changes: Vec<(String, Option<QuotaValue>)>,
}

impl Image {
    /// Every entity with a quota, in order.
    pub fn quotas(&self) -> &SharedMap<QuotaEntity, Arc<Quotas>> {
        &self.quotas
    }

    pub(super) fn set_quota(&mut self, entity: &QuotaEntity, key: &str, value: Option<QuotaValue>) {
        let present = self.quotas.get(entity);
        let mut quotas = present.map_or_else(Quotas::new, |quotas| (**quotas).clone());
        match value {
            Some(value) => quotas.insert(key.to_string(), value),
            None => quotas.remove(key),
        };
        if quotas.is_empty() {
            self.quotas.remove(entity);
        } else {
            self.quotas.insert(entity.clone(), Arc::new(quotas));
        }
    }
}

impl Metadata {
    pub(super) fn alter_client_quotas(
        &self,
        entries: Vec<QuotaAlteration>,
        validate_only: bool,
    ) -> (Vec<MetadataRecord>, MetadataAnswer) {
        let mut records = Vec::new();
        let mut answers: Vec<(WantedEntity, Result<(), Refused>)> = Vec::new();
        let mut room = Room::of(&self.image);
        for QuotaAlteration { entity, changes } in entries {
            let twice = counts(changes.iter().map(|(key, _)| key)).values().any(|count| *count > 1);
            let known = answers.iter_mut().find(|(other, _)| *other == entity);
            if known.is_some() || twice {
                // What an entity named before comes to stays; its answer is this one, as in Kafka.
                let refused = Err(invalid_request(format!("Ignoring duplicate entity {}", Shown(&entity))));
                match known {
                    Some((_, answer)) => *answer = refused,
                    None => answers.push((entity, refused)),
                }
                continue;
            }
            let made = self.alter_entity(&entity, changes, &mut room);
            answers.push((entity, made.map(|made| records.extend(made))));
        }
        if validate_only {
            records.clear();
        }
        (records, MetadataAnswer::QuotasAltered(answers))
    }

    fn alter_entity(
        &self,
        wanted: &WantedEntity,
        changes: Vec<(String, Option<QuotaValue>)>,
        room: &mut Room,
    ) -> Result<Vec<MetadataRecord>, Refused> {
        let entity = check_entity(wanted)?;
        let present = self.image.quotas.get(&entity).cloned().unwrap_or_default();
        let mut records = Vec::new();
        for (key, value) in changes {
            if let Some(value) = value {
                check_value(&entity, &key, value)?;
            }
            if present.get(&key) != value.as_ref() {
                records.push(MetadataRecord::ClientQuota { entity: entity.clone(), key, value });
            }
        }
        if present.is_empty() && !records.is_empty() {
            room.take(&entity)?;
        }
        Ok(records)
    }
}

/// How many more entities there may be, and how long their names.
struct Room {
    entities: usize,
    names_bytes: usize,
}

impl Room {
    fn of(image: &Image) -> Room {
        let names_bytes: usize = image.quotas.keys().map(QuotaEntity::names_bytes).sum();
        Room {
            entities: MAX_ENTITIES.saturating_sub(image.quotas.len()),
            names_bytes: MAX_NAMES_BYTES.saturating_sub(names_bytes),
        }
    }

    fn take(&mut self, entity: &QuotaEntity) -> Result<(), Refused> {
        let full = || {
            let message =
                format!("There are as many entities with quotas as may be: {MAX_ENTITIES}, or 16 MiB of names.");
            Refused::new(ErrorCode::PolicyViolation, message)
        };
        self.entities = self.entities.checked_sub(1).ok_or_else(full)?;
        self.names_bytes = self.names_bytes.checked_sub(entity.names_bytes()).ok_or_else(full)?;
        Ok(())
    }
}

fn check_entity(wanted: &WantedEntity) -> Result<QuotaEntity, Refused> {
    for (kind, name) in wanted {
        if !matches!(kind.as_str(), USER | CLIENT_ID | IP) {
            return Err(invalid_request(format!("Unhandled client quota entity type: {kind}")));
        }
        match name.as_deref() {
            Some("") => return Err(invalid_request(format!("Empty {kind} not supported"))),
            Some(name) if name.len() > MAX_NAME_BYTES => {
                return Err(invalid_request(format!("The name of a {kind} is longer than 32767 bytes.")));
            }
            _ => {}
        }
    }
    let entity =
        QuotaEntity::from_parts(wanted.clone()).ok_or_else(|| invalid_request("Invalid empty client quota entity"))?;
    if entity.ip.is_some() && (entity.user.is_some() || entity.client_id.is_some()) {
        return Err(invalid_request(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ));
    }
    match entity.ip.as_ref().and_then(EntityName::name) {
        Some(ip) if !crate::types::is_ip_address(ip) => {
            Err(invalid_request(format!("{ip} is not a valid IP or resolvable host.")))
        }
        _ => Ok(entity),
    }
}

/// What numbers a key takes.
#[derive(Clone, Copy)]
enum Numbers {
    Any,
    Whole { max: f64, kind: &'static str },
}

const LONG: Numbers = Numbers::Whole { max: i64::MAX as f64, kind: "a LONG" };
const INT: Numbers = Numbers::Whole { max: i32::MAX as f64, kind: "an INT" };

fn check_value(entity: &QuotaEntity, key: &str, QuotaValue(value): QuotaValue) -> Result<(), Refused> {
    let numbers = match (key, entity.ip.is_some()) {
        ("producer_byte_rate" | "consumer_byte_rate", false) => LONG,
        ("request_percentage" | "controller_mutation_rate", false) => Numbers::Any,
        ("connection_creation_rate", true) => INT,
        _ => return Err(invalid_request(format!("Invalid configuration key {key}"))),
    };
    if value <= 0.0 {
        return Err(invalid_request(format!("Quota {key} must be greater than 0")));
    }
    match numbers {
        Numbers::Whole { max, kind } if value > max => {
            Err(invalid_request(format!("Proposed value for {key} is too large for {kind}.")))
        }
        Numbers::Whole { .. } if (value % 1.0).abs() > 1e-6 => {
            Err(invalid_request(format!("{key} cannot be a fractional value.")))
        }
        _ => Ok(()),
    }
}

fn invalid_request(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, message)
}

/// As Kafka prints an entity in sentences.
struct Shown<'a>(&'a WantedEntity);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null")));
        write!(f, "ClientQuotaEntity(entries={{{}}})", parts.collect::<Vec<_>>().join(", "))
    }
}

/// What is asked of one part of an entity.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    Exact(EntityName),
    /// Any name, and the default.
    Any,
}

/// Which entities are meant. Strict: those with no other parts than the ones named.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaFilter {
    components: BTreeMap<String, Match>,
    strict: bool,
}

impl QuotaFilter {
    /// From type, number of the kind of match, and name of each component.
    pub fn new(
        wanted: impl Iterator<Item = (String, i8, Option<String>)>,
        strict: bool,
    ) -> Result<QuotaFilter, Refused> {
        let mut components = BTreeMap::new();
        for (kind, match_type, name) in wanted {
            if kind.is_empty() {
                return Err(invalid_request("Invalid empty entity type."));
            }
            if components.contains_key(&kind) {
                return Err(invalid_request(format!("Entity type {kind} cannot appear more than once in the filter.")));
            }
            if !matches!(kind.as_str(), USER | CLIENT_ID | IP) {
                let message = format!("Unsupported entity type {kind}");
                return Err(Refused::new(ErrorCode::UnsupportedVersion, message));
            }
            components.insert(kind, matched(match_type, name)?);
        }
        if components.contains_key(IP) && components.len() > 1 {
            return Err(invalid_request(
                "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.",
            ));
        }
        Ok(QuotaFilter { components, strict })
    }

    pub fn matches(&self, entity: &QuotaEntity) -> bool {
        let found = self.components.iter().all(|(kind, wanted)| match (entity.part(kind), wanted) {
            (Some(name), Match::Exact(exact)) => name == exact,
            (part, Match::Any) => part.is_some(),
            (None, Match::Exact(_)) => false,
        });
        found && (!self.strict || entity.parts().count() == self.components.len())
    }
}

fn matched(match_type: i8, name: Option<String>) -> Result<Match, Refused> {
    match (match_type, name) {
        (0, Some(name)) => Ok(Match::Exact(EntityName::Named(name))),
        (0, None) => Err(invalid_request("Request specified MATCH_TYPE_EXACT, but set match string to null.")),
        (1, None) => Ok(Match::Exact(EntityName::Default)),
        (2, None) => Ok(Match::Any),
        (1 | 2, Some(_)) => {
            let kind = if match_type == 1 { "DEFAULT" } else { "SPECIFIED" };
            Err(invalid_request(format!("Request specified MATCH_TYPE_{kind}, but also specified a match string.")))
        }
        (other, _) => Err(invalid_request(format!("Unknown match type {other}"))),
    }
}
