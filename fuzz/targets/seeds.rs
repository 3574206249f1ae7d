//! Inputs to begin with: real files of a real log, real records, what people write. `UPDATE=1 cargo test --test corpus` puts
//! them into the corpus; `fuzz/seeds.py` adds those that real clients sent.

use std::path::Path;

use milena::record::{Builder, Compression, HEADER_LEN};
use milena::state::Machine;
use milena::state::metadata::{Metadata, MetadataRecord, MetadataSettings};
use milena::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::log_files::{DIR, bases, path, written};

/// Target and input.
pub type Seed = (&'static str, Vec<u8>);

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    batches(&mut seeds);
    log_files(&mut seeds);
    checkpoints(&mut seeds);
    records(&mut seeds);
    settings(&mut seeds);
    for target in ["group_machine", "metadata_machine"] {
        seeds.extend((0..12u8).map(|step| (target, (0..200u8).map(|at| at.wrapping_mul(step * 2 + 1)).collect())));
    }
    seeds
}

fn with(prefix: &[u8], content: &[u8]) -> Vec<u8> {
    [prefix, content].concat()
}

fn batches(seeds: &mut Vec<Seed>) {
    for (compression, target) in Compression::ALL.into_iter().zip(["record_batch", "gzip", "snappy", "lz4", "zstd"]) {
        for (count, size) in [(1u8, 3), (5, 40), (50, 20), (3, 3_000)] {
            let builder = Builder::new().compression(compression);
            let mut builder = builder.producer(ProducerId(7), ProducerEpoch(1), Sequence(3));
            for at in 0..count {
                let value: Vec<u8> = (0..size).map(|byte: usize| (byte as u8).wrapping_mul(at) / 3).collect();
                builder.push(Timestamp(1_000 + i64::from(at)), Some(b"key"), Some(&value), &[]);
            }
            let batch = builder.build().to_vec();
            seeds.push(("record_batch", with(&[7], &batch)));
            if compression != Compression::None {
                seeds.push((target, with(&[count, 2], &batch[HEADER_LEN..])));
                seeds.push((target, with(&[count, 4], &batch[HEADER_LEN..])));
            }
        }
    }
    let raw_snappy = [5, 16, b'h', b'e', b'l', b'l', b'o'];
    seeds.push(("snappy", with(&[1, 2], &raw_snappy)));
}

fn log_files(seeds: &mut Vec<Seed>) {
    let disk = &written().disk;
    let files = [
        ("offset_index", "index"),
        ("time_index", "timeindex"),
        ("txn_index", "txnindex"),
        ("producer_snapshot", "snapshot"),
        ("segment", "log"),
    ];
    for (index, base) in bases().iter().enumerate() {
        for (target, ending) in files {
            let content = disk.get(&path(*base, ending)).unwrap_or_default();
            for clean in [0, 1] {
                let prefix = match target {
                    "segment" => vec![1, clean],
                    "producer_snapshot" => vec![clean, 1, 1, index as u8],
                    _ => vec![clean, 1, index as u8],
                };
                seeds.push((target, with(&prefix, &content)));
            }
        }
    }
}

fn checkpoints(seeds: &mut Vec<Seed>) {
    let disk = &written().disk;
    for (index, name) in ["leader-epoch-checkpoint", "segment-checkpoint", "partition.metadata"].iter().enumerate() {
        let content = disk.get(&Path::new(DIR).join(name)).expect("every log has it");
        for clean in [0, 1] {
            seeds.push(("log_checkpoints", with(&[clean, 1, index as u8, 1], &content)));
        }
    }
    let contents = [
        "cluster.id=Sv6rb0TdREOYEMxJ3lIU3w\ndirectory.id=ASNFZ4mrTN6PASNFZ4mrzQ\nnode.id=1\nversion=1\n",
        "0\n1\norders 0 40\n",
        "0\n2\norders 0 12\nothers 3 0\n",
        "0\n1\norders 0 3\n",
        "{\"version\":0,\"brokerEpoch\":-1}",
    ];
    for (index, content) in contents.iter().enumerate() {
        seeds.push(("data_directory", with(&[index as u8], content.as_bytes())));
        seeds.push(("data_directory", with(&[index as u8], b"1\n1\nx 0 0\n")));
    }
}

/// Behind two bytes of length, as `pieces` reads them.
fn piece(content: &[u8]) -> Vec<u8> {
    with(&(content.len() as u16).to_be_bytes(), content)
}

fn records(seeds: &mut Vec<Seed>) {
    let mut machine = Metadata::new(MetadataSettings::new("fuzzfuzzfuzzfuzzfuzzfw"));
    let topic = MetadataRecord::Topic { name: "t".into(), id: super::log_files::TOPIC_ID };
    machine.apply(&topic);
    let marks = [MetadataRecord::BeginTransaction, topic, MetadataRecord::EndTransaction, MetadataRecord::NoOp];
    let all: Vec<u8> = marks.iter().flat_map(|record| piece(&record.encode())).collect();
    seeds.push(("metadata_log", all));
}

fn settings(seeds: &mut Vec<Seed>) {
    let files = [
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\nprocess.roles=broker,controller\nnode.id=1\n",
        "broker.id=2\nlog.dirs=/tmp/a,/tmp/b\n# a comment\nlog.retention.ms=-1\nlog.segment.bytes=1048576\n",
        "$KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://kafka:9092,EXT://localhost:29092\n$KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,EXT:PLAINTEXT\n",
        "-log.cleanup.policy=compact,delete\n-max.connections.per.ip.overrides=127.0.0.1:5\n",
        "cleanup.policy=compact\nretention.ms=5\nsegment.ms=\\\n  77\nmin.insync.replicas=\\u0031\n",
        "milena.durability=page-cache\nunknown.setting=1\nnum.partitions=3\ngroup.initial.rebalance.delay.ms=0\n",
    ];
    seeds.extend(files.iter().map(|file| ("config", file.as_bytes().to_vec())));
    let names = [
        "orders",
        "..",
        "a/b",
        "PLAINTEXT://localhost:9092",
        "A://[::1]:1,B://0.0.0.0:0,",
        "A:PLAINTEXT,B:SASL_SSL",
        "Sv6rb0TdREOYEMxJ3lIU3w",
        "SSL://:70000",
    ];
    seeds.extend(names.iter().map(|name| ("names", name.as_bytes().to_vec())));
}
