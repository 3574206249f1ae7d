//! The check of what is stored (I26): every batch of a closed segment is read again and must be what was written.
//!
//! Looks at the checksum and at what it does not cover: offsets grow, up to the segment's end (gaps are compaction's), and the
//! leader epoch is the one the log had there. Reads without the log's lock from a file of its own, so that it
//! disturbs neither appends nor the files that readers have open, and leaves the kernel's cache as it was. What it finds is
//! confirmed in the log as it is then, and noted there: from then on the damaged range is answered with an error and never
//! sent (I9); nothing is cut (I10), and everything around it is served.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use super::leader_epochs::LeaderEpochs;
use super::scan::{Stop, Walk, header_at};
use crate::file::ReadAt;
use crate::record::{Header, checksum_matches};
use crate::types::Offset;

/// A closed segment as it was when it was asked for.
pub struct ClosedSegment {
    pub base_offset: Offset,
    pub end_offset: Offset,
    pub size_bytes: u64,
    pub path: PathBuf,
    pub(super) epochs: LeaderEpochs,
}

/// Offsets whose records cannot be had from a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub offsets: Range<Offset>,
    /// Where in the file, where it goes on, and why.
    pub position: u64,
    pub behind: u64,
    pub reason: String,
}

/// How a check ended.
#[derive(Debug)]
pub enum Checked {
    /// Read to its end.
    Whole(Vec<Damage>),
    /// The caller had enough of it.
    Ended,
    /// The segment has gone meanwhile.
    Gone,
}

/// Reads a closed segment through. `pace` is told how much is about to be read, and says whether to go on.
pub fn check(disk: &dyn Disk, segment: &ClosedSegment, pace: &(dyn Fn(u64) -> bool + Sync)) -> Result<Checked, Error> {
    let opened = disk.open(&segment.path, false);
    if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Checked::Gone);
    }
    let file = Unobtrusive { file: opened.context("open", &segment.path)?, pace };
    let mut damages = Vec::new();
    let (mut position, mut expected) = (0, segment.base_offset);
    while position < segment.size_bytes {
        match check_run(&file, segment, position, expected) {
            Ok(None) => break,
            Ok(Some(damage)) => {
                (position, expected) = (damage.behind, damage.offsets.end);
                damages.push(damage);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Checked::Ended),
            Err(error) => return Err(Error::io("read", &segment.path, error)),
        }
    }
    Ok(Checked::Whole(damages))
}

/// Walks on until a batch is damaged.
fn check_run(
    file: &dyn ReadAt,
    segment: &ClosedSegment,
    from: u64,
    mut expected: Offset,
) -> io::Result<Option<Damage>> {
    let mut walk = Walk::batches(file, from, segment.size_bytes);
    let mut before: Option<(u64, Offset)> = None;
    loop {
        let (position, reason) = match walk.next_batch() {
            Ok(None) => return Ok(None),
            Ok(Some((position, header))) => match segment.fault(&header, expected) {
                None => {
                    before = Some((position, expected));
                    expected = header.next_offset();
                    continue;
                }
                Some(reason) => match before {
                    Some((at, start)) if one_before_is_to_blame(file, segment, (position, &header), start)? => {
                        let reason = format!(
                            "its offsets run into those of the next batch, which begins at {}",
                            header.base_offset
                        );
                        let offsets = start..header.base_offset;
                        return Ok(Some(Damage { offsets, position: at, behind: position, reason }));
                    }
                    _ => (position, reason),
                },
            },
            Err(Stop::Bad { position, reason }) => (position, reason),
            Err(Stop::Disk(error)) => return Err(error),
        };
        return damage(file, segment, position, expected, reason).map(Some);
    }
}

/// Offsets overlap. Does this batch go together with the one behind it, so that it is the one before that lies?
fn one_before_is_to_blame(
    file: &dyn ReadAt,
    segment: &ClosedSegment,
    (position, header): (u64, &Header),
    start: Offset,
) -> io::Result<bool> {
    if header.base_offset <= start || segment.fault(header, start).is_some() {
        return Ok(false);
    }
    let behind = position + header.size() as u64;
    Ok(match header_at(file, behind, segment.size_bytes)? {
        Some(next) => next.base_offset == header.next_offset(),
        None => header.next_offset() == segment.end_offset,
    })
}

/// What is not to be had if the batch at `position` is damaged: up to the next one that is good.
fn damage(
    file: &dyn ReadAt,
    segment: &ClosedSegment,
    position: u64,
    expected: Offset,
    reason: String,
) -> io::Result<Damage> {
    let mut length = [0; 4];
    let mut behind = None;
    if position + 12 <= segment.size_bytes {
        file.read_exact_at(&mut length, position + 8)?;
        // The length is outside the checksum, too; it is believed if there is a good batch behind it.
        behind = u64::try_from(i32::from_be_bytes(length)).ok().map(|length| position + 12 + length);
    }
    let next = match behind {
        Some(behind) if behind < segment.size_bytes => {
            let header = header_at(file, behind, segment.size_bytes)?;
            header.filter(|header| header.base_offset > expected && header.base_offset < segment.end_offset)
        }
        _ => None,
    };
    let (end, behind) = match next {
        Some(next) => (next.base_offset, behind.unwrap_or(segment.size_bytes)),
        None => (segment.end_offset, segment.size_bytes),
    };
    Ok(Damage { offsets: expected..end, position, behind, reason })
}

/// Is the batch good that was found damaged?
pub(super) fn is_good(file: &dyn DiskFile, segment: &ClosedSegment, damage: &Damage) -> Result<bool, Error> {
    let Some(header) = header_at(file, damage.position, segment.size_bytes).context("read", &segment.path)? else {
        return Ok(false);
    };
    let mut bytes = vec![0; header.size()];
    file.read_exact_at(&mut bytes, damage.position).context("read", &segment.path)?;
    let within = header.next_offset() <= damage.offsets.end;
    Ok(checksum_matches(&bytes) && within && segment.fault(&header, damage.offsets.start).is_none())
}

impl ClosedSegment {
    /// What is wrong with a batch whose checksum is right.
    fn fault(&self, header: &Header, expected: Offset) -> Option<String> {
        let (base, next) = (header.base_offset, header.next_offset());
        if base < expected {
            return Some(format!("the batch begins at offset {base} below {expected}, where the one before it ends"));
        }
        if next > self.end_offset {
            return Some(format!("the batch ends at offset {next}, behind the segment's {}", self.end_offset));
        }
        let epoch = self.epochs.epoch_at(base);
        epoch
            .filter(|epoch| *epoch != header.leader_epoch)
            .map(|epoch| format!("the batch is of leader epoch {} where {epoch} was current", header.leader_epoch))
    }
}

/// A file that is read slowly, and whose pages leave the kernel's cache again if they were not in it before.
struct Unobtrusive<'a> {
    file: Arc<dyn DiskFile>,
    pace: &'a (dyn Fn(u64) -> bool + Sync),
}

impl ReadAt for Unobtrusive<'_> {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        if !(self.pace)(buf.len() as u64) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let was_cached = self.file.is_cached(position, buf.len());
        self.file.read_exact_at(buf, position)?;
        if !was_cached {
            self.file.uncache(position, buf.len());
        }
        Ok(())
    }
}
