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
