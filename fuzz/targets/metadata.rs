//! The log of cluster metadata: records of unknown origin, and the machine that decides.

use milena::state::metadata::generated::MetadataRecord as Stored;
use milena::state::metadata::{
    Broker, ConfigChange, ConfigOperation, ConfigResource, Metadata, MetadataInput, MetadataRecord, MetadataSettings,
    NewPartitions, NewTopic, QuotaAlteration, QuotaValue, TopicRef,
};
use milena::state::{Machine, Ticket};
use milena::types::{BrokerId, Now, TopicId, TopicName};
use uuid::Uuid;

use super::Choices;
use super::coordinator::pieces;

/// Record values one after another, each behind its length. They are read or refused, applied in any order, and a snapshot of
/// what they make gives the same again.
pub fn metadata_log(data: &[u8]) {
    let mut machine = machine();
    for piece in pieces(data) {
        stored(piece);
        if let Ok(record) = MetadataRecord::decode(piece) {
            machine.apply(&record);
        }
    }
    check_snapshot(&machine);
}

fn machine() -> Metadata {
    Metadata::new(MetadataSettings::new("fuzzfuzzfuzzfuzzfuzzfw"))
}

/// What was read must write something that reads the same.
fn stored(bytes: &[u8]) {
    let Ok((record, version)) = Stored::decode_framed(bytes) else { return };
    let mut out = Vec::new();
    record.encode_framed(version, &mut out);
    let (again, _) = Stored::decode_framed(&out).expect("what was written reads");
    // A quota may be NaN, which is not equal to itself; its bytes are.
    let mut twice = Vec::new();
    again.encode_framed(version, &mut twice);
    assert_eq!(out, twice);
}

fn check_snapshot(machine: &Metadata) {
    let records = machine.snapshot();
    let mut fresh = self::machine();
    for record in &records {
        let read = MetadataRecord::decode(&record.encode()).expect("a snapshot's record reads");
        fresh.apply(&read);
    }
    assert_eq!(fresh.snapshot(), records);
}

/// Inputs as requests bring them, the names, numbers and settings chosen by the bytes. Each is answered once; what it appends
/// is applied through the bytes of the log; at the end a machine fed the log equals the live one.
pub fn metadata_machine(data: &[u8]) {
    let mut choices = Choices(data);
    let (mut machine, mut fresh) = (machine(), machine());
    for ticket in 0..64 {
        if choices.is_empty() {
            break;
        }
        let effects = machine.step(Now::default(), Ticket(ticket), input(&mut choices));
        assert!(effects.answer.len() == 1 && effects.answer[0].0 == Ticket(ticket));
        for record in &effects.append {
            let read = MetadataRecord::decode(&record.encode()).expect("what is written reads");
            assert_eq!(&read, record);
            machine.apply(&read);
            fresh.apply(&read);
        }
    }
    assert_eq!(machine.snapshot(), fresh.snapshot());
    check_snapshot(&machine);
}

const SETTINGS: &[&str] =
    &["cleanup.policy", "retention.ms", "segment.bytes", "min.insync.replicas", "compression.type", "no.such", ""];
const VALUES: &[&str] = &["compact", "delete", "compact,delete", "-1", "0", "1048576", "99999999999999999999", "", "x"];

fn input(choices: &mut Choices<'_>) -> MetadataInput {
    let validate_only = choices.byte() & 7 == 7;
    let random = u64::from(choices.byte());
    let count = choices.below(4);
    match choices.below(9) {
        0 => MetadataInput::RegisterBroker { broker: broker(choices) },
        1 | 2 => {
            let topics = (0..count).map(|_| new_topic(choices)).collect();
            MetadataInput::CreateTopics { topics, validate_only, random }
        }
        3 => {
            let topics = (0..count).map(|_| (topic(choices), topic_id(choices))).collect();
            MetadataInput::AutoCreateTopics { topics, random }
        }
        4 => {
            let one = |choices: &mut Choices<'_>| match choices.bool() {
                true => TopicRef::Name(topic(choices)),
                false => TopicRef::Id(topic_id(choices)),
            };
            MetadataInput::DeleteTopics { topics: (0..count).map(|_| one(choices)).collect() }
        }
        5 => {
            let topics = (0..count).map(|_| new_partitions(choices)).collect();
            MetadataInput::CreatePartitions { topics, validate_only, random }
        }
        6 => {
            let one = |choices: &mut Choices<'_>| (resource(choices), settings(choices));
            MetadataInput::AlterConfigs { resources: (0..count).map(|_| one(choices)).collect(), validate_only }
        }
        7 => {
            let entries = (0..count).map(|_| quotas(choices)).collect();
            MetadataInput::AlterClientQuotas { entries, validate_only }
        }
        _ if validate_only => MetadataInput::AllocateProducerIds { broker: broker_id(choices) },
        _ => {
            let one = |choices: &mut Choices<'_>| (resource(choices), changes(choices));
            let resources = (0..count).map(|_| one(choices)).collect();
            MetadataInput::IncrementalAlterConfigs { resources, validate_only }
        }
    }
}

fn broker(choices: &mut Choices<'_>) -> Broker {
    Broker {
        id: broker_id(choices),
        epoch: 0,
        incarnation: Uuid::from_u128(choices.byte().into()),
        endpoints: Vec::new(),
        rack: choices.bool().then(|| "rack".to_owned()),
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(7)],
        features: vec![("metadata.version".into(), 7, 30)],
    }
}

fn broker_id(choices: &mut Choices<'_>) -> BrokerId {
    BrokerId(choices.below(4) as i32 - 1)
}

fn topic(choices: &mut Choices<'_>) -> TopicName {
    match choices.below(12) {
        0 => "__consumer_offsets".into(),
        1 => "__transaction_state".into(),
        2 => String::from_utf8_lossy(choices.bytes(5)).as_ref().into(),
        3 => "a.b".into(),
        4 => "a_b".into(),
        other => ["a", "b", "c"][other % 3].into(),
    }
}

fn topic_id(choices: &mut Choices<'_>) -> TopicId {
    TopicId(Uuid::from_u128(choices.byte().into()))
}

fn new_topic(choices: &mut Choices<'_>) -> NewTopic {
    let partitions = [-1, 1, 3, 0, -2, 20][choices.below(6)];
    let assigned = if choices.byte() & 7 == 1 { choices.below(3) } else { 0 };
    let assignments = (0..assigned).map(|_| (choices.below(4) as i32 - 1, replicas(choices))).collect();
    NewTopic {
        name: topic(choices),
        id: topic_id(choices),
        partitions,
        replication_factor: [-1, 1, 0, 3][choices.below(4)],
        assignments,
        configs: settings(choices),
    }
}

fn replicas(choices: &mut Choices<'_>) -> Vec<BrokerId> {
    (0..choices.below(3)).map(|_| broker_id(choices)).collect()
}

fn new_partitions(choices: &mut Choices<'_>) -> NewPartitions {
    let assigned = (choices.byte() & 3 == 1).then(|| (0..choices.below(3)).map(|_| replicas(choices)).collect());
    NewPartitions { name: topic(choices), count: choices.below(40) as i32 - 2, assignments: assigned }
}

fn resource(choices: &mut Choices<'_>) -> ConfigResource {
    match choices.below(5) {
        0 => ConfigResource::Broker(None),
        1 => ConfigResource::Broker(Some(broker_id(choices))),
        2 => ConfigResource::Group("g".into()),
        3 => ConfigResource::ClientMetrics("m".into()),
        _ => ConfigResource::Topic(topic(choices)),
    }
}

fn setting(choices: &mut Choices<'_>) -> (String, Option<String>) {
    let name = SETTINGS[choices.below(SETTINGS.len() as u8)];
    let value = VALUES.get(choices.below(VALUES.len() as u8 + 1)).map(|value| (*value).to_owned());
    (name.to_owned(), value)
}

fn quotas(choices: &mut Choices<'_>) -> QuotaAlteration {
    const KINDS: &[&str] = &["user", "client-id", "ip", "group", ""];
    const NAMES: &[Option<&str>] = &[None, Some("a"), Some("b"), Some("::1"), Some("")];
    const KEYS: &[&str] = &["producer_byte_rate", "request_percentage", "connection_creation_rate", "x"];
    const LIMITS: &[Option<f64>] = &[None, Some(1024.0), Some(0.5), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)];
    let part = |choices: &mut Choices<'_>| {
        let kind = KINDS[choices.below(KINDS.len() as u8)].to_owned();
        (kind, NAMES[choices.below(NAMES.len() as u8)].map(str::to_owned))
    };
    let change = |choices: &mut Choices<'_>| {
        let key = KEYS[choices.below(KEYS.len() as u8)].to_owned();
        (key, LIMITS[choices.below(LIMITS.len() as u8)].map(QuotaValue))
    };
    QuotaAlteration {
        entity: (0..choices.below(3)).map(|_| part(choices)).collect(),
        changes: (0..choices.below(3)).map(|_| change(choices)).collect(),
    }
}

fn settings(choices: &mut Choices<'_>) -> Vec<(String, Option<String>)> {
    (0..choices.below(3)).map(|_| setting(choices)).collect()
}

fn changes(choices: &mut Choices<'_>) -> Vec<ConfigChange> {
    let one = |choices: &mut Choices<'_>| {
        let operation = ConfigOperation::from_number(choices.below(4) as i8).expect("four operations");
        let (name, value) = setting(choices);
        ConfigChange { name, operation, value }
    };
    (0..choices.below(3)).map(|_| one(choices)).collect()
}
