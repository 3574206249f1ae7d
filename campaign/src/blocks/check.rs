//! Recovers a crash image and compares what is there with what had been promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use kafka_protocol::messages as m;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::blocks::disk::Disk;
use crate::blocks::image::Crash;
use crate::blocks::workload::{GROUP, Promise};
use crate::blocks::{Recording, SETTINGS};
use crate::check::{Fault, Finding, Read};
use crate::client::{Connection, Lost};
use crate::groups::{all_places, check_commits, find_coordinator};
use crate::process::Watched;
use crate::producers::{by_place, produce};
use crate::readers::read_all;
use crate::records::RecordId;
use crate::stage::{COMPACTED, PLACES, Stage, TRIMMED};

pub struct Checker {
    disk: Disk,
    at: PathBuf,
    binary: PathBuf,
    log: PathBuf,
}

/// What holds at one instant.
#[derive(Default)]
struct Due {
    /// By place: the first so many records are there.
    records: BTreeMap<u16, u32>,
    /// The last batches of idempotent writers.
    again: BTreeMap<u16, (i64, Bytes)>,
    log_start: i64,
}

impl Checker {
    pub fn new(binary: &Path, directory: &Path, empty: Vec<u8>) -> Result<Self, String> {
        let own = directory.join("crashed");
        let at = own.join("mounted");
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        let disk = Disk::attach(empty, &own)?;
        Ok(Checker { disk, at, binary: binary.to_owned(), log: own.join("broker.out") })
    }

    /// `None` where ext4 itself refuses the image: sectors that were torn inside of its superblock, say, which no disk of today
    /// tears. That is nothing about the broker.
    pub fn check(&self, recording: &Recording, crash: &Crash) -> Option<Vec<Finding>> {
        let stage = Stage::new(recording.seed, recording.start_ms, false);
        self.disk.device.forget();
        self.disk.shared.replace(&crash.bytes);
        if let Err(error) = mount(&self.disk.device.path, &self.at, "ext4", MountFlags::empty(), None) {
            println!("images: ext4 itself does not recover from event {}, {}: {error}", crash.position, crash.style);
            return None;
        }
        let settings: Vec<String> = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
        match Watched::start(&self.binary, &self.at.join("data"), &self.log, &settings) {
            Ok(broker) => {
                if let Err(lost) = compare(&stage, broker.port, recording, crash.position) {
                    stage.find(Fault::NotServing, format!("no answer: {lost:?}"));
                }
            }
            Err(error) => stage.find(Fault::NotServing, format!("no start: {error}")),
        }
        if let Err(error) = unmount(&self.at, UnmountFlags::empty()) {
            stage.find(Fault::Unexpected, format!("something still uses the disk: {error}"));
            let _ = unmount(&self.at, UnmountFlags::DETACH);
        }
        Some(stage.findings())
    }
}

fn compare(stage: &Stage, port: u16, recording: &Recording, position: usize) -> Result<(), Lost> {
    let promises = &recording.promises;
    let due = due(stage, recording, position);
    stage.marks[usize::from(TRIMMED)].trim_requested.store(promises.sent_trim, Ordering::SeqCst);
    let mut connection = Connection::open(port)?;
    if !check_topics(stage, &mut connection, recording, position)? {
        return Ok(());
    }
    for place in all_places() {
        let read = read_all(stage, &mut connection, place)?;
        let promised = due.records.get(&place).copied().unwrap_or(0);
        let sent = promises.sent_records.get(&place).copied().unwrap_or(0);
        check_records(stage, place, &read, promised, sent);
        if place == TRIMMED && read.start < due.log_start {
            let story = format!("{place}: the log begins at {}, {} was acknowledged", read.start, due.log_start);
            stage.find(Fault::WentBack, story);
        }
        repeat(stage, &mut connection, place, due.again.get(&place))?;
    }
    check_group(stage, &mut connection)?;
    write_on(stage, &mut connection)
}

fn due(stage: &Stage, recording: &Recording, position: usize) -> Due {
    let mut due = Due::default();
    for (place, offset) in &recording.promises.sent_commits {
        stage.commits.sent(GROUP, *place, *offset);
    }
    for (_, promise) in recording.promises.made.iter().filter(|(made, _)| *made <= position) {
        match promise {
            Promise::Records { place, end, again } => {
                due.records.insert(*place, *end);
                again.clone().map(|again| due.again.insert(*place, again));
            }
            Promise::Committed { place, offset } => stage.commits.acked(GROUP, *place, *offset),
            Promise::Trimmed(low) => due.log_start = *low,
        }
    }
    due
}

/// False when the partitions to read are not there.
fn check_topics(
    stage: &Stage,
    connection: &mut Connection,
    recording: &Recording,
    position: usize,
) -> Result<bool, Lost> {
    let listed = connection.ask(9, &m::MetadataRequest::default().with_topics(None))?.topics;
    let listed: BTreeSet<String> = listed.into_iter().filter_map(|topic| Some(topic.name?.0.to_string())).collect();
    for (name, changes) in &recording.promises.topics {
        // A change under way may have happened or not, and so may all of those before it that had no answer.
        let last = changes.iter().rev().find(|change| change.asked <= position);
        let is_certain = last.is_none_or(|change| change.answered.is_some_and(|answered| answered <= position));
        let exists = last.is_some_and(|change| change.exists);
        if is_certain && listed.contains(name) != exists {
            stage.find(Fault::Forgotten, format!("topic {name} is to be there: {exists}"));
        }
    }
    let missing = PLACES.iter().find(|(name, _)| !listed.contains(*name));
    if let Some((name, _)) = missing {
        stage.find(Fault::Forgotten, format!("topic {name} is gone"));
    }
    Ok(missing.is_none())
}

fn check_records(stage: &Stage, place: u16, read: &Read, promised: u32, sent: u32) {
    if read.end < i64::from(promised) {
        stage.find(Fault::Lost, format!("{place}: the log ends at {}, {promised} records were acknowledged", read.end));
    }
    if read.end > i64::from(sent) {
        stage.find(Fault::Changed, format!("{place}: the log ends at {}, {sent} records were sent", read.end));
    }
    for seen in &read.records {
        if seen.id.map(|id| i64::from(id.number)) != Some(seen.offset) {
            stage.find(Fault::Changed, format!("{place}@{} holds {:?}", seen.offset, seen.id));
        }
    }
    if place == COMPACTED {
        check_keys(stage, read, promised);
    } else if read.records.len() as i64 != read.end - read.start {
        stage.find(Fault::Gap, format!("{place}: {} records in {}..{}", read.records.len(), read.start, read.end));
    }
}

/// Every key has a record that is no older than its last acknowledged one.
fn check_keys(stage: &Stage, read: &Read, promised: u32) {
    let key_of = |number: u32| stage.texts.key_of(RecordId { author: COMPACTED, place: COMPACTED, number });
    let newest: BTreeMap<u64, u32> =
        read.records.iter().filter_map(|seen| seen.id).map(|id| (key_of(id.number), id.number)).collect();
    for number in 0..promised {
        if newest.get(&key_of(number)).is_none_or(|newest| *newest < number) {
            stage.find(Fault::Lost, format!("{COMPACTED}: record {number} has no later one of its key"));
        }
    }
}

/// A batch that was acknowledged before the crash gets its offset back.
fn repeat(stage: &Stage, connection: &mut Connection, place: u16, again: Option<&(i64, Bytes)>) -> Result<(), Lost> {
    let Some((base, bytes)) = again.filter(|_| place != TRIMMED) else { return Ok(()) };
    let response = connection.ask(9, &produce(&[(place, bytes.clone())]))?;
    for (_, answer) in by_place(&response) {
        if answer.error_code != 0 || answer.base_offset != *base {
            let story = format!(
                "{place}: the batch at {base} is sent again and answered {}, {} (I30)",
                answer.error_code, answer.base_offset
            );
            stage.find(Fault::Duplicated, story);
        }
    }
    Ok(())
}

fn check_group(stage: &Stage, connection: &mut Connection) -> Result<(), Lost> {
    find_coordinator(stage, connection, GROUP)?;
    for _ in 0..500 {
        if check_commits(stage, connection, GROUP, &all_places())?.is_some() {
            return Ok(());
        }
    }
    Err(Lost::Silent("OffsetFetch"))
}

/// The recovered log takes the next record.
fn write_on(stage: &Stage, connection: &mut Connection) -> Result<(), Lost> {
    let end = stage.marks[0].floor().high_watermark;
    let next = RecordId { author: 0, place: 0, number: end as u32 };
    let response = connection.ask(9, &produce(&[(0, stage.texts.batch(next, 1, None))]))?;
    for (_, answer) in by_place(&response) {
        if answer.error_code != 0 || answer.base_offset != end {
            let story = format!("a record behind {end} is answered {}, {}", answer.error_code, answer.base_offset);
            stage.find(Fault::NotServing, story);
        }
    }
    Ok(())
}
