//! One `.log` file with its three indexes. The log file is batches one after the other and nothing else; its name is the
//! base offset in 20 digits, below which no record in it lies.
//!
//! Room is taken from the file system ahead of the writes, in steps, without showing in the file's size: a third less work
//! for the kernel, and a crash leaves at most zeros behind the last batch, which are no batch (I19).
//!
//! Files are opened when needed. Closed segments give theirs back (`release`), so the number of open files does not grow
//! with the bytes stored.

use std::borrow::Cow;
use std::cell::{Cell, RefCell, RefMut};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use super::index::Index;
use super::offset_index::{OffsetEntry, OffsetIndex};
use super::scan::{Stop, Walk, header_at};
use super::segment_checkpoint::SegmentFacts;
use super::time_index::{TimeEntry, TimeIndex};
use super::txn_index::{AbortedEntry, TxnIndex};
use crate::record::{self, DecompressLimits, Header, ValidBatch};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// Below this size nothing is preallocated: most partitions stay small.
const PREALLOCATE_FROM: u64 = 128 << 10;
const PREALLOCATE_STEP_MIN: u64 = 256 << 10;
const PREALLOCATE_STEP_MAX: u64 = 16 << 20;

/// The indexes of a segment up to this size are sooner made again than read.
const SMALL: u64 = 64 << 10;

/// A record found by its time.
pub type TimedOffset = (Offset, Timestamp, LeaderEpoch);

pub(super) const LOG: &str = "log";
pub(super) const OFFSET_INDEX: &str = "index";
pub(super) const TIME_INDEX: &str = "timeindex";
pub(super) const TXN_INDEX: &str = "txnindex";

/// The path of a segment's file, or of a producer snapshot.
pub(super) fn file_path(dir: &Path, base_offset: Offset, extension: &str) -> PathBuf {
    dir.join(format!("{:020}.{extension}", base_offset.0))
}

/// The base offset in a file name of 20 digits and an extension.
pub(super) fn parse_name(name: &str) -> Option<(Offset, &str)> {
    let (digits, extension) = name.split_once('.')?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten().map(|base| (Offset(base), extension))
}

pub(super) struct Segment {
    pub base_offset: Offset,
    /// Bytes of whole batches.
    pub size: u64,
    path: PathBuf,
    file: RefCell<Option<Arc<dyn DiskFile>>>,
    /// `None` until somebody looks something up.
    offset_index: RefCell<Option<OffsetIndex>>,
    time_index: RefCell<Option<TimeIndex>>,
    pub txn_index: TxnIndex,
    /// What the files held when they were finished.
    facts: Cell<Option<SegmentFacts>>,
    index_interval: u64,
    bytes_since_entry: u64,
    /// The largest timestamp and the last offset of the batch that has it; `None` until it is known.
    max_timestamp: Cell<Option<(Timestamp, Offset)>>,
    /// The largest timestamp of the first batch, from which `segment.ms` counts.
    first_timestamp: Cell<Option<Timestamp>>,
    /// Up to where the file system has set room aside.
    allocated: u64,
    /// A write failed and its traces could not be cut off yet.
    torn: bool,
    /// They were, and nobody has flushed that: a power cut may bring them back.
    was_torn: bool,
    /// Its names may be gone, so its files stay open.
    pinned: bool,
    /// The offsets in its headers, which no checksum covers, have been looked at from its first batch to its last: when it was
    /// written or recovered, or by a reader.
    walked: Cell<bool>,
    /// The checksum of its first batch; `None` until it is known.
    first_crc: Cell<Option<u32>>,
    /// The same as it was noted, where this process has not looked at the file yet.
    expected_crc: Cell<Option<u32>>,
}

impl Segment {
    /// A new segment with an empty `.log` file.
    pub fn create(disk: &dyn Disk, dir: &Path, base_offset: Offset, index_interval: u64) -> Result<Segment, Error> {
        let path = file_path(dir, base_offset, LOG);
        let file = disk.open(&path, true).context("create", &path)?;
        if file.len().context("read", &path)? > 0 {
            file.set_len(0).context("truncate", &path)?;
        }
        let mut segment = Segment::load(dir, base_offset, 0, 0, index_interval);
        segment.file = RefCell::new(Some(file));
        segment.forget_indexes();
        Ok(segment)
    }

    /// A segment that is there, with `size` bytes of whole batches.
    pub fn load(dir: &Path, base_offset: Offset, size: u64, txn_bytes: u64, index_interval: u64) -> Segment {
        Segment {
            base_offset,
            size,
            path: file_path(dir, base_offset, LOG),
            file: RefCell::new(None),
            offset_index: RefCell::new(None),
            time_index: RefCell::new(None),
            txn_index: TxnIndex::unread(file_path(dir, base_offset, TXN_INDEX), txn_bytes),
            facts: Cell::new(None),
            index_interval,
            bytes_since_entry: 0,
            max_timestamp: Cell::new((size == 0).then_some((Timestamp::NONE, Offset::NONE))),
            first_timestamp: Cell::new(None),
            allocated: size,
            torn: false,
            was_torn: false,
            pinned: false,
            walked: Cell::new(size == 0),
            first_crc: Cell::new(None),
            expected_crc: Cell::new(None),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known to be in the files, if nothing was added since.
    pub fn facts(&self) -> Option<SegmentFacts> {
        self.facts.get().filter(|facts| facts.size == self.size && !self.txn_index.is_dirty())
    }

    pub fn has_loaded_indexes(&self) -> bool {
        self.offset_index.borrow().is_some()
    }

    pub fn set_facts(&self, facts: Option<SegmentFacts>) {
        self.facts.set(facts);
    }

    /// The first batch must be the one that was noted, if it is whole. A file of the same name, from another topic or an older
    /// copy, is not served as this one (I10).
    pub fn expect_first_batch(&self, crc: Option<u32>) {
        self.first_crc.set(crc);
        self.expected_crc.set(crc.filter(|_| self.size > 0));
    }

    /// Every batch in it has been seen, and their offsets grow.
    pub fn set_walked(&self) {
        self.walked.set(true);
    }

    pub fn set_index_interval(&mut self, bytes: u64) {
        self.index_interval = bytes;
    }

    pub fn file(&self, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>, Error> {
        let mut slot = self.file.borrow_mut();
        if let Some(file) = &*slot {
            return Ok(file.clone());
        }
        let file = disk.open(&self.path, false).context("open", &self.path)?;
        if let Some(expected) = self.expected_crc.get() {
            self.check_first_batch(&*file, expected)?;
        }
        Ok(slot.insert(file).clone())
    }

    fn check_first_batch(&self, file: &dyn DiskFile, expected: u32) -> Result<(), Error> {
        let first = header_at(file, 0, self.size).context("read", &self.path)?.map(|header| header.crc);
        // A batch that does not bear out its own checksum is damage in one place, told where it is read.
        if first != Some(expected) && matches!(Walk::batches(file, 0, self.size).next_batch(), Ok(Some(_))) {
            let reason = "its first batch is not the one that was written to it: this is the file of another log";
            return Err(Error::corrupt(&self.path, self.base_offset, reason));
        }
        self.expected_crc.set(None);
        Ok(())
    }

    /// Opens everything there is of it and keeps it open, so that it answers when its names are gone.
    pub fn pin(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        self.file(disk)?;
        if self.size > 0 {
            self.max_timestamp(disk)?;
            self.first_timestamp(disk)?;
            self.load_indexes(disk)?;
        }
        if let Some(index) = self.offset_index.get_mut() {
            index.hold(disk)?;
        }
        if let Some(index) = self.time_index.get_mut() {
            index.hold(disk)?;
        }
        self.txn_index.hold(disk)?;
        self.pinned = true;
        Ok(())
    }

    /// The aborted transactions whose marker lies in it.
    pub fn aborted_entries(&self, disk: &dyn Disk) -> Result<Cow<'_, [AbortedEntry]>, Error> {
        self.txn_index.entries(disk)?.ok_or_else(|| {
            let reason = "the transaction index is damaged; it is made again at the next start";
            Error::corrupt(self.txn_index.path(), self.base_offset, reason)
        })
    }

    /// Closes all files. What is in memory only stays there.
    pub fn release(&self) {
        if self.pinned {
            return;
        }
        self.file.take();
        if let Some(index) = &*self.offset_index.borrow() {
            index.release();
        }
        if let Some(index) = &*self.time_index.borrow() {
            index.release();
        }
    }

    /// Writes a batch, whose offsets are assigned, behind the last one. If that fails the segment is what it was (I18).
    pub fn append(&mut self, disk: &dyn Disk, batch: &ValidBatch, segment_bytes: u64) -> Result<(), Error> {
        let file = self.file(disk)?;
        self.mend(&*file)?;
        let end = self.size + batch.size() as u64;
        self.preallocate(&*file, end, segment_bytes);
        let [header, records] = batch.slices();
        if let Err(error) = file.write_all_at(&[IoSlice::new(header), IoSlice::new(records)], self.size) {
            (self.torn, self.was_torn) = (true, true);
            // If this fails too the next append begins with it.
            let _ = self.mend(&*file);
            return Err(Error::io("write", &self.path, error));
        }
        self.note_batch(disk, batch.header(), self.size);
        self.size = end;
        Ok(())
    }

    /// Cuts off what a failed write left.
    fn mend(&mut self, file: &dyn DiskFile) -> Result<(), Error> {
        if self.torn {
            file.set_len(self.size).context("truncate", &self.path)?;
            self.allocated = self.size;
            self.torn = false;
        }
        Ok(())
    }

    fn preallocate(&mut self, file: &dyn DiskFile, end: u64, segment_bytes: u64) {
        if end <= self.allocated || end < PREALLOCATE_FROM {
            return;
        }
        let step = end.clamp(PREALLOCATE_STEP_MIN, PREALLOCATE_STEP_MAX);
        let room = (end + step).min(segment_bytes.max(end));
        // Room ahead is a help. Where it is not to be had the write itself will say so; ask again a step later.
        let _ = file.preallocate(room);
        self.allocated = room;
    }

    /// Takes up a batch at `position` into indexes and largest timestamp: when it was appended, or when recovery found it.
    pub fn note_batch(&mut self, disk: &dyn Disk, header: &Header, position: u64) {
        let (max, _) = self.max_timestamp.get().unwrap_or((Timestamp::NONE, Offset::NONE));
        if header.max_timestamp > max {
            self.max_timestamp.set(Some((header.max_timestamp, header.last_offset())));
        }
        if position == 0 {
            self.first_timestamp.set(Some(header.max_timestamp));
            self.first_crc.set(Some(header.crc));
        }
        if self.bytes_since_entry > self.index_interval {
            self.push_entries(disk, header.last_offset(), position);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size() as u64;
    }

    fn push_entries(&mut self, disk: &dyn Disk, last_offset: Offset, position: u64) {
        let (Some(relative_offset), Ok(position)) = (self.relative(last_offset), u32::try_from(position)) else {
            return;
        };
        let index = self.offset_index.get_mut();
        if let Some(index) = index
            && index.last().is_none_or(|last| last.relative_offset < relative_offset)
        {
            index.push(disk, OffsetEntry { relative_offset, position });
        }
        self.push_time_entry(disk);
    }

    /// The largest timestamp so far as an entry of the time index, unless the last one says the same.
    fn push_time_entry(&mut self, disk: &dyn Disk) {
        let Some((timestamp, offset)) = self.max_timestamp.get().filter(|(_, offset)| *offset >= Offset::ZERO) else {
            return;
        };
        let Some(relative_offset) = self.relative(offset) else { return };
        if let Some(index) = self.time_index.get_mut()
            && index.last().is_none_or(|last| last.timestamp < timestamp)
        {
            index.push(disk, TimeEntry { timestamp, relative_offset });
        }
    }

    /// An offset as the indexes hold it; `None` where it is too far from the base.
    pub fn relative(&self, offset: Offset) -> Option<i32> {
        i32::try_from(offset.0 - self.base_offset.0).ok().filter(|relative| *relative >= 0)
    }

    fn absolute(&self, relative_offset: i32) -> Offset {
        self.base_offset.plus(i64::from(relative_offset))
    }

    /// Is one of the index files as large as `segment.index.bytes` allows?
    pub fn is_index_full(&self, max_bytes: u64) -> bool {
        let full = |size: u64, entry: u64| size + entry > max_bytes;
        let offsets = self.offset_index.borrow().as_ref().is_some_and(|index| full(index.size_bytes(), 8));
        offsets || self.time_index.borrow().as_ref().is_some_and(|index| full(index.size_bytes(), 12))
    }

    /// `end` is where the segment's offsets end. No more batches are expected: indexes go to disk, room ahead is given back. The returned files are to be flushed with
    /// the log. More batches may be appended all the same.
    pub fn finish(&mut self, disk: &dyn Disk, end: Offset, keep_small: bool) -> Result<Vec<Arc<dyn DiskFile>>, Error> {
        self.push_time_entry(disk);
        let mut unflushed: Vec<_> = match keep_small || self.size > SMALL {
            true => self.store_indexes(disk)?,
            // Ten thousand small partitions would otherwise write twenty thousand files at a stop.
            false => self.txn_index.store(disk)?.into_iter().collect(),
        };
        self.facts.set(Some(self.facts_of_files(end)));
        if self.allocated > self.size {
            let file = self.file(disk)?;
            file.set_len(self.size).context("truncate", &self.path)?;
            self.allocated = self.size;
        }
        if self.was_torn {
            // Recovery would end the log at what a failed write left, and give up the segments behind it (I10).
            let file = self.file(disk)?;
            self.mend(&*file)?;
            unflushed.push(file);
            self.was_torn = false;
        }
        Ok(unflushed)
    }

    /// What is known of a segment that has one batch and no index yet.
    pub fn first_facts(&self, end: Offset) -> SegmentFacts {
        let first_crc = self.first_crc.get();
        SegmentFacts { end, size: self.size, offset_entries: 0, time_entries: 0, txn_bytes: 0, first_crc }
    }

    fn facts_of_files(&self, end: Offset) -> SegmentFacts {
        SegmentFacts {
            end,
            size: self.size,
            offset_entries: self.offset_index.borrow().as_ref().map_or(0, |index| index.stored_len() as u64),
            time_entries: self.time_index.borrow().as_ref().map_or(0, |index| index.stored_len() as u64),
            txn_bytes: self.txn_index.stored_bytes(),
            first_crc: self.first_crc.get(),
        }
    }

    /// Writes the indexes as far as they are in memory only.
    pub fn store_indexes(&mut self, disk: &dyn Disk) -> Result<Vec<Arc<dyn DiskFile>>, Error> {
        let mut unflushed = Vec::new();
        if let Some(index) = self.offset_index.get_mut() {
            unflushed.extend(index.store_all(disk)?);
        }
        if let Some(index) = self.time_index.get_mut() {
            unflushed.extend(index.store_all(disk)?);
        }
        unflushed.extend(self.txn_index.store(disk)?);
        Ok(unflushed)
    }

    /// The names of all files this segment may have.
    pub fn files(&self) -> [PathBuf; 4] {
        [LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX].map(|extension| self.path.with_extension(extension))
    }

    // ---- looking things up -------------------------------------------------------------------------------------------

    /// The first batch that holds `offset` or a later one, and its position. `from` is a position known to lie at or before
    /// it.
    pub fn find(&self, disk: &dyn Disk, offset: Offset, from: Option<u64>) -> Result<Option<(u64, Header)>, Error> {
        let start = match from {
            Some(position) => position,
            None => self.position_before(disk, offset)?,
        };
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, self.size);
        let mut due = self.base_offset;
        while let Some((position, header)) =
            walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(offset)))?
        {
            self.check_offsets(&header, position, due, Offset::MAX)?;
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
            due = header.next_offset();
        }
        Ok(None)
    }

    /// No checksum covers a batch's offset, so its place must bear it out: behind the batch before, before the segment's end.
    pub fn check_offsets(&self, header: &Header, position: u64, due: Offset, end: Offset) -> Result<(), Error> {
        if header.base_offset >= due && header.last_offset() < end {
            return Ok(());
        }
        let (first, last) = (header.base_offset, header.last_offset());
        let reason =
            format!("a batch of offsets {first} to {last} stands between {due} and {end} (at position {position})");
        Err(Error::corrupt(&self.path, due, reason))
    }

    /// Where the longest run of whole batches ends that begins with `first` at `start`, takes at most `budget` bytes and
    /// holds nothing at or above `limit`; and the offset to go on from. `next` is where the segment's offsets end.
    pub fn run_end(
        &self,
        disk: &dyn Disk,
        (start, first): (u64, &Header),
        budget: u64,
        limit: Offset,
        next: Offset,
    ) -> Result<(u64, Offset), Error> {
        let walked = self.walked.get();
        if walked && self.size - start <= budget && next <= limit {
            return Ok((self.size, next));
        }
        let first_end = (start + first.size() as u64, first.next_offset());
        let (mut end, mut next_offset) = first_end;
        let within = |position: u64, last: Offset| position <= start + budget && last < limit;
        if walked
            && let Some(entry) =
                self.index_entry(disk, |entry| within(u64::from(entry.position), self.absolute(entry.relative_offset)))?
            && u64::from(entry.position) > end
        {
            // The batch at an entry's position begins within the budget; it may or may not end there, and the walk sees to it.
            end = u64::from(entry.position);
            next_offset = Offset::NONE;
        }
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, end, self.size);
        while let Some((position, header)) =
            walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(next_offset)))?
        {
            if next_offset == Offset::NONE {
                next_offset = header.base_offset;
            }
            self.check_offsets(&header, position, next_offset, next)?;
            if position + header.size() as u64 > start + budget || header.last_offset() >= limit {
                break;
            }
            (end, next_offset) = (position + header.size() as u64, header.next_offset());
        }
        if start == 0 && end == self.size {
            self.set_walked();
        }
        Ok((end, next_offset))
    }

    /// The position of a batch that ends at or before `offset`, as near to it as the index knows.
    fn position_before(&self, disk: &dyn Disk, offset: Offset) -> Result<u64, Error> {
        let entry = self.index_entry(disk, |entry| self.absolute(entry.relative_offset) <= offset)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// The last index entry for which `holds`, checked against the log. An index that lies is made again, once.
    fn index_entry(&self, disk: &dyn Disk, holds: impl Fn(&OffsetEntry) -> bool) -> Result<Option<OffsetEntry>, Error> {
        for _ in 0..2 {
            // A file that cannot be read is no better than one that lies.
            let found = self.offsets(disk)?.last_where(disk, &holds);
            match found {
                Ok(None) => return Ok(None),
                Ok(Some(entry)) if self.tells_the_truth(disk, &entry)? => return Ok(Some(entry)),
                _ => self.rebuild_indexes(disk)?,
            }
        }
        Ok(None)
    }

    fn tells_the_truth(&self, disk: &dyn Disk, entry: &OffsetEntry) -> Result<bool, Error> {
        let position = u64::from(entry.position);
        if position >= self.size {
            return Ok(false);
        }
        let found = header_at(&*self.file(disk)?, position, self.size).context("read", &self.path)?;
        let offset = self.absolute(entry.relative_offset);
        Ok(found.is_some_and(|header| header.base_offset >= self.base_offset && header.base_offset <= offset))
    }

    /// The largest timestamp in the segment, and the last offset of the batch that has it; -1 and -1 without batches. The
    /// only way to that fact, so that a reopened segment answers like one that was written just now (lesson 3).
    pub fn max_timestamp(&self, disk: &dyn Disk) -> Result<(Timestamp, Offset), Error> {
        if let Some(known) = self.max_timestamp.get() {
            return Ok(known);
        }
        let last = self.times(disk)?.last();
        if let Some(entry) = last {
            let offset = self.absolute(entry.relative_offset);
            let start = self.position_before(disk, offset)?;
            if self.has_timestamp(disk, (start, self.size), offset, entry.timestamp)? {
                self.max_timestamp.set(Some((entry.timestamp, offset)));
                return Ok((entry.timestamp, offset));
            }
        }
        self.rebuild_indexes(disk)?;
        Ok(self.max_timestamp.get().unwrap_or((Timestamp::NONE, Offset::NONE)))
    }

    /// The largest timestamp of the first batch.
    pub fn first_timestamp(&self, disk: &dyn Disk) -> Result<Option<Timestamp>, Error> {
        if self.first_timestamp.get().is_none() && self.size > 0 {
            let first = header_at(&*self.file(disk)?, 0, self.size).context("read", &self.path)?;
            self.first_timestamp.set(first.map(|header| header.max_timestamp));
        }
        Ok(self.first_timestamp.get())
    }

    /// The first record at or after offset `from` whose time is `timestamp` or later.
    pub fn find_timestamp(
        &self,
        disk: &dyn Disk,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<Option<TimedOffset>, Error> {
        if self.max_timestamp(disk)?.0 < timestamp {
            return Ok(None);
        }
        let begin = self.time_entry(disk, timestamp)?;
        let start = self.position_before(disk, begin.max(from))?;
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, self.size);
        while let Some((position, header)) =
            walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(from)))?
        {
            if header.last_offset() < from || header.max_timestamp < timestamp {
                continue;
            }
            let bytes = walk.body(position, &header).map_err(|stop| self.stopped(stop, from))?;
            if let Some(found) = first_record(bytes, &header, |offset, time| offset >= from && time >= timestamp) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The offset before which every record is older than `timestamp`, as near to the record looked for as the time index
    /// knows, checked against the log.
    fn time_entry(&self, disk: &dyn Disk, timestamp: Timestamp) -> Result<Offset, Error> {
        for _ in 0..2 {
            let found = self.times(disk)?.last_where(disk, |entry| entry.timestamp <= timestamp);
            match found {
                Ok(None) => return Ok(self.base_offset),
                Ok(Some(entry)) => {
                    let offset = self.absolute(entry.relative_offset);
                    let batch = self.find(disk, offset, None)?;
                    if batch.is_some_and(|(_, header)| header.max_timestamp == entry.timestamp) {
                        // The entry names the end of the batch; the record may be its first.
                        return Ok(batch.map_or(self.base_offset, |(_, header)| header.base_offset));
                    }
                }
                Err(_) => {}
            }
            self.rebuild_indexes(disk)?;
        }
        Ok(self.base_offset)
    }

    /// The first record with the largest timestamp, among those between two offsets.
    pub fn find_max_timestamp(
        &self,
        disk: &dyn Disk,
        (from, limit): (Offset, Offset),
    ) -> Result<Option<TimedOffset>, Error> {
        let (timestamp, offset) = self.max_timestamp(disk)?;
        let Some((position, header)) = self.find(disk, offset, None)? else { return Ok(None) };
        let within = |offset: Offset| offset >= from && offset < limit;
        if within(header.base_offset) && within(header.last_offset()) {
            return self.record_in(disk, (position, &header), |_, time| time >= timestamp);
        }
        // The largest of all is out of bounds, so every batch within them has to be asked.
        let mut best: Option<TimedOffset> = None;
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, self.position_before(disk, from)?, self.size);
        while let Some((position, header)) =
            walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(from)))?
        {
            if header.base_offset >= limit {
                break;
            }
            let latest = |best: Option<TimedOffset>| best.map_or(Timestamp::NONE, |best| best.1);
            let fits = |best, offset, time| within(offset) && time > latest(best);
            while header.max_timestamp > latest(best) {
                match self.record_in(disk, (position, &header), |offset, time| fits(best, offset, time))? {
                    Some(found) => best = Some(found),
                    None => break,
                }
            }
        }
        Ok(best)
    }

    /// The first record of a batch that fits.
    fn record_in(
        &self,
        disk: &dyn Disk,
        (position, header): (u64, &Header),
        fits: impl Fn(Offset, Timestamp) -> bool,
    ) -> Result<Option<TimedOffset>, Error> {
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, position, self.size);
        let bytes = walk.body(position, header).map_err(|stop| self.stopped(stop, header.base_offset))?;
        Ok(first_record(bytes, header, fits))
    }

    // ---- the indexes -------------------------------------------------------------------------------------------------

    fn offsets(&self, disk: &dyn Disk) -> Result<RefMut<'_, OffsetIndex>, Error> {
        self.load_indexes(disk)?;
        Ok(RefMut::map(self.offset_index.borrow_mut(), |index| index.as_mut().expect("loaded just now")))
    }

    fn times(&self, disk: &dyn Disk) -> Result<RefMut<'_, TimeIndex>, Error> {
        self.load_indexes(disk)?;
        Ok(RefMut::map(self.time_index.borrow_mut(), |index| index.as_mut().expect("loaded just now")))
    }

    /// Opens the index files, and makes them again if they are not what they were when they were finished.
    fn load_indexes(&self, disk: &dyn Disk) -> Result<(), Error> {
        if self.offset_index.borrow().is_some() && self.time_index.borrow().is_some() {
            return Ok(());
        }
        let Some(facts) = self.facts() else { return self.rebuild_indexes(disk) };
        let offsets = Index::open(disk, self.path.with_extension(OFFSET_INDEX));
        let times = Index::open(disk, self.path.with_extension(TIME_INDEX));
        match (offsets, times) {
            (Ok(offsets), Ok(times))
                if (offsets.len() as u64, times.len() as u64) == (facts.offset_entries, facts.time_entries)
                    && facts.time_entries > 0 =>
            {
                self.offset_index.replace(Some(offsets));
                self.time_index.replace(Some(times));
                Ok(())
            }
            _ => self.rebuild_indexes(disk),
        }
    }

    /// Makes both indexes again from the log.
    pub fn rebuild_indexes(&self, disk: &dyn Disk) -> Result<(), Error> {
        let file = self.file(disk)?;
        let mut fresh = Segment::load(Path::new(""), self.base_offset, self.size, 0, self.index_interval);
        fresh.forget_indexes_at(&self.path);
        fresh.max_timestamp.set(Some((Timestamp::NONE, Offset::NONE)));
        let mut walk = Walk::headers(&*file, 0, self.size);
        let mut end = self.base_offset;
        loop {
            match walk.next_header() {
                Ok(Some((position, header))) => {
                    fresh.note_batch(disk, &header, position);
                    end = header.next_offset();
                }
                // What is behind a bad place cannot be indexed; who reads there is told.
                Ok(None) | Err(Stop::Bad { .. }) => break,
                Err(stop) => return Err(self.stopped(stop, self.base_offset)),
            }
        }
        fresh.push_time_entry(disk);
        if self.size > SMALL {
            // With no room on the disk the entries stay in memory.
            let _ = fresh.store_indexes(disk);
        }
        self.offset_index.replace(fresh.offset_index.take());
        self.time_index.replace(fresh.time_index.take());
        self.max_timestamp.set(fresh.max_timestamp.get());
        self.first_crc.set(fresh.first_crc.get());
        self.facts.set(Some(SegmentFacts { txn_bytes: self.txn_index.stored_bytes(), ..fresh.facts_of_files(end) }));
        Ok(())
    }

    /// Begins with empty indexes; the files are overwritten later.
    fn forget_indexes(&mut self) {
        let path = self.path.clone();
        self.forget_indexes_at(&path);
    }

    fn forget_indexes_at(&mut self, path: &Path) {
        self.offset_index = RefCell::new(Some(Index::empty(path.with_extension(OFFSET_INDEX))));
        self.time_index = RefCell::new(Some(Index::empty(path.with_extension(TIME_INDEX))));
        self.bytes_since_entry = 0;
    }

    // ---- recovery and truncation -------------------------------------------------------------------------------------

    /// Forgets everything known about the batches from `position` on, whose first offset is `offset`, so that they can be
    /// noted anew. Touches no file.
    pub fn rewind(&mut self, disk: &dyn Disk, position: u64, offset: Offset) -> Result<(), Error> {
        if position == 0 {
            self.forget_indexes();
            self.max_timestamp.set(Some((Timestamp::NONE, Offset::NONE)));
            self.first_timestamp.set(None);
            self.first_crc.set(None);
            self.facts.set(None);
            return Ok(());
        }
        self.load_indexes(disk)?;
        let kept = self.truncate_indexes(disk, offset).is_ok();
        // Both are checked against the log before anything is built on them.
        let mut max = self.max_timestamp_before(disk, position)?;
        if !kept || max.is_none() {
            self.rebuild_indexes(disk)?;
            self.truncate_indexes(disk, offset)?;
            max = self.max_timestamp_before(disk, position)?;
        }
        self.max_timestamp.set(Some(max.unwrap_or((Timestamp::NONE, Offset::NONE))));
        let last = self.index_entry(disk, |_| true)?.map_or(0, |entry| u64::from(entry.position));
        self.bytes_since_entry = position.saturating_sub(last);
        if position < self.size {
            self.facts.set(None);
        }
        Ok(())
    }

    /// Finds where the batches from `offset` on begin, as `seek` does, and learns everything about those before it on the same
    /// walk, as `rewind` does: for a segment that has grown since its indexes were noted, or never had any.
    pub fn renew(&mut self, disk: &dyn Disk, offset: Offset) -> Result<(u64, Offset), Error> {
        let start = match self.adopt_indexes(disk, offset)? {
            Some(position) => position,
            None => {
                self.rewind(disk, 0, self.base_offset)?;
                0
            }
        };
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, self.size);
        let mut next = self.base_offset;
        loop {
            match walk.next_header() {
                Ok(Some((position, header))) if header.last_offset() >= offset => {
                    return Ok((position, if position == 0 { header.base_offset } else { next }));
                }
                Ok(Some((position, header))) => {
                    match position == start && start > 0 {
                        // The last entry is its own.
                        true => self.bytes_since_entry = header.size() as u64,
                        false => self.note_batch(disk, &header, position),
                    }
                    next = header.next_offset();
                }
                Ok(None) => return Ok((self.size, next)),
                Err(Stop::Bad { position, .. }) if next >= offset => return Ok((position, next)),
                Err(stop) => return Err(self.stopped(stop, next)),
            }
        }
    }

    /// Takes up the index files as far as it was noted that they are whole, without what lies at or behind `before`. Returns
    /// the position of the batch that has the last entry; everything up to its end is known then. `None` where nothing was
    /// noted, or where log and files do not bear it out.
    fn adopt_indexes(&mut self, disk: &dyn Disk, before: Offset) -> Result<Option<u64>, Error> {
        let Some(facts) = self.facts.get().filter(|facts| facts.size <= self.size) else { return Ok(None) };
        let offsets = Index::open(disk, self.path.with_extension(OFFSET_INDEX));
        let times = Index::open(disk, self.path.with_extension(TIME_INDEX));
        let (Ok(mut offsets), Ok(mut times)) = (offsets, times) else { return Ok(None) };
        if (offsets.len() as u64) < facts.offset_entries || (times.len() as u64) < facts.time_entries {
            return Ok(None);
        }
        let end = self.relative(before.min(facts.end)).unwrap_or(i32::MAX);
        if offsets.truncate_where(disk, |entry: &OffsetEntry| entry.relative_offset < end).is_err() {
            return Ok(None);
        }
        let Some(last) = offsets.last() else { return Ok(None) };
        // An entry of the time index behind it was made when the segment was noted, or later.
        let kept = times.truncate_where(disk, |entry: &TimeEntry| entry.relative_offset <= last.relative_offset);
        let (Ok(()), Some(latest)) = (kept, times.last()) else { return Ok(None) };
        let position = u64::from(last.position);
        let found = header_at(&*self.file(disk)?, position, self.size).context("read", &self.path)?;
        let Some(header) = found.filter(|header| header.last_offset() == self.absolute(last.relative_offset)) else {
            return Ok(None);
        };
        self.offset_index.replace(Some(offsets));
        self.time_index.replace(Some(times));
        let latest_offset = self.absolute(latest.relative_offset);
        let (start, end) = (self.position_before(disk, latest_offset)?, position + header.size() as u64);
        if !self.has_timestamp(disk, (start, end), latest_offset, latest.timestamp)? {
            return Ok(None);
        }
        // A lying entry on the way there has had both made again.
        let is_kept = self.offset_index.borrow().as_ref().and_then(Index::last).map(|entry| entry.position);
        if is_kept != Some(last.position) {
            return Ok(None);
        }
        self.max_timestamp.set(Some((latest.timestamp, latest_offset)));
        self.first_timestamp.set(None);
        self.facts.set(None);
        Ok(Some(position))
    }

    fn truncate_indexes(&mut self, disk: &dyn Disk, end: Offset) -> Result<(), Error> {
        let relative = self.relative(end).unwrap_or(i32::MAX);
        let offsets = self.offset_index.get_mut().as_mut().expect("the caller has loaded them");
        offsets.truncate_where(disk, |entry| entry.relative_offset < relative)?;
        // Its entries are in the order of their offsets too.
        let times = self.time_index.get_mut().as_mut().expect("the caller has loaded them");
        times.truncate_where(disk, |entry| entry.relative_offset < relative)
    }

    /// The largest timestamp before `position`: the last time entry's, or that of a later batch. Entries may be missing, so
    /// every batch behind it is asked. `None` if the entry is not borne out by the log.
    fn max_timestamp_before(&self, disk: &dyn Disk, position: u64) -> Result<Option<(Timestamp, Offset)>, Error> {
        let last = self.times(disk)?.last();
        let mut max = (Timestamp::NONE, Offset::NONE);
        let mut start = 0;
        if let Some(entry) = last {
            let offset = self.absolute(entry.relative_offset);
            // Not `find`: what is behind `position` may be no batch.
            start = self.position_before(disk, offset)?;
            if !self.has_timestamp(disk, (start, position), offset, entry.timestamp)? {
                return Ok(None);
            }
            max = (entry.timestamp, offset);
        }
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, position);
        while let Some((_, header)) =
            walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(self.base_offset)))?
        {
            if header.max_timestamp > max.0 {
                max = (header.max_timestamp, header.last_offset());
            }
        }
        Ok(Some(max))
    }

    /// Does the batch between two positions that ends with `offset` have that largest timestamp?
    fn has_timestamp(
        &self,
        disk: &dyn Disk,
        (start, end): (u64, u64),
        offset: Offset,
        timestamp: Timestamp,
    ) -> Result<bool, Error> {
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, end);
        while let Some((_, header)) = walk.next_header().map_err(|stop| self.stopped(stop, walk.next_offset(offset)))? {
            if header.last_offset() >= offset {
                return Ok(header.last_offset() == offset && header.max_timestamp == timestamp);
            }
        }
        Ok(false)
    }

    /// Where the batches from `offset` on begin, for recovery, which may find anything behind them: position, and the offset
    /// behind the last batch before it. An error if a batch below `offset` is damaged.
    pub fn seek(&self, disk: &dyn Disk, offset: Offset) -> Result<(u64, Offset), Error> {
        let start = self.position_before(disk, offset.plus(-1))?;
        let file = self.file(disk)?;
        let mut walk = Walk::headers(&*file, start, self.size);
        let mut next = self.base_offset;
        loop {
            match walk.next_header() {
                Ok(Some((position, header))) if header.last_offset() >= offset => {
                    return Ok((position, if position == start { header.base_offset } else { next }));
                }
                Ok(Some((_, header))) => next = header.next_offset(),
                Ok(None) => return Ok((self.size, next)),
                Err(Stop::Bad { position, .. }) if next >= offset => return Ok((position, next)),
                Err(stop) => return Err(self.stopped(stop, next)),
            }
        }
    }

    /// Cuts the file to `size` bytes, and with it the room set aside.
    pub fn cut(&mut self, disk: &dyn Disk, size: u64) -> Result<(), Error> {
        let file = self.file(disk)?;
        file.set_len(size).context("truncate", &self.path)?;
        (self.size, self.allocated, self.torn) = (size, size, false);
        Ok(())
    }

    /// An error of a walk that met `offset` or was about to.
    pub fn stopped(&self, stop: Stop, offset: Offset) -> Error {
        match stop {
            Stop::Bad { position, reason } => {
                Error::corrupt(&self.path, offset, format_args!("{reason} (at position {position})"))
            }
            Stop::Disk(error) => Error::io("read", &self.path, error),
        }
    }
}

/// The first record of a batch that fits. A batch that cannot be opened, which only a producer that compressed rubbish can
/// have sent, counts as one record with the batch's largest timestamp.
fn first_record(bytes: &[u8], header: &Header, fits: impl Fn(Offset, Timestamp) -> bool) -> Option<TimedOffset> {
    let Ok(batch) = record::open(bytes, &DecompressLimits::default()) else {
        let whole = (header.base_offset, header.max_timestamp, header.leader_epoch);
        return fits(header.last_offset(), header.max_timestamp).then_some(whole);
    };
    let mut records = batch.records().map_while(Result::ok);
    let found = records.find(|record| fits(record.offset, record.timestamp));
    found.map(|record| (record.offset, record.timestamp, header.leader_epoch))
}
