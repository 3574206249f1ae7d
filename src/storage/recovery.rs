//! Opening a log: look at the names, settle what a crash left half done, and, unless the last stop was clean, walk through
//! everything behind the recovery point.
//!
//! ```text
//! log start                 recovery point             end
//!     |  flushed once, not read  |  every batch checked  |  cut: torn, zeros, or behind a gap
//! ```
//! Below the recovery point nothing is ever cut: what was flushed and does not read back is an error that takes the
//! partition offline and names the offset (I10). Behind it the longest run of whole batches stays.
//!
//! Of the active segment the headers are walked too, once, for indexes and producers: from where it was noted last how far
//! those are known (`Log::note_progress_if_due`), which housekeeping sees to.
//!
//! Every step may be interrupted and repeated (I11): later segments go before the one in front of them is cut, highest
//! first, and their going is flushed before the cut; so a second recovery sees the same damage or none. What is kept is
//! flushed before anyone reads it (I13).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::disk::Disk;
use super::error::{Context, Error};
use super::leader_epochs::LeaderEpochs;
use super::log::OpenHint;
use super::producer_state::{CompletedTransaction, Producers};
use super::scan::{Stop, Walk};
use super::segment::{LOG, Segment, TXN_INDEX, file_path, parse_name};
use super::segment_checkpoint::SegmentList;
use super::txn_index::AbortedEntry;
use crate::config::LogConfig;
use crate::record::{self, Corrupt, DecompressLimits, Header, control::EndTransaction};
use crate::types::{Monotonic, Offset};
use crate::zoo::bug;

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes that were read and checked.
    pub scanned_bytes: u64,
    /// Bytes behind the last whole batch that were cut off.
    pub truncated_bytes: u64,
    /// Segments behind the cut that were removed.
    pub removed_segments: usize,
    /// What stood at the cut.
    pub reason: Option<String>,
    pub log_end_offset: Offset,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecoveryReport { scanned_bytes, truncated_bytes, removed_segments, reason, log_end_offset } = self;
        write!(f, "{scanned_bytes} bytes checked, {truncated_bytes} bytes cut off")?;
        if *removed_segments > 0 {
            write!(f, " with {removed_segments} later segments")?;
        }
        if let Some(reason) = reason {
            write!(f, " because {reason}")?;
        }
        write!(f, ", the log ends at offset {log_end_offset}")
    }
}

/// The kernel forgets whole pages, of whatever size.
const PAGE: u64 = 64 << 10;

/// The suffixes of files on their way in or out.
pub(super) const CLEANED: &str = ".cleaned";
pub(super) const SWAP: &str = ".swap";
pub(super) const DELETED: &str = ".deleted";

/// Settles what a crash left: temporary, cleaned and deleted files go; a swap that was begun is carried out. Returns the
/// names that remain. The same leftovers always end the same way (I16).
pub(super) fn settle_leftovers(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, Error> {
    let names = disk.list(dir).context("list", dir)?;
    let mut changed = false;
    for name in &names {
        if [super::checkpoint::TEMPORARY, CLEANED, DELETED].iter().any(|suffix| name.ends_with(suffix)) {
            let path = dir.join(name);
            disk.remove_file(&path).context("remove", &path)?;
            changed = true;
        }
    }
    let log_swap = format!(".{LOG}{SWAP}");
    for name in names.iter().filter(|name| name.ends_with(&log_swap)) {
        if let Some((base_offset, _)) = parse_name(name) {
            finish_swap(disk, dir, base_offset)?;
            changed = true;
        }
    }
    if names.iter().any(|name| name.ends_with(SWAP)) {
        // What is left with that suffix belongs to a swap that had not begun when the crash came.
        for name in disk.list(dir).context("list", dir)?.iter().filter(|name| name.ends_with(SWAP)) {
            let path = dir.join(name);
            disk.remove_file(&path).context("remove", &path)?;
            changed = true;
        }
    }
    if changed {
        disk.sync_dir(dir).context("flush", dir)?;
        return disk.list(dir).context("list", dir);
    }
    Ok(names)
}

/// Puts a cleaned segment in the place of those it was made from. `<base>.log.swap` is there, whole and flushed: that is the
/// point from which the new segment counts. Repeatable at every step, since that name is the last to go.
pub(super) fn finish_swap(disk: &dyn Disk, dir: &Path, base_offset: Offset) -> Result<(), Error> {
    let swap = suffixed(&file_path(dir, base_offset, LOG), SWAP);
    let end = end_of_file(disk, &swap, base_offset)?;
    for name in disk.list(dir).context("list", dir)? {
        let Some((base, extension)) = parse_name(&name) else { continue };
        let replaced = base >= base_offset && (base < end || base == base_offset);
        let old = matches!(extension, "log" | "index" | "timeindex" | "txnindex");
        // The first old `.log` stays until the rename below puts the new one over it.
        if replaced && old && (base, extension) != (base_offset, LOG) {
            let path = dir.join(&name);
            disk.remove_file(&path).context("remove", &path)?;
        }
    }
    let txn = file_path(dir, base_offset, TXN_INDEX);
    let txn_swap = suffixed(&txn, SWAP);
    if disk.exists(&txn_swap) {
        disk.rename(&txn_swap, &txn).context("rename", &txn_swap)?;
    }
    disk.sync_dir(dir).context("flush", dir)?;
    disk.rename(&swap, &file_path(dir, base_offset, LOG)).context("rename", &swap)?;
    disk.sync_dir(dir).context("flush", dir)
}

/// The offset behind the last batch of a file that has been flushed whole.
fn end_of_file(disk: &dyn Disk, path: &Path, base_offset: Offset) -> Result<Offset, Error> {
    let file = disk.open(path, false).context("open", path)?;
    let mut walk = Walk::headers(&*file, 0, file.len().context("read", path)?);
    let mut end = base_offset;
    loop {
        match walk.next_header() {
            Ok(Some((_, header))) => end = header.next_offset(),
            Ok(None) => return Ok(end),
            Err(Stop::Bad { reason, .. }) => return Err(Error::corrupt(path, end, reason)),
            Err(Stop::Disk(error)) => return Err(Error::io("read", path, error)),
        }
    }
}

pub(super) fn suffixed(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The segments of a log, recovered as far as that was needed.
pub(super) struct Opened {
    pub segments: Vec<Segment>,
    pub end: Offset,
    pub report: RecoveryReport,
    /// The last segment was walked through to its end: nothing has to be looked up before the next append.
    pub is_ready: bool,
}

impl Opened {
    fn unread(segments: Vec<Segment>, end: Offset) -> Self {
        Opened { segments, end, report: RecoveryReport::default(), is_ready: false }
    }
}

pub(super) struct Opening<'a> {
    pub disk: &'a dyn Disk,
    pub dir: &'a Path,
    pub config: &'a LogConfig,
    pub hint: &'a OpenHint,
    /// What is known of the segments' files.
    pub list: &'a SegmentList,
}

impl Opening<'_> {
    /// Opens the segments among `names`; `epochs` learns those of the batches that are read.
    pub fn segments(&self, names: &[String], epochs: &mut LeaderEpochs) -> Result<Opened, Error> {
        let segments = self.load(names)?;
        self.check_all_there(&segments)?;
        let opened = match segments.last() {
            None => Opened::unread(segments, self.hint.log_start_offset),
            Some(active) => match self.hint.clean.then(|| active.seek(self.disk, Offset::MAX)) {
                // After a clean stop there is nothing behind the last batch. If there is, the marker lies.
                Some(Ok((position, end))) if position == active.size => {
                    self.check_end(active, end)?;
                    self.check_sizes(&segments)?;
                    Opened::unread(segments, end)
                }
                _ => self.recover(segments, epochs)?,
            },
        };
        let point = self.hint.recovery_point;
        if opened.end < point && !bug(5) {
            // The checkpoint's file has no checksum, being Kafka's: it is the other one that may be wrong.
            let reason = format!(
                "the log ends at offset {}, but recovery-point-offset-checkpoint says that it was flushed to offset {point}",
                opened.end
            );
            return Err(Error::corrupt(self.dir, opened.end, reason));
        }
        Ok(Opened { report: RecoveryReport { log_end_offset: opened.end, ..opened.report }, ..opened })
    }

    fn load(&self, names: &[String]) -> Result<Vec<Segment>, Error> {
        let parsed = names.iter().filter_map(|name| parse_name(name));
        let with_txn: Vec<Offset> = parsed.clone().filter(|(_, ext)| *ext == TXN_INDEX).map(|(base, _)| base).collect();
        let bases = parsed.filter(|(_, extension)| *extension == LOG).map(|(base, _)| base);
        bases
            .map(|base| {
                let path = file_path(self.dir, base, LOG);
                let size = self.disk.file_len(&path).context("read", &path)?;
                let txn_bytes = match with_txn.binary_search(&base) {
                    Ok(_) => self.txn_bytes(base)?,
                    Err(_) => 0,
                };
                let segment = Segment::load(self.dir, base, size, txn_bytes, self.config.index_interval_bytes);
                let facts = self.list.get(&base).copied();
                segment.set_facts(facts);
                segment.expect_first_batch(facts.and_then(|facts| facts.first_crc));
                Ok(segment)
            })
            .collect()
    }

    fn txn_bytes(&self, base: Offset) -> Result<u64, Error> {
        let path = file_path(self.dir, base, TXN_INDEX);
        // An empty file is as bad as a damaged one: there is none where nothing was aborted.
        Ok(self.disk.file_len(&path).context("read", &path)?.max(1))
    }

    /// No segment that was finished has lost its file: whoever removes one takes it off the list first (I10). What was not
    /// flushed by the last checkpoint may be gone with a power cut, and is only told.
    fn check_all_there(&self, segments: &[Segment]) -> Result<(), Error> {
        let flushed = if self.hint.clean { Offset::MAX } else { self.hint.recovery_point };
        let is_there = |base: &Offset| segments.binary_search_by_key(base, |segment| segment.base_offset).is_ok();
        for (base, facts) in self.list {
            if facts.end <= self.hint.log_start_offset || is_there(base) {
                continue;
            }
            let path = file_path(self.dir, *base, LOG);
            if facts.end <= flushed {
                let reason = format!("the file is gone, and {} bytes in it were flushed once", facts.size);
                return Err(Error::corrupt(&path, *base, reason));
            }
            if segments.last().is_some_and(|last| last.base_offset > *base) {
                tracing::warn!(file = %path.display(), "a segment is gone that was there before the stop; later ones are not");
            }
        }
        Ok(())
    }

    /// No checksum covers a batch's offset, and nothing follows the last one to bear it out but what was written down (I10).
    fn check_end(&self, active: &Segment, end: Offset) -> Result<(), Error> {
        match self.list.get(&active.base_offset) {
            Some(facts) if facts.size == active.size && facts.end != end => {
                let reason = format!("its last batch ends at offset {end}; when it was stopped that was {}", facts.end);
                Err(Error::corrupt(active.path(), facts.end.min(end), reason))
            }
            _ => Ok(()),
        }
    }

    /// Closed segments that were flushed whole have not become shorter (I10).
    fn check_sizes(&self, flushed: &[Segment]) -> Result<(), Error> {
        for segment in flushed {
            if let Some(facts) = self.list.get(&segment.base_offset)
                && segment.size < facts.size
            {
                let reason = format!("the file has {} bytes, but {} were flushed once", segment.size, facts.size);
                return Err(Error::corrupt(segment.path(), segment.base_offset, reason));
            }
        }
        Ok(())
    }

    fn recover(&self, mut segments: Vec<Segment>, epochs: &mut LeaderEpochs) -> Result<Opened, Error> {
        let point = self.hint.recovery_point;
        let first = segments.partition_point(|segment| segment.base_offset <= point).saturating_sub(1);
        self.check_sizes(&segments[..first])?;
        let mut report = RecoveryReport::default();
        let mut end = segments[first].base_offset;
        let (mut cut, mut previous) = (None, None::<(Offset, u64)>);
        for (index, segment) in segments.iter_mut().enumerate().skip(first) {
            let before = previous.replace((segment.base_offset, segment.size));
            let found = match self.fits(before, end, segment) {
                Ok(()) => self.scan(segment, epochs, &mut report)?,
                Err(reason) => {
                    cut = Some((index, None, reason));
                    break;
                }
            };
            end = found.end;
            if let Some(reason) = found.stopped {
                cut = Some((index, Some(found.position), reason));
                break;
            }
        }
        if let Some((index, position, reason)) = cut {
            if end < point && !bug(5) {
                let path = segments[index].path();
                return Err(Error::corrupt(path, end, format_args!("{reason}, but offset {point} was flushed once")));
            }
            self.cut(&mut segments, index, position, &mut report)?;
            report.reason = Some(reason);
        }
        if end > point || report.reason.is_some() {
            self.flush(&segments[first.min(segments.len())..], &report)?;
        }
        Ok(Opened { segments, end, report, is_ready: true })
    }

    /// Does a segment continue the log where the one before it, of that base offset and size, ended?
    fn fits(&self, before: Option<(Offset, u64)>, end: Offset, segment: &Segment) -> Result<(), String> {
        let Some((before, size)) = before else { return Ok(()) };
        if segment.base_offset == end {
            return Ok(());
        }
        // Compaction leaves gaps, but only below a recovery point that was written before it began. Without any recovery
        // point, a gap is believed where compaction was (the file was lost) and not where it never came that far (there was
        // none yet), nor behind a segment that had more when it was closed: that one is taken off the list to be cleaned.
        let is_short = self.list.get(&before).is_some_and(|facts| size < facts.size);
        if self.hint.cleaned && segment.base_offset > end && self.hint.recovery_point == Offset::ZERO && !is_short {
            return Ok(());
        }
        Err(format!("segment {} does not begin at offset {end}, where the log before it ends", segment.base_offset))
    }

    /// Where the batches behind the recovery point begin; what is before them is known then. No checksum covers the offset of
    /// a first batch, and none is before it to bear it out: but it does not begin above what was flushed, unless compaction
    /// took what was below (I10).
    fn seek(&self, segment: &mut Segment, point: Offset) -> Result<(u64, Offset), Error> {
        // Indexes that have to be made again are made on the way.
        let is_indexed = segment.facts().is_some();
        let (position, end) =
            if is_indexed { segment.seek(self.disk, point)? } else { segment.renew(self.disk, point)? };
        if end > point && !self.config.compact {
            let reason = format!("its first batch says offset {end}, but offset {point} was flushed once");
            return Err(Error::corrupt(segment.path(), segment.base_offset, reason));
        }
        if is_indexed {
            segment.rewind(self.disk, position, end)?;
        }
        Ok((position, end))
    }

    /// Checks every batch of a segment behind the recovery point and notes it in indexes and epochs.
    fn scan(
        &self,
        segment: &mut Segment,
        epochs: &mut LeaderEpochs,
        report: &mut RecoveryReport,
    ) -> Result<Scanned, Error> {
        let (start, mut end) = match self.hint.recovery_point {
            point if point > segment.base_offset && !bug(5) => self.seek(segment, point)?,
            _ => {
                segment.rewind(self.disk, 0, segment.base_offset)?;
                (0, segment.base_offset)
            }
        };
        if bug(6) && self.hint.recovery_point > Offset::ZERO {
            return Ok(Scanned { end, position: start, stopped: Some("the checkpoint says so".into()) });
        }
        let file = segment.file(self.disk)?;
        // What the kernel could not write it goes on showing; only the disk says what is there (I17).
        file.uncache(start - start % PAGE, (segment.size.saturating_sub(start) + PAGE) as usize);
        let mut walk = Walk::batches(&*file, start, segment.size);
        // No checksum covers a batch's offset: one that does not follow is damage, unless the log is one that is cleaned, and
        // the recovery point may be an old one.
        let gaps = self.config.compact;
        let stopped = loop {
            match walk.next_batch() {
                Ok(Some((position, header))) if header.base_offset < end || (header.base_offset > end && !gaps) => {
                    let reason = format!("a batch of offset {} follows offset {end}", header.base_offset);
                    break Some((position, reason));
                }
                Ok(Some((position, header))) => {
                    segment.note_batch(self.disk, &header, position);
                    epochs.assign(header.leader_epoch, header.base_offset);
                    end = header.next_offset();
                }
                Ok(None) => break None,
                Err(Stop::Bad { position, reason }) => break Some((position, reason)),
                Err(stop) => return Err(segment.stopped(stop, end)),
            }
        };
        let position = stopped.as_ref().map_or(segment.size, |(position, _)| *position);
        if start == 0 {
            segment.set_walked();
        }
        report.scanned_bytes += position - start;
        let path = segment.path().display();
        let stopped = stopped.map(|(position, reason)| format!("{path} at position {position}: {reason}"));
        Ok(Scanned { end, position, stopped })
    }

    /// Ends the log in segment `index` at `position`, or before that segment.
    fn cut(
        &self,
        segments: &mut Vec<Segment>,
        index: usize,
        position: Option<u64>,
        report: &mut RecoveryReport,
    ) -> Result<(), Error> {
        let kept = if position.is_some() { index + 1 } else { index };
        for removed in segments.drain(kept..).rev() {
            report.truncated_bytes += removed.size;
            report.removed_segments += 1;
            remove_segment_files(self.disk, &removed)?;
            // One by one: with two of them gone in the wrong order a second recovery would see a gap and nothing behind it.
            self.disk.sync_dir(self.dir).context("flush", self.dir)?;
        }
        if let Some(position) = position {
            let segment = &mut segments[index];
            report.truncated_bytes += segment.size - position;
            segment.cut(self.disk, position)?;
        }
        Ok(())
    }

    fn flush(&self, scanned: &[Segment], report: &RecoveryReport) -> Result<(), Error> {
        // Where the whole file system was flushed before recovery began, only what recovery itself changed is left.
        if self.hint.flushed && report.reason.is_none() {
            return Ok(());
        }
        for segment in scanned {
            segment.file(self.disk)?.sync().context("flush", segment.path())?;
        }
        self.disk.sync_dir(self.dir).context("flush", self.dir)
    }
}

struct Scanned {
    end: Offset,
    /// Where the last whole batch ends.
    position: u64,
    /// Why the walk ended before the file did.
    stopped: Option<String>,
}

/// Removes a segment's files, the `.log` first: without it the others mean nothing.
pub(super) fn remove_segment_files(disk: &dyn Disk, segment: &Segment) -> Result<(), Error> {
    for path in segment.files() {
        if disk.exists(&path) {
            disk.remove_file(&path).context("remove", &path)?;
        }
    }
    Ok(())
}

/// Makes leader epochs again from the headers of the whole log.
pub(super) fn epochs_from_log(disk: &dyn Disk, segments: &[Segment], end: Offset) -> Result<LeaderEpochs, Error> {
    let mut epochs = LeaderEpochs::default();
    for_each_header(disk, segments, Offset::ZERO, end, &mut |_, header, _| {
        epochs.assign(header.leader_epoch, header.base_offset);
        Ok(())
    })?;
    Ok(epochs)
}

/// Brings `producers`, which know everything before `from`, up to the end of the log. What aborted transactions were found
/// is returned by segment.
pub(super) fn replay_producers(
    disk: &dyn Disk,
    segments: &[Segment],
    (from, end): (Offset, Offset),
    producers: &mut Producers,
    now: Monotonic,
) -> Result<BTreeMap<usize, Vec<AbortedEntry>>, Error> {
    let mut aborted: BTreeMap<usize, Vec<AbortedEntry>> = BTreeMap::new();
    for_each_header(disk, segments, from, end, &mut |index, header, body| {
        if !header.has_producer() {
            return Ok(());
        }
        let marker = if header.is_control() { marker_of(&body()?).map_err(|corrupt| corrupt.reason)? } else { None };
        let completed = producers.apply(header, marker, now);
        if let Some(entry) = completed.as_ref().and_then(CompletedTransaction::aborted_entry) {
            aborted.entry(index).or_default().push(entry);
        }
        Ok(())
    })?;
    Ok(aborted)
}

/// The marker in a control batch; `None` for a control batch of another kind.
pub(super) fn marker_of(batch: &[u8]) -> Result<Option<EndTransaction>, Corrupt> {
    let open = record::open(batch, &DecompressLimits::default())?;
    match open.records().next() {
        Some(record) => EndTransaction::parse(&record?),
        // Compaction has removed the marker and kept the batch for the producer's sake.
        None => Ok(None),
    }
}

type Visit<'a> = &'a mut dyn FnMut(usize, &Header, &mut dyn FnMut() -> Result<Vec<u8>, String>) -> Result<(), String>;

/// Walks over the headers of all batches that hold `from` or later, with the index of their segment and a way to their
/// bytes.
fn for_each_header(
    disk: &dyn Disk,
    segments: &[Segment],
    from: Offset,
    end: Offset,
    visit: Visit<'_>,
) -> Result<(), Error> {
    if from >= end {
        return Ok(());
    }
    let first = segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
    for (index, segment) in segments.iter().enumerate().skip(first) {
        let start =
            if segment.base_offset >= from { Some(0) } else { segment.find(disk, from, None)?.map(|found| found.0) };
        let Some(start) = start else { continue };
        let file = segment.file(disk)?;
        let mut walk = Walk::headers(&*file, start, segment.size);
        let mut bodies = Walk::headers(&*file, start, segment.size);
        while let Some((position, header)) =
            walk.next_header().map_err(|stop| segment.stopped(stop, walk.next_offset(from)))?
        {
            let mut body = || match bodies.body(position, &header) {
                Ok(bytes) => Ok(bytes.to_vec()),
                Err(Stop::Bad { reason, .. }) => Err(reason),
                Err(Stop::Disk(error)) => Err(error.to_string()),
            };
            visit(index, &header, &mut body)
                .map_err(|reason| Error::corrupt(segment.path(), header.base_offset, reason))?;
        }
        if index + 1 < segments.len() {
            segment.release();
        }
    }
    Ok(())
}
