//! The words of every image, each with what becomes of them.

use proptest::prelude::*;

use super::*;

fn read_all(variables: &[(&str, &str)]) -> Environment {
    read(&variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>())
}

/// `name=value` of everything that was understood.
fn understood(variables: &[(&str, &str)]) -> Vec<String> {
    read_all(variables).settings.iter().map(|(name, said)| format!("{name}={}", said.value)).collect()
}

#[test]
fn underscores_are_dots_two_are_one_and_three_are_a_dash() {
    assert_eq!(setting_name("A_B"), "a.b");
    assert_eq!(setting_name("A__B_C"), "a_b.c");
    assert_eq!(setting_name("A___B"), "a-b");
    assert_eq!(setting_name("LISTENER_NAME_SASL__SSL_X"), "listener.name.sasl_ssl.x");
}

/// Variables, and what is understood of them.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn each_dialect_says_the_same_in_its_own_words() {
    let cases: &[Case] = &[
        (&[("KAFKA_NUM_PARTITIONS", "3")], &["num.partitions=3"]),
        (&[("KAFKA_CFG_NUM_PARTITIONS", "3")], &["num.partitions=3"]),
        (&[("KAFKA_NUM_PARTITIONS", "2"), ("KAFKA_CFG_NUM_PARTITIONS", "3")], &["num.partitions=3"]),
        (&[("CLUSTER_ID", "a")], &["cluster.id=a"]),
        (&[("KAFKA_CLUSTER_ID", "a")], &["cluster.id=a"]),
        (&[("KAFKA_CFG_CLUSTER_ID", "a")], &["cluster.id=a"]),
        (&[("KAFKA_KRAFT_CLUSTER_ID", "a")], &["cluster.id=a"]),
        (&[("KAFKA_CFG_LISTENER_NAME_SASL_SSL_X", "y")], &["listener.name.sasl_ssl.x=y"]),
        (&[("KAFKA_ADVERTISED_HOST_NAME", "127.0.0.1")], &["advertised.listeners=PLAINTEXT://127.0.0.1:9092"]),
        (
            &[("KAFKA_ADVERTISED_HOST_NAME", "PLAINTEXT://h"), ("KAFKA_ADVERTISED_PORT", "9093")],
            &["advertised.listeners=PLAINTEXT://h:9093"],
        ),
        (
            &[("KAFKA_ADVERTISED_HOST", "h"), ("KAFKA_LISTENERS", "IN://:19092")],
            &["advertised.listeners=IN://h:19092", "listeners=IN://:19092"],
        ),
        (
            &[("KAFKA_ADVERTISED_HOST_NAME", "h"), ("KAFKA_ADVERTISED_LISTENERS", "A://b:1")],
            &["advertised.listeners=A://b:1"],
        ),
        (&[("KAFKA_PORT", "9095")], &["listeners=PLAINTEXT://:9095"]),
        (&[("KAFKA_PORT", "kafka")], &[]),
        (&[("KAFKA_NODE_ID", "kafka-2")], &["node.id=2"]),
        (&[("KAFKA_BROKER_ID", "-1")], &["broker.id=-1"]),
        (&[("KAFKA_ADVERTISED_LISTENERS", "")], &[]),
        (&[("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "\"false\"")], &["auto.create.topics.enable=false"]),
        (&[("KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", " ")], &["ssl.endpoint.identification.algorithm="]),
    ];
    for (variables, expected) in cases {
        assert_eq!(understood(variables), *expected, "{variables:?}");
    }
}

#[test]
fn bare_words_are_read_in_an_image_only() {
    let bare = [
        ("NODE_ID", "4"),
        ("NODE_ROLE", "combined"),
        ("ZOOKEEPER_CONNECT", "z:2181"),
        ("ADVERTISED_HOST_NAME", "h"),
        ("ADVERTISED_PORT", "9094"),
        ("CREATE_TOPICS", "a:1:1"),
        ("LOG_LEVEL", "WARN"),
    ];
    assert!(understood(&bare).is_empty());
    let in_image: Vec<_> = bare.iter().copied().chain([(DIALECT, "auto")]).collect();
    assert_eq!(
        understood(&in_image),
        [
            "advertised.listeners=PLAINTEXT://h:9094",
            "milena.create.topics=a:1:1",
            "node.id=4",
            "process.roles=broker,controller",
            "zookeeper.connect=z:2181",
        ]
    );
    let read = read_all(&in_image);
    assert_eq!((read.log_level.as_deref(), read.dialect), (Some("warn"), Some(Dialect::Debezium)));
}

#[test]
fn the_dialect_is_told_or_guessed() {
    let guessed = |variables: &[(&str, &str)]| {
        let all: Vec<_> = variables.iter().copied().chain([(DIALECT, "auto")]).collect();
        read_all(&all).dialect.unwrap()
    };
    assert_eq!(guessed(&[]), Dialect::Apache);
    assert_eq!(guessed(&[("KAFKA_CFG_NODE_ID", "0")]), Dialect::Bitnami);
    assert_eq!(guessed(&[("KAFKA_CREATE_TOPICS", "a")]), Dialect::Wurstmeister);
    assert_eq!(guessed(&[("NODE_ROLE", "combined")]), Dialect::Debezium);
    assert_eq!(read_all(&[(DIALECT, "confluent-local")]).dialect, Some(Dialect::ConfluentLocal));
    assert_eq!(read_all(&[]).dialect, None);
}

#[test]
fn a_separator_may_be_a_newline() {
    let topics = |separator, text| {
        let variables = [("KAFKA_CREATE_TOPICS_SEPARATOR", separator), ("KAFKA_CREATE_TOPICS", text)];
        read_all(&variables).settings["milena.create.topics"].value.clone()
    };
    assert_eq!(topics("", "a:1:1,b:2:1"), "a:1:1,b:2:1");
    assert_eq!(topics("$'\\n'", "a:1:1\n  b:2:1\n"), "a:1:1,b:2:1");
    assert_eq!(topics(";", "a:1:1;b"), "a:1:1,b");
}

#[test]
fn two_ids_that_differ_are_one_and_a_remark() {
    let read = read_all(&[("KAFKA_NODE_ID", "1"), ("KAFKA_BROKER_ID", "2")]);
    assert!(!read.settings.contains_key("broker.id"));
    assert_eq!(
        read.remarks,
        ["KAFKA_NODE_ID says 1 and KAFKA_BROKER_ID says 2; the first counts, as both are the number of this node"]
    );
}

/// compose-env's most used variables of other programs: none of them is called a stranger.
#[test]
fn what_others_read_makes_no_noise() {
    let silent = [
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("KAFKA_OPTS", "-Dx"),
        ("KAFKA_JMX_PORT", "9101"),
        ("KAFKA_LOG4J_LOGGERS", "x=INFO"),
        ("KAFKA_TOOLS_LOG4J_LOGLEVEL", "ERROR"),
        ("KAFKA_ENABLE_KRAFT", "yes"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("KAFKA_UI_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_SERVICE_PORT_TCP_CLIENT", "9092"),
        ("KAFKA_NODE_ID_COMMAND", "hostname"),
        ("KAFKA_VERSION", "4.3.1"),
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("PATH", "/bin"),
    ];
    let read = read_all(&silent);
    assert!(read.settings.is_empty() && read.strangers.is_empty() && read.without_effect.is_empty(), "{read:?}");
    let told = [
        ("KAFKA_CONFLUENT_LICENSE_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_CLIENT_USERS", "admin"),
        ("KAFKA_SSL_KEYSTORE_FILENAME", "k.jks"),
        ("KAFKA_ZOOKEEPER_PASSWORD", "x"),
    ];
    let read = read_all(&told);
    assert_eq!((read.without_effect.len(), read.strangers.len()), (4, 0), "{read:?}");
    assert_eq!(read_all(&[("KAFKA_AUTO_CREATE_TOPICS_ENABLED", "x")]).strangers, ["KAFKA_AUTO_CREATE_TOPICS_ENABLED"]);
}

#[test]
fn a_secret_is_read_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("id").display().to_string();
    std::fs::write(&path, "from-file\n").unwrap();
    let with = |variables: &[(&str, &str)]| {
        let all = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        with_secrets(all).map(|all| read(&all))
    };
    let read = with(&[("KAFKA_KRAFT_CLUSTER_ID_FILE", &path)]).unwrap();
    assert_eq!(read.settings["cluster.id"].value, "from-file");
    let read = with(&[("KAFKA_KRAFT_CLUSTER_ID_FILE", &path), ("KAFKA_KRAFT_CLUSTER_ID", "said")]).unwrap();
    assert_eq!(read.settings["cluster.id"].value, "said");
    let told = with(&[("KAFKA_CLIENT_PASSWORDS_FILE", "no/such/file")]).unwrap_err();
    assert!(told.starts_with("KAFKA_CLIENT_PASSWORDS_FILE names no/such/file"), "{told}");
    // Its own name, and somebody else's.
    assert!(with(&[("KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE", "no/such"), ("MY_FILE", "no/such")]).is_ok());
}

proptest! {
    #[test]
    fn no_environment_makes_the_mapping_panic(
        variables in proptest::collection::vec(("(KAFKA_)?(CFG_)?[A-Za-z_.0-9]{0,30}", any::<String>()), 0..4),
    ) {
        read(&variables);
    }
}
