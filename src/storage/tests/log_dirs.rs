//! The data directory: whose it is, what a stop leaves in it, and how partitions come and go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::harness::*;
use crate::storage::Error;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::log::{Log, OpenHint};
use crate::storage::log_dir::{Identity, LogDir};
use crate::testing::disk::{Crashes, Cut, Image, SimDisk};
use crate::types::*;

fn identity() -> Identity {
    Identity {
        cluster_id: None,
        is_cluster_id_strict: true,
        node_id: BrokerId(1),
        fresh_cluster_id: uuid::Uuid::from_u128(1),
        fresh_directory_id: uuid::Uuid::from_u128(2),
    }
}

fn open_dir(disk: &Arc<dyn Disk>) -> Result<LogDir, Error> {
    LogDir::open(disk.clone(), Path::new("/data"), identity())
}

fn sim() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    (disk.clone(), Arc::new(disk))
}

fn refused(result: Result<LogDir, Error>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("not refused"),
    }
}

fn id(number: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(number))
}

fn open_log(disk: &Arc<dyn Disk>, path: PathBuf, hint: OpenHint, topic_id: TopicId) -> Log {
    Log::open(disk.clone(), path, Arc::new(small()), hint, Some(topic_id), now()).unwrap().0
}

fn put(log: &mut Log, value: &str) {
    log.append(&mut values(&[value]), EPOCH, now(), crate::storage::log::Origin::Client).unwrap();
}

#[test]
fn i23_a_directory_in_use_is_refused_and_is_free_again_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let first = LogDir::open(disk.clone(), root.path(), identity()).unwrap();
    let sentence = refused(LogDir::open(disk.clone(), root.path(), identity()));
    assert!(sentence.contains("in use") && sentence.contains(".lock"), "{sentence}");
    drop(first);
    LogDir::open(disk, root.path(), identity()).unwrap();
}

#[test]
fn i23_a_directory_of_another_cluster_node_or_format_is_refused_with_the_name_of_the_file() {
    let (_, disk) = sim();
    let cluster = open_dir(&disk).unwrap().cluster_id().to_string();
    let with = |change: fn(&mut Identity)| {
        let mut identity = identity();
        change(&mut identity);
        refused(LogDir::open(disk.clone(), Path::new("/data"), identity))
    };
    let sentence = with(|identity| identity.cluster_id = Some("another".into()));
    assert!(sentence.contains("meta.properties") && sentence.contains(&cluster), "{sentence}");
    let sentence = with(|identity| identity.node_id = BrokerId(2));
    assert!(sentence.contains("meta.properties") && sentence.contains("node.id 1"), "{sentence}");
    let file = disk.open(Path::new("/data/meta.properties"), false).unwrap();
    let text = b"version=2\ncluster.id=x\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n";
    file.set_len(0).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(text)], 0).unwrap();
    let sentence = refused(open_dir(&disk));
    assert!(sentence.contains("version 2"), "{sentence}");
    for damaged in ["", "version=1\nnode.id=1\n", "\0\0\0\0"] {
        file.set_len(0).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(damaged.as_bytes())], 0).unwrap();
        assert!(refused(open_dir(&disk)).contains("meta.properties"));
    }
}

#[test]
fn i23_records_without_meta_properties_are_not_taken_over() {
    let (_, disk) = sim();
    disk.create_dir_all(Path::new("/data/orders-0")).unwrap();
    let sentence = refused(open_dir(&disk));
    assert!(sentence.contains("meta.properties") && sentence.contains("orders-0"), "{sentence}");
    assert!(!disk.exists(Path::new("/data/meta.properties")), "nothing is reformatted");
}

#[test]
fn an_identity_is_kept_over_restarts() {
    let (_, disk) = sim();
    let first = open_dir(&disk).unwrap();
    let known = (first.cluster_id().to_string(), first.directory_id());
    drop(first);
    let mut other = identity();
    (other.fresh_cluster_id, other.fresh_directory_id) = (uuid::Uuid::from_u128(5), uuid::Uuid::from_u128(6));
    let again = LogDir::open(disk, Path::new("/data"), other).unwrap();
    assert_eq!((again.cluster_id().to_string(), again.directory_id()), known);
}

#[test]
fn i12_the_clean_stop_marker_goes_before_anything_else_is_written() {
    let (_, disk) = sim();
    let dir = open_dir(&disk).unwrap();
    assert!(!dir.was_clean_stop());
    dir.mark_clean_stop().unwrap();
    drop(dir);
    let again = open_dir(&disk).unwrap();
    assert!(again.was_clean_stop());
    assert!(!disk.exists(Path::new("/data/.kafka_cleanshutdown")));
    drop(again);
    assert!(!open_dir(&disk).unwrap().was_clean_stop());
}

#[test]
fn i14_a_damaged_checkpoint_stops_the_start_with_its_name_but_the_cleaners_does_not() {
    for (name, stops) in [
        ("recovery-point-offset-checkpoint", true),
        ("log-start-offset-checkpoint", true),
        ("cleaner-offset-checkpoint", false),
    ] {
        let (_, disk) = sim();
        drop(open_dir(&disk).unwrap());
        let path = Path::new("/data").join(name);
        let file = disk.open(&path, true).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(b"0\n2\norders 0 1")], 0).unwrap();
        if stops {
            let sentence = refused(open_dir(&disk));
            assert!(sentence.contains(name), "{sentence}");
            disk.remove_file(&path).unwrap();
        }
        open_dir(&disk).unwrap();
    }
}

#[test]
fn checkpoints_hold_what_was_written_for_partitions_that_are_there() {
    let (_, disk) = sim();
    let orders = TopicPartition::new("orders", 0);
    let gone = TopicPartition::new("gone", 3);
    let dir = open_dir(&disk).unwrap();
    let path = dir.create_partition(&orders, id(7)).unwrap();
    let mut log = open_log(&disk, path, OpenHint::fresh(), id(7));
    put(&mut log, "value");
    log.flush().unwrap();
    dir.write_recovery_points(&[(orders.clone(), Offset(1)), (gone, Offset(9))].into()).unwrap();
    dir.write_log_starts(&[(orders.clone(), Offset(1))].into()).unwrap();
    drop(dir);
    let again = open_dir(&disk).unwrap();
    assert_eq!(again.read_recovery_points().unwrap(), [(orders.clone(), Offset(1))].into());
    let hint = again.open_hint(&orders);
    assert_eq!((hint.clean, hint.recovery_point, hint.log_start_offset), (false, Offset(1), Offset(1)));
    assert_eq!(again.partition_dirs().unwrap(), [(orders, PathBuf::from("/data/orders-0"))]);
}

#[test]
fn i22_a_topic_made_again_under_its_name_shows_nothing_of_the_old_one_whenever_a_crash_comes() {
    let (sim, disk) = sim();
    let name = TopicPartition::new("orders", 0);
    let dir = open_dir(&disk).unwrap();
    let path = dir.create_partition(&name, id(7)).unwrap();
    let mut old = open_log(&disk, path, OpenHint::fresh(), id(7));
    for index in 0..30 {
        put(&mut old, &format!("old {index}"));
    }
    old.flush().unwrap();
    dir.write_recovery_points(&[(name.clone(), Offset(30))].into()).unwrap();
    dir.write_log_starts(&[(name.clone(), Offset(4))].into()).unwrap();
    // The new one is made before the old one's removal got its turn.
    let path = dir.create_partition(&name, id(8)).unwrap();
    let mut new = open_log(&disk, path, OpenHint::fresh(), id(8));
    assert_eq!((new.log_start_offset(), new.log_end_offset()), (Offset(0), Offset(0)));
    put(&mut new, "new");
    new.flush().unwrap();
    let flushed_at = sim.op_count();
    dir.remove_partition(&name).unwrap();
    assert_eq!(read_all(&new, Offset(0), Offset(1), 100), [(0, "new".to_string())], "only the old one is removed");
    let ops = sim.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    let mut seed = crate::testing::seed::Seed::new(1);
    while crashes.advance() {
        for cut in [Cut::Killed, Cut::LoseAll, Cut::Half, Cut::Random(seed.fork()), Cut::Random(seed.fork())] {
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::from_image(crashes.image(&cut)));
            let dir = open_dir(&disk).unwrap();
            if crashes.position() >= flushed_at {
                assert_eq!(dir.topic_id(&name).unwrap(), Some(id(8)));
            }
            if let Some(found) = dir.topic_id(&name).unwrap() {
                let log = open_log(&disk, PathBuf::from("/data/orders-0"), dir.open_hint(&name), found);
                for (_, value) in read_all(&log, log.log_start_offset(), log.log_end_offset(), 500) {
                    assert_eq!(value.starts_with("new"), found == id(8), "{value} of {found:?}");
                }
            }
        }
    }
}

#[test]
fn a_removed_partition_is_gone_and_what_a_crash_left_of_it_goes_at_the_next_start() {
    let (sim, disk) = sim();
    let name = TopicPartition::new("orders", 0);
    let dir = open_dir(&disk).unwrap();
    let path = dir.create_partition(&name, id(7)).unwrap();
    let mut log = open_log(&disk, path, OpenHint::fresh(), id(7));
    put(&mut log, "value");
    log.flush().unwrap();
    dir.remove_partition(&name).unwrap();
    dir.remove_partition(&name).unwrap();
    assert!(dir.partition_dirs().unwrap().is_empty());
    drop(dir);
    let ops = sim.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    while crashes.advance() {}
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::from_image(crashes.image(&Cut::LoseAll)));
    assert!(disk.list(Path::new("/data")).unwrap().iter().any(|name| name.ends_with("-delete")));
    let dir = open_dir(&disk).unwrap();
    assert!(dir.partition_dirs().unwrap().is_empty());
    assert!(!disk.list(Path::new("/data")).unwrap().iter().any(|name| name.ends_with("-delete")));
}

#[test]
fn the_longest_topic_name_can_be_removed_and_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = LogDir::open(disk.clone(), root.path(), identity()).unwrap();
    for partition in [0, 99] {
        let name = TopicPartition::new("x".repeat(249).as_str(), partition);
        let path = dir.create_partition(&name, id(7)).unwrap();
        drop(open_log(&disk, path, OpenHint::fresh(), id(7)));
        if partition == 0 { dir.remove_partition(&name).unwrap() } else { dir.set_aside(&name).unwrap() }
    }
    drop(dir);
    let dir = LogDir::open(disk.clone(), root.path(), identity()).unwrap();
    assert!(dir.partition_dirs().unwrap().is_empty());
    let names = disk.list(root.path()).unwrap();
    assert_eq!(names.iter().filter(|name| name.ends_with("-stray")).count(), 1);
}

/// A volume that Apache Kafka used is recognised, and not even the lock file is written.
#[test]
fn what_apache_kafka_wrote_is_left_as_it_is() {
    let meta = |version| format!("#\n#Tue Nov 24 10:00:00 UTC 2026\nnode.id=1\nversion={version}\ncluster.id=c\n");
    let cases = [
        (meta(1), "__cluster_metadata-0/quorum-state"),
        (meta(1), "bootstrap.checkpoint"),
        (meta(0) + "broker.id=1\n", "some-topic-0/00000000000000000000.log"),
    ];
    for (meta, file) in cases {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("meta.properties"), &meta).unwrap();
        std::fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
        std::fs::write(root.path().join(file), "x").unwrap();
        let sentence = refused(LogDir::open(Arc::new(RealDisk), root.path(), identity()));
        assert!(sentence.contains("Apache Kafka") && sentence.contains("log.dirs"), "{sentence}");
        assert!(!root.path().join(".lock").exists(), "nothing was written");
        assert_eq!(std::fs::read_to_string(root.path().join("meta.properties")).unwrap(), meta);
    }
}

#[test]
fn a_cluster_id_that_is_only_wished_for_gives_way_to_the_directorys() {
    let root = tempfile::tempdir().unwrap();
    let open = |wished: Option<&str>, is_cluster_id_strict| {
        let identity = Identity { cluster_id: wished.map(str::to_string), is_cluster_id_strict, ..identity() };
        LogDir::open(Arc::new(RealDisk), root.path(), identity).map(|dir| dir.cluster_id().to_string())
    };
    assert_eq!(open(Some("my-cluster"), false).unwrap(), "my-cluster");
    assert_eq!(open(Some("another"), false).unwrap(), "my-cluster");
    assert_eq!(open(None, false).unwrap(), "my-cluster");
    assert!(open(Some("another"), true).is_err());
}

#[test]
fn a_log_is_known_to_have_been_compacted_by_its_checkpoint() {
    let (_, disk) = sim();
    let name = TopicPartition::new("orders", 0);
    let dir = open_dir(&disk).unwrap();
    dir.create_partition(&name, id(1)).unwrap();
    assert!(!dir.open_hint(&name).cleaned);
    dir.write_cleaner_offsets(&[(name.clone(), Offset(1))].into()).unwrap();
    drop(dir);
    assert!(open_dir(&disk).unwrap().open_hint(&name).cleaned);
}

/// Seed 591993501093 of the simulation: a topic's only flush failed, it was deleted and made again, and a power cut came: its
/// directory had lost the topic id, kept the record, and passed for the next topic's.
#[test]
fn i22_records_without_a_topic_id_are_nobodys_unless_they_were_flushed() {
    let (_, disk) = sim();
    let name = TopicPartition::new("orders", 0);
    let dir = open_dir(&disk).unwrap();
    let path = dir.create_partition(&name, id(1)).unwrap();
    put(&mut open_log(&disk, path.clone(), OpenHint::fresh(), id(1)), "of another");
    drop(dir);
    let dir = open_dir(&disk).unwrap();
    let hint = dir.open_hint(&name);
    assert!(!dir.is_nobodys(&name, &hint).unwrap(), "the id is there");
    disk.remove_file(&path.join("partition.metadata")).unwrap();
    assert!(dir.is_nobodys(&name, &hint).unwrap());
    assert!(!dir.is_nobodys(&name, &OpenHint { recovery_point: Offset(1), ..hint }).unwrap());
    assert!(!dir.is_nobodys(&name, &OpenHint { clean: true, ..hint }).unwrap());
}

/// The kernel tells the next process of a write that failed in the last one. That is no reason not to start.
#[test]
fn i13_where_the_flush_of_all_fails_each_log_is_flushed_by_itself_before_it_is_served() {
    let (sim, disk) = sim();
    let name = TopicPartition::new("orders", 0);
    let dir = open_dir(&disk).unwrap();
    let path = dir.create_partition(&name, id(1)).unwrap();
    let mut log = open_log(&disk, path.clone(), OpenHint::fresh(), id(1));
    put(&mut log, "written");
    drop((log, dir));
    sim.fail_sync(0);
    let dir = open_dir(&disk).unwrap();
    let log = open_log(&disk, path.clone(), dir.open_hint(&name), id(1));
    let shown = read_all(&log, Offset(0), log.log_end_offset(), 300);
    assert_eq!(shown, [(0, "written".to_owned())]);
    let ops = sim.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    while crashes.advance() {}
    let after: Arc<dyn Disk> = Arc::new(SimDisk::from_image(crashes.image(&Cut::LoseAll)));
    let log = open_log(&after, path, open_dir(&after).unwrap().open_hint(&name), id(1));
    assert_eq!(read_all(&log, Offset(0), log.log_end_offset(), 300), shown);
}
