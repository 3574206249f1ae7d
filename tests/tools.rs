//! The command line tools as a shell runs them: the binary under a tool's name, against a broker in this process.

mod support;

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use support::TestBroker;

/// What a tool said and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    out: String,
    err: String,
    code: i32,
}

/// Runs `line` with `BS` replaced by the broker's address.
async fn tool(broker: &TestBroker, line: &str, input: &str) -> Said {
    let servers = format!("127.0.0.1:{}", broker.port());
    let words: Vec<String> = line.split_whitespace().map(|word| word.replace("BS", &servers)).collect();
    // The broker's tasks run on the other threads meanwhile.
    tokio::task::block_in_place(|| run(&words, input))
}

fn run(words: &[impl AsRef<OsStr>], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_milena"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the tool reads");
    let output = child.wait_with_output().expect("the tool ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap_or(-1) }
}

fn quiet(out: &str) -> Said {
    Said { out: out.to_owned(), err: String::new(), code: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_listed_altered_and_deleted() {
    let broker = TestBroker::start().await;
    let create = "kafka-topics.sh --bootstrap-server BS --create --topic a --partitions 2 --config retention.ms=1000";
    assert_eq!(tool(&broker, create, "").await, quiet("Created topic a.\n"));
    let again = tool(&broker, create, "").await;
    assert_eq!(
        (again.out.as_str(), again.code),
        ("Error while executing topic command : Topic 'a' already exists.\n", 1)
    );
    assert_eq!(tool(&broker, &format!("{create} --if-not-exists"), "").await, quiet(""));
    assert_eq!(tool(&broker, "topics --bootstrap-server BS --alter --topic a --partitions 3", "").await, quiet(""));
    let described = tool(&broker, "kafka-topics --bootstrap-server PLAINTEXT://BS --describe --topic a", "").await;
    assert!(described.out.contains("\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: "), "{described:?}");
    assert!(described.out.contains("retention.ms=1000"), "{described:?}");
    assert_eq!(described.out.lines().filter(|line| line.starts_with("\tTopic: a\tPartition: ")).count(), 3);
    assert_eq!(tool(&broker, "kafka-topics --bootstrap-server BS --list", "").await, quiet("a\n"));
    assert_eq!(tool(&broker, "kafka-topics --bootstrap-server BS --delete --topic a", "").await, quiet(""));
    assert_eq!(tool(&broker, "kafka-topics --bootstrap-server BS --list", "").await, quiet(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_in_and_come_out_in_order() {
    let broker = TestBroker::start().await;
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    let produced =
        tool(&broker, "kafka-console-producer --broker-list BS --topic lines --compression-codec", &lines).await;
    assert_eq!(produced, quiet(""));
    let consume = "kafka-console-consumer --bootstrap-server BS --topic lines --from-beginning --max-messages 5000";
    let consumed = tool(&broker, consume, "").await;
    assert_eq!(consumed.err, "Processed a total of 5000 messages\n");
    assert_eq!(consumed.out, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_headers_and_nulls_survive_the_way() {
    let broker = TestBroker::start().await;
    let produce = "kafka-console-producer --bootstrap-server BS --topic t --reader-property parse.key=true \
                   --reader-property parse.headers=true --reader-property null.marker=NULL";
    assert_eq!(tool(&broker, produce, "h:1,g:NULL\tk\tv\nNULL\tNULL\tNULL\n").await, quiet(""));
    let consume = "kafka-console-consumer --bootstrap-server BS --topic t --from-beginning --max-messages 2 \
                   --formatter-property print.key=true --formatter-property print.headers=true \
                   --formatter-property print.offset=true --formatter-property key.separator=|";
    let consumed = tool(&broker, consume, "").await;
    assert_eq!(consumed.out, "Offset:0|h:1,g:null|k|v\nOffset:1|NO_HEADERS|null|null\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_on_where_it_stopped() {
    let broker = TestBroker::start().await;
    tool(&broker, "kafka-console-producer --bootstrap-server BS --topic t", "1\n2\n3\n4\n").await;
    let consume = "kafka-console-consumer --bootstrap-server BS --topic t --group g --from-beginning --max-messages";
    assert_eq!(tool(&broker, &format!("{consume} 2"), "").await.out, "1\n2\n");
    assert_eq!(tool(&broker, &format!("{consume} 2"), "").await.out, "3\n4\n");
    let idle = tool(&broker, &format!("{consume} 1 --timeout-ms 300"), "").await;
    assert_eq!((idle.err.as_str(), idle.code), ("Processed a total of 0 messages\n", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_offsets_are_described_and_moved() {
    let broker = TestBroker::start().await;
    tool(&broker, "kafka-console-producer --bootstrap-server BS --topic t", "1\n2\n3\n").await;
    let consume = "kafka-console-consumer --bootstrap-server BS --topic t --group g --from-beginning --max-messages 2";
    tool(&broker, consume, "").await;
    let groups = "kafka-consumer-groups --bootstrap-server BS";
    assert_eq!(tool(&broker, &format!("{groups} --list"), "").await, quiet("g\n"));
    let described = tool(&broker, &format!("{groups} --describe --group g"), "").await;
    let row: Vec<&str> = described.out.lines().last().expect("a row").split_whitespace().collect();
    assert_eq!(row, ["g", "t", "0", "2", "3", "1", "-", "-", "-"]);
    let reset =
        tool(&broker, &format!("{groups} --reset-offsets --group g --all-topics --to-earliest --execute"), "").await;
    assert!(reset.out.ends_with("g               t               0          0\n"), "{reset:?}");
    assert_eq!(tool(&broker, consume, "").await.out, "1\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_offsets_and_versions_are_shown() {
    let broker = TestBroker::start().await;
    tool(&broker, "kafka-console-producer --bootstrap-server BS --topic t", "1\n2\n").await;
    let configs = "kafka-configs --bootstrap-server BS --alter --topic t --add-config retention.ms=5000000,cleanup.policy=[compact,delete]";
    assert_eq!(tool(&broker, configs, "").await, quiet("Completed updating config for topic t.\n"));
    let shown = tool(&broker, "kafka-configs --bootstrap-server BS --describe --topic t", "").await;
    assert!(shown.out.contains("  cleanup.policy=compact,delete sensitive=false synonyms={"), "{shown:?}");
    assert_eq!(tool(&broker, "kafka-get-offsets --bootstrap-server BS --topic t", "").await, quiet("t:0:2\n"));
    let versions = tool(&broker, "kafka-broker-api-versions.sh --bootstrap-server BS", "").await;
    assert!(versions.out.contains("isFenced: false) -> (") && versions.code == 0, "{versions:?}");
    assert_eq!(tool(&broker, "cub kafka-ready -b BS 1 5", "").await, quiet(""));
    assert_eq!(tool(&broker, "cub kafka-ready 2 1 -b BS", "").await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifiable_pair_says_what_went_in_and_came_out() {
    let broker = TestBroker::start().await;
    let produced =
        tool(&broker, "kafka-verifiable-producer --bootstrap-server BS --topic t --max-messages 3", "").await;
    assert_eq!(produced.out.matches("\"name\":\"producer_send_success\"").count(), 3, "{produced:?}");
    assert!(
        produced.out.contains("\"key\":null,\"value\":\"2\",\"offset\":2,\"topic\":\"t\",\"partition\":0}"),
        "{produced:?}"
    );
    assert!(produced.out.contains("\"sent\":3,\"acked\":3,\"target_throughput\":-1,"), "{produced:?}");
    let consume = "kafka-verifiable-consumer --bootstrap-server BS --topic t --group-id g --max-messages 3";
    let consumed = tool(&broker, consume, "").await;
    assert!(consumed.out.contains("\"count\":3,\"minOffset\":0,\"maxOffset\":2}"), "{consumed:?}");
    assert!(consumed.out.contains("\"offset\":3}],\"success\":true}"), "{consumed:?}");
}

#[test]
fn the_names_are_installed_and_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let bin = directory.path().join("bin");
    let install = [OsStr::new("tools"), OsStr::new("install"), bin.as_os_str()];
    assert_eq!(run(&install, "").code, 0);
    // Again over what is there already.
    assert_eq!(run(&install, "").code, 0);
    for name in ["kafka-topics", "kafka-topics.sh", "kafka-storage.sh", "cub"] {
        assert!(bin.join(name).exists(), "{name}");
    }
    let version = Command::new(bin.join("kafka-topics.sh")).arg("--version").output().expect("the link runs");
    assert_eq!(version.stdout, b"4.3.1\n");
}

#[test]
fn a_file_of_somebody_else_is_not_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("kafka-topics"), "mine").expect("a file");
    let said = run(&[OsStr::new("tools"), OsStr::new("install"), directory.path().as_os_str()], "");
    assert_eq!(said.code, 1);
    assert_eq!(std::fs::read(directory.path().join("kafka-topics")).expect("it is there"), b"mine");
}

#[test]
fn completions_are_what_a_shell_reads() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&["completions", shell], "");
        assert!(said.code == 0 && said.out.contains("bootstrap-server"), "{shell}");
    }
    let check = Command::new("bash").args(["-n", "-c", &run(&["completions", "bash"], "").out]).status().expect("bash");
    assert!(check.success());
}

#[test]
fn an_answer_that_is_no_kafka_is_one_sentence() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let servers = listener.local_addr().expect("its address").to_string();
    let words = ["kafka-topics", "--list", "--bootstrap-server", &servers];
    let child =
        Command::new(env!("CARGO_BIN_EXE_milena")).args(words).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut stream, _) = listener.accept().expect("the tool connects");
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("an answer");
    let said = child.wait_with_output().expect("the tool ends");
    let text = String::from_utf8(said.stdout).expect("UTF-8");
    assert_eq!(said.status.code(), Some(1));
    assert!(text.contains("does not speak Kafka's protocol: an answer of "), "{text}");
}

#[test]
fn a_setting_that_is_not_there_yet_gets_one_sentence() {
    let words = ["kafka-topics", "--list", "--bootstrap-server", "localhost:1", "--command-config", "/dev/stdin"];
    let said = run(&words, "security.protocol=SASL_SSL\n");
    assert_eq!(said.code, 1);
    let sentence = "Error while executing topic command : security.protocol=SASL_SSL is not there yet: these tools speak PLAINTEXT only\n";
    assert_eq!(said.out, sentence);
}

#[test]
fn nobody_at_the_other_end_is_said_when_the_time_is_up() {
    let words = ["kafka-topics", "--list", "--bootstrap-server", "127.0.0.1:1", "--command-config", "/dev/stdin"];
    let said = run(&words, "default.api.timeout.ms=300\n");
    assert_eq!(said.code, 1);
    assert!(said.out.starts_with("Error while executing topic command : no connection to 127.0.0.1:1:"), "{said:?}");
}
