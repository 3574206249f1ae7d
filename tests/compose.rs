//! The environments of the sample compose files (`tests/compose_env/`): those that one broker without authentication can
//! serve are understood as the file means them; the others are refused at the start, with one sentence each.

#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Command, Output};

use milena::config::{Settings, Sources};

fn environment(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose_env").join(format!("{name}.env"));
    let text = std::fs::read_to_string(&path).expect("a sample environment");
    let pairs = text.lines().map(|line| line.split_once('=').expect("NAME=value"));
    let mut all: Vec<_> = pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    all.push(("MILENA_DIALECT".into(), "auto".into()));
    all
}

fn settings(name: &str) -> Settings {
    let mounts = vec!["/var/lib/kafka/data".to_string()];
    let sources = Sources { environment: environment(name), host_name: "box".into(), mounts, ..Sources::default() };
    Settings::load(&sources).unwrap_or_else(|refusals| panic!("{name}: {refusals}"))
}

/// Listener, where clients are told to go.
fn told(settings: &Settings) -> Vec<String> {
    let for_clients = settings.net.listeners.iter().filter(|listener| !listener.is_for_controllers);
    for_clients
        .map(|listener| {
            let advertised = listener.advertised.clone().expect("every listener of a sample is advertised");
            format!("{} :{} {}:{}", listener.name, listener.port, advertised.host, advertised.port)
        })
        .collect()
}

#[test]
fn what_one_broker_can_serve_is_understood_as_it_is_meant() {
    let cases: &[(&str, i32, &[&str])] = &[
        ("01-single-no-env", 1, &["PLAINTEXT :9092 localhost:9092"]),
        ("02-single-env", 1, &["DOCKER :19092 kafka:19092", "HOST :9092 localhost:9092"]),
        ("03-cp-kraft", 1, &["PLAINTEXT :29092 broker:29092", "PLAINTEXT_HOST :9092 localhost:9092"]),
        ("04-cp-zookeeper", 1, &["PLAINTEXT :9092 kafka:9092", "PLAINTEXT_HOST :29092 localhost:29092"]),
        ("05-bitnami-kraft", 0, &["PLAINTEXT :9092 kafka:9092", "EXTERNAL :9094 localhost:9094"]),
        ("07-wurstmeister-create-topics", 1, &["PLAINTEXT :9092 127.0.0.1:9092"]),
        ("10-init-topics", 1, &["PLAINTEXT :29092 kafka:29092", "PLAINTEXT_HOST :9092 localhost:9092"]),
        ("11-healthcheck-gate", 1, &["PLAINTEXT :29092 kafka:29092", "PLAINTEXT_HOST :9092 localhost:9092"]),
        ("12-full-stack", 1, &["PLAINTEXT :29092 kafka:29092", "PLAINTEXT_HOST :9092 localhost:9092"]),
    ];
    for (name, node_id, listeners) in cases {
        let settings = settings(name);
        assert_eq!(told(&settings), *listeners, "{name}");
        assert_eq!(settings.node_id.0, *node_id, "{name}");
        // One about ZooKeeper, one about add-ons.
        assert!(settings.remarks.len() <= 2, "{name}: {:?}", settings.remarks);
    }
}

#[test]
fn the_expectations_of_the_samples_hold() {
    let second = settings("02-single-env");
    assert_eq!((second.controller.num_partitions, second.controller.auto_create_topics), (3, false));
    assert_eq!(second.cluster_id.unwrap().id, "dGhpc2lzb3VydGVzdGlkMQ");
    let bitnami = settings("05-bitnami-kraft");
    assert_eq!(bitnami.cluster_id.unwrap().id, "abcdefghijklmnopqrstuv");
    let topics = settings("07-wurstmeister-create-topics").controller.starting_topics;
    let topics: Vec<_> =
        topics.iter().map(|topic| (topic.name.as_str(), topic.partitions, topic.cleanup_policy.as_deref())).collect();
    assert_eq!(topics, [("signups", 3, None), ("mails", 1, None), ("profiles", 2, Some("compact"))]);
    let zookeeper = settings("04-cp-zookeeper").remarks;
    assert!(zookeeper[0].contains("zookeeper.connect"), "one line about ZooKeeper: {zookeeper:?}");
}

fn start(name: &str) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.env_clear().envs(environment(name)).current_dir(dir.path());
    command.output().expect("the program runs")
}

#[test]
fn what_is_not_served_yet_is_refused_with_one_sentence() {
    for (name, missing) in [
        ("06-bitnami-sasl", "INTERNAL and CLIENT speak SASL_PLAINTEXT, but authentication (SASL) is not served yet"),
        ("08-three-combined.node-1", "names 3 controllers, but clusters are not served yet"),
        ("08-three-combined.node-3", "names 3 controllers, but clusters are not served yet"),
        ("09-controllers-and-brokers.ctl-1", "names 3 controllers, but clusters are not served yet"),
        ("09-controllers-and-brokers.broker-11", "names 3 controllers, but clusters are not served yet"),
    ] {
        let output = start(name);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
        assert!(stderr.contains(missing), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}
