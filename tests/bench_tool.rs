//! `milena bench` against a broker: every kind of load runs to its end, and counts what was really there.

#![allow(clippy::disallowed_methods)]

mod support;

use std::process::Command;

use support::TestBroker;

/// Runs the tool with these words, the target behind the first; what it printed.
fn bench(port: u16, words: &str) -> String {
    let target = format!("it=127.0.0.1:{port}@{}", std::process::id());
    let output = Command::new(env!("CARGO_BIN_EXE_milena"))
        .arg("bench")
        .args(words.split_whitespace().take(1))
        .args(["--target", &target])
        .args(words.split_whitespace().skip(1))
        .output()
        .expect("the tool runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bench {words}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn figure(table: &str, name: &str) -> f64 {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_else(|| panic!("no {name} in\n{table}"));
    value.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_load_runs_to_its_end() {
    let broker = TestBroker::with(&["milena.durability=page-cache", "group.initial.rebalance.delay.ms=0"]).await;
    let port = broker.port();
    let loads = tokio::task::spawn_blocking(move || {
        let produced =
            bench(port, "produce --bytes 2M --warm 0 --batch 16K --partitions 4 --parts-per-request 2 --conns 2");
        assert!(figure(&produced, "GB") > 0.002, "{produced}");
        // Both fail unless exactly the records that are there were read.
        bench(port, "fetch --bytes 2M --batch 16K --partitions 3 --consumers 2 --how verify --compression lz4");
        bench(port, "fetch --bytes 2M --batch 16K --partitions 2 --how discard");
        let latency = bench(port, "latency --rate 200 --seconds 1 --conns 2 --consumers 1 --acks all");
        assert!(figure(&latency, "end_to_end_p50_ms") > 0.0, "{latency}");
        bench(port, "many --what partitions --count 50");
        bench(port, "many --what conns --count 20 --seconds 0");
        bench(port, "many --what burst --count 3 --batch 100K");
        let joined = bench(port, "many --what members --count 5 --groups 2 --partitions 20");
        assert!(figure(&joined, "generation") >= 1.0, "{joined}");
        let wrapped = bench(port, "wrap --gb 0.5 -- echo {addr} 4{round}");
        assert!(figure(&wrapped, "MB_s") > 0.0 && !wrapped.contains("own_MB_s"), "{wrapped}");
        assert_eq!(figure(&bench(port, "wrap --gb 0.5 -- echo 4{round}"), "own_MB_s"), 40.0);
        let limits = bench(port, &format!("limits --bytes 2M --dir {}", std::env::temp_dir().display()));
        assert!(figure(&limits, "fdatasync_p50_ms") > 0.0, "{limits}");
    });
    loads.await.expect("all loads ran");
    broker.stop().await;
}
