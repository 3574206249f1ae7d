//! Compaction: of every key the newest record stays.
//!
//! ```text
//! | clean | clean |   dirty   |   dirty   | not yet | active |
//!                 \__ pass 1: newest offset of every key __/
//! \__ pass 2: segments written anew, small ones together __/
//! ```
//! A cleaning takes as many passes as the memory for keys asks for. Within a pass one group of segments after the other is
//! written to `.cleaned` and swapped in, from the oldest on; so a crash or an error between two groups leaves a log from
//! which older records are gone and newer ones not yet, which is a log that was cleaned a little less.
//!
//! Appends and reads go on meanwhile: the log's lock is held to look up what there is and to change the list of segments and
//! its small checkpoint, never while a segment is read, written or flushed. What happens to a batch is in `filter.rs`, how
//! the files change places in `swap.rs`, which part of a log is cleaned in `plan.rs`.

mod filter;
mod key_map;
pub(super) mod plan;
mod swap;
mod transactions;

pub use filter::Remembered;
pub use plan::Dirt;
pub(super) use swap::Swap;

use std::io::IoSlice;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use super::log::{Log, SegmentInfo};
use super::recovery::{CLEANED, suffixed};
use super::scan::{Stop, Walk};
use super::segment::{LOG, TXN_INDEX, file_path};
use super::txn_index::AbortedEntry;
use crate::config::LogConfig;
use crate::record::{DecompressLimits, Header, checksum_matches};
use crate::types::{Now, Offset, Timestamp};

use crate::zoo::bug;
use filter::{Filter, Kind, Outcome, header_only, placeholder};
use key_map::KeyMap;
use transactions::Transactions;

/// Who owns the log that is cleaned: the one way to its lock, to its directory, and to a pause.
pub trait Owner {
    /// Runs `work` under the log's lock; `None` if the log is not there any more.
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T>;
    /// Runs `work`, which changes names in the log's directory, while nobody moves that away; `None` if somebody has.
    fn with_directory<T>(&self, work: impl FnOnce() -> T) -> Option<T>;
    /// So many bytes were read or written. Waits if that was too fast; false to end the cleaning.
    fn pace(&self, bytes: u64) -> bool;
}

/// What one cleaning may use.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// `log.cleaner.dedupe.buffer.size`
    pub key_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`
    pub write_bytes: usize,
    /// A random number, another one each time.
    pub salt: u64,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Everything before it was cleaned: for the checkpoint.
    pub cleaned_to: Offset,
    /// The latest delete horizon of what stayed: when it has passed, tombstones and markers may go.
    pub last_horizon: Option<Timestamp>,
    pub passes: u32,
    pub read_bytes: u64,
    pub written_bytes: u64,
    /// By how much the log became smaller.
    pub freed_bytes: u64,
}

/// Why a cleaning ended early. What it had swapped in by then stays.
#[derive(Debug)]
pub enum Failure {
    /// The log is gone, or the owner said so.
    Ended,
    Disk(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Disk(error)
    }
}

/// Cleans what `dirt` says. `cleaned_to` in the answer is reached on disk when this returns. Everything below `dirt.end`
/// must lie below a recovery point that is in its checkpoint.
pub fn clean(owner: &impl Owner, dirt: Dirt, now: Now, means: &Means) -> Result<Cleaned, Failure> {
    let mut cleaned = Cleaned { cleaned_to: dirt.start, ..Cleaned::default() };
    loop {
        let pass = owner.with_log(|log| log.begin_pass(dirt.end)).ok_or(Failure::Ended)??;
        let start = cleaned.cleaned_to;
        let mut running = Running { owner, pass: &pass, now, means, cleaned: &mut cleaned };
        let (newest, end) = running.index(start, dirt.end)?;
        running.cleaned.last_horizon = None;
        running.write_anew(&newest, end)?;
        cleaned.passes += 1;
        cleaned.cleaned_to = end;
        if end >= dirt.end {
            return Ok(cleaned);
        }
    }
}

/// What a log hands to a pass, under its lock.
pub(super) struct Pass {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub config: Arc<LogConfig>,
    /// The segments that may be touched.
    pub segments: Vec<SegmentInfo>,
    /// The aborted transactions of the log: all of it, since markers may lie behind those segments.
    pub aborted: Vec<AbortedEntry>,
    pub remembered: Remembered,
}

struct Running<'a, O> {
    owner: &'a O,
    pass: &'a Pass,
    now: Now,
    means: &'a Means,
    cleaned: &'a mut Cleaned,
}

/// A batch on its way through a pass.
struct Batch<'a> {
    header: &'a Header,
    bytes: &'a [u8],
}

impl<O: Owner> Running<'_, O> {
    // ---- pass 1 ------------------------------------------------------------------------------------------------------

    /// The newest offset of every key from `start` on, and where the part ends that fitted into memory.
    fn index(&mut self, start: Offset, end: Offset) -> Result<(KeyMap, Offset), Failure> {
        let keys = u64::try_from(end.0 - start.0).unwrap_or(0);
        let mut newest = KeyMap::new(self.means.key_bytes, self.means.load_factor, keys, self.means.salt);
        let mut transactions = Transactions::new(self.pass.aborted.iter().copied());
        let mut full_at = None;
        for segment in self.pass.segments.iter().filter(|segment| segment.end_offset > start) {
            self.each_batch(segment, start, |batch| {
                if (batch.header.is_control() && !bug(20)) || transactions.meet(batch.header) {
                    return Ok(ControlFlow::Continue(()));
                }
                full_at = note_keys(&mut newest, &batch, start, end);
                Ok(if full_at.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if full_at.is_some() {
                break;
            }
        }
        Ok((newest, full_at.unwrap_or(end)))
    }

    // ---- pass 2 ------------------------------------------------------------------------------------------------------

    fn write_anew(&mut self, newest: &KeyMap, end: Offset) -> Result<(), Failure> {
        let limits = DecompressLimits::default();
        let filter = Filter {
            newest,
            end,
            remembered: &self.pass.remembered,
            now: self.now.wall,
            delete_retention_ms: self.pass.config.delete_retention_ms,
            limits,
        };
        let mut transactions = Transactions::new(self.pass.aborted.iter().copied());
        let behind = self.pass.segments.partition_point(|segment| segment.base_offset < end);
        for group in plan::groups(&self.pass.segments[..behind], &self.pass.config) {
            let group = &self.pass.segments[group];
            if !self.changes(group, &filter, &mut transactions)? {
                continue;
            }
            let written = self.write_group(group, &filter, &mut transactions);
            if written.is_err() {
                self.remove_cleaned(group[0].base_offset);
            }
            written?;
        }
        Ok(())
    }

    /// Would writing this group anew change anything? If not, `transactions` and the horizon have taken it in. Looks only
    /// as far as the first change, so a segment full of old versions costs one batch.
    fn changes(
        &mut self,
        group: &[SegmentInfo],
        filter: &Filter<'_>,
        transactions: &mut Transactions,
    ) -> Result<bool, Failure> {
        let [segment] = group else { return Ok(true) };
        if segment.size_bytes == 0 {
            return Ok(false);
        }
        let mut ahead = transactions.clone();
        let mut horizon = self.cleaned.last_horizon;
        // A batch without a record in which nothing is kept is a change, unless it is what ends the segment.
        let mut empty = None;
        let mut changed = false;
        self.each_batch(segment, Offset::ZERO, |batch| {
            changed = empty.is_some();
            let (outcome, _) = judge(filter, &mut ahead, &batch)?;
            match outcome {
                Outcome::Whole => horizon = horizon.max(filter.horizon_ahead(batch.header)),
                Outcome::Gone if batch.bytes == placeholder(batch.header).to_vec() => empty = Some(()),
                _ => changed = true,
            }
            Ok(if changed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if !changed {
            *transactions = ahead;
            self.cleaned.last_horizon = horizon;
        }
        Ok(changed)
    }

    fn write_group(
        &mut self,
        group: &[SegmentInfo],
        filter: &Filter<'_>,
        transactions: &mut Transactions,
    ) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let mut new = self.create(first.base_offset)?;
        for segment in group {
            self.each_batch(segment, Offset::ZERO, |batch| {
                let (outcome, aborted) = judge(filter, transactions, &batch)?;
                new.aborted.extend(aborted);
                match outcome {
                    Outcome::Whole => {
                        new.horizon = new.horizon.max(filter.horizon_ahead(batch.header));
                        new.push(&[batch.bytes])
                    }
                    Outcome::Rewritten(kept) => {
                        new.horizon = new.horizon.max(filter.horizon_ahead(kept.header()));
                        new.push(&kept.slices())
                    }
                    Outcome::HeaderOnly => new.push(&header_only(batch.header).slices()),
                    Outcome::Gone => {
                        new.gone = Some(*batch.header);
                        Ok(())
                    }
                }?;
                Ok(ControlFlow::Continue(()))
            })?;
            self.pace(std::mem::take(&mut new.unpaced))?;
        }
        new.finish()?;
        let source_bytes: u64 = group.iter().map(|segment| segment.size_bytes).sum();
        self.cleaned.written_bytes += new.written;
        self.cleaned.last_horizon = self.cleaned.last_horizon.max(new.horizon);
        if new.written == 0 {
            // Nothing but empty segments, which take no room; they stay as they are.
            self.remove_cleaned(first.base_offset);
            return Ok(());
        }
        self.swap_in(first.base_offset, last.end_offset)?;
        self.cleaned.freed_bytes += source_bytes.saturating_sub(new.written);
        Ok(())
    }

    fn create(&self, base_offset: Offset) -> Result<NewSegment, Failure> {
        let path = suffixed(&file_path(&self.pass.dir, base_offset, LOG), CLEANED);
        let disk = &*self.pass.disk;
        let made = self.owner.with_directory(|| -> Result<_, Error> {
            let file = disk.open(&path, true).context("create", &path)?;
            file.set_len(0).context("truncate", &path)?;
            Ok(file)
        });
        let file = made.ok_or(Failure::Ended)??;
        Ok(NewSegment {
            disk: self.pass.disk.clone(),
            txn_path: suffixed(&file_path(&self.pass.dir, base_offset, TXN_INDEX), CLEANED),
            path,
            file,
            buffer: Vec::new(),
            buffer_limit: self.means.write_bytes,
            written: 0,
            unpaced: 0,
            gone: None,
            aborted: Vec::new(),
            horizon: None,
        })
    }

    fn swap_in(&self, base_offset: Offset, end_offset: Offset) -> Result<(), Failure> {
        let with_log = |work: &mut dyn FnMut(&mut Log) -> Result<(), Error>| {
            self.owner.with_log(|log| work(log)).ok_or(Failure::Ended)?.map_err(Failure::Disk)
        };
        let mut swap = None;
        with_log(&mut |log| {
            swap = Some(log.begin_swap(base_offset, end_offset)?);
            Ok(())
        })?;
        let swap = swap.expect("the log has begun it");
        let carried_out = self.owner.with_directory(|| swap.carry_out()).ok_or(Failure::Ended)?;
        let mut new = Some(carried_out.and_then(|()| swap.load()));
        let mut old = Vec::new();
        with_log(&mut |log| {
            old = log.end_swap(&swap, new.take().expect("the log is asked once"))?;
            Ok(())
        })
        // `old` is dropped here, after the lock.
    }

    /// What an interrupted writing left, as far as it can be removed now; the next start removes the rest.
    fn remove_cleaned(&self, base_offset: Offset) {
        self.owner.with_directory(|| {
            for extension in [LOG, TXN_INDEX] {
                let path = suffixed(&file_path(&self.pass.dir, base_offset, extension), CLEANED);
                if self.pass.disk.exists(&path) {
                    let _ = self.pass.disk.remove_file(&path);
                }
            }
        });
    }

    // ---- reading -----------------------------------------------------------------------------------------------------

    /// Visits the batches of a segment that hold `from` or later, each with a checksum that matches. A bad one ends the
    /// cleaning: nothing is cut here (I10).
    fn each_batch(
        &mut self,
        segment: &SegmentInfo,
        from: Offset,
        mut visit: impl FnMut(Batch<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Failure> {
        let file = self.owner.with_log(|log| log.segment_file(segment.base_offset)).ok_or(Failure::Ended)??;
        let mut walk = Walk::batches(&*file, 0, segment.size_bytes);
        let mut next_offset = segment.base_offset;
        let stopped = |stop, offset| match stop {
            Stop::Bad { position, reason } => {
                Error::corrupt(&segment.path, offset, format_args!("{reason} (at position {position})"))
            }
            Stop::Disk(error) => Error::io("read", &segment.path, error),
        };
        let mut paced_to = 0;
        while let Some((position, header)) = walk.next_header().map_err(|stop| stopped(stop, next_offset))? {
            next_offset = header.next_offset();
            if header.last_offset() >= from {
                let bytes = walk.body(position, &header).map_err(|stop| stopped(stop, header.base_offset))?;
                if !checksum_matches(bytes) {
                    let stop = Stop::Bad { position, reason: "the checksum of the batch does not match".into() };
                    return Err(stopped(stop, header.base_offset).into());
                }
                if visit(Batch { header: &header, bytes })?.is_break() {
                    break;
                }
            }
            if walk.position() - paced_to >= PACE_STEP {
                self.pace(walk.position() - paced_to)?;
                paced_to = walk.position();
            }
        }
        self.cleaned.read_bytes += walk.position();
        self.pace(walk.position() - paced_to)
    }

    fn pace(&self, bytes: u64) -> Result<(), Failure> {
        if self.owner.pace(bytes) { Ok(()) } else { Err(Failure::Ended) }
    }
}

/// How many bytes are read between two looks whether that was too fast.
const PACE_STEP: u64 = 1 << 20;

/// Puts the keys of a batch into the map. Where it is full: the offset of the record that did not fit.
fn note_keys(newest: &mut KeyMap, batch: &Batch<'_>, start: Offset, end: Offset) -> Option<Offset> {
    // A batch that cannot be opened has no keys that anybody could look for.
    let open = crate::record::open(batch.bytes, &DecompressLimits::default()).ok()?;
    for record in open.records() {
        let Ok(record) = record else { return None };
        let Some(key) = record.key else { continue };
        if record.offset >= start && record.offset < end && newest.put(key, record.offset).is_err() {
            return Some(record.offset);
        }
    }
    None
}

/// What becomes of a batch, and the index entry of the transaction it ends.
fn judge(
    filter: &Filter<'_>,
    transactions: &mut Transactions,
    batch: &Batch<'_>,
) -> Result<(Outcome, Option<AbortedEntry>), Error> {
    let header = batch.header;
    let (kind, aborted) = if header.is_control() && header.has_producer() {
        let ended = transactions.end(header);
        (Kind::Control(ended), ended.aborted)
    } else if header.is_control() {
        (Kind::Control(transactions::Ended { is_empty: false, aborted: None }), None)
    } else {
        (Kind::Records { aborted: transactions.meet(header) }, None)
    };
    // What cannot be opened stays as it is.
    Ok((filter.judge(header, batch.bytes, kind).unwrap_or(Outcome::Whole), aborted))
}

/// A segment being written.
struct NewSegment {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    txn_path: PathBuf,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    buffer_limit: usize,
    written: u64,
    unpaced: u64,
    /// The last batch, if nothing of it was kept.
    gone: Option<Header>,
    aborted: Vec<AbortedEntry>,
    horizon: Option<Timestamp>,
}

impl NewSegment {
    fn push(&mut self, slices: &[&[u8]]) -> Result<(), Error> {
        self.gone = None;
        slices.iter().for_each(|slice| self.buffer.extend_from_slice(slice));
        if self.buffer.len() >= self.buffer_limit { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.file.write_all_at(&[IoSlice::new(&self.buffer)], self.written).context("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.unpaced += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Flushes it all. The segment ends with the offset its sources ended with.
    fn finish(&mut self) -> Result<(), Error> {
        if let Some(gone) = self.gone.take() {
            self.push(&placeholder(&gone).slices())?;
        }
        self.write()?;
        self.file.sync().context("flush", &self.path)?;
        if self.aborted.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = self.aborted.iter().flat_map(AbortedEntry::encode).collect();
        let file = self.disk.open(&self.txn_path, true).context("create", &self.txn_path)?;
        file.set_len(0).context("truncate", &self.txn_path)?;
        file.write_all_at(&[IoSlice::new(&bytes)], 0).context("write", &self.txn_path)?;
        file.sync().context("flush", &self.txn_path)
    }
}
