//! The rules of cluster metadata as tables, and the machine replayed from its own log. Where a code or sentence is said to be
//! Kafka's, it is what Apache Kafka 4.3.1 answered to the same request on one broker.

use super::*;
use crate::types::TopicPartition;

fn broker(id: i32) -> Broker {
    Broker {
        id: BrokerId(id),
        epoch: -1,
        incarnation: Uuid::from_u128(7),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(9)],
        features: vec![],
    }
}

/// A machine with its log: what is answered has been applied, as the driver does it.
struct Scene {
    machine: Metadata,
    log: Vec<MetadataRecord>,
}

impl Scene {
    fn new() -> Scene {
        let mut scene = Scene { machine: Metadata::new(MetadataSettings::new("cluster")), log: vec![] };
        scene.ask(MetadataInput::RegisterBroker { broker: broker(1) });
        scene
    }

    fn ask(&mut self, input: MetadataInput) -> MetadataAnswer {
        let mut effects = self.machine.step(Now::default(), Ticket(1), input);
        for record in &effects.append {
            self.machine.apply(record);
        }
        self.log.append(&mut effects.append);
        effects.answer.pop().expect("every input is answered at once").1
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refused> {
        match self.ask(MetadataInput::CreateTopics { topics: vec![topic], validate_only: false, random: 5 }) {
            MetadataAnswer::Created(mut topics) => topics.pop().unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn image(&self) -> &Image {
        self.machine.image()
    }
}

fn topic(name: &str, id: u128) -> NewTopic {
    NewTopic {
        name: name.into(),
        id: TopicId(Uuid::from_u128(id)),
        partitions: -1,
        replication_factor: -1,
        assignments: vec![],
        configs: vec![],
    }
}

#[test]
fn a_created_topic_is_in_the_image_with_a_leader() {
    let mut scene = Scene::new();
    let created = scene.create(NewTopic { partitions: 3, ..topic("a", 11) }).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let info = scene.image().partition(&TopicPartition::new("a", 2)).unwrap();
    assert_eq!(info.leader, BrokerId(1));
    assert_eq!(info.directories, [Uuid::from_u128(9)]);
    assert_eq!(scene.image().topic_by_id(created.id).unwrap().name.as_str(), "a");
}

#[test]
fn a_fresh_machine_fed_the_log_or_the_snapshot_equals_the_live_one() {
    let mut scene = Scene::new();
    for i in 0..300u128 {
        scene.create(NewTopic { partitions: 2, ..topic(&format!("t{i}"), i + 1) }).unwrap();
    }
    let topics = (0..300).step_by(3).map(|i| TopicRef::Name(format!("t{i}").as_str().into())).collect();
    scene.ask(MetadataInput::DeleteTopics { topics });
    scene.ask(MetadataInput::AllocateProducerIds { broker: BrokerId(1) });
    for records in [scene.log.clone(), scene.machine.snapshot()] {
        let mut fresh = Metadata::new(MetadataSettings::new("cluster"));
        records.iter().for_each(|record| fresh.apply(record));
        assert_eq!(fresh.image(), scene.image());
    }
}

impl Scene {
    fn with_topics(names: &[&str]) -> Scene {
        let mut scene = Scene::new();
        for (name, id) in names.iter().zip(100..) {
            scene.create(topic(name, id)).unwrap();
        }
        scene
    }

    fn alter(
        &mut self,
        resource: ConfigResource,
        changes: &[(&str, ConfigOperation, Option<&str>)],
    ) -> Result<(), Refused> {
        let change = |(name, operation, value): &(&str, ConfigOperation, Option<&str>)| ConfigChange {
            name: name.to_string(),
            operation: *operation,
            value: value.map(str::to_string),
        };
        let resources = vec![(resource, changes.iter().map(change).collect())];
        match self.ask(MetadataInput::IncrementalAlterConfigs { resources, validate_only: false }) {
            MetadataAnswer::ConfigsAltered(mut answers) => answers.pop().unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, topics: Vec<TopicRef>) -> Vec<DeletedTopic> {
        match self.ask(MetadataInput::DeleteTopics { topics }) {
            MetadataAnswer::Deleted(answers) => answers,
            other => panic!("{other:?}"),
        }
    }

    fn grow(&mut self, name: &str, count: i32, assignments: Option<Vec<Vec<i32>>>) -> Result<(), Refused> {
        let assignments = assignments.map(|all| all.into_iter().map(ids).collect());
        let topics = vec![NewPartitions { name: name.into(), count, assignments }];
        match self.ask(MetadataInput::CreatePartitions { topics, validate_only: false, random: 3 }) {
            MetadataAnswer::PartitionsCreated(mut answers) => answers.pop().unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn configs(&self, resource: &ConfigResource) -> Vec<(String, String)> {
        self.image().configs(resource).iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

fn ids(numbers: Vec<i32>) -> Vec<BrokerId> {
    numbers.into_iter().map(BrokerId).collect()
}

fn said<T>(result: Result<T, Refused>) -> (ErrorCode, String) {
    match result {
        Ok(_) => (ErrorCode::None, String::new()),
        Err(refused) => (refused.code, refused.message),
    }
}

fn configs(pairs: &[(&str, &str)]) -> NamedValues {
    pairs.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect()
}

/// Each code and sentence is what Apache Kafka 4.3.1 answered to the same request on one broker.
#[test]
fn s10_s60_a_topic_that_may_not_be_is_refused_in_kafkas_words() {
    use ErrorCode::*;
    let long = "y".repeat(250);
    let by_hand = |assignments: &[(i32, &[i32])]| NewTopic {
        assignments: assignments.iter().map(|(partition, replicas)| (*partition, ids(replicas.to_vec()))).collect(),
        ..topic("d", 1)
    };
    let cases: Vec<(NewTopic, ErrorCode, String)> = vec![
        (topic("x", 1), TopicAlreadyExists, "Topic 'x' already exists.".into()),
        (topic("a_b", 1), InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b".into()),
        (topic("", 1), InvalidTopicException, "Topic name is invalid: the empty string is not allowed".into()),
        (topic(".", 1), InvalidTopicException, "Topic name is invalid: '.' is not allowed".into()),
        (
            topic("a b", 1),
            InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'".into(),
        ),
        (
            topic(&long, 1),
            InvalidTopicException,
            format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249"),
        ),
        (
            topic("__cluster_metadata", 1),
            InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.".into(),
        ),
        (
            NewTopic { configs: vec![("retention.ms".into(), Option::None)], ..topic("c", 1) },
            InvalidConfig,
            "Null value not supported for topic configs: retention.ms".into(),
        ),
        (
            NewTopic { partitions: 0, configs: configs(&[("retention.ms", "abc")]), ..topic("c", 1) },
            InvalidConfig,
            "Invalid value abc for configuration retention.ms: Not a number of type LONG".into(),
        ),
        (
            NewTopic { configs: configs(&[("no.such.config", "1")]), ..topic("c", 1) },
            InvalidConfig,
            "Unknown topic config name: no.such.config".into(),
        ),
        (
            NewTopic { partitions: 0, replication_factor: 0, ..topic("c", 1) },
            InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.".into(),
        ),
        (
            NewTopic { replication_factor: 5, ..topic("c", 1) },
            InvalidReplicationFactor,
            "Unable to replicate the partition 5 time(s): The target replication factor of 5 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.".into(),
        ),
        (
            NewTopic { partitions: -4, ..topic("c", 1) },
            InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.".into(),
        ),
        (
            NewTopic { partitions: 10_001, ..topic("c", 1) },
            PolicyViolation,
            "Excessively large number of partitions per request.".into(),
        ),
        (
            NewTopic { partitions: 1, ..by_hand(&[(0, &[1])]) },
            InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.".into(),
        ),
        (
            NewTopic { replication_factor: 1, ..by_hand(&[(0, &[1])]) },
            InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.".into(),
        ),
        (
            by_hand(&[(0, &[1]), (0, &[1])]),
            InvalidReplicaAssignment,
            "Found multiple manual partition assignments for partition 0".into(),
        ),
        (
            by_hand(&[(1, &[1])]),
            InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence".into(),
        ),
        (
            by_hand(&[(0, &[])]),
            InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.".into(),
        ),
        (
            by_hand(&[(0, &[9])]),
            InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.".into(),
        ),
        (
            by_hand(&[(0, &[1, 1])]),
            InvalidReplicaAssignment,
            "The manual partition assignment includes the broker 1 more than once.".into(),
        ),
    ];
    let mut scene = Scene::with_topics(&["a.b", "x"]);
    let before = scene.image().clone();
    for (asked, code, message) in cases {
        let name = asked.name.clone();
        assert_eq!(said(scene.create(asked)), (code, message), "{name}");
        assert_eq!(*scene.image(), before, "a refused topic leaves nothing");
    }
    let twice = MetadataInput::CreateTopics {
        topics: vec![topic("n", 5), topic("m", 6), topic("n", 7)],
        validate_only: false,
        random: 0,
    };
    let MetadataAnswer::Created(answers) = scene.ask(twice) else { panic!() };
    let answers: Vec<_> = answers.into_iter().map(|(name, result)| (name.to_string(), said(result))).collect();
    assert_eq!(
        answers,
        [
            ("n".to_string(), (InvalidRequest, "Duplicate topic name.".to_string())),
            ("m".to_string(), (None, String::new()))
        ]
    );
}

#[test]
fn numbers_left_open_are_the_brokers_defaults() {
    let settings =
        MetadataSettings { num_partitions: 6, default_replication_factor: 2, ..MetadataSettings::new("cluster") };
    let mut scene = Scene { machine: Metadata::new(settings), log: vec![] };
    for id in [1, 2, 3] {
        scene.ask(MetadataInput::RegisterBroker { broker: broker(id) });
    }
    let created = scene.create(topic("a", 1)).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (6, 2));
    let partitions = &scene.image().topic("a").unwrap().partitions;
    for info in partitions {
        assert_eq!((info.replicas.len(), &info.isr, info.leader), (2, &info.replicas, info.replicas[0]));
    }
    // Leaders and followers are spread: each of three brokers leads two of six.
    for id in [1, 2, 3] {
        assert_eq!(partitions.iter().filter(|info| info.leader == BrokerId(id)).count(), 2);
    }
}

#[test]
fn asking_only_for_validation_reports_everything_and_makes_nothing() {
    let mut scene = Scene::with_topics(&["x"]);
    let input = MetadataInput::CreateTopics {
        topics: vec![topic("x", 1), NewTopic { partitions: 3, ..topic("y", 2) }],
        validate_only: true,
        random: 0,
    };
    let MetadataAnswer::Created(answers) = scene.ask(input) else { panic!() };
    assert_eq!(answers[0].1.as_ref().unwrap_err().code, ErrorCode::TopicAlreadyExists);
    assert_eq!(answers[1].1.as_ref().unwrap().partitions, 3);
    assert!(scene.image().topic("y").is_none());
}

#[test]
fn internal_topics_are_made_as_their_settings_say_with_the_brokers_there_are() {
    let mut scene = Scene::new();
    let topics =
        vec![(CONSUMER_OFFSETS.into(), TopicId(Uuid::from_u128(5))), ("user".into(), TopicId(Uuid::from_u128(6)))];
    scene.ask(MetadataInput::AutoCreateTopics { topics, random: 0 });
    let offsets = scene.image().topic(CONSUMER_OFFSETS).unwrap();
    assert!(offsets.internal);
    assert_eq!((offsets.partitions.len(), offsets.partitions[0].replicas.len()), (50, 1));
    let resource = ConfigResource::Topic(CONSUMER_OFFSETS.into());
    assert!(scene.configs(&resource).contains(&("cleanup.policy".to_string(), "compact".to_string())));
    assert_eq!(scene.image().topic("user").unwrap().partitions.len(), 1);
}

/// I22.
#[test]
fn i22_a_topic_made_again_has_another_id_and_none_of_the_old_settings() {
    let mut scene = Scene::new();
    let resource = ConfigResource::Topic("a".into());
    let old = scene.create(NewTopic { configs: configs(&[("retention.ms", "1")]), ..topic("a", 1) }).unwrap().id;
    scene.alter(resource.clone(), &[("flush.ms", ConfigOperation::Set, Some("9"))]).unwrap();
    scene.delete(vec![TopicRef::Id(old)]);
    assert!(scene.image().topic("a").is_none() && scene.image().topic_by_id(old).is_none());
    assert_eq!(scene.image().partition_count(), 0);
    let new = scene.create(topic("a", 2)).unwrap().id;
    assert_ne!(old, new);
    assert_eq!(scene.configs(&resource), []);
    assert!(scene.image().topic_by_id(old).is_none());
    assert_eq!(said(scene.delete(vec![TopicRef::Id(old)]).pop().unwrap().result).0, ErrorCode::UnknownTopicId);
}

#[test]
fn deleting_answers_each_name_and_id_once() {
    use ErrorCode::*;
    let mut scene = Scene::with_topics(&["x", "y", "z"]);
    let id = |n| TopicId(Uuid::from_u128(n));
    let name = |name: &str| TopicRef::Name(name.into());
    let answers = scene.delete(vec![
        name("x"),
        name("nope"),
        name("y"),
        name("y"),
        TopicRef::Id(id(77)),
        TopicRef::Id(id(78)),
        TopicRef::Id(id(78)),
        name("z"),
        TopicRef::Id(id(102)),
    ]);
    let told: Vec<_> = answers
        .into_iter()
        .map(|answer| (answer.name.map(|name| name.to_string()), answer.id, said(answer.result)))
        .collect();
    let some = |name: &str| Some(name.to_string());
    let no = TopicId::ZERO;
    assert_eq!(
        told,
        [
            (some("x"), id(100), (None, String::new())),
            (some("nope"), no, (UnknownTopicOrPartition, "This server does not host this topic-partition.".into())),
            (some("y"), no, (InvalidRequest, "Duplicate topic name.".into())),
            (Option::None, id(77), (UnknownTopicId, "This server does not host this topic ID.".into())),
            (Option::None, id(78), (InvalidRequest, "Duplicate topic id.".into())),
            (
                some("z"),
                id(102),
                (InvalidRequest, "The provided topic name maps to an ID that was already supplied.".into())
            ),
        ]
    );
    assert_eq!(scene.image().topics().map(|topic| topic.name.to_string()).collect::<Vec<_>>(), ["y", "z"]);
}

/// Each code and sentence is Apache Kafka 4.3.1's; the last one it answers with UNKNOWN_SERVER_ERROR.
#[test]
fn a_topic_grows_or_kafka_says_why_not() {
    use ErrorCode::*;
    let mut scene = Scene::with_topics(&["x"]);
    let cases = [
        ("nope", 4, Option::None, UnknownTopicOrPartition, ""),
        ("x", 1, Option::None, InvalidPartitions, "Topic already has 1 partition(s)."),
        (
            "x",
            0,
            Option::None,
            InvalidPartitions,
            "The topic x currently has 1 partition(s); 0 would not be an increase.",
        ),
        (
            "x",
            3,
            Some(vec![vec![1]]),
            InvalidReplicaAssignment,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            "x",
            3,
            Some(vec![vec![1], vec![5]]),
            InvalidReplicaAssignment,
            "The manual partition assignment includes broker 5, but no such broker is registered.",
        ),
        ("x", 20_000, Option::None, PolicyViolation, "Excessively large number of partitions per request."),
    ];
    for (name, count, assignments, code, message) in cases {
        assert_eq!(said(scene.grow(name, count, assignments)), (code, message.to_string()), "{name} {count}");
    }
    scene.grow("x", 3, Option::None).unwrap();
    scene.grow("x", 4, Some(vec![vec![1]])).unwrap();
    assert_eq!(scene.image().topic("x").unwrap().partitions.len(), 4);
    assert_eq!(scene.image().partition_count(), 4);
}

/// Each code and sentence is Apache Kafka 4.3.1's.
#[test]
fn a_setting_that_may_not_be_is_refused_in_kafkas_words() {
    use ConfigOperation::*;
    use ErrorCode as E;
    let topic = |name: &str| ConfigResource::Topic(name.into());
    let own = ConfigResource::Broker(Some(BrokerId(1)));
    let all = ConfigResource::Broker(None);
    let group = |name: &str| ConfigResource::Group(name.into());
    let metrics = |name: &str| ConfigResource::ClientMetrics(name.into());
    let mut scene = Scene::with_topics(&["x"]);
    type Change<'a> = (&'a str, ConfigOperation, Option<&'a str>);
    let cases: Vec<(ConfigResource, Vec<Change>, E, &str)> = vec![
        (
            topic("x"),
            vec![("retention.ms", Append, Some("5"))],
            E::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (topic("x"), vec![("nope", Set, Some("1"))], E::InvalidConfig, "Unknown topic config name: nope"),
        (topic("x"), vec![("nope", Delete, None)], E::None, ""),
        (
            topic("x"),
            vec![("retention.ms", Set, None)],
            E::InvalidRequest,
            "Null value not supported for : retention.ms",
        ),
        (
            topic("x"),
            vec![("retention.ms", Set, Some("1")), ("retention.ms", Delete, None)],
            E::InvalidRequest,
            "Error due to duplicate config keys",
        ),
        (
            topic("x"),
            vec![("min.insync.replicas", Set, Some("0"))],
            E::InvalidConfig,
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1",
        ),
        (topic("nope"), vec![], E::UnknownTopicOrPartition, "The topic 'nope' does not exist."),
        (topic(""), vec![], E::InvalidRequest, "Default topic resources are not allowed."),
        (
            topic("bad name"),
            vec![],
            E::InvalidTopicException,
            "Topic name is invalid: 'bad name' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (own.clone(), vec![("log.retention.ms", Set, Some("500"))], E::None, ""),
        (
            own.clone(),
            vec![("node.id", Set, Some("5"))],
            E::InvalidRequest,
            "Cannot update these configs dynamically: [node.id]",
        ),
        (own.clone(), vec![("nope.nope", Set, Some("5"))], E::None, ""),
        (
            own.clone(),
            vec![("message.max.bytes", Set, Some("-1"))],
            E::InvalidRequest,
            "Invalid value -1 for configuration message.max.bytes: Value must be at least 0",
        ),
        (
            own,
            vec![("ssl.keystore.password", Set, Some("secret"))],
            E::InvalidRequest,
            "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.password]",
        ),
        (
            all.clone(),
            vec![("listeners", Set, Some("x"))],
            E::InvalidRequest,
            "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
        ),
        (all, vec![("log.segment.bytes", Set, Some("5000000"))], E::None, ""),
        (group("g"), vec![("consumer.session.timeout.ms", Set, Some("50000"))], E::None, ""),
        (
            group("g"),
            vec![("consumer.session.timeout.ms", Set, Some("5"))],
            E::InvalidConfig,
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (group("g"), vec![("nope", Set, Some("5"))], E::InvalidConfig, "Unknown group config name: nope"),
        (group(""), vec![], E::InvalidRequest, "Default group resources are not allowed."),
        (metrics("m"), vec![("interval.ms", Set, Some("1000")), ("match", Set, Some("client_id=a"))], E::None, ""),
        (
            metrics("m"),
            vec![("interval.ms", Set, Some("10"))],
            E::InvalidRequest,
            "Invalid value 10 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (metrics("m"), vec![("match", Set, Some("foo"))], E::InvalidConfig, "Illegal client matching pattern: foo"),
        (metrics("m"), vec![("nope", Set, Some("1"))], E::InvalidRequest, "Unknown client metrics configuration: nope"),
        (metrics(""), vec![], E::InvalidRequest, "Subscription name can't be empty"),
    ];
    for (resource, changes, code, message) in cases {
        let result = scene.alter(resource.clone(), &changes);
        assert_eq!(said(result), (code, message.to_string()), "{resource} {changes:?}");
    }
}

/// Kafka with ZooKeeper took it, and test tools of that time set it; for one broker only, and checked as at the start.
#[test]
fn advertised_listeners_can_be_set_in_a_running_broker() {
    use ConfigOperation::*;
    let names = ListenerNames { for_clients: vec!["PLAINTEXT".into(), "BROKER".into()], ..ListenerNames::default() };
    let settings = MetadataSettings { listeners: names, ..MetadataSettings::new("cluster") };
    let mut scene = Scene { machine: Metadata::new(settings), log: vec![] };
    scene.ask(MetadataInput::RegisterBroker { broker: broker(1) });
    let own = ConfigResource::Broker(Some(BrokerId(1)));
    let good = "PLAINTEXT://localhost:32768,BROKER://box:9092";
    for (resource, value, message) in [
        (&own, good, ""),
        (&ConfigResource::Broker(None), good, "Cannot update these configs dynamically: [advertised.listeners]"),
        (
            &own,
            "OTHER://box:1",
            "advertised.listeners names OTHER, which listeners does not have; its names are PLAINTEXT,BROKER",
        ),
        (&own, "PLAINTEXT://:1", "advertised.listeners has no host for PLAINTEXT; write a host name or an address"),
        (&own, "", "advertised.listeners names no address; delete the setting to go back to those of the start"),
    ] {
        let result = scene.alter(resource.clone(), &[("advertised.listeners", Set, Some(value))]);
        let code = if message.is_empty() { ErrorCode::None } else { ErrorCode::InvalidRequest };
        assert_eq!(said(result), (code, message.to_string()), "{resource} {value}");
    }
    assert_eq!(
        scene.configs(&own),
        [("advertised.listeners".to_string(), good.to_string())],
        "what was refused is not kept"
    );
    scene.alter(own.clone(), &[("advertised.listeners", Delete, None)]).unwrap();
    assert_eq!(scene.configs(&own), []);
}

#[test]
fn lists_grow_and_shrink_from_what_holds_now() {
    use ConfigOperation::*;
    let mut scene = Scene::with_topics(&["x"]);
    let resource = ConfigResource::Topic("x".into());
    let mut policy = |operation, value| {
        scene.alter(resource.clone(), &[("cleanup.policy", operation, Some(value))]).unwrap();
        scene.image().topic_configs(&"x".into())["cleanup.policy"].clone()
    };
    assert_eq!(policy(Append, "compact"), "delete,compact");
    assert_eq!(policy(Append, "compact,delete"), "delete,compact");
    assert_eq!(policy(Subtract, "delete"), "compact");
    assert_eq!(policy(Subtract, "compact"), "");
}

/// Pitfall 58: the old way forgets what it does not name, the new way does not.
#[test]
fn altering_replaces_and_altering_incrementally_changes() {
    let mut scene = Scene::with_topics(&["x"]);
    let resource = ConfigResource::Topic("x".into());
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>();
    scene.alter(resource.clone(), &[("retention.ms", ConfigOperation::Set, Some("604800000"))]).unwrap();
    assert_eq!(scene.configs(&resource), pairs(&[("retention.ms", "604800000")]), "a default is an override too");
    scene.alter(resource.clone(), &[("flush.ms", ConfigOperation::Set, Some("9"))]).unwrap();
    assert_eq!(scene.configs(&resource), pairs(&[("flush.ms", "9"), ("retention.ms", "604800000")]));
    let replace = |values| MetadataInput::AlterConfigs {
        resources: vec![(ConfigResource::Topic("x".into()), configs(values))],
        validate_only: false,
    };
    scene.ask(replace(&[("segment.ms", "7")]));
    assert_eq!(scene.configs(&resource), pairs(&[("segment.ms", "7")]));
    scene.ask(replace(&[]));
    assert_eq!(scene.configs(&resource), []);
}

#[test]
fn a_block_of_producer_ids_is_handed_out_once() {
    let mut scene = Scene::new();
    let mut firsts = vec![];
    for _ in 0..3 {
        let MetadataAnswer::ProducerIds { first } =
            scene.ask(MetadataInput::AllocateProducerIds { broker: BrokerId(1) })
        else {
            panic!()
        };
        firsts.push(first.0);
    }
    assert_eq!(firsts, [0, 1000, 2000]);
}

#[test]
fn a_registration_that_says_nothing_new_writes_nothing() {
    let mut scene = Scene::new();
    let records = scene.log.len();
    let again = Broker { incarnation: Uuid::from_u128(99), ..broker(1) };
    assert_eq!(scene.ask(MetadataInput::RegisterBroker { broker: again }), MetadataAnswer::Registered { epoch: 0 });
    assert_eq!(scene.log.len(), records);
    let moved = Broker { rack: Some("r".into()), ..broker(1) };
    assert_eq!(scene.ask(MetadataInput::RegisterBroker { broker: moved }), MetadataAnswer::Registered { epoch: 1 });
    assert_eq!(scene.image().broker(BrokerId(1)).unwrap().rack.as_deref(), Some("r"));
}

#[test]
fn a_transaction_takes_effect_at_its_end_or_never() {
    let id = TopicId(Uuid::from_u128(1));
    let made = MetadataRecord::Topic { name: "a".into(), id };
    let mut machine = Metadata::new(MetadataSettings::new("cluster"));
    for record in [MetadataRecord::BeginTransaction, made.clone()] {
        machine.apply(&record);
    }
    assert!(machine.image().topic("a").is_none());
    // The log ends here: the next write gives the transaction up before anything else.
    let effects = machine.step(Now::default(), Ticket(1), MetadataInput::AllocateProducerIds { broker: BrokerId(1) });
    assert_eq!(effects.append[0], MetadataRecord::AbortTransaction);
    for record in
        [MetadataRecord::AbortTransaction, MetadataRecord::BeginTransaction, made, MetadataRecord::EndTransaction]
    {
        machine.apply(&record);
    }
    assert!(machine.image().topic("a").is_some());
}

/// I69: what makes no sense changes nothing.
#[test]
fn i69_records_about_things_that_are_not_there_change_nothing() {
    let mut scene = Scene::with_topics(&["x"]);
    let before = scene.image().clone();
    let id = TopicId(Uuid::from_u128(4711));
    let info = scene.image().topic("x").unwrap().partitions[0].clone();
    for record in [
        MetadataRecord::RemoveTopic(id),
        MetadataRecord::Partition { topic: id, partition: 0, info: info.clone() },
        MetadataRecord::Partition { topic: TopicId(Uuid::from_u128(100)), partition: 7, info: info.clone() },
        MetadataRecord::Partition { topic: TopicId(Uuid::from_u128(100)), partition: -1, info },
        MetadataRecord::PartitionChange {
            topic: id,
            partition: 0,
            leader: None,
            isr: None,
            replicas: None,
            directories: None,
        },
        MetadataRecord::UnregisterBroker(BrokerId(9)),
        MetadataRecord::Config { resource: ConfigResource::Group("g".into()), name: "a".into(), value: None },
        MetadataRecord::NoOp,
        MetadataRecord::EndTransaction,
        MetadataRecord::AbortTransaction,
    ] {
        scene.machine.apply(&record);
    }
    assert_eq!(*scene.image(), before);
}

/// Random requests, good and bad: a fresh machine fed the log, in Kafka's bytes, equals the live one, and so does one
/// fed the snapshot; a clone of the image taken on the way does not move (I100, I102).
#[test]
fn replay_and_snapshot_equal_the_live_image_after_any_requests() {
    use crate::clock::{Clock, ManualClock};
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    println!("SEED={seed}");
    let dice = ManualClock::new(crate::types::Timestamp(0), seed);
    let roll = |sides: u64| dice.random() % sides;
    let mut scene = Scene::new();
    for id in 2..5 {
        scene.ask(MetadataInput::RegisterBroker { broker: broker(id) });
    }
    let mut kept = None;
    for round in 0..2_000 {
        let name = format!("t{}", roll(60));
        let input = match roll(8) {
            0 | 1 => MetadataInput::CreateTopics {
                topics: vec![NewTopic {
                    name: name.as_str().into(),
                    id: TopicId(dice.random_id()),
                    partitions: roll(6) as i32 - 1,
                    replication_factor: roll(6) as i16 - 1,
                    assignments: vec![],
                    configs: configs(&[[("retention.ms", "5"), ("nope", "5")][roll(2) as usize]]),
                }],
                validate_only: roll(4) == 0,
                random: dice.random(),
            },
            2 => MetadataInput::AutoCreateTopics {
                topics: vec![(name.as_str().into(), TopicId(dice.random_id()))],
                random: dice.random(),
            },
            3 => MetadataInput::DeleteTopics { topics: vec![TopicRef::Name(name.as_str().into())] },
            4 => MetadataInput::CreatePartitions {
                topics: vec![NewPartitions { name: name.as_str().into(), count: roll(9) as i32, assignments: None }],
                validate_only: false,
                random: dice.random(),
            },
            5 => MetadataInput::AlterConfigs {
                resources: vec![(ConfigResource::Topic(name.as_str().into()), configs(&[("flush.ms", "8")]))],
                validate_only: false,
            },
            6 => MetadataInput::IncrementalAlterConfigs {
                resources: vec![(
                    [ConfigResource::Topic(name.as_str().into()), ConfigResource::Broker(None)][roll(2) as usize]
                        .clone(),
                    vec![ConfigChange {
                        name: ["retention.ms", "log.retention.ms", "flush.ms"][roll(3) as usize].into(),
                        operation: ConfigOperation::from_number(roll(2) as i8).unwrap(),
                        value: Some(roll(100).to_string()),
                    }],
                )],
                validate_only: false,
            },
            _ => MetadataInput::AllocateProducerIds { broker: BrokerId(1) },
        };
        scene.ask(input);
        if round == 1_000 {
            kept = Some((scene.image().clone(), format!("{:?}", scene.image())));
        }
    }
    let (image, text) = kept.unwrap();
    assert_eq!(format!("{image:?}"), text, "a published image never changes");
    for records in [&scene.log, &scene.machine.snapshot()] {
        let mut fresh = Metadata::new(MetadataSettings::new("cluster"));
        for record in records {
            fresh.apply(&MetadataRecord::decode(&record.encode()).unwrap());
        }
        assert_eq!(fresh.image(), scene.image());
    }
    let count = scene.image().topics().map(|topic| topic.partitions.len()).sum::<usize>();
    assert_eq!(scene.image().partition_count(), count);
    assert!(count > 0);
}

/// Ten thousand partitions: publishing after each change stays cheap.
#[test]
fn an_image_of_many_topics_shares_what_does_not_change() {
    let mut scene = Scene::new();
    let mut images = vec![];
    for id in 1..=2_000u128 {
        scene.create(NewTopic { partitions: 5, ..topic(&format!("t_{id}"), id) }).unwrap();
        images.push(scene.image().clone());
        if images.len() > 3 {
            images.remove(0);
        }
    }
    let (last, before) = (&images[2], &images[1]);
    let shared = before.topics().filter(|topic| Arc::ptr_eq(topic, last.topic(topic.name.as_str()).unwrap())).count();
    assert_eq!((shared, last.partition_count()), (1_999, 10_000));
}

type Parts<'a> = &'a [(&'a str, Option<&'a str>)];
type Limits<'a> = &'a [(&'a str, Option<f64>)];

fn alteration(parts: Parts<'_>, changes: &[(&str, Option<f64>)]) -> QuotaAlteration {
    QuotaAlteration {
        entity: parts.iter().map(|(kind, name)| (kind.to_string(), name.map(str::to_string))).collect(),
        changes: changes.iter().map(|(key, value)| (key.to_string(), value.map(QuotaValue))).collect(),
    }
}

impl Scene {
    fn alter_quotas(&mut self, entries: Vec<QuotaAlteration>, validate_only: bool) -> Vec<(ErrorCode, String)> {
        match self.ask(MetadataInput::AlterClientQuotas { entries, validate_only }) {
            MetadataAnswer::QuotasAltered(answers) => answers.into_iter().map(|(_, result)| said(result)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn alter_quota(&mut self, parts: Parts<'_>, changes: &[(&str, Option<f64>)]) -> (ErrorCode, String) {
        self.alter_quotas(vec![alteration(parts, changes)], false).remove(0)
    }

    /// Every quota as `type=name … key=value`.
    fn quotas(&self) -> Vec<String> {
        let part = |(kind, name): (&str, Option<&str>)| format!("{kind}={}", name.unwrap_or("<default>"));
        let shown = |(entity, quotas): (&QuotaEntity, &Arc<Quotas>)| {
            let values = quotas.iter().map(|(key, value)| format!("{key}={}", value.0));
            entity.parts().map(part).chain(values).collect::<Vec<_>>().join(" ")
        };
        self.image().quotas().iter().map(shown).collect()
    }
}

#[test]
fn quotas_are_set_changed_and_removed_and_are_the_same_after_a_restart() {
    let mut scene = Scene::new();
    let fine = (ErrorCode::None, String::new());
    let user: Parts<'_> = &[("user", Some("u"))];
    assert_eq!(
        scene.alter_quota(user, &[("producer_byte_rate", Some(1024.0)), ("request_percentage", Some(12.5))]),
        fine
    );
    assert_eq!(scene.alter_quota(&[("client-id", None), ("user", None)], &[("consumer_byte_rate", Some(5.0))]), fine);
    assert_eq!(
        scene.quotas(),
        [
            "user=<default> client-id=<default> consumer_byte_rate=5",
            "user=u producer_byte_rate=1024 request_percentage=12.5"
        ]
    );
    let written = scene.log.len();
    assert_eq!(scene.alter_quota(user, &[("producer_byte_rate", Some(1024.0)), ("consumer_byte_rate", None)]), fine);
    assert_eq!(scene.log.len(), written, "what changes nothing writes nothing");
    let entries = vec![alteration(user, &[("producer_byte_rate", Some(9.0))])];
    assert_eq!(scene.alter_quotas(entries, true)[0], fine);
    assert_eq!(scene.log.len(), written, "what is only validated writes nothing");
    assert_eq!(scene.alter_quota(user, &[("producer_byte_rate", None), ("request_percentage", None)]), fine);
    assert_eq!(scene.quotas(), ["user=<default> client-id=<default> consumer_byte_rate=5"]);
    for records in [scene.log.clone(), scene.machine.snapshot()] {
        let mut fresh = Metadata::new(MetadataSettings::new("cluster"));
        records.iter().for_each(|record| fresh.apply(record));
        assert_eq!(fresh.image(), scene.image());
    }
}

#[test]
fn quotas_that_may_not_be_are_refused_in_kafkas_words() {
    use ErrorCode::InvalidRequest;
    let rate: Limits<'_> = &[("producer_byte_rate", Some(1.0))];
    let user: Parts<'_> = &[("user", Some("u"))];
    let cases: Vec<(Parts<'_>, Limits<'_>, &str)> = vec![
        (&[], rate, "Invalid empty client quota entity"),
        (&[("user", Some(""))], rate, "Empty user not supported"),
        (&[("group", Some("g"))], rate, "Unhandled client quota entity type: group"),
        (
            &[("ip", None), ("user", Some("u"))],
            rate,
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
        (&[("ip", Some("no address"))], rate, "no address is not a valid IP or resolvable host."),
        (&[("ip", Some("127.0.0.1"))], rate, "Invalid configuration key producer_byte_rate"),
        (user, &[("connection_creation_rate", Some(1.0))], "Invalid configuration key connection_creation_rate"),
        (
            &[("ip", Some("127.0.0.1"))],
            &[("connection_creation_rate", Some(3e9))],
            "Proposed value for connection_creation_rate is too large for an INT.",
        ),
        (user, &[("producer_byte_rate", Some(0.0))], "Quota producer_byte_rate must be greater than 0"),
        (user, &[("request_percentage", Some(-1.0))], "Quota request_percentage must be greater than 0"),
        (user, &[("producer_byte_rate", Some(1.5))], "producer_byte_rate cannot be a fractional value."),
        (user, &[("consumer_byte_rate", Some(1e19))], "Proposed value for consumer_byte_rate is too large for a LONG."),
    ];
    let mut scene = Scene::new();
    let written = scene.log.len();
    for (parts, changes, message) in cases {
        assert_eq!(scene.alter_quota(parts, changes), (InvalidRequest, message.to_string()));
    }
    assert_eq!(scene.log.len(), written);
    assert!(scene.quotas().is_empty());
}

#[test]
fn an_entity_named_twice_is_answered_once() {
    let mut scene = Scene::new();
    let set = |value| alteration(&[("user", Some("u"))], &[("producer_byte_rate", Some(value))]);
    let answers = scene.alter_quotas(vec![set(1.0), set(2.0)], false);
    let message = "Ignoring duplicate entity ClientQuotaEntity(entries={user=u})".to_string();
    assert_eq!(answers, [(ErrorCode::InvalidRequest, message)]);
    assert_eq!(scene.quotas(), ["user=u producer_byte_rate=1"]);
}

/// S10: what a stranger may have kept in memory is bounded.
#[test]
fn s10_there_are_only_so_many_entities() {
    let mut scene = Scene::new();
    let names: Vec<String> = (0..10_001).map(|number| format!("u{number}")).collect();
    let set = |name: &String| alteration(&[("user", Some(name))], &[("producer_byte_rate", Some(1.0))]);
    let answers = scene.alter_quotas(names.iter().map(set).collect(), false);
    assert_eq!(answers.iter().filter(|(code, _)| *code == ErrorCode::None).count(), 10_000);
    assert_eq!(answers[10_000].0, ErrorCode::PolicyViolation);
    assert_eq!(scene.alter_quota(&[("user", Some("u7"))], &[("producer_byte_rate", Some(2.0))]).0, ErrorCode::None);
    let long = "x".repeat(40_000);
    assert_eq!(scene.alter_quota(&[("user", Some(&long))], &[]).0, ErrorCode::InvalidRequest);
}

impl Scene {
    /// Asks as a client with that id, at that time; the answer, and how long the client has to wait.
    fn pay(&mut self, mono_ms: u64, client_id: &str, strict: bool, input: MetadataInput) -> (MetadataAnswer, u64) {
        let payer = MutationPayer { user: "u".into(), client_id: client_id.into(), strict };
        let now = Now { mono: Monotonic(mono_ms), ..Now::default() };
        let input = MetadataInput::Paid { payer, input: Box::new(input) };
        let mut effects = self.machine.step(now, Ticket(1), input);
        effects.append.iter().for_each(|record| self.machine.apply(record));
        match effects.answer.pop().expect("every input is answered at once").1 {
            MetadataAnswer::Paid { wait_ms, answer } => (*answer, wait_ms),
            other => panic!("{other:?}"),
        }
    }

    /// Creates topics of so many partitions; the code of each, and the wait.
    fn create_paid(&mut self, ms: u64, strict: bool, topics: &[(&str, i32)]) -> (Vec<ErrorCode>, u64) {
        let topics = topics
            .iter()
            .zip(self.image().topics.len() as u128 + 1..)
            .map(|((name, partitions), id)| NewTopic { partitions: *partitions, ..topic(name, id) })
            .collect();
        let input = MetadataInput::CreateTopics { topics, validate_only: false, random: 0 };
        match self.pay(ms, "c", strict, input) {
            (MetadataAnswer::Created(answers), wait) => (answers.into_iter().map(|(_, it)| said(it).0).collect(), wait),
            other => panic!("{other:?}"),
        }
    }
}

/// KIP-599. The window is 11 s, so a rate of 2 allows 22 partitions at once.
#[test]
fn a_strict_client_is_refused_what_it_cannot_pay_and_told_when_it_can() {
    use ErrorCode::{None, ThrottlingQuotaExceeded};
    let mut scene = Scene::new();
    assert_eq!(scene.alter_quota(&[("client-id", Some("c"))], &[("controller_mutation_rate", Some(2.0))]).0, None);
    let topics = [("a", 20), ("b", 12), ("c", 1)];
    assert_eq!(scene.create_paid(0, true, &topics), (vec![None, None, ThrottlingQuotaExceeded], 5_000));
    assert_eq!(scene.create_paid(4_999, true, &[("c", 1)]), (vec![ThrottlingQuotaExceeded], 1));
    assert_eq!(scene.create_paid(5_000, true, &[("c", 1), ("d", 1)]), (vec![None, ThrottlingQuotaExceeded], 500));
    let free = MetadataInput::DeleteTopics { topics: vec![TopicRef::Name("a".into())] };
    let (MetadataAnswer::Deleted(answers), 0) = scene.pay(5_000, "other", true, free) else { panic!() };
    assert_eq!(said(answers[0].result.clone()).0, None);
    // Removing and adding partitions costs as much as making them.
    let remove = MetadataInput::DeleteTopics { topics: vec![TopicRef::Name("b".into())] };
    let (MetadataAnswer::Deleted(answers), 500) = scene.pay(5_000, "c", true, remove.clone()) else { panic!() };
    assert_eq!(said(answers[0].result.clone()).0, ThrottlingQuotaExceeded);
    assert!(scene.image().topic("b").is_some());
    let (MetadataAnswer::Deleted(answers), 0) = scene.pay(6_000, "c", true, remove) else { panic!() };
    assert_eq!(said(answers[0].result.clone()).0, None);
    let topics = vec![NewPartitions { name: "c".into(), count: 2, assignments: Option::None }];
    let more = MetadataInput::CreatePartitions { topics, validate_only: false, random: 0 };
    let (MetadataAnswer::PartitionsCreated(answers), 5_500) = scene.pay(6_000, "c", true, more) else { panic!() };
    assert_eq!(said(answers[0].1.clone()).0, ThrottlingQuotaExceeded);
}

#[test]
fn an_older_client_is_served_and_waits() {
    use ErrorCode::{None, TopicAlreadyExists};
    let mut scene = Scene::new();
    assert_eq!(scene.alter_quota(&[("user", Some("u"))], &[("controller_mutation_rate", Some(2.0))]).0, None);
    assert_eq!(scene.create_paid(0, false, &[("a", 20), ("b", 12), ("c", 2)]), (vec![None; 3], 6_000));
    // What is refused for another reason costs nothing.
    assert_eq!(scene.create_paid(6_000, false, &[("a", 20)]), (vec![TopicAlreadyExists], 0));
}
