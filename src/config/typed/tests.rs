//! What a start with these settings does: the values rooms get, the sentences of a refusal, the lines of the start.

use proptest::prelude::*;

use super::*;

/// A start from the text of a `server.properties`, on a machine called `machine`.
fn started(text: &str) -> Result<Settings, Vec<String>> {
    let file = Some(("server.properties".to_string(), text.to_string()));
    let sources = Sources { file, host_name: "machine".into(), ..Sources::default() };
    Settings::load(&sources).map_err(|refusals| refusals.0)
}

fn refused(text: &str) -> Vec<String> {
    started(text).map(|_| format!("{text} starts")).unwrap_err()
}

fn address(host: &str, port: u16) -> Option<Advertised> {
    Some(Advertised { host: host.into(), port })
}

#[test]
fn without_a_word_it_listens_on_loopback_and_serves_at_once() {
    let settings = started("").unwrap();
    assert_eq!(settings.node_id, BrokerId(1));
    assert_eq!(settings.cluster_id, None);
    let [listener] = &settings.net.listeners[..] else { panic!("{:?}", settings.net.listeners) };
    assert_eq!((listener.name.as_str(), listener.bind(), listener.port), ("PLAINTEXT", Bind::Loopback, 9092));
    assert_eq!(listener.advertised, address("localhost", 9092));
    assert_eq!(settings.storage.log_dir, PathBuf::from("milena-data"));
    assert_eq!(settings.storage.log, LogConfig::default());
    assert_eq!(settings.storage.durability, Durability::Flush);
    assert_eq!(settings.groups.initial_rebalance_delay_ms, 0);
    assert_eq!(settings.groups.disconnect_grace_ms, 3000);
    assert_eq!(settings.groups.offsets_topic_partitions, 50);
    assert_eq!(settings.groups.offsets_retention_ms, 7 * 86_400_000);
    assert!(settings.controller.auto_create_topics && settings.controller.delete_topics);
    assert_eq!(settings.net.socket_request_max_bytes, 100 << 20);
    assert_eq!(settings.net.queued_max_request_bytes, None);
    assert_eq!(settings.net.connections_max_idle_ms, Some(600_000));
    assert!(settings.groups.serve_classic && settings.groups.serve_consumer);
    assert!(settings.groups.consumer.may_upgrade && settings.groups.consumer.may_downgrade);
    assert_eq!(settings.groups.consumer.assignors, ["uniform", "range"]);
    assert!(settings.remarks.is_empty(), "{:?}", settings.remarks);
}

/// The catalogue must not promise what nobody reads. What has no effect may be read too: so a value that cannot be is told.
#[test]
fn what_the_catalogue_calls_honoured_is_read() {
    let values = load::merge(&Sources::default()).unwrap();
    let reader = Reader { values: &values, read: RefCell::default(), problems: RefCell::default() };
    reader.refuse_clusters();
    reader.node_id();
    reader.cluster_id();
    reader.text("broker.rack");
    reader.memory();
    reader.net("machine");
    reader.storage();
    reader.produce();
    reader.fetch();
    reader.groups();
    reader.transactions();
    reader.controller();
    reader.quotas();
    let read = reader.read.into_inner();
    let all = catalog::broker_settings().chain(catalog::former_settings());
    for setting in all.filter(|setting| setting.fate == Fate::Honoured) {
        assert!(read.contains(setting.name), "{} is honoured, and nobody reads it", setting.name);
    }
}

#[test]
fn a_listener_has_a_name_an_address_and_what_clients_are_told() {
    let settings = started(
        "listeners=INSIDE://:9092,OUTSIDE://0.0.0.0:29092,LOCAL://localhost:0,CONTROLLER://:9093\n\
         advertised.listeners=INSIDE://broker:9092,OUTSIDE://:29093\n\
         listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,LOCAL:PLAINTEXT,CONTROLLER:SASL_SSL",
    )
    .unwrap();
    let told: Vec<_> =
        settings.net.listeners.iter().map(|l| (l.name.as_str(), l.bind(), l.advertised.clone())).collect();
    assert_eq!(
        told,
        [
            ("INSIDE", Bind::Everywhere, address("broker", 9092)),
            ("OUTSIDE", Bind::Everywhere, address("machine", 29093)),
            ("LOCAL", Bind::Loopback, None),
        ]
    );
}

#[test]
fn without_advertised_listeners_clients_are_told_the_listeners() {
    for (listener, told) in [
        ("PLAINTEXT://:9092", address("machine", 9092)),
        ("PLAINTEXT://0.0.0.0:9092", address("machine", 9092)),
        ("PLAINTEXT://10.0.0.1:0", address("10.0.0.1", 0)),
        ("PLAINTEXT://[::1]:9092", address("::1", 9092)),
    ] {
        let settings = started(&format!("listeners={listener}")).unwrap();
        assert_eq!(settings.net.listeners[0].advertised, told, "{listener}");
    }
}

/// What the start scripts of the Apache and Confluent images do with `KAFKA_ADVERTISED_LISTENERS` alone.
#[test]
fn advertised_listeners_alone_make_listeners_on_all_addresses() {
    let settings = started("advertised.listeners=PLAINTEXT://broker:19092").unwrap();
    let listener = &settings.net.listeners[0];
    assert_eq!((listener.bind(), listener.port), (Bind::Everywhere, 19092));
    assert_eq!(listener.advertised, address("broker", 19092));
    let (shown, source) = settings.broker_value("listeners");
    assert_eq!((shown.as_deref(), source), (Some("PLAINTEXT://0.0.0.0:19092"), ValueSource::Static));
}

#[test]
fn milliseconds_win_over_minutes_and_minutes_over_hours() {
    let retention = |text| started(text).unwrap().storage.log.retention_ms;
    assert_eq!(retention("log.retention.hours=2"), Some(7_200_000));
    assert_eq!(retention("log.retention.minutes=3\nlog.retention.hours=2"), Some(180_000));
    assert_eq!(retention("log.retention.hours=2\nlog.retention.ms=5\nlog.retention.minutes=3"), Some(5));
    assert_eq!(retention("log.retention.hours=-1"), None);
    assert_eq!(retention("log.retention.ms=-1\nlog.retention.hours=2"), None);
    let log =
        started("log.roll.hours=1\nlog.roll.jitter.hours=2\nlog.flush.scheduler.interval.ms=9").unwrap().storage.log;
    assert_eq!((log.segment_ms, log.segment_jitter_ms, log.flush_ms), (3_600_000, 7_200_000, 9));
}

#[test]
fn the_brokers_settings_become_the_topics_defaults() {
    let log = started(
        "log.cleanup.policy=compact\nmessage.max.bytes=2000\ncompression.type=lz4\nlog.segment.bytes=1048576\n\
         min.insync.replicas=2\nlog.message.timestamp.type=LogAppendTime\nlog.retention.bytes=7",
    )
    .unwrap()
    .storage
    .log;
    assert!(log.compact && !log.delete && log.log_append_time);
    assert_eq!((log.max_message_bytes, log.compression, log.segment_bytes), (2000, Some(3), 1 << 20));
    assert_eq!((log.min_insync_replicas, log.retention_bytes), (2, Some(7)));
}

#[test]
fn broker_id_is_the_older_name_of_node_id() {
    for text in ["broker.id=7", "node.id=7", "node.id=7\nbroker.id=7", "node.id=7\nbroker.id=-1"] {
        let settings = started(text).unwrap();
        assert_eq!(settings.node_id, BrokerId(7), "{text}");
        for name in ["node.id", "broker.id"] {
            assert_eq!(settings.broker_value(name), (Some("7".into()), ValueSource::Static), "{text}: {name}");
        }
    }
    assert_eq!(started("broker.id=-1").unwrap().node_id, BrokerId(1));
    assert_eq!(started("broker.id=7\nbroker.id.generation.enable=false").unwrap().node_id, BrokerId(7));
    assert_eq!(
        started("broker.id=0\nprocess.roles=controller,broker\ncontroller.quorum.voters=0@x:1").unwrap().node_id.0,
        0
    );
}

/// Each names the setting, where it was set, and what to do.
#[test]
fn a_refusal_is_one_sentence() {
    for (text, sentence) in [
        (
            "num.partitions=abc",
            "Invalid value abc for configuration num.partitions: Not a number of type INT (server.properties:1); \
             correct or remove it",
        ),
        (
            "\nnum.partitions=0",
            "Invalid value 0 for configuration num.partitions: Value must be at least 1 (server.properties:2); \
             correct or remove it",
        ),
        (
            "auto.create.topics.enable=yes",
            "Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false \
             (server.properties:1); correct or remove it",
        ),
        (
            "milena.durability=sometimes",
            "Invalid value sometimes for configuration milena.durability: String must be one of: flush, page-cache \
             (server.properties:1); correct or remove it",
        ),
        (
            "node.id=1\nbroker.id=2",
            "node.id is 1 (server.properties:1) and broker.id is 2 (server.properties:2), but they are two names of one \
             number; leave one of them out",
        ),
        (
            "log.dirs=/a, /b,",
            "log.dirs (server.properties:1) names 2 directories, but only one is served yet; leave /a",
        ),
        (
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "authorizer.class.name (server.properties:1) is not served: starting anyway would leave open what this \
             setting is meant to close; remove it to start",
        ),
        (
            "remote.log.storage.system.enable=true",
            "remote.log.storage.system.enable (server.properties:1) is not served: tiered storage is not served yet; \
             remove it to start",
        ),
        (
            "listeners=SSL://:9093",
            "listeners (server.properties:1): SSL speaks SSL, but encryption (TLS) is not served yet, only PLAINTEXT; \
             remove it, or map it to PLAINTEXT in listener.security.protocol.map if the network is trusted",
        ),
        (
            "listeners=EXTERNAL://:9093",
            "No security protocol defined for listener EXTERNAL (server.properties:1); add EXTERNAL:PLAINTEXT to \
             listener.security.protocol.map",
        ),
        (
            "listeners=localhost:9092",
            "listeners (server.properties:1): `localhost:9092` has no ://; an address is written NAME://host:port",
        ),
        (
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9092",
            "listeners (server.properties:1) has PLAINTEXT://:9092 and CONTROLLER://:9092 on one port; give one of them \
             another port",
        ),
        (
            "listeners=PLAINTEXT://:9092,PLAINTEXT://:9093",
            "listeners (server.properties:1) names PLAINTEXT twice; give one another name",
        ),
        (
            "listeners=CONTROLLER://:9093",
            "listeners (server.properties:1) has no listener for clients; add one, for example PLAINTEXT://localhost:9092",
        ),
        (
            "listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://0.0.0.0:9092",
            "advertised.listeners (server.properties:2) cannot use 0.0.0.0, which no client can connect to; write a host \
             name or an address",
        ),
        (
            "listeners=PLAINTEXT://:9092\nadvertised.listeners=OTHER://x:9092",
            "advertised.listeners (server.properties:2) names OTHER, which listeners does not have; its names are \
             PLAINTEXT",
        ),
        (
            "listener.security.protocol.map=PLAINTEXT:TLS",
            "listener.security.protocol.map (server.properties:1): `TLS` is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, \
             SASL_SSL",
        ),
        (
            "process.roles=controller",
            "process.roles (server.properties:1) makes this a controller only, but clusters are not served yet; start a \
             single broker, without it, or say broker,controller",
        ),
        (
            "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093",
            "controller.quorum.voters (server.properties:1) names 3 controllers, but clusters are not served yet; start \
             a single broker, without it",
        ),
        (
            "controller.quorum.voters=2@b:9093",
            "controller.quorum.voters (server.properties:1) says that node 2 is the controller, but this is node 1 \
             (default), and clusters are not served yet; start a single broker, without it, or give both the same number",
        ),
        (
            "controller.quorum.bootstrap.servers=a:1,b:1",
            "controller.quorum.bootstrap.servers (server.properties:1) names 2 controllers, but clusters are not served \
             yet; start a single broker, without it",
        ),
        (
            "group.min.session.timeout.ms=10\ngroup.max.session.timeout.ms=5",
            "group.min.session.timeout.ms is 10 (server.properties:1) and group.max.session.timeout.ms is 5 \
             (server.properties:2); the first must not be more",
        ),
        (
            "group.consumer.assignors=com.example.Mine",
            "group.consumer.assignors (server.properties:1) names com.example.Mine, but only `uniform` and `range` are \
             served; Java classes cannot be loaded",
        ),
        (
            "max.connections.per.ip.overrides=host",
            "max.connections.per.ip.overrides (server.properties:1): `host` is not host:count",
        ),
        (
            "milena.cluster.id=a b",
            "milena.cluster.id (server.properties:1) holds a blank or a line break; write one word",
        ),
        ("log.retention.ms=0", "log.retention.ms (server.properties:1) is 0; say -1 for no limit, or 1 or more"),
        (
            "log.cleaner.min.compaction.lag.ms=5\nlog.cleaner.max.compaction.lag.ms=4",
            "log.cleaner.min.compaction.lag.ms (5) is more than log.cleaner.max.compaction.lag.ms (4); correct one",
        ),
    ] {
        assert_eq!(refused(text), [sentence], "{text}");
    }
}

#[test]
fn one_start_names_all_mistakes() {
    assert_eq!(refused("num.partitions=x\nlog.segment.bytes=1\nlog.dirs=a,b").len(), 3);
}

#[test]
fn several_listeners_that_are_not_for_clients_may_be_anything() {
    let settings = started(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@other:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    )
    .unwrap();
    let listeners: Vec<_> =
        settings.net.listeners.iter().map(|listener| (listener.name.as_str(), listener.is_for_controllers)).collect();
    assert_eq!(listeners, [("PLAINTEXT", false), ("CONTROLLER", true)]);
    assert!(settings.remarks.is_empty(), "{:?}", settings.remarks);
}

#[test]
fn an_image_listens_for_others_and_keeps_data_on_the_volume() {
    let start = |dialect: &str, variables: &[(&str, &str)], mounts: &[&str]| {
        let all = variables.iter().copied().chain([(environment::DIALECT, dialect)]);
        let environment = all.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mounts = mounts.iter().map(|mount| mount.to_string()).collect();
        Settings::load(&Sources { environment, mounts, host_name: "box".into(), ..Sources::default() }).unwrap()
    };
    let apache = start("auto", &[], &["/var/lib/kafka/data"]);
    assert_eq!(apache.storage.log_dir, PathBuf::from("/var/lib/kafka/data"));
    assert_eq!(apache.net.listeners[0].bind(), Bind::Everywhere);
    assert_eq!(apache.net.listeners[0].advertised, address("localhost", 9092));
    let one_variable = start("auto", &[("KAFKA_NUM_PARTITIONS", "3")], &[]);
    assert_eq!(one_variable.net.listeners[0].advertised, address("localhost", 9092), "defaults are overlaid");
    let bitnami = start("auto", &[("ALLOW_PLAINTEXT_LISTENER", "yes")], &["/bitnami/kafka", "/var/lib/kafka/data"]);
    assert_eq!(bitnami.storage.log_dir, PathBuf::from("/bitnami/kafka/data"));
    assert_eq!(bitnami.net.listeners[0].advertised, address("box", 9092));
    let local = start("confluent-local", &[], &[]);
    let ports: Vec<_> = local.net.listeners.iter().map(|listener| (listener.bind(), listener.port)).collect();
    assert_eq!(ports, [(Bind::Loopback, 29092), (Bind::Everywhere, 9092)]);
    let said = start(
        "auto",
        &[
            ("KAFKA_LOG_DIRS", "/x"),
            ("KAFKA_LISTENERS", "A://:1,PLAINTEXT://:2"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "A:PLAINTEXT"),
        ],
        &["/bitnami"],
    );
    assert_eq!((said.storage.log_dir, said.net.listeners.len()), (PathBuf::from("/x"), 2));
}

#[test]
fn what_has_no_effect_and_what_nobody_knows_is_said_once() {
    let file = "ssl.keystore.password=hunter2\nssl.keystore.location=x\nzookeeper.connect=z\nnum.partition=3\nabc=1\n\
                listener.name.x.ssl.keystore.location=y\nnum.io.threads=16";
    let sources = Sources {
        file: Some(("server.properties".into(), file.into())),
        environment: vec![("KAFKA_URL".into(), "x".into()), ("KAFKA_A".into(), "b".into())],
        ..Sources::default()
    };
    let remarks = Settings::load(&sources).unwrap().remarks;
    assert_eq!(
        remarks,
        [
            "unknown setting abc (server.properties:5)",
            "unknown setting num.partition (server.properties:4); did you mean num.partitions?",
            "settings without effect here: zookeeper.connect (Milena keeps its own metadata and asks no ZooKeeper, \
             so brokers that share one do not find each other); \
             ssl.keystore.location, ssl.keystore.password (no listener with TLS is served yet); \
             listener.name.x.ssl.keystore.location (settings of one listener are not served yet); num.io.threads (work \
             moves between threads by itself and needs no pool sizes)",
            "environment variables that name no setting: KAFKA_A, KAFKA_URL",
        ]
    );
    assert!(!remarks.concat().contains("hunter2"));
}

#[test]
fn trailing_commas_and_stray_blanks_of_test_tools_are_forgiven() {
    let sources = Sources {
        environment: vec![
            ("KAFKA_LISTENERS".into(), "PLAINTEXT://0.0.0.0:9092,\n".into()),
            ("KAFKA_ADVERTISED_LISTENERS".into(), " PLAINTEXT://localhost:32768 ,".into()),
            ("KAFKA_LOG_DIRS".into(), "/data,".into()),
            ("KAFKA_AUTO_CREATE_TOPICS_ENABLE".into(), " TRUE\n".into()),
        ],
        ..Sources::default()
    };
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.net.listeners[0].advertised, address("localhost", 32768));
    assert_eq!(settings.storage.log_dir, PathBuf::from("/data"));
}

/// The commonest single-broker compose file for Confluent's image, and the commonest with ZooKeeper.
#[test]
fn compose_files_in_use_start_with_one_line_at_most() {
    let start = |variables: &[(&str, &str)]| {
        let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Settings::load(&Sources { environment, ..Sources::default() }).unwrap()
    };
    let kraft = start(&[
        ("CLUSTER_ID", "ZJHvcGluLXRlc3QtY3AtMQ"),
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@broker:29093"),
        ("KAFKA_LISTENERS", "PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://0.0.0.0:9092"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),
        ("KAFKA_JMX_PORT", "9101"),
        ("KAFKA_LOG4J_ROOT_LOGLEVEL", "INFO"),
        ("KAFKA_TOOLS_LOG4J_LOGLEVEL", "ERROR"),
    ]);
    let wanted = WantedClusterId { id: "ZJHvcGluLXRlc3QtY3AtMQ".into(), is_strict: false };
    assert_eq!(kraft.cluster_id, Some(wanted));
    assert_eq!(kraft.net.listeners[1].advertised, address("localhost", 9092));
    assert!(kraft.remarks.is_empty(), "{:?}", kraft.remarks);

    let zookeeper = start(&[
        ("KAFKA_BROKER_ID", "1"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:9092,PLAINTEXT_HOST://localhost:29092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("CONFLUENT_SUPPORT_METRICS_ENABLE", "false"),
    ]);
    let ports: Vec<_> = zookeeper.net.listeners.iter().map(|listener| (listener.bind(), listener.port)).collect();
    assert_eq!(ports, [(Bind::Everywhere, 9092), (Bind::Everywhere, 29092)]);
    assert_eq!(zookeeper.remarks.len(), 1, "{:?}", zookeeper.remarks);
}

#[test]
fn limits_for_single_addresses_are_read() {
    let settings = started("max.connections.per.ip.overrides=127.0.0.1:3, [::1]:4,host:5,").unwrap();
    let overrides: Vec<_> = settings.net.max_connections_per_ip_overrides.into_iter().collect();
    assert_eq!(overrides, [("127.0.0.1".to_string(), 3), ("::1".to_string(), 4), ("host".to_string(), 5)]);
}

/// S62, and the answers of Kafka 4.3.1 to the same settings.
#[test]
fn describe_configs_shows_values_with_their_origin_and_no_secrets() {
    let settings = started(
        "ssl.keystore.password=hunter2\nlog.retention.minutes=70\nlog.retention.hours=1\nlog.segment.bytes=2097152",
    )
    .unwrap();
    assert_eq!(settings.broker_value("log.retention.hours"), (Some("1".into()), ValueSource::Static));
    assert_eq!(settings.broker_value("num.partitions"), (Some("1".into()), ValueSource::Default));
    assert_eq!(settings.broker_value("log.retention.ms"), (None, ValueSource::Default));
    assert_eq!(settings.broker_value("ssl.keystore.password"), (None, ValueSource::Static));
    assert_eq!(settings.broker_value("no.such"), (None, ValueSource::Default));

    let broker = |name| {
        let synonyms = settings.broker_synonyms(catalog::broker(name).unwrap()).into_iter();
        synonyms
            .map(|synonym| format!("{:?}:{}={}", synonym.source, synonym.name, synonym.value.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        broker("log.retention.minutes"),
        ["Static:log.retention.minutes=70", "Static:log.retention.hours=1", "Default:log.retention.hours=168"]
    );
    assert_eq!(broker("log.retention.hours"), ["Static:log.retention.hours=1", "Default:log.retention.hours=168"]);
    assert!(broker("log.retention.ms").is_empty());

    let topic = |name| settings.topic_default(catalog::topic(name).unwrap());
    assert_eq!(topic("retention.ms"), (Some("4200000".into()), ValueSource::Default, vec![]));
    assert_eq!(topic("segment.ms"), (Some("604800000".into()), ValueSource::Default, vec![]));
    let (value, source, synonyms) = topic("segment.bytes");
    assert_eq!((value.as_deref(), source, synonyms.len()), (Some("2097152"), ValueSource::Static, 2));
    assert_eq!(synonyms[0].name, "log.segment.bytes");
    assert_eq!(topic("remote.storage.enable"), (Some("false".into()), ValueSource::Default, vec![]));

    let group = |name| settings.group_default(catalog::group(name).unwrap());
    assert_eq!(group("consumer.session.timeout.ms").2[0].name, "group.consumer.session.timeout.ms");
    assert_eq!(group("share.isolation.level").2[0].name, "share.isolation.level");
}

#[test]
fn what_was_set_at_run_time_wins_over_the_start() {
    let settings = started("log.retention.ms=5\nmessage.max.bytes=2000").unwrap();
    let of_this: BTreeMap<_, _> = [("log.retention.ms".to_string(), "7".to_string())].into();
    let of_all: BTreeMap<_, _> = [("log.retention.ms", "6"), ("message.max.bytes", "3000")]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into();
    let changed = settings.reconfigured(&of_this, &of_all).unwrap();
    assert_eq!((changed.storage.log.retention_ms, changed.storage.log.max_message_bytes), (Some(7), 3000));
    let (value, source, synonyms) = changed.topic_default(catalog::topic("retention.ms").unwrap());
    assert_eq!((value.as_deref(), source), (Some("7"), ValueSource::DynamicBroker));
    let told: Vec<_> = synonyms.iter().map(|each| (each.source.id(), each.value.as_deref().unwrap())).collect();
    assert_eq!(told, [(2, "7"), (3, "6"), (4, "5"), (5, "168")]);
    assert_eq!(changed.broker_value("message.max.bytes"), (Some("3000".into()), ValueSource::DynamicDefault));
    assert_eq!(changed.reconfigured(&BTreeMap::new(), &BTreeMap::new()).unwrap().storage.log, settings.storage.log);
    assert!(settings.reconfigured(&[("num.partitions".into(), "x".into())].into(), &BTreeMap::new()).is_err());
}

#[test]
fn the_table_shows_what_was_set_and_no_secret() {
    let settings =
        started("num.partitions=3\nssl.keystore.password=hunter2\nmy.password.x=hunter2\nzookeeper.connect=z").unwrap();
    let table = settings.table(false);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("NAME"), "{table}");
    let line = |name: &str| lines.iter().find(|line| line.starts_with(name)).copied().unwrap_or_default();
    let words = |name: &str| line(name).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words("num.partitions"), "num.partitions 3 server.properties:1 honoured");
    assert_eq!(
        words("ssl.keystore.password"),
        "ssl.keystore.password [hidden] server.properties:2 ignored: no listener with TLS is served yet"
    );
    assert_eq!(words("my.password.x"), "my.password.x [hidden] server.properties:3 unknown");
    assert!(line("zookeeper.connect").contains("ignored"), "{table}");
    assert!(!table.contains("hunter2") && line("log.retention.hours").is_empty(), "{table}");
    assert!(settings.table(true).lines().any(|line| line.starts_with("log.retention.hours")));
}

proptest! {
    #[test]
    fn no_settings_make_the_start_panic(
        pairs in proptest::collection::vec((any::<proptest::sample::Index>(), "[-A-Za-z0-9:/,.@\\[\\] ]{0,24}"), 0..8),
    ) {
        let names: Vec<_> = catalog::broker_settings().map(|setting| setting.name).collect();
        let overrides = pairs.iter().map(|(at, value)| format!("{}={value}", at.get(&names))).collect();
        let _ = Settings::load(&Sources { overrides, ..Sources::default() }).map(|settings| settings.table(true));
    }
}
