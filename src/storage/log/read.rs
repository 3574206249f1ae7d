//! Reading: ranges of whole batches, lent as ranges of files; offsets by time; aborted transactions.
//!
//! A reader that follows the end of the log looks nothing up: the places between batches that were given out last, the one
//! up to which the log is flushed, and its end are known, and between two known places lie whole batches.

use super::Log;
use crate::file::FileRange;
use crate::record::Header;
use crate::storage::error::Error;
use crate::storage::segment::{Segment, TimedOffset};
use crate::types::{Offset, ProducerId, Timestamp};

#[derive(Debug)]
pub enum ReadError {
    OutOfRange {
        start: Offset,
        end: Offset,
    },
    /// The records there are known to be damaged, up to an offset (I9).
    Damaged {
        until: Offset,
    },
    Disk(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        ReadError::Disk(error)
    }
}

/// Whole batches of one segment.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// `None` if there is nothing below the limit, or nothing small enough.
    pub range: Option<FileRange>,
    /// Where the next read goes on.
    pub next_offset: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

/// A place between two batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub segment: Offset,
    /// Everything before the position is below it, everything behind at or above.
    pub offset: Offset,
    pub position: u64,
}

impl Log {
    /// Whole batches from the one that holds `from` on, none with an offset at or above `limit`, at most `max_bytes` unless
    /// `at_least_one` and the first alone is larger. All from one segment.
    pub fn read(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        if from < self.log_start || from > self.log_end {
            return Err(ReadError::OutOfRange { start: self.log_start, end: self.log_end });
        }
        let limit = limit.min(self.log_end);
        let nothing = Fetched { range: None, next_offset: from };
        if from >= limit {
            return Ok(nothing);
        }
        let damage = self.damage_from(from).filter(|damage| damage.offsets.start < limit);
        let limit = match damage {
            Some(damage) if damage.offsets.start <= from => {
                return Err(ReadError::Damaged { until: damage.offsets.end });
            }
            Some(damage) => damage.offsets.start,
            None => limit,
        };
        // Compaction may have left nothing at or above `from` in its own segment.
        for index in self.segment_of(from)..self.segments.len() {
            let segment = &self.segments[index];
            self.use_files(segment);
            let places = (self.known_place(segment, from), self.known_place(segment, limit));
            if let (Some(start), Some(end)) = places
                && start < end
                && end - start <= max_bytes as u64
                && self.damaged.is_empty()
            {
                return Ok(self.lend(segment, (start, end), limit)?);
            }
            let Some((start, first)) = self.find_in(segment, from)? else { continue };
            let next = self.end_of(index);
            segment.check_offsets(&first, start, segment.base_offset, next)?;
            if first.last_offset() >= limit || (first.size() > max_bytes && !at_least_one) {
                return Ok(nothing);
            }
            let budget = max_bytes.max(first.size()) as u64;
            // The header of a damaged batch may be none, and is not asked.
            let at_damage =
                damage.filter(|_| limit >= segment.base_offset && limit < next).map(|damage| damage.position);
            let (end, next_offset) = match at_damage.or(places.1) {
                Some(end) if end - start <= budget => (end, limit),
                _ => segment.run_end(&*self.disk, (start, &first), budget, limit, next)?,
            };
            return Ok(self.lend(segment, (start, end), next_offset)?);
        }
        Ok(nothing)
    }

    /// The first batch of a segment that holds an offset or a later one.
    fn find_in(&self, segment: &Segment, from: Offset) -> Result<Option<(u64, Header)>, Error> {
        let found = segment.find(&*self.disk, from, self.known_place(segment, from));
        // The way there may lead through what is damaged, or end in it: offsets in a header may lie.
        match self.behind_damage(segment.base_offset, from) {
            Some(behind) if !matches!(found, Ok(Some((position, _))) if position >= behind) => {
                segment.find(&*self.disk, from, Some(behind))
            }
            _ => found,
        }
    }

    /// Lends what lies between two positions of a segment, behind which the offsets go on with `next_offset`.
    fn lend(&self, segment: &Segment, (start, end): (u64, u64), next_offset: Offset) -> Result<Fetched, Error> {
        self.remember(Place { segment: segment.base_offset, offset: next_offset, position: end });
        let range = FileRange { file: segment.file(&*self.disk)?, position: start, len: (end - start) as usize };
        Ok(Fetched { range: Some(range), next_offset })
    }

    /// Aborted transactions with records between two offsets, by first offset.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, Error> {
        let mut found = Vec::new();
        'segments: for segment in &self.segments[self.segment_of(from)..] {
            for entry in segment.aborted_entries(&*self.disk)?.iter() {
                if entry.last_offset >= from && entry.first_offset < to {
                    found.push(AbortedTransaction { producer_id: entry.producer_id, first_offset: entry.first_offset });
                }
                if entry.last_stable_offset >= to {
                    break 'segments;
                }
            }
        }
        found.sort_by_key(|transaction| transaction.first_offset);
        Ok(found)
    }

    /// The first record whose time is `timestamp` or later, if it lies below `limit`.
    pub fn offset_for_timestamp(&self, timestamp: Timestamp, limit: Offset) -> Result<Option<TimedOffset>, Error> {
        for segment in &self.segments {
            if segment.base_offset >= limit {
                break;
            }
            self.use_files(segment);
            if let Some(found) = segment.find_timestamp(&*self.disk, timestamp, self.log_start)? {
                return Ok(Some(found).filter(|(offset, ..)| *offset < limit));
            }
        }
        Ok(None)
    }

    /// The first record with the largest time, among those below `limit`.
    pub fn max_timestamp(&self, limit: Offset) -> Result<Option<TimedOffset>, Error> {
        let mut best: Option<TimedOffset> = None;
        for segment in self.segments.iter().filter(|segment| segment.base_offset < limit && segment.size > 0) {
            self.use_files(segment);
            if best.is_none_or(|best| segment.max_timestamp(&*self.disk).is_ok_and(|(time, _)| time > best.1)) {
                let found = segment.find_max_timestamp(&*self.disk, (self.log_start, limit))?;
                best = found.filter(|found| best.is_none_or(|best| found.1 > best.1)).or(best);
            }
        }
        Ok(best)
    }

    /// Where in the segment the batches from `offset` on begin, if that is known without looking.
    pub(super) fn known_place(&self, segment: &Segment, offset: Offset) -> Option<u64> {
        if offset == self.log_end && self.segments.last().is_some_and(|last| last.base_offset == segment.base_offset) {
            return Some(segment.size);
        }
        let places = self.places.borrow();
        let place = places.iter().find(|place| place.offset == offset && place.segment == segment.base_offset);
        place.map(|place| place.position)
    }

    pub(super) fn remember(&self, place: Place) {
        let mut places = self.places.borrow_mut();
        places.retain(|known| known.offset != place.offset);
        places.truncate(KNOWN_PLACES - 1);
        places.push_front(place);
    }

    /// Marks a closed segment's files as used last, and closes those of another if too many are open.
    pub(super) fn use_files(&self, segment: &Segment) {
        let is_closed = self.segments.last().is_some_and(|active| active.base_offset != segment.base_offset);
        if !is_closed {
            return;
        }
        let mut open = self.open_segments.borrow_mut();
        open.retain(|base| *base != segment.base_offset);
        open.push_back(segment.base_offset);
        while open.len() > OPEN_CLOSED_SEGMENTS {
            let Some(oldest) = open.pop_front() else { return };
            let index = self.segment_of(oldest);
            if self.end_of(index) <= self.flushed {
                self.segments[index].release();
            }
        }
    }

    /// Closes the files of closed segments that are flushed, of those that end behind `from`: all others have been closed.
    pub(super) fn let_go_of_files(&self, from: Offset) {
        let closed = self.segments.len().saturating_sub(1);
        for index in self.segment_of(from)..closed {
            let in_use = self.open_segments.borrow().contains(&self.segments[index].base_offset);
            if !in_use && self.end_of(index) <= self.flushed {
                self.segments[index].release();
            }
        }
    }

    /// Closes every file that is not needed to keep a promise: for logs that have been idle for a while.
    pub fn release_files(&self) {
        if self.flushed < self.log_end {
            return;
        }
        self.segments.iter().for_each(Segment::release);
        self.open_segments.borrow_mut().clear();
    }
}

/// How many closed segments may have files open.
const OPEN_CLOSED_SEGMENTS: usize = 2;

/// How many known places between batches are remembered, for readers that come back where they left off.
const KNOWN_PLACES: usize = 8;
