//! The small files beside the segments: `segment-checkpoint`, `leader-epoch-checkpoint`, `partition.metadata`. They are written
//! without waiting for the disk, and the next flush takes them along.

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::Path;

use super::Log;
use crate::storage::disk::Disk;
use crate::storage::error::{Context, Error};
use crate::storage::leader_epochs::LeaderEpochs;
use crate::storage::segment::Segment;
use crate::storage::segment_checkpoint::{self, SegmentList};
use crate::storage::{checkpoint, recovery};
use crate::types::{LeaderEpoch, Offset, TopicId, base64_id, parse_base64_id};

impl Log {
    pub(super) fn read_segment_list(&mut self) -> Result<(), Error> {
        let content = checkpoint::read(&*self.disk, &self.dir.join(SEGMENT_CHECKPOINT))?.unwrap_or_default();
        self.listed = segment_checkpoint::parse(&content);
        self.listed_bytes = content.len() as u64;
        Ok(())
    }

    /// Notes what is in the files of the first `count` segments, as far as they are finished; the next flush takes it along.
    pub(super) fn note_segments(&mut self, count: usize) -> Result<(), Error> {
        let known = |segment: &Segment| Some((segment.base_offset, segment.facts().filter(|facts| facts.size > 0)?));
        let mut news: SegmentList = self.segments[..count].iter().filter_map(known).collect();
        news.retain(|base, facts| self.listed.get(base) != Some(facts));
        if news.is_empty() { Ok(()) } else { self.add_lines(news) }
    }

    /// Notes the first batch of the active segment, by which its file is known after a kill too. Without the line it is not.
    pub(super) fn note_first_batch(&mut self) {
        let first = self.segments.last().map(|active| (active.base_offset, active.first_facts(self.log_end)));
        let _ = self.add_lines(first.into_iter().collect());
    }

    fn add_lines(&mut self, mut news: SegmentList) -> Result<(), Error> {
        let path = self.dir.join(SEGMENT_CHECKPOINT);
        let lines = segment_checkpoint::format(&news);
        let file = self.disk.open(&path, true).context("open", &path)?;
        file.write_all_at(&[IoSlice::new(lines.as_bytes())], self.listed_bytes).context("write", &path)?;
        self.listed_bytes += lines.len() as u64;
        self.listed.append(&mut news);
        self.unflushed_files.push(file);
        self.dirty_dir();
        Ok(())
    }

    /// Takes segments out of the segment checkpoint, durably, before they become shorter or go: shorter than it says they
    /// would look damaged, and so would a later one of the same base offset.
    pub(super) fn unlist(&mut self, goes: impl Fn(Offset) -> bool) -> Result<(), Error> {
        let mut listed = self.listed.clone();
        listed.retain(|base, _| !goes(*base));
        if listed.len() < self.listed.len() {
            let content = segment_checkpoint::format(&listed);
            match checkpoint::replace(&*self.disk, &self.dir.join(SEGMENT_CHECKPOINT), content.as_bytes()) {
                Ok(()) => self.listed_bytes = content.len() as u64,
                Err(error) if error.is_full() => self.blot_out(&goes)?,
                Err(error) => return Err(error),
            }
            // Not before the file says so: whoever tries again has to do it again.
            self.listed = listed;
        }
        self.segments.iter().filter(|segment| goes(segment.base_offset)).for_each(|segment| segment.set_facts(None));
        Ok(())
    }

    /// The same where there is no room for a second file, and retention is to make some (I18). Only bytes of lines that go are
    /// written, and a line that is half gone is passed over: a crash in the middle harms nothing.
    fn blot_out(&self, goes: impl Fn(Offset) -> bool) -> Result<(), Error> {
        let path = self.dir.join(SEGMENT_CHECKPOINT);
        let content = checkpoint::read(&*self.disk, &path)?.unwrap_or_default();
        let file = self.disk.open(&path, false).context("open", &path)?;
        for place in segment_checkpoint::places(&content, goes) {
            let blank = vec![b'\n'; place.len()];
            file.write_all_at(&[IoSlice::new(&blank)], place.start as u64).context("write", &path)?;
        }
        file.sync().context("flush", &path)
    }

    /// Takes out what recovery has cut.
    pub(super) fn unlist_cut(&mut self) -> Result<(), Error> {
        let sizes: HashMap<Offset, u64> = self.segments.iter().map(|s| (s.base_offset, s.size)).collect();
        let listed = self.listed.clone();
        self.unlist(|base| {
            sizes.get(&base).is_none_or(|size| listed.get(&base).is_some_and(|facts| facts.size > *size))
        })
    }

    pub(super) fn read_epochs(&self) -> Result<Option<LeaderEpochs>, Error> {
        let content = checkpoint::read(&*self.disk, &self.dir.join(LEADER_EPOCH_CHECKPOINT))?;
        Ok(content.and_then(|content| LeaderEpochs::parse(&content).ok()))
    }

    /// `stored` is what the file held, `known` that with what recovery saw. A file that is missing or damaged is made again.
    pub(super) fn open_epochs(&mut self, stored: Option<LeaderEpochs>, known: LeaderEpochs) -> Result<(), Error> {
        self.epochs = match stored {
            Some(_) => known,
            None => recovery::epochs_from_log(&*self.disk, &self.segments, self.log_end)?,
        };
        self.epochs.truncate_from_end(self.log_end);
        if stored.as_ref().unwrap_or(&LeaderEpochs::default()) != &self.epochs {
            self.write_epochs()?;
        }
        self.forget_old_epochs();
        Ok(())
    }

    /// Forgets the epochs of segments that are gone. Not of records that are only hidden by the log start, which a crash may
    /// yet bring back; and not in the file, which may tell more than there is.
    pub(super) fn forget_old_epochs(&mut self) {
        self.epochs.truncate_from_start(self.segments.first().map_or(self.log_end, |first| first.base_offset));
    }

    pub(super) fn note_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), Error> {
        if self.epochs.latest() == Some(epoch) {
            return Ok(());
        }
        let before = self.epochs.clone();
        if self.epochs.assign(epoch, self.log_end) {
            // If the file cannot be written the batch must not be either: below the recovery point nobody would find out.
            self.write_epochs().inspect_err(|_| self.epochs = before)?;
        }
        Ok(())
    }

    pub(super) fn write_epochs(&mut self) -> Result<(), Error> {
        let path = self.dir.join(LEADER_EPOCH_CHECKPOINT);
        let file = checkpoint::replace_unflushed(&*self.disk, &path, &self.epochs.format())?;
        self.unflushed_files.push(file);
        self.dirty_dir();
        Ok(())
    }

    /// Sees to it that the directory carries the topic's id, and refuses one that carries another's (I22).
    pub(super) fn keep_metadata(&mut self, topic_id: Option<TopicId>) -> Result<(), Error> {
        let Some(topic_id) = topic_id else { return Ok(()) };
        match read_topic_id(&*self.disk, &self.dir)? {
            Some(found) if found == topic_id => Ok(()),
            Some(found) => Err(Error::Refused(format!(
                "{} belongs to topic id {found}, not to {topic_id}: it is of a topic that was deleted, move it away",
                self.dir.display()
            ))),
            None => {
                let path = self.dir.join(PARTITION_METADATA);
                let content = format!("version: 0\ntopic_id: {}", base64_id(topic_id.0));
                let file = checkpoint::replace_unflushed(&*self.disk, &path, content.as_bytes())?;
                self.unflushed_files.push(file);
                self.dirty_dir();
                Ok(())
            }
        }
    }
}

/// The topic id in a partition's directory; `None` if there is none that can be read.
pub(in crate::storage) fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, Error> {
    let content = checkpoint::read(disk, &dir.join(PARTITION_METADATA))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:"));
    Ok(id.and_then(|id| parse_base64_id(id.trim())).map(TopicId))
}

const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
const SEGMENT_CHECKPOINT: &str = "segment-checkpoint";
const PARTITION_METADATA: &str = "partition.metadata";
