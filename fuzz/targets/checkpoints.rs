//! The small text files: those of a data directory, and those of one log.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use milena::storage::log_dir::{Identity, LogDir};
use milena::types::{BrokerId, Offset, TopicPartition};
use uuid::Uuid;

use super::Choices;
use super::disk::MemoryDisk;
use super::log_files::{DIR, hint, open, read_all, written};

fn identity() -> Identity {
    let id = Uuid::from_u128(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd);
    Identity {
        cluster_id: None,
        is_cluster_id_strict: true,
        node_id: BrokerId(1),
        fresh_cluster_id: id,
        fresh_directory_id: id,
    }
}

/// A data directory that was in use and not stopped.
fn used() -> &'static MemoryDisk {
    static USED: OnceLock<MemoryDisk> = OnceLock::new();
    USED.get_or_init(|| {
        let disk = Arc::new(written().disk.copy());
        // The lock of the disk is nobody's: a directory that has partitions and no identity is refused, so it goes first.
        let fresh = Arc::new(MemoryDisk::default());
        LogDir::open(fresh.clone(), Path::new("/data"), identity()).expect("a new directory");
        disk.set(Path::new("/data/meta.properties"), &fresh.get(Path::new("/data/meta.properties")).expect("written"));
        let dir = LogDir::open(disk.clone(), Path::new("/data"), identity()).expect("its second start");
        let offsets = [(TopicPartition::new("orders", 0), written().end)].into();
        dir.write_recovery_points(&offsets).expect("written");
        disk.copy()
    })
}

/// `meta.properties` and the checkpoints of all partitions: refused with a sentence, or believed; and then what the logs serve
/// is what was written, from where they are said to start.
pub fn data_directory(data: &[u8]) {
    let mut choices = Choices(data);
    let names = [
        "meta.properties",
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "cleaner-offset-checkpoint",
        ".kafka_cleanshutdown",
    ];
    let name = names[choices.below(names.len() as u8)];
    let disk = Arc::new(used().copy());
    disk.set(&Path::new("/data").join(name), choices.0);
    let dir = match LogDir::open(disk.clone(), Path::new("/data"), identity()) {
        Ok(dir) => dir,
        Err(refused) => {
            let sentence = refused.to_string();
            assert!(sentence.contains("/data"), "it names the file: {sentence}");
            return;
        }
    };
    for (partition, _) in dir.partition_dirs().expect("partitions") {
        let Ok(log) = open(&disk, dir.open_hint(&partition)) else { continue };
        let start = log.log_start_offset().0;
        let due: Vec<_> = written().records.iter().filter(|record| record.0 >= start).cloned().collect();
        assert_eq!(read_all(&log), due);
    }
    dir.write_cleaner_offsets(&dir.read_recovery_points().expect("read")).expect("written");
}

/// `leader-epoch-checkpoint`, `segment-checkpoint` and `partition.metadata` of one log.
pub fn log_checkpoints(data: &[u8]) {
    let mut choices = Choices(data);
    let hint = hint(&mut choices);
    let names = ["leader-epoch-checkpoint", "segment-checkpoint", "partition.metadata"];
    let name = names[choices.below(names.len() as u8)];
    let disk = Arc::new(written().disk.copy());
    let content = match (name, choices.bool()) {
        ("segment-checkpoint", true) => with_checksums(choices.0),
        _ => choices.0.to_vec(),
    };
    disk.set(&Path::new(DIR).join(name), &content);
    match open(&disk, hint) {
        Ok(log) => {
            let (due, served) = (&written().records, read_all(&log));
            // A line with another first batch: the file is taken for another's and refused when it is read.
            let (at, end) = (served.last().map_or(0, |last| last.0 + 1), log.log_end_offset());
            let is_refused = || name == "segment-checkpoint" && log.read(Offset(at), end, 700, true).is_err();
            assert!(served == *due || due.starts_with(&served) && is_refused(), "{served:?}");
        }
        Err(error) => {
            assert_ne!(name, "leader-epoch-checkpoint", "it is made again: {error}");
            assert!(error.to_string().contains(DIR), "it names the file: {error}");
        }
    }
}

/// Ends each line with the checksum of its other words.
fn with_checksums(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let facts = line.iter().rposition(|byte| *byte == b' ').map_or(line, |space| &line[..space]);
        out.extend_from_slice(facts);
        out.extend_from_slice(format!(" {:08x}\n", crc32c::crc32c(facts)).as_bytes());
    }
    out
}
