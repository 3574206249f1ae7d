//! Every setting has its fate, and has it shown: what is honoured by a test of its behaviour, what is refused by its
//! sentence, what has no effect by a start that says so once. The walk goes through the catalogue, so a setting that is
//! honoured and has no test here fails it.

#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use kafka_protocol::messages as m;
use milena::clock::SystemClock;
use milena::config::catalog::{self, Fate, Kind, Setting, Valid};
use milena::config::{Settings, Sources, group, topic};
use milena::house::House;
use milena::record::{Compression, Header};
use milena::storage::disk::RealDisk;
use support::{Client, TestBroker, batch, metadata_of};

/// Where the behaviour of each honoured setting is tested: names that stand together, and `file::test`.
const SHOWN: &[(&str, &str)] = &[
    ("advertised.listeners", "tests/listeners.rs::lesson_16_every_answer_names_the_listener_it_came_in_on"),
    ("auto.create.topics.enable", "tests/settings.rs::topics_are_made_on_demand_or_not"),
    ("broker.id node.id broker.rack", "tests/settings.rs::clients_are_told_number_and_rack"),
    ("compression.type", "tests/settings.rs::batches_are_stored_in_the_codec_that_is_set"),
    ("connections.max.idle.ms", "tests/settings.rs::a_silent_connection_is_closed"),
    (
        "controller.listener.names controller.quorum.voters controller.quorum.bootstrap.servers",
        "tests/listeners.rs::a_controller_listener_is_open_if_it_is_named",
    ),
    (
        "controller.quorum.voters controller.quorum.bootstrap.servers",
        "src/config/typed/tests.rs::a_refusal_is_one_sentence",
    ),
    (
        "controller.quota.window.num controller.quota.window.size.seconds",
        "tests/quotas.rs::changes_of_topics_are_paid_from_a_bucket",
    ),
    (
        "default.replication.factor delete.topic.enable num.partitions",
        "tests/settings.rs::topics_are_made_and_deleted_as_is_set",
    ),
    ("fetch.max.bytes", "tests/settings.rs::a_fetch_is_never_longer_than_is_set"),
    (
        "group.initial.rebalance.delay.ms",
        "src/state/group/tests.rs::a_first_member_asks_twice_waits_the_initial_delay_and_leads",
    ),
    (
        "group.min.session.timeout.ms group.max.session.timeout.ms",
        "src/state/group/tests.rs::joins_are_refused_with_kafkas_codes",
    ),
    ("group.max.size", "src/state/group/tests.rs::a_full_group_takes_nobody_more"),
    ("inter.broker.listener.name", "src/config/typed/tests.rs::a_refusal_is_one_sentence"),
    ("listener.security.protocol.map", "src/config/typed/tests.rs::a_refusal_is_one_sentence"),
    ("listeners", "tests/listeners.rs::localhost_is_both_loopbacks"),
    ("log.cleaner.backoff.ms log.cleaner.enable log.cleaner.threads", "tests/settings.rs::cleaning_can_be_turned_off"),
    (
        "log.cleaner.dedupe.buffer.size log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size",
        "src/storage/tests/compaction.rs::what_does_not_fit_into_memory_is_cleaned_in_several_passes",
    ),
    (
        "log.cleaner.delete.retention.ms delete.retention.ms",
        "src/storage/tests/compaction.rs::i81_a_tombstone_stays_for_its_time_and_then_goes",
    ),
    ("log.cleaner.io.max.bytes.per.second", "src/broker/cleaner.rs::the_pace_is_what_all_threads_share"),
    (
        "log.cleaner.max.compaction.lag.ms max.compaction.lag.ms log.cleaner.min.cleanable.ratio min.cleanable.dirty.ratio",
        "src/storage/compaction/plan.rs::the_ratio_decides_unless_the_maximum_lag_has_passed",
    ),
    (
        "log.cleaner.min.compaction.lag.ms min.compaction.lag.ms",
        "src/storage/compaction/plan.rs::i82_a_segment_with_a_record_younger_than_the_minimum_lag_ends_the_cleaning",
    ),
    (
        "log.cleanup.policy cleanup.policy",
        "tests/compaction.rs::a_topic_with_both_policies_is_compacted_and_loses_what_is_too_old",
    ),
    ("log.dir log.dirs", "tests/settings.rs::data_lies_where_it_is_said_to"),
    ("log.flush.interval.messages flush.messages", "tests/settings.rs::a_log_is_flushed_after_so_many_records"),
    (
        "log.flush.interval.ms log.flush.scheduler.interval.ms flush.ms",
        "tests/settings.rs::a_log_is_flushed_after_so_much_time",
    ),
    ("log.flush.offset.checkpoint.interval.ms", "tests/settings.rs::how_far_logs_are_flushed_is_written_down"),
    (
        "log.index.interval.bytes index.interval.bytes log.index.size.max.bytes segment.index.bytes",
        "tests/settings.rs::an_index_follows_its_settings",
    ),
    (
        "log.message.timestamp.after.max.ms log.message.timestamp.before.max.ms message.timestamp.after.max.ms \
         message.timestamp.before.max.ms",
        "src/record/tests.rs::timestamps_out_of_bounds_are_named",
    ),
    ("log.message.timestamp.type message.timestamp.type", "tests/settings.rs::records_can_carry_the_brokers_time"),
    ("log.retention.bytes retention.bytes", "tests/retention.rs::a_log_is_kept_to_its_size_and_never_below_it"),
    (
        "log.retention.check.interval.ms log.retention.ms retention.ms",
        "tests/retention.rs::old_data_goes_away_and_young_data_stays",
    ),
    (
        "log.retention.hours log.retention.minutes log.retention.ms",
        "src/config/typed/tests.rs::milliseconds_win_over_minutes_and_minutes_over_hours",
    ),
    (
        "log.roll.hours log.roll.jitter.hours",
        "src/config/typed/tests.rs::milliseconds_win_over_minutes_and_minutes_over_hours",
    ),
    (
        "log.roll.ms segment.ms log.roll.jitter.ms segment.jitter.ms",
        "src/storage/tests/probes.rs::a_segment_is_closed_by_the_age_of_its_records",
    ),
    ("log.segment.bytes segment.bytes internal.segment.bytes", "tests/settings.rs::segments_are_as_large_as_is_set"),
    ("max.connections max.connections.per.ip", "tests/settings.rs::there_are_no_more_connections_than_is_set"),
    ("max.incremental.fetch.session.cache.slots", "src/state/fetch_session.rs::s10_sessions_are_bounded"),
    (
        "max.request.partition.size.limit",
        "src/api/describe_topic_partitions.rs::pages_follow_each_other_without_gap_or_repetition",
    ),
    ("message.max.bytes max.message.bytes socket.request.max.bytes", "tests/settings.rs::what_is_too_large_is_refused"),
    (
        "metadata.log.max.record.bytes.between.snapshots",
        "tests/start_stop.rs::the_metadata_log_is_bounded_by_snapshots",
    ),
    ("offset.metadata.max.bytes", "src/state/group/tests.rs::too_much_metadata_fails_its_partition_alone"),
    (
        "offsets.retention.check.interval.ms offsets.retention.minutes",
        "src/state/group/tests.rs::i68_offsets_expire_in_empty_groups_and_for_topics_nobody_subscribes_to",
    ),
    (
        "offsets.topic.num.partitions offsets.topic.segment.bytes",
        "src/state/metadata/tests.rs::internal_topics_are_made_as_their_settings_say_with_the_brokers_there_are",
    ),
    ("process.roles", "src/config/typed/tests.rs::a_refusal_is_one_sentence"),
    (
        "producer.id.expiration.check.interval.ms producer.id.expiration.ms",
        "src/storage/tests/producers.rs::i34_producers_leave_when_they_expire_but_not_during_a_transaction",
    ),
    (
        "quota.window.num quota.window.size.seconds",
        "tests/quotas.rs::a_producer_over_its_quota_waits_for_what_it_sent_too_much",
    ),
    (
        "socket.listen.backlog.size socket.receive.buffer.bytes socket.send.buffer.bytes",
        "src/net/socket.rs::a_socket_has_the_buffers_that_are_set",
    ),
    (
        "milena.cluster.id cluster.id",
        "src/storage/tests/log_dirs.rs::a_cluster_id_that_is_only_wished_for_gives_way_to_the_directorys",
    ),
    ("milena.create.topics", "tests/listeners.rs::topics_of_the_start_are_made_once"),
    ("milena.decompress.max.bytes", "src/record/tests.rs::s6_a_bomb_costs_the_limit_and_no_more"),
    ("milena.durability", "tests/durability.rs::i7_nobody_reads_what_a_power_cut_could_take_back"),
    (
        "milena.group.disconnect.grace.ms",
        "src/state/group/tests.rs::a_dynamic_member_that_hung_up_has_the_grace_and_no_more",
    ),
    ("max.connections.per.ip.overrides", "tests/settings.rs::an_address_may_have_a_limit_of_its_own"),
    ("max.connection.creation.rate", "tests/settings.rs::connections_come_no_faster_than_is_set"),
    ("queued.max.request.bytes", "src/net/budget.rs::i113_the_first_in_line_may_go_on_when_the_pool_is_full"),
    ("milena.memory.max.bytes", "tests/memory.rs::i113_the_program_stays_under_96_mib"),
    (
        "milena.connection.max.in.flight.requests",
        "src/net/budget.rs::answers_over_the_limit_hold_back_new_requests_until_they_are_taken",
    ),
    (
        "milena.connection.first.request.timeout.ms milena.connection.request.timeout.ms",
        "src/net/deadlines.rs::s8_who_says_nothing_and_who_says_no_more_are_let_go",
    ),
    ("milena.recovery.max.bytes", "tests/settings.rs::how_far_logs_are_flushed_is_written_down_after_so_many_bytes"),
    ("milena.produce.validation", "src/record/tests.rs::garbage_under_a_codec_is_refused_where_it_is_opened"),
];

fn all_settings() -> impl Iterator<Item = &'static Setting> {
    let broker = catalog::broker_settings().chain(catalog::former_settings());
    broker.chain(catalog::topic_settings()).chain(catalog::group_settings())
}

#[test]
fn every_honoured_setting_has_a_test_of_its_behaviour() {
    let shown: BTreeSet<&str> = SHOWN.iter().flat_map(|(names, _)| names.split_whitespace()).collect();
    let honoured: BTreeSet<&str> =
        all_settings().filter(|setting| setting.fate == Fate::Honoured).map(|setting| setting.name).collect();
    let missing: Vec<_> = honoured.difference(&shown).collect();
    assert!(missing.is_empty(), "honoured, and no test is named here: {missing:?}");
    let more: Vec<_> = shown.difference(&honoured).collect();
    assert!(more.is_empty(), "a test is named here for what is not honoured: {more:?}");
    for (names, test) in SHOWN {
        let (file, function) = test.split_once("::").expect("file::test");
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{names}: {file}: {error}"));
        assert!(text.contains(&format!("fn {function}(")), "{names}: there is no {test}");
    }
}

/// A value of the setting's type that is not its default.
fn another_value(setting: &Setting) -> String {
    let default = setting.default.unwrap_or_default();
    let number: f64 = default.parse().unwrap_or(0.0);
    let other_of = |words: &[&str]| words.iter().find(|word| **word != default).expect("two choices").to_string();
    match (setting.kind, setting.valid) {
        _ if setting.name == "group.consumer.assignors" => "range".into(),
        (Kind::Boolean, _) => (default != "true").to_string(),
        (_, Valid::OneOf(words) | Valid::OneOfIgnoringCase(words) | Valid::ListOf(words)) if words.len() > 1 => {
            other_of(words)
        }
        (_, Valid::GzipLevel) => "5".into(),
        (_, Valid::ThrottledReplicas) => "*".into(),
        (_, Valid::OffsetReset) => "earliest".into(),
        (Kind::Double, Valid::Between(low, high)) => (if number == high { low } else { high }).to_string(),
        (Kind::Double, _) => (number + 0.5).to_string(),
        (_, Valid::Between(low, high)) if number == high => (low as i64).to_string(),
        (_, Valid::AtLeast(low)) if number < 1e9 => (number.max(low) as i64 + 1).to_string(),
        (_, Valid::AtLeast(low)) => (low as i64 + 1).to_string(),
        (Kind::Short | Kind::Int | Kind::Long, _) if number >= 1e9 => "7".into(),
        (Kind::Short | Kind::Int | Kind::Long, _) => (number as i64 + 1).to_string(),
        _ => "com.example.Another".into(),
    }
}

#[test]
fn every_refused_setting_stops_the_start_with_its_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for setting in catalog::broker_settings().chain(catalog::former_settings()) {
        let Fate::Refused(reason) = setting.fate else { continue };
        refused += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
        command.env_clear().current_dir(directory.path());
        command.args(["--override", &format!("{}={}", setting.name, another_value(setting))]);
        let output = command.output().expect("the program runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(
            stderr,
            format!("milena: {} (--override) is not served: {reason}; remove it to start\n", setting.name)
        );
    }
    assert!(refused >= 7, "only {refused} settings are refused");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was written");
    // A topic's own setting is refused where it is set, in Kafka's words.
    let wanted = [("remote.storage.enable".to_string(), "true".to_string())].into();
    let sentence = topic::parse(&wanted, &Default::default()).unwrap_err();
    assert!(sentence.starts_with("Tiered Storage functionality is disabled in the broker."), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_without_effect_is_told_once_and_starts() {
    let ignored: Vec<&Setting> = catalog::broker_settings()
        .chain(catalog::former_settings())
        .filter(|setting| matches!(setting.fate, Fate::Ignored(_)))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let own = ["listeners=PLAINTEXT://127.0.0.1:0".to_string(), format!("log.dirs={}", directory.path().display())];
    let theirs = ignored.iter().map(|setting| format!("{}={}", setting.name, another_value(setting)));
    let sources =
        Sources { overrides: theirs.chain(own).collect(), host_name: "localhost".into(), ..Sources::default() };
    let settings = Settings::load(&sources).unwrap_or_else(|refusals| panic!("{refusals}"));
    assert_eq!(settings.remarks.len(), 1, "{:?}", settings.remarks);
    let words: Vec<&str> = settings.remarks[0].split([' ', ',', ';']).collect();
    for setting in &ignored {
        let told = words.iter().filter(|word| **word == setting.name).count();
        assert_eq!(told, 1, "{} is told {told} times", setting.name);
    }
    let house = House::start(settings, Arc::new(RealDisk), Arc::new(SystemClock::default())).await.expect("it starts");
    let mut client = Client::connect(house.addresses[0].port()).await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(client.produce("t", 0, batch(&[b"x"])).await, Ok(0));
    house.stop().await;
}

#[test]
fn what_has_no_effect_on_a_topic_or_a_group_is_accepted() {
    let defaults = Settings::load(&Sources::default()).unwrap();
    for setting in catalog::topic_settings().filter(|setting| matches!(setting.fate, Fate::Ignored(_))) {
        let wanted = [(setting.name.to_string(), another_value(setting))].into();
        assert!(topic::parse(&wanted, &defaults.storage.log).is_ok(), "{}", setting.name);
    }
    for setting in catalog::group_settings().filter(|setting| matches!(setting.fate, Fate::Ignored(_))) {
        // Times must lie within what the broker allows.
        let value = if setting.name.ends_with("timeout.ms") { "50000".into() } else { another_value(setting) };
        let wanted = [(setting.name.to_string(), value)].into();
        let parsed = group::parse(&wanted, &defaults.groups.consumer);
        assert!(parsed.is_ok(), "{}: {parsed:?}", setting.name);
    }
}

// ---- behaviour ---------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_on_demand_or_not() {
    for (wanted, code) in [("true", 0), ("false", 3)] {
        let broker = TestBroker::with(&[&format!("auto.create.topics.enable={wanted}")]).await;
        let mut client = broker.connect().await;
        let request = metadata_of("t").with_allow_auto_topic_creation(true);
        assert_eq!(client.ask(9, request).await.topics[0].error_code, code, "{wanted}");
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_number_and_rack() {
    for number in ["node.id=7", "broker.id=7"] {
        let broker = TestBroker::with(&[number, "broker.rack=r1"]).await;
        let mut client = broker.connect().await;
        for version in [0, 1, 9, 13] {
            let metadata = client.ask(version, m::MetadataRequest::default().with_topics(Some(vec![]))).await;
            assert_eq!(metadata.brokers[0].node_id.0, 7);
            let rack = metadata.brokers[0].rack.as_ref().map(|rack| rack.to_string());
            assert_eq!(rack.as_deref(), (version > 0).then_some("r1"), "version {version}");
        }
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_stored_in_the_codec_that_is_set() {
    let broker = TestBroker::with(&["compression.type=gzip"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.create_topic("own", 1, &[("compression.type", "uncompressed")]).await;
    for (topic, codec) in [("t", Compression::Gzip), ("own", Compression::None)] {
        client
            .produce(topic, 0, support::compressed(&[b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"], Compression::Lz4))
            .await
            .unwrap();
        let records = client.fetch(topic, 0, 0).await.records.unwrap();
        assert_eq!(Header::read(&records).unwrap().compression(), codec, "{topic}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed() {
    let broker = TestBroker::with(&["connections.max.idle.ms=200"]).await;
    assert!(broker.connect().await.is_hung_up().await);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_deleted_as_is_set() {
    let broker =
        TestBroker::with(&["num.partitions=3", "default.replication.factor=2", "delete.topic.enable=false"]).await;
    let mut client = broker.connect().await;
    let wanted = |name: &str, replication_factor| {
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(support::topic(name))
            .with_num_partitions(-1)
            .with_replication_factor(replication_factor);
        m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
    };
    assert_eq!(client.ask(5, wanted("a", -1)).await.topics[0].error_code, 38, "two replicas need two brokers");
    let made = client.ask(5, wanted("a", 1)).await.topics.remove(0);
    assert_eq!((made.error_code, made.num_partitions), (0, 3));
    let request = m::DeleteTopicsRequest::default().with_topic_names(vec![support::topic("a")]).with_timeout_ms(10_000);
    assert_eq!(client.ask(4, request).await.responses[0].error_code, 73, "deletion is disabled");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_is_never_longer_than_is_set() {
    let broker = TestBroker::with(&["fetch.max.bytes=1024"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for _ in 0..10 {
        client.produce("t", 0, batch(&[&[7; 400]])).await.unwrap();
    }
    let records = client.fetch("t", 0, 0).await.records.unwrap();
    assert!((400..=1024).contains(&records.len()), "{} bytes", records.len());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_lies_where_it_is_said_to() {
    let home = tempfile::tempdir().unwrap();
    for setting in ["log.dirs", "log.dir"] {
        let directory = home.path().join(setting);
        let overrides = vec!["listeners=PLAINTEXT://127.0.0.1:0".into(), format!("{setting}={}", directory.display())];
        let sources = Sources { overrides, host_name: "localhost".into(), ..Sources::default() };
        let settings = Settings::load(&sources).unwrap();
        let house = House::start(settings, Arc::new(RealDisk), Arc::new(SystemClock::default())).await.unwrap();
        house.stop().await;
        assert!(directory.join("meta.properties").exists(), "{setting}");
    }
}

/// Waits for something that another thread of the broker does.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, waiting).await.expect("it happens within the patience of the test");
}

fn flushed(broker: &TestBroker) -> u64 {
    broker.house.broker.partition("t", 0).unwrap().tend(|log| log.flushed_offset().0 as u64).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_flushed_after_so_many_records() {
    let settings = ["milena.durability=page-cache", "log.flush.interval.messages=5"];
    let broker = TestBroker::with(&settings).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    // The first append makes directory and files, and new names are flushed at once in every mode.
    until(|| flushed(&broker) == 1).await;
    for _ in 0..4 {
        client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    }
    assert_eq!(flushed(&broker), 1);
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    until(|| flushed(&broker) == 6).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    assert_eq!(client.fetch("t", 0, 6).await.high_watermark, 7, "in page-cache mode nobody waits for a flush");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_flushed_after_so_much_time() {
    let settings = ["milena.durability=page-cache", "log.flush.scheduler.interval.ms=50", "log.flush.interval.ms=10"];
    let broker = TestBroker::with(&settings).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    until(|| flushed(&broker) == 1).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_logs_are_flushed_is_written_down() {
    let broker = TestBroker::with(&["log.flush.offset.checkpoint.interval.ms=50"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    let file = broker.directory.join("recovery-point-offset-checkpoint");
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.contains("t 0 1"))).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_logs_are_flushed_is_written_down_after_so_many_bytes() {
    for durability in ["flush", "page-cache"] {
        let durability = format!("milena.durability={durability}");
        let broker = TestBroker::with(&[&durability, "milena.recovery.max.bytes=10000"]).await;
        let mut client = broker.connect().await;
        client.create_topic("t", 1, &[]).await;
        let file = broker.directory.join("recovery-point-offset-checkpoint");
        let covered = || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix("t 0 ")?.parse().ok()).unwrap_or(0)
        };
        // The first append is flushed in any case, for its names. In page-cache mode the next ones are flushed at one time
        // and written down the next.
        let writing = async {
            while covered() < 3 {
                client.produce("t", 0, batch(&[&[7; 6000]])).await.unwrap();
            }
        };
        tokio::time::timeout(support::PATIENCE, writing).await.expect("a checkpoint, long before its interval is over");
        broker.stop().await;
    }
}

/// The files of a partition with this ending.
fn files(broker: &TestBroker, ending: &str) -> Vec<std::path::PathBuf> {
    let names = std::fs::read_dir(broker.directory.join("t-0")).unwrap().flatten().map(|entry| entry.path());
    names.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_follows_its_settings() {
    // Each entry is 8 bytes: an index of 16 is full after two, and a full one closes its segment.
    let broker = TestBroker::with(&["log.index.interval.bytes=1", "log.index.size.max.bytes=16"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for _ in 0..8 {
        client.produce("t", 0, batch(&[&[7; 200]])).await.unwrap();
    }
    assert!(files(&broker, ".log").len() >= 3, "{:?}", files(&broker, ".log"));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_as_large_as_is_set() {
    let broker = TestBroker::with(&["log.segment.bytes=1048576"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for _ in 0..5 {
        client.produce("t", 0, batch(&[&[7; 600_000]])).await.unwrap();
    }
    assert_eq!(files(&broker, ".log").len(), 5, "two of them do not fit into one segment");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_can_carry_the_brokers_time() {
    let broker = TestBroker::with(&["log.message.timestamp.type=LogAppendTime"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.create_topic("own", 1, &[("message.timestamp.type", "CreateTime")]).await;
    for (topic, is_brokers) in [("t", true), ("own", false)] {
        let answer = client.ask(9, support::produce_request(topic, 0, batch(&[b"x"]), -1)).await;
        assert_eq!(answer.responses[0].partition_responses[0].log_append_time_ms > 0, is_brokers, "{topic}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_connections_than_is_set() {
    let broker = TestBroker::with(&["max.connections.per.ip=1", "max.connections=5"]).await;
    let mut first = broker.connect().await;
    first.create_topic("t", 1, &[]).await;
    assert!(broker.connect().await.is_hung_up().await);
    first.ask(12, metadata_of("t")).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_have_a_limit_of_its_own() {
    let broker = TestBroker::with(&["max.connections.per.ip=1", "max.connections.per.ip.overrides=localhost:2"]).await;
    let (mut first, mut second) = (broker.connect().await, broker.connect().await);
    first.create_topic("t", 1, &[]).await;
    second.ask(12, metadata_of("t")).await;
    assert!(broker.connect().await.is_hung_up().await);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_come_no_faster_than_is_set() {
    for (rate, is_slowed) in
        [("max.connection.creation.rate=2", true), ("max.connection.creation.rate=2147483647", false)]
    {
        let broker = TestBroker::with(&[rate]).await;
        for _ in 0..4 {
            broker.connect().await.ask(12, metadata_of("t")).await;
        }
        assert_eq!(broker.house.broker.metrics.connections_delayed.get() > 0, is_slowed, "{rate}");
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let broker = TestBroker::with(&["message.max.bytes=500", "socket.request.max.bytes=2000"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.create_topic("own", 1, &[("max.message.bytes", "1500")]).await;
    assert_eq!(client.produce("t", 0, batch(&[&[7; 1000]])).await, Err(10));
    assert_eq!(client.produce("own", 0, batch(&[&[7; 1000]])).await, Ok(0));
    client.send(9, &support::produce_request("own", 0, batch(&[&[7; 3000]]), -1)).await;
    assert!(client.is_hung_up().await, "a longer request ends its connection");
    broker.stop().await;
}

/// With the cleaner off a compacted log keeps everything; with it on, only the last value of a key.
#[tokio::test(flavor = "multi_thread")]
async fn cleaning_can_be_turned_off() {
    let eager = ["log.cleaner.backoff.ms=10", "log.cleaner.threads=2", "log.cleaner.min.cleanable.ratio=0.0"];
    let off = TestBroker::with(&[&eager[..], &["log.cleaner.enable=false"]].concat()).await;
    let on = TestBroker::with(&eager).await;
    for broker in [&on, &off] {
        let mut client = broker.connect().await;
        client.create_topic("t", 1, &[("cleanup.policy", "compact"), ("internal.segment.bytes", "200")]).await;
        for _ in 0..20 {
            client.produce("t", 0, keyed()).await.unwrap();
        }
    }
    until(|| on.house.broker.metrics.logs_cleaned.get() > 0).await;
    assert_eq!(off.house.broker.metrics.logs_cleaned.get(), 0);
    off.stop().await;
    on.stop().await;
}

fn keyed() -> bytes::Bytes {
    let mut builder = milena::record::Builder::new();
    builder.push(milena::types::Timestamp(1_000), Some(b"k"), Some(&[7; 100]), &[]);
    builder.build().into_bytes()
}
