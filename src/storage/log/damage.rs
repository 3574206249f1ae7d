//! What is known to be damaged: found by the scrubber, confirmed here, and from then on answered with an error.
//!
//! It is kept in memory only. The next start has the scrubber find it again; a segment that is removed or replaced takes
//! its damage along.

use std::ops::Range;

use super::Log;
use crate::storage::error::Error;
use crate::storage::scrub::{self, ClosedSegment, Damage};
use crate::types::Offset;

impl Log {
    /// The first closed segment that begins at or behind an offset.
    pub fn closed_segment_from(&self, offset: Offset) -> Option<ClosedSegment> {
        let (_, closed) = self.segments.split_last()?;
        let index = closed.partition_point(|segment| segment.base_offset < offset);
        let segment = closed.get(index)?;
        Some(ClosedSegment {
            base_offset: segment.base_offset,
            end_offset: self.end_of(index),
            size_bytes: segment.size,
            path: segment.path().to_path_buf(),
            epochs: self.epochs.clone(),
        })
    }

    /// Notes a damage that a check has found; false if it is known, or not in the log as it is now.
    pub fn note_damage(&mut self, segment: &ClosedSegment, damage: &Damage) -> Result<bool, Error> {
        let index = self.segment_of(segment.base_offset);
        let is_there = self
            .segments
            .get(index)
            .is_some_and(|found| found.base_offset == segment.base_offset && found.size == segment.size_bytes);
        let is_known = self.damaged.iter().any(|known| known.offsets == damage.offsets);
        if !is_there || is_known || damage.offsets.end <= self.log_start {
            return Ok(false);
        }
        // A segment that has replaced it may look the same from outside.
        let current = &self.segments[index];
        self.use_files(current);
        if scrub::is_good(&*current.file(&*self.disk)?, segment, damage)? {
            return Ok(false);
        }
        self.damaged.push(damage.clone());
        self.damaged.sort_by_key(|known| known.offsets.start);
        Ok(true)
    }

    /// The first damage that is known at or behind an offset.
    pub(super) fn damage_from(&self, offset: Offset) -> Option<&Damage> {
        self.damaged.iter().find(|damage| damage.offsets.end > offset)
    }

    /// Where the segment that begins at `base` goes on behind the last damage before an offset.
    pub(super) fn behind_damage(&self, base: Offset, offset: Offset) -> Option<u64> {
        let mut before =
            self.damaged.iter().filter(|damage| damage.offsets.start >= base && damage.offsets.end <= offset);
        before.next_back().map(|damage| damage.behind)
    }

    /// The segments of these offsets are gone, or others are in their place.
    pub(super) fn forget_damage(&mut self, offsets: Range<Offset>) {
        self.damaged.retain(|damage| damage.offsets.end <= offsets.start || damage.offsets.start >= offsets.end);
    }
}
