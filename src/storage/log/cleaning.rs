//! What compaction needs of a log: what there is to clean, and a cleaned segment put in the place of others. The work itself
//! is in `compaction/`, and runs without the log's lock.

use std::ops::Range;
use std::sync::Arc;

use super::{Log, SegmentInfo};
use crate::storage::compaction::{Dirt, Pass, Swap, plan};
use crate::storage::disk::DiskFile;
use crate::storage::error::Error;
use crate::storage::segment::Segment;
use crate::types::{Now, Offset};

impl Log {
    /// What there is to clean, given how far an earlier cleaning came. Nothing at or above the last stable offset, and
    /// nothing that is not flushed: recovery takes a gap above the recovery point for a loss.
    pub fn dirt(&self, now: Now, high_watermark: Offset, cleaned_to: Option<Offset>) -> Result<Dirt, Error> {
        let limit = self.last_stable_offset(high_watermark).min(self.flushed);
        Ok(plan::dirt(&self.segments()?, &self.config, now.wall, limit, self.log_start, cleaned_to))
    }

    /// Closes the active segment if its first record has waited longer than `max.compaction.lag.ms`.
    pub fn roll_if_overdue(&mut self, now: Now) -> Result<(), Error> {
        let overdue = |active: &SegmentInfo| plan::waits_too_long(active, &self.config, now.wall);
        if self.segments()?.last().is_some_and(overdue) { self.roll(now) } else { Ok(()) }
    }

    /// Are there closed segments that a power cut could take?
    pub fn has_unflushed_closed_segments(&self) -> bool {
        self.segments.last().is_some_and(|active| active.base_offset > self.flushed)
    }

    /// Everything a pass of a cleaning that ends at `end` has to know.
    pub(in crate::storage) fn begin_pass(&self, end: Offset) -> Result<Pass, Error> {
        let mut segments = self.segments()?;
        segments.retain(|segment| !segment.is_active && segment.end_offset <= end);
        let mut aborted = Vec::new();
        // The marker of a transaction may lie behind the part that is cleaned.
        for segment in &self.segments {
            aborted.extend(segment.aborted_entries(&*self.disk)?.iter());
        }
        Ok(Pass {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            config: self.config.clone(),
            segments,
            aborted,
            remembered: self.producers.remembered(),
        })
    }

    /// The open file of the segment with that base, whatever becomes of its name.
    pub(in crate::storage) fn segment_file(&self, base_offset: Offset) -> Result<Arc<dyn DiskFile>, Error> {
        let segment = &self.segments[self.segment_of(base_offset)];
        self.use_files(segment);
        segment.file(&*self.disk)
    }

    /// Begins to put a cleaned segment in the place of the closed segments between two offsets it was made from, the first
    /// of which has its base offset. They answer from open files until [`Log::end_swap`], while their names go.
    pub(in crate::storage) fn begin_swap(&mut self, base_offset: Offset, end_offset: Offset) -> Result<Swap, Error> {
        let replaced = self.replaced(base_offset, end_offset);
        assert!(!replaced.is_empty() && replaced.end < self.segments.len(), "only closed segments are replaced");
        assert_eq!(
            self.segments[replaced.start].base_offset, base_offset,
            "a cleaned segment begins where its first source did"
        );
        assert!(self.end_of(replaced.end - 1) <= self.flushed, "only what is flushed is cleaned");
        for segment in &mut self.segments[replaced] {
            segment.pin(&*self.disk)?;
        }
        self.unlist(|base| base >= base_offset && base < end_offset)?;
        Ok(Swap::new(self.disk.clone(), self.dir.clone(), base_offset, end_offset, self.config.index_interval_bytes))
    }

    /// The cleaned segment is in its place, or that failed; then the old ones stay, as far as this process goes, and the
    /// next start finds out which counts. Returns what is not needed any more, to be dropped without the log's lock: the
    /// last to close a large file waits for the file system.
    pub(in crate::storage) fn end_swap(
        &mut self,
        swap: &Swap,
        result: Result<Segment, Error>,
    ) -> Result<Vec<Segment>, Error> {
        let new = result?;
        let replaced = self.replaced(swap.base_offset, swap.end_offset);
        self.size += new.size;
        let old: Vec<Segment> = self.segments.splice(replaced, [new]).collect();
        self.size -= old.iter().map(|segment| segment.size).sum::<u64>();
        self.places.borrow_mut().clear();
        self.forget_damage(swap.base_offset..swap.end_offset);
        // Without its line the new segment's indexes are made again after the next start.
        let _ = self.note_segments(self.segments.len() - 1);
        Ok(old)
    }

    pub(super) fn replaced(&self, base_offset: Offset, end_offset: Offset) -> Range<usize> {
        let behind = self.segments.partition_point(|segment| segment.base_offset < end_offset);
        self.segment_of(base_offset)..behind
    }
}
