//! One data directory: lock, identity, the files that are about all partitions, and the partitions' directories.
//!
//! | name | holds |
//! |---|---|
//! | `.lock` | nothing; locked while a process uses the directory (I23) |
//! | `meta.properties` | `version`, `cluster.id`, `node.id`, `directory.id`: whose directory this is |
//! | `.kafka_cleanshutdown` | there only between a clean stop and the next start (I12) |
//! | `recovery-point-offset-checkpoint` | up to where each log is flushed |
//! | `log-start-offset-checkpoint` | where each log starts, if not at its first segment |
//! | `cleaner-offset-checkpoint` | up to where each log is compacted |
//! | `<topic>-<partition>/` | one log |
//! | `<topic>-<partition>.<id>-delete/` | on its way out; the next start finishes it |
//! | `<topic>-<partition>.<id>-stray/` | set aside; left alone |
//!
//! All files are replaced whole (I16). A partition's lines leave the checkpoints before its directory goes, since a line of
//! a deleted topic would make the next one of that name look as if it had lost records.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

use super::checkpoint::{self, Offsets, TEMPORARY};
use super::disk::Disk;
use super::error::{Context, Error};
use super::log::{OpenHint, read_topic_id};
use crate::types::{BrokerId, Offset, TopicId, TopicName, TopicPartition, base64_id, parse_base64_id};

const META_PROPERTIES: &str = "meta.properties";
const CLEAN_STOP: &str = ".kafka_cleanshutdown";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";

/// The longest name of a directory on common file systems.
const NAME_MAX: usize = 255;

/// Who we are, to be compared with what a directory says, or written into a new one.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The configured cluster id, if there is one.
    pub cluster_id: Option<String>,
    /// A directory of another cluster is refused; otherwise it keeps its id, with a warning.
    pub is_cluster_id_strict: bool,
    pub node_id: BrokerId,
    /// For a directory that has none yet.
    pub fresh_cluster_id: Uuid,
    pub fresh_directory_id: Uuid,
}

pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    cluster_id: String,
    directory_id: Uuid,
    was_clean_stop: bool,
    /// What was found has been flushed as a whole.
    is_flushed: bool,
    state: Mutex<State>,
    /// Held until [`LogDir::unlock`], or as long as this value lives.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// Guarded together: what the checkpoint files say, and which partitions have a directory.
#[derive(Default)]
struct State {
    recovery_points: Offsets,
    log_starts: Offsets,
    cleaner_offsets: Offsets,
    partitions: HashSet<TopicPartition>,
    /// Directories of deleted topics that had to make way for one of the same name before they were removed.
    replaced: HashMap<TopicPartition, Vec<PathBuf>>,
}

impl LogDir {
    /// Takes a data directory into use: makes it if it is missing, locks it, checks whose it is, and removes what deletions
    /// left. From here on a crash is a crash: the clean-stop marker is gone, durably, before anything else is written (I12).
    pub fn open(disk: Arc<dyn Disk>, path: &Path, identity: Identity) -> Result<LogDir, Error> {
        // Before anything is written, be it the lock.
        refuse_apache_kafka(&*disk, path)?;
        disk.create_dir_all(path).context("create", path)?;
        let lock = disk.lock(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::Refused(format!(
                "{} is in use by another process (its file .lock is locked): stop that one or set log.dirs to another directory",
                path.display()
            )),
            _ => Error::io("lock", path, error),
        })?;
        let names = disk.list(path).context("list", path)?;
        let (cluster_id, directory_id) = identify(&*disk, path, &names, &identity)?;
        let was_clean_stop = names.iter().any(|name| name == CLEAN_STOP);
        if was_clean_stop {
            let marker = path.join(CLEAN_STOP);
            disk.remove_file(&marker).context("remove", &marker)?;
            disk.sync_dir(path).context("flush", path)?;
        }
        let has_logs = names.iter().any(|name| parse_partition(name).is_some());
        let is_flushed = was_clean_stop || !has_logs || flush_what_was_left(&*disk, path)?;
        // Listed again: a crash during the first start may have left something that is in its place now.
        let names = disk.list(path).context("list", path)?;
        remove_leftovers(&*disk, path, &names)?;
        let read = |name: &str| read_offsets(&*disk, &path.join(name));
        let state = State {
            recovery_points: read(RECOVERY_POINTS)?,
            log_starts: read(LOG_STARTS)?,
            // Only a hint where to go on: a damaged one means that compaction begins at the start.
            cleaner_offsets: read(CLEANER_OFFSETS).unwrap_or_default(),
            partitions: names.iter().filter_map(|name| parse_partition(name)).collect(),
            replaced: HashMap::new(),
        };
        Ok(LogDir {
            disk,
            path: path.to_path_buf(),
            cluster_id,
            directory_id,
            was_clean_stop,
            is_flushed,
            state: Mutex::new(state),
            lock: Mutex::new(Some(lock)),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub fn directory_id(&self) -> Uuid {
        self.directory_id
    }

    /// Did the last process stop cleanly, with everything flushed?
    pub fn was_clean_stop(&self) -> bool {
        self.was_clean_stop
    }

    /// Lets others have the directory; for a caller who writes nothing any more. Tasks that are still winding down may hold
    /// this value for a while.
    pub fn unlock(&self) {
        self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }

    /// Says that everything is flushed and nothing will be written any more. Only for a caller whose every flush succeeded.
    pub fn mark_clean_stop(&self) -> Result<(), Error> {
        // Indexes and snapshots were written without a flush each.
        self.disk.sync_all_under(&self.path).context("flush", &self.path)?;
        checkpoint::replace(&*self.disk, &self.path.join(CLEAN_STOP), br#"{"version":0,"brokerEpoch":-1}"#)
    }

    // ---- partitions --------------------------------------------------------------------------------------------------

    /// The partitions that have a directory, by name.
    pub fn partition_dirs(&self) -> Result<Vec<(TopicPartition, PathBuf)>, Error> {
        let mut names: Vec<TopicPartition> = self.lock().partitions.iter().cloned().collect();
        names.sort_unstable();
        Ok(names.into_iter().map(|name| (name.clone(), self.partition_path(&name))).collect())
    }

    /// What the checkpoints say about a partition.
    pub fn open_hint(&self, name: &TopicPartition) -> OpenHint {
        let state = self.lock();
        let at = |offsets: &Offsets| offsets.get(name).copied().unwrap_or(Offset::ZERO);
        OpenHint {
            clean: self.was_clean_stop,
            recovery_point: at(&state.recovery_points),
            log_start_offset: at(&state.log_starts),
            flushed: self.is_flushed,
            cleaned: state.cleaner_offsets.contains_key(name),
        }
    }

    /// The topic id in a partition's directory, if there is one that can be read.
    pub fn topic_id(&self, name: &TopicPartition) -> Result<Option<TopicId>, Error> {
        read_topic_id(&*self.disk, &self.partition_path(name))
    }

    /// Does nothing say whose records lie in a partition's directory, and nothing that they were ever flushed? A power cut in
    /// the first moments of a partition can take its topic id and leave records, which the next topic of that name must not
    /// show (I22). What was acknowledged as flushed was flushed with its id.
    pub fn is_nobodys(&self, name: &TopicPartition, hint: &OpenHint) -> Result<bool, Error> {
        if hint.clean || hint.recovery_point > Offset::ZERO || self.topic_id(name)?.is_some() {
            return Ok(false);
        }
        let path = self.partition_path(name);
        let names = self.disk.list(&path).context("list", &path)?;
        Ok(names.iter().any(|name| name.ends_with(".log")))
    }

    /// The directory for a partition that had no records yet. What a deleted topic of that name left makes way (I22). The
    /// log's first flush makes the directory's name last.
    pub fn create_partition(&self, name: &TopicPartition, topic_id: TopicId) -> Result<PathBuf, Error> {
        let path = self.partition_path(name);
        let mut state = self.lock();
        if state.partitions.contains(name) && self.topic_id(name)?.is_none_or(|found| found != topic_id) {
            let moved = self.move_away(&mut state, name, "delete")?;
            state.replaced.entry(name.clone()).or_default().push(moved);
        }
        self.forget_offsets(&mut state, name)?;
        // Made by the log itself, which learns from its absence that the parent has to be flushed too.
        state.partitions.insert(name.clone());
        Ok(path)
    }

    /// Runs `work`, which changes names in the directory of a partition, while nobody moves that away. `None` if it is not
    /// there any more, or belongs to another topic of that name by now.
    pub fn while_present<T>(&self, name: &TopicPartition, topic_id: TopicId, work: impl FnOnce() -> T) -> Option<T> {
        let state = self.lock();
        let is_there = state.partitions.contains(name) && self.topic_id(name).is_ok_and(|id| id == Some(topic_id));
        is_there.then(work)
    }

    /// Removes a partition's directory. When this returns the removal lasts; the files may go a moment later.
    pub fn remove_partition(&self, name: &TopicPartition) -> Result<(), Error> {
        let mut state = self.lock();
        let replaced = state.replaced.get_mut(name).and_then(Vec::pop);
        let moved = match replaced {
            Some(moved) => moved,
            None if state.partitions.contains(name) => self.move_away(&mut state, name, "delete")?,
            None => return Ok(()),
        };
        drop(state);
        self.disk.remove_dir_all(&moved).context("remove", &moved)
    }

    /// Renames a directory that belongs to no topic, so that it is out of the way and nothing is lost.
    pub fn set_aside(&self, name: &TopicPartition) -> Result<(), Error> {
        self.move_away(&mut self.lock(), name, "stray").map(drop)
    }

    fn move_away(&self, state: &mut State, name: &TopicPartition, ending: &str) -> Result<PathBuf, Error> {
        self.forget_offsets(state, name)?;
        let from = self.partition_path(name);
        let id = self.topic_id(name)?.unwrap_or(TopicId(self.directory_id));
        let suffix = format!(".{}-{ending}", id.0.simple());
        let mut kept = name.to_string();
        // Names of topics are ASCII.
        kept.truncate(NAME_MAX - suffix.len());
        let to = self.path.join(kept + &suffix);
        if self.disk.exists(&from) {
            if self.disk.exists(&to) {
                self.disk.remove_dir_all(&to).context("remove", &to)?;
            }
            self.disk.rename(&from, &to).context("rename", &from)?;
        }
        // Not before it has gone: the next topic of that name must find out whose directory it is.
        state.partitions.remove(name);
        self.disk.sync_dir(&self.path).context("flush", &self.path)?;
        Ok(to)
    }

    fn partition_path(&self, name: &TopicPartition) -> PathBuf {
        self.path.join(name.to_string())
    }

    // ---- checkpoints -------------------------------------------------------------------------------------------------

    pub fn read_recovery_points(&self) -> Result<Offsets, Error> {
        Ok(self.lock().recovery_points.clone())
    }

    pub fn read_log_starts(&self) -> Result<Offsets, Error> {
        Ok(self.lock().log_starts.clone())
    }

    pub fn read_cleaner_offsets(&self) -> Result<Offsets, Error> {
        Ok(self.lock().cleaner_offsets.clone())
    }

    /// Writes down up to where each log is flushed. Partitions without a directory are left out; of one that is not named,
    /// because it is offline, stays what was known: its next recovery must not take what is left for all there ever was (I10).
    pub fn write_recovery_points(&self, offsets: &Offsets) -> Result<(), Error> {
        let known = self.read_recovery_points()?;
        self.write(RECOVERY_POINTS, &with_known(offsets, known), |state| &mut state.recovery_points)
    }

    /// Writes down where each log starts; durable when this returns (I21). Of one that is not named stays what was known: a
    /// log start never falls.
    pub fn write_log_starts(&self, offsets: &Offsets) -> Result<(), Error> {
        let known = self.read_log_starts()?;
        self.write(LOG_STARTS, &with_known(offsets, known), |state| &mut state.log_starts)
    }

    pub fn write_cleaner_offsets(&self, offsets: &Offsets) -> Result<(), Error> {
        self.write(CLEANER_OFFSETS, offsets, |state| &mut state.cleaner_offsets)
    }

    fn write(&self, name: &str, offsets: &Offsets, field: fn(&mut State) -> &mut Offsets) -> Result<(), Error> {
        let mut state = self.lock();
        let mut offsets = offsets.clone();
        offsets.retain(|partition, _| state.partitions.contains(partition));
        if *field(&mut state) != offsets {
            checkpoint::replace(&*self.disk, &self.path.join(name), &checkpoint::format_offsets(&offsets))?;
            *field(&mut state) = offsets;
        }
        Ok(())
    }

    /// Takes a partition out of all checkpoints, durably.
    fn forget_offsets(&self, state: &mut State, name: &TopicPartition) -> Result<(), Error> {
        let State { recovery_points, log_starts, cleaner_offsets, .. } = state;
        let files = [(RECOVERY_POINTS, recovery_points), (LOG_STARTS, log_starts), (CLEANER_OFFSETS, cleaner_offsets)];
        for (file, offsets) in files {
            let mut without = offsets.clone();
            if without.remove(name).is_some() {
                checkpoint::replace(&*self.disk, &self.path.join(file), &checkpoint::format_offsets(&without))?;
                *offsets = without;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn with_known(offsets: &Offsets, mut known: Offsets) -> Offsets {
    known.extend(offsets.iter().map(|(name, offset)| (name.clone(), *offset)));
    known
}

/// Whose directory is it? A new one is made ours; one of somebody else is refused and stays as it is (I23).
fn identify(disk: &dyn Disk, path: &Path, names: &[String], identity: &Identity) -> Result<(String, Uuid), Error> {
    let file = path.join(META_PROPERTIES);
    let Some(content) = checkpoint::read(disk, &file)? else {
        if let Some(found) = names.iter().find(|name| parse_partition(name).is_some()) {
            return Err(Error::Refused(format!(
                "{} holds {found} but no meta.properties: put that file back or set log.dirs to an empty directory",
                path.display()
            )));
        }
        return format(disk, path, &file, identity);
    };
    let text = String::from_utf8_lossy(&content);
    let properties: HashMap<&str, &str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let get = |key: &str| {
        let missing = || Error::Refused(format!("{} has no {key}: it is damaged, put back a copy", file.display()));
        properties.get(key).copied().filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    let refuse = |is: String| Err(Error::Refused(format!("{} says that this directory {is}", file.display())));
    match get("version")? {
        "1" => {}
        version => return refuse(format!("has format version {version}, and this broker knows version 1 only")),
    }
    let node_id = get("node.id")?;
    if node_id != identity.node_id.to_string() {
        return refuse(format!(
            "belongs to node.id {node_id}, but node.id {} is configured: set node.id or log.dirs right",
            identity.node_id
        ));
    }
    let cluster_id = get("cluster.id")?;
    if let Some(configured) = identity.cluster_id.as_deref().filter(|configured| *configured != cluster_id) {
        if !identity.is_cluster_id_strict {
            tracing::warn!(
                "the data directory {} belongs to cluster {cluster_id} and stays with it, though {configured} is configured",
                path.display()
            );
            return directory_id(&file, &properties).map(|id| (cluster_id.to_string(), id));
        }
        return refuse(format!(
            "belongs to cluster {cluster_id}, but cluster {configured} is configured: set the cluster id or log.dirs right"
        ));
    }
    directory_id(&file, &properties).map(|id| (cluster_id.to_string(), id))
}

fn directory_id(file: &Path, properties: &HashMap<&str, &str>) -> Result<Uuid, Error> {
    let id = properties.get("directory.id").and_then(|id| parse_base64_id(id));
    id.ok_or_else(|| Error::Refused(format!("{} has no directory.id: it is damaged, put back a copy", file.display())))
}

/// What Apache Kafka wrote is left as it is, to the byte. Its formats are ours, but its metadata log holds records of a quorum
/// that we would not understand. It is known by files that it always makes and we never do, or by the version of
/// `meta.properties` that it had with ZooKeeper.
pub fn refuse_apache_kafka(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    const ITS_FILES: [&str; 2] = ["__cluster_metadata-0/quorum-state", "bootstrap.checkpoint"];
    let its_file = ITS_FILES.into_iter().find(|name| disk.exists(&path.join(name)));
    let sign = match its_file {
        Some(name) => Some(name),
        None => is_of_zookeeper(disk, path)?.then_some("meta.properties of a broker with ZooKeeper"),
    };
    let Some(sign) = sign else { return Ok(()) };
    Err(Error::Refused(format!(
        "{} holds data of Apache Kafka ({sign}), which is not opened in place yet; nothing in it was changed: set log.dirs to \
         another directory or volume",
        path.display()
    )))
}

fn is_of_zookeeper(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let content = checkpoint::read(disk, &path.join(META_PROPERTIES))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    Ok(text.lines().any(|line| line.trim() == "version=0") && text.lines().any(|line| line.starts_with("broker.id=")))
}

fn format(disk: &dyn Disk, path: &Path, file: &Path, identity: &Identity) -> Result<(String, Uuid), Error> {
    let cluster_id = match &identity.cluster_id {
        Some(configured) => configured.clone(),
        None => base64_id(without_dash(identity.fresh_cluster_id)),
    };
    let directory_id = without_dash(identity.fresh_directory_id);
    let content = format!(
        "cluster.id={cluster_id}\ndirectory.id={}\nnode.id={}\nversion=1\n",
        base64_id(directory_id),
        identity.node_id
    );
    // The directory itself may be new as well.
    let parent = checkpoint::parent_of(path);
    disk.sync_dir(&parent).context("flush", &parent)?;
    checkpoint::replace(disk, file, content.as_bytes())?;
    Ok((cluster_id, directory_id))
}

/// An id whose text does not begin with a dash, which command line tools would take for an option.
fn without_dash(id: Uuid) -> Uuid {
    if base64_id(id).starts_with('-') { Uuid::from_u128(id.as_u128() ^ (1 << 127)) } else { id }
}

fn remove_leftovers(disk: &dyn Disk, path: &Path, names: &[String]) -> Result<(), Error> {
    for name in names {
        let leftover = path.join(name);
        if name.ends_with("-delete") {
            disk.remove_dir_all(&leftover).context("remove", &leftover)?;
        } else if name.ends_with(TEMPORARY) {
            disk.remove_file(&leftover).context("remove", &leftover)?;
        }
    }
    Ok(())
}

/// What the last process left in the page cache is now on the disk, all of it, with one call; so recovery need not flush what
/// it finds, log by log, before it is served (I13). The kernel may still have to tell of a write that failed in the last
/// process, and tells it once: then each log asks for itself.
fn flush_what_was_left(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let Err(error) = disk.sync_all_under(path) else { return Ok(true) };
    tracing::warn!(directory = %path.display(), %error, "not everything could be flushed; each log is flushed by itself");
    disk.sync_dir(path).context("flush", path)?;
    Ok(false)
}

/// A damaged file stops the start: believing it empty could cut what was flushed, or show what was deleted (I10, I14, I21).
fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Offsets, Error> {
    let content = checkpoint::read(disk, path)?;
    content.map_or(Ok(Offsets::new()), |content| {
        checkpoint::parse_offsets(&content).map_err(|reason| {
            Error::Refused(format!(
                "{} is damaged ({reason}): put back a copy, or remove it to have every log checked from its start",
                path.display()
            ))
        })
    })
}

/// `<topic>-<partition>` as the name of a directory.
fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let legal = digits && TopicName::check(topic).is_ok();
    legal.then(|| partition.parse().ok()).flatten().map(|partition| TopicPartition::new(topic, partition))
}
