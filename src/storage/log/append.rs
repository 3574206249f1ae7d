//! Appending: the producer is asked, the offset assigned, the bytes written once, and then all is taken note of, so that an
//! append that fails on the disk leaves no trace (I18).

use super::{Log, Origin};
use crate::record::ValidBatch;
use crate::storage::error::Error;
use crate::storage::producer_state::Verdict;
use crate::storage::recovery;
use crate::types::{ErrorCode, LeaderEpoch, Now, Offset, Timestamp};

/// An append that succeeded, now or, for a duplicate, earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// -1 unless the topic stamps its records.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
    /// The batch was in the log already and was not added again.
    pub duplicate: bool,
}

#[derive(Debug)]
pub enum AppendError {
    /// Not to be had in this log; the sentence is for the client.
    Refused(ErrorCode, String),
    /// The log ends where it ended before, and takes the next append.
    Disk(Error),
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        AppendError::Disk(error)
    }
}

impl Log {
    /// Puts a batch at the end. Its offsets are assigned here; it is in the page cache when this returns.
    pub fn append(
        &mut self,
        batch: &mut ValidBatch,
        leader_epoch: LeaderEpoch,
        now: Now,
        origin: Origin,
    ) -> Result<Appended, AppendError> {
        self.check_not_failed()?;
        let marker = match batch.header().is_control() && batch.header().has_producer() {
            true => recovery::marker_of(&batch.to_vec())
                .map_err(|corrupt| AppendError::Refused(ErrorCode::InvalidRecord, corrupt.reason))?,
            false => None,
        };
        let verdict = self.producers.check(batch.header(), marker, origin, self.log_end, &self.name);
        if let Verdict::Duplicate(known) = verdict.map_err(|(code, message)| AppendError::Refused(code, message))? {
            return Ok(Appended {
                base_offset: known.base_offset(),
                last_offset: known.last_offset,
                // Kafka answers a duplicate with the batch's own time, whatever the topic's timestamp type.
                log_append_time: known.timestamp,
                log_start_offset: self.log_start,
                duplicate: true,
            });
        }
        self.check_size(batch.size() as u64, origin)?;
        batch.assign(self.log_end, leader_epoch);
        self.make_room(batch, now)?;
        self.note_epoch(leader_epoch)?;
        let (disk, segment_bytes) = (&*self.disk, self.config.segment_bytes);
        let active = self.segments.last_mut().expect("room was made in a segment");
        active.append(disk, batch, segment_bytes)?;
        let header = batch.header();
        if let Some(entry) = self.producers.apply(header, marker, now.mono).and_then(|ended| ended.aborted_entry()) {
            active.txn_index.push(entry);
        }
        self.size += batch.size() as u64;
        self.appended_since_snapshot += batch.size() as u64;
        self.log_end = header.next_offset();
        if active.size == batch.size() as u64 {
            self.note_first_batch();
        }
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: if header.is_log_append_time() { header.max_timestamp } else { Timestamp::NONE },
            log_start_offset: self.log_start,
            duplicate: false,
        })
    }

    pub(super) fn check_not_failed(&self) -> Result<(), AppendError> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(AppendError::Refused(ErrorCode::KafkaStorageError, reason.clone())),
        }
    }

    /// A client's batch must fit into a segment; one of the broker's own gets a segment to itself.
    pub(super) fn check_size(&self, size: u64, origin: Origin) -> Result<(), AppendError> {
        let max = self.config.segment_bytes;
        if size <= max || origin != Origin::Client {
            return Ok(());
        }
        let message = format!(
            "Message batch size is {size} bytes in append to partition {} which exceeds the maximum configured segment \
             size of {max}.",
            self.name
        );
        Err(AppendError::Refused(ErrorCode::RecordListTooLarge, message))
    }

    /// Sees to it that the active segment may take the batch.
    pub(super) fn make_room(&mut self, batch: &ValidBatch, now: Now) -> Result<(), Error> {
        if self.segments.is_empty() || self.must_roll(batch, now)? {
            self.roll(now)?;
        }
        Ok(())
    }

    pub(super) fn must_roll(&self, batch: &ValidBatch, now: Now) -> Result<bool, Error> {
        let (Some(active), header) = (self.segments.last(), batch.header()) else { return Ok(true) };
        if active.size == 0 {
            return Ok(false);
        }
        let full = active.size + batch.size() as u64 > self.config.segment_bytes;
        let indexes_full = active.is_index_full(self.config.segment_index_bytes);
        if full || indexes_full || active.relative(header.last_offset()).is_none() {
            return Ok(true);
        }
        // As in Kafka, age counts from the first record's time, by the clock of the records where they have one.
        let waited = match active.first_timestamp(&*self.disk)? {
            Some(first) if first.0 >= 0 => u64::try_from(header.max_timestamp.0.saturating_sub(first.0)).unwrap_or(0),
            _ => now.mono.ms_since(self.active_since),
        };
        Ok(waited > self.config.segment_ms.saturating_sub(self.jitter(active.base_offset)))
    }

    /// At most `segment.jitter.ms`, another for each partition and segment, the same at every call.
    pub(super) fn jitter(&self, base_offset: Offset) -> u64 {
        let max = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if max == 0 {
            return 0;
        }
        let seed = self.name.bytes().chain(base_offset.0.to_be_bytes());
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        seed.fold(0xcbf2_9ce4_8422_2325, mix) % max
    }
}
