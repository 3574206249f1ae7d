//! The program as a person starts and stops it: one sentence and exit 1 for a mistake, nothing changed; a clean stop leaves
//! its marker; what was there before is there again.

#![allow(clippy::disallowed_methods)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use support::{Client, PATIENCE, TestBroker, batch, values};

/// A broker process; killed when the test ends, however it ends.
struct Program {
    child: Child,
    port: u16,
}

impl Program {
    fn start(directory: &Path) -> Program {
        Program::from(command(directory, &[]))
    }

    fn from(mut command: Command) -> Program {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(port) = line.split("127.0.0.1:").nth(1).filter(|_| line.contains("listening on")) {
                    let _ = tell.send(port.chars().take_while(char::is_ascii_digit).collect::<String>());
                }
            }
        });
        let port = told.recv_timeout(PATIENCE).expect("the program says where it listens");
        Program { child, port: port.parse().expect("a port") }
    }

    fn signal(&mut self, name: &str) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
        self.child.wait().expect("the program ends")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path, overrides: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.env_clear().stdout(Stdio::null());
    let own = ["listeners=PLAINTEXT://127.0.0.1:0".to_owned(), format!("log.dirs={}", directory.display())];
    for setting in own.iter().map(String::as_str).chain(overrides.iter().copied()) {
        command.args(["--override", setting]);
    }
    command
}

/// Runs the program, which must give up with exit 1 and one line on stderr.
fn refused(directory: &Path, overrides: &[&str]) -> String {
    let output = command(directory, overrides).output().expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let complaints: Vec<&str> = stderr.lines().filter(|line| line.starts_with("milena: ")).collect();
    assert_eq!(complaints.len(), 1, "one sentence: {stderr}");
    complaints[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything() {
    let home = tempfile::tempdir().unwrap();
    for signal in ["TERM", "KILL", "INT"] {
        let directory = home.path().join(signal);
        let mut program = Program::start(&directory);
        let mut client = Client::connect(program.port).await;
        client.create_topic("t", 2, &[("retention.ms", "123456789")]).await;
        client.produce("t", 1, batch(&[b"a", b"b"])).await.unwrap();
        let before = client.ask(12, support::metadata_of("t")).await;
        let status = program.signal(signal);
        let marker = directory.join(".kafka_cleanshutdown").exists();
        assert_eq!(marker, signal != "KILL", "the clean-stop marker after SIG{signal}");
        assert_eq!(status.success(), signal != "KILL");
        let program = Program::start(&directory);
        let mut client = Client::connect(program.port).await;
        let after = client.ask(12, support::metadata_of("t")).await;
        assert_eq!(after.cluster_id, before.cluster_id);
        assert_eq!(after.topics, before.topics, "name, id, partitions and epochs");
        assert_eq!(values(&client.fetch("t", 1, 0).await.records), [(0, b"a".to_vec()), (1, b"b".to_vec())]);
        assert_eq!(client.produce("t", 1, batch(&[b"c"])).await, Ok(2));
    }
}

/// Who watches a container knows what a JVM ends with.
#[test]
fn a_stop_in_an_image_has_the_code_of_its_signal() {
    let home = tempfile::tempdir().unwrap();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let directory = home.path().join(signal);
        let mut command = command(&directory, &[]);
        command.env("MILENA_DIALECT", "auto");
        let mut program = Program::from(command);
        assert_eq!(program.signal(signal).code(), Some(code), "SIG{signal}");
        assert!(directory.join(".kafka_cleanshutdown").exists());
    }
}

/// What `milena config --properties` writes says the same when it is read.
#[test]
fn settings_are_written_as_a_file_that_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let written = |arguments: &[&str]| {
        let mut command = command(home.path(), &["num.partitions=7", "log.retention.ms=5"]);
        let output = command.args(arguments).stdout(Stdio::piped()).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = written(&["config", "--properties"]);
    assert!(first.contains("num.partitions=7\n") && first.contains("listeners=PLAINTEXT://127.0.0.1:0\n"), "{first}");
    let file = home.path().join("written.properties");
    std::fs::write(&file, &first).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_milena"))
        .env_clear()
        .args(["config", "--properties", "--config", &file.display().to_string()])
        .output()
        .expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), first);
}

/// `milena health`, for health checks of images that have nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_an_exit_code() {
    let health = |address: String| {
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
            let output = command.env_clear().args(["health", &address]).output().expect("the program runs");
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        })
    };
    let broker = TestBroker::start().await;
    let address = format!("127.0.0.1:{}", broker.port());
    assert_eq!(health(address.clone()).await.unwrap(), (Some(0), String::new()));
    broker.stop().await;
    let (code, said) = health(address.clone()).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("milena: no broker answers on {address}: ")), "{said}");
}

/// I23: a second process on the directory is refused, and the first goes on.
#[tokio::test(flavor = "multi_thread")]
async fn i23_a_directory_has_one_broker() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    let program = Program::start(&directory);
    let complaint = refused(&directory, &[]);
    assert!(complaint.contains(&directory.display().to_string()), "{complaint}");
    let mut client = Client::connect(program.port).await;
    client.create_topic("t", 1, &[]).await;
}

/// I23: another node, another cluster, a newer format: refused, and nothing is changed.
#[test]
fn i23_a_foreign_directory_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=77\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n",
        "version=9\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n",
        "no properties at all \u{0}",
    ];
    for (index, properties) in cases.iter().enumerate() {
        let directory = home.path().join(index.to_string());
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("meta.properties"), properties).unwrap();
        let complaint = refused(&directory, &[]);
        assert!(complaint.contains("meta.properties"), "{complaint}");
        assert_eq!(std::fs::read_to_string(directory.join("meta.properties")).unwrap(), *properties);
        let names: Vec<_> = std::fs::read_dir(&directory).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(names.iter().all(|name| name == "meta.properties" || name == ".lock"), "{names:?}");
    }
    let directory = home.path().join("cluster");
    std::fs::create_dir(&directory).unwrap();
    let mine = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n";
    std::fs::write(directory.join("meta.properties"), mine).unwrap();
    let complaint = refused(&directory, &["milena.cluster.id=AAAAAAAAAAAAAAAAAAAAAw"]);
    assert!(complaint.contains("meta.properties"), "{complaint}");
}

#[test]
fn a_taken_port_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let complaint = refused(&directory, &[&format!("listeners=PLAINTEXT://{address}")]);
    assert!(complaint.contains(&address) && complaint.contains("listeners"), "{complaint}");
    assert!(!directory.exists());
}

#[test]
fn a_bad_setting_is_named() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    for (setting, word) in [("num.partitions=many", "num.partitions"), ("log.segment.bytes=-5", "log.segment.bytes")] {
        let complaint = refused(&directory, &[setting]);
        assert!(complaint.contains(word), "{complaint}");
        assert!(!directory.exists());
    }
}

/// A topic deleted before a crash stays deleted; made again it is another topic (I22).
#[tokio::test(flavor = "multi_thread")]
async fn i22_a_topic_made_again_is_another_topic() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().to_path_buf();
    let broker = TestBroker::at(&directory, &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"old"])).await.unwrap();
    let old = client.ask(12, support::metadata_of("t")).await.topics[0].topic_id;
    client.delete_topic("t").await;
    client.create_topic("t", 1, &[]).await;
    let new = client.ask(12, support::metadata_of("t")).await.topics[0].topic_id;
    assert_ne!(old, new);
    assert_eq!(values(&client.fetch("t", 0, 0).await.records), []);
    client.produce("t", 0, batch(&[b"new"])).await.unwrap();
    broker.stop().await;
    let broker = TestBroker::at(&directory, &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(values(&client.fetch("t", 0, 0).await.records), [(0, b"new".to_vec())]);
    broker.stop().await;
}

/// The metadata log is kept short by snapshots, and a start from a snapshot finds everything.
#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_log_is_bounded_by_snapshots() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("__cluster_metadata-0");
    let snapshots = || {
        let names = std::fs::read_dir(&log).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".checkpoint")).collect::<Vec<_>>()
    };
    let small = "metadata.log.max.record.bytes.between.snapshots=2000";
    let broker = TestBroker::at(home.path(), &[small]).await;
    let mut client = broker.connect().await;
    let mut made = 0;
    let several = async {
        let mut seen = std::collections::BTreeSet::new();
        // Two snapshots: the second has replaced the first.
        while seen.len() < 2 {
            client.create_topic(&format!("topic-{made}"), 3, &[("retention.ms", "4711")]).await;
            made += 1;
            seen.extend(snapshots());
        }
    };
    tokio::time::timeout(PATIENCE * 3, several).await.expect("snapshots are made");
    broker.stop().await;
    assert_eq!(snapshots().len(), 1, "older snapshots are removed");
    let first_segment = std::fs::read_dir(&log).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    let first_segment = first_segment.filter(|name| name.ends_with(".log")).min().unwrap();
    assert_ne!(first_segment, "00000000000000000000.log", "what the snapshot covers is given up");
    let broker = TestBroker::at(home.path(), &[small]).await;
    let mut client = broker.connect().await;
    for n in 0..made {
        let topic = client.ask(12, support::metadata_of(&format!("topic-{n}"))).await.topics.remove(0);
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 3), "topic-{n}");
    }
    broker.stop().await;
}

/// Test tools wait for Kafka's own lines; they come once, on stdout, when clients are served, whatever the log level.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_said_once_and_not_too_early() {
    let home = tempfile::tempdir().unwrap();
    for (level, dialect) in [("INFO", "auto"), ("WARN", "auto"), ("WARN", "confluent")] {
        let mut command = command(&home.path().join(format!("{level}-{dialect}")), &[]);
        command.envs([("MILENA_DIALECT", dialect), ("KAFKA_LOG4J_ROOT_LOGLEVEL", level), ("KAFKA_NODE_ID", "7")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said: Vec<String> = Vec::new();
        while said.last().is_none_or(|line| !line.contains("[KafkaServer id=7] started (kafka.server.KafkaServer)")) {
            said.push(lines.next().expect("the program says that it is ready"));
        }
        if level == "INFO" {
            let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let line = stderr.find(|line| line.contains("listening on")).expect("the program says where it listens");
            let port = line.split("127.0.0.1:").nth(1).unwrap().trim().parse().expect("a port");
            Client::connect(port).await.create_topic("t", 1, &[]).await;
            // From here on nobody reads stderr, which is no reason to end.
        }
        let mut program = Program { child, port: 0 };
        assert_eq!(program.signal("TERM").code(), Some(143), "in an image");
        said.extend(lines);
        for words in ["Transitioning from RECOVERY to RUNNING", "Kafka Server started", "[KafkaServer id=7] started"] {
            assert_eq!(said.iter().filter(|line| line.contains(words)).count(), 1, "{words}: {said:?}");
        }
        // A test tool for Confluent's image waits for what its controller says.
        let balancing = said.iter().filter(|line| line.contains("Checking need to trigger auto leader balancing"));
        assert_eq!(balancing.count(), usize::from(dialect == "confluent"), "{said:?}");
    }
}

/// Lesson 37. Docker sends SIGKILL 10 s after SIGTERM; a consumer that waits for records must not hold the broker up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_those_who_wait() {
    let home = tempfile::tempdir().unwrap();
    let mut program = Program::start(home.path());
    let mut client = Client::connect(program.port).await;
    client.create_topic("t", 1, &[]).await;
    client.send(12, &support::fetch_request(&[("t", 0, 0)], 300_000, 1)).await;
    // A second answer on another connection shows that the fetch, sent before it, has come in by now.
    Client::connect(program.port).await.ask(12, support::metadata_of("t")).await;
    let begun = std::time::Instant::now();
    assert!(program.signal("TERM").success());
    assert!(begun.elapsed().as_secs() < 10, "it took {:?}", begun.elapsed());
}

/// A volume that Apache Kafka has used: one sentence, nothing changed.
#[test]
fn data_of_apache_kafka_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("__cluster_metadata-0")).unwrap();
    std::fs::write(home.path().join("__cluster_metadata-0/quorum-state"), "{}").unwrap();
    let meta =
        "#\n#Tue Nov 24 10:00:00 UTC 2026\nnode.id=1\nversion=1\ncluster.id=c\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n";
    std::fs::write(home.path().join("meta.properties"), meta).unwrap();
    let complaint = refused(home.path(), &[]);
    assert!(complaint.contains("holds data of Apache Kafka"), "{complaint}");
    let names = std::fs::read_dir(home.path()).unwrap().flatten().count();
    assert_eq!(names, 2, "nothing was added");
}

/// `milena doctor` against brokers that are well, badly advertised, and not there.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_do() {
    let doctor = |address: String| {
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
            let output = command.env_clear().args(["doctor", &address]).output().expect("the program runs");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        })
    };
    let well = TestBroker::start().await;
    let (code, said) = doctor(format!("localhost:{}", well.port())).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("speaks Kafka") && said.contains("which answers"), "{said}");
    for advertised in ["no-such-host.invalid:9092", "127.0.0.1:1"] {
        let badly = TestBroker::with(&[&format!("advertised.listeners=PLAINTEXT://{advertised}")]).await;
        let (code, said) = doctor(format!("127.0.0.1:{}", badly.port())).await.unwrap();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(advertised) && said.contains("advertised.listeners"), "{said}");
        badly.stop().await;
    }
    let port = well.port();
    well.stop().await;
    let (code, said) = doctor(format!("127.0.0.1:{port}")).await.unwrap();
    assert!(code == Some(1) && said.contains("fail") && said.contains("start the broker"), "{said}");
}

/// What a power cut leaves of a partition that was never flushed, if it takes the topic id first (I22).
#[tokio::test(flavor = "multi_thread")]
async fn i22_a_directory_without_a_topic_id_is_set_aside_unless_it_was_flushed_once() {
    for was_flushed in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let broker = TestBroker::at(home.path(), &[]).await;
        let mut client = broker.connect().await;
        client.create_topic("t", 1, &[]).await;
        client.produce("t", 0, batch(&[b"whose?"])).await.unwrap();
        broker.stop().await;
        for name in [".kafka_cleanshutdown", "t-0/partition.metadata"] {
            std::fs::remove_file(home.path().join(name)).unwrap();
        }
        if !was_flushed {
            std::fs::remove_file(home.path().join("recovery-point-offset-checkpoint")).unwrap();
        }
        let broker = TestBroker::at(home.path(), &[]).await;
        let mut client = broker.connect().await;
        assert_eq!(client.fetch("t", 0, 0).await.high_watermark, i64::from(was_flushed));
        let names = std::fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.file_name());
        let strays = names.filter(|name| name.to_string_lossy().ends_with("-stray")).count();
        assert_eq!(strays, usize::from(!was_flushed), "nothing is lost");
        broker.stop().await;
    }
}
