//! A machine's log as a partition: records become batches in Kafka's format, batches become records again.

use std::sync::Arc;

use crate::record::{self, Builder, DecompressLimits};
use crate::storage::log::{AppendError, Origin};
use crate::types::{ErrorCode, Now, Offset};
use crate::zoo::bug;

use super::driver::RecordLog;
use super::partition::Partition;

/// How one kind of record is written: the key and the value of a Kafka record.
pub trait Codec: Send + Sync {
    type Record: Send + Sync;

    /// Key and value; no value is a tombstone.
    fn encode(&self, record: &Self::Record) -> (Option<Vec<u8>>, Option<Vec<u8>>);
    /// `None` for kinds this version does not know; they are passed over.
    fn decode(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self::Record>;
}

/// One batch of the log.
struct Split {
    header: record::Header,
    size: usize,
}

/// Read this much of the log at a time while replaying.
const REPLAY_BYTES: usize = 4 << 20;

pub struct PartitionLog<C> {
    pub partition: Arc<Partition>,
    pub codec: C,
    pub origin: Origin,
}

impl<C: Codec> RecordLog<C::Record> for PartitionLog<C> {
    fn replay(&self, apply: &mut dyn FnMut(C::Record)) -> Result<(), ErrorCode> {
        if bug(18) && self.origin == Origin::Coordinator {
            return Ok(());
        }
        self.replay_from(Offset::ZERO, apply)
    }

    fn append(&self, records: &[C::Record], now: Now) -> Result<Offset, ErrorCode> {
        let mut builder = Builder::new();
        for record in records {
            let (key, value) = self.codec.encode(record);
            builder.push(now.wall, key.as_deref(), value.as_deref(), &[]);
        }
        let mut batch = builder.build();
        match self.partition.append(&mut batch, self.origin) {
            Ok(appended) => Ok(appended.last_offset.next()),
            // Whatever closed the log has been said, or it was the stop of the broker.
            Err(AppendError::Refused(code @ ErrorCode::KafkaStorageError, reason)) => {
                tracing::debug!(partition = %self.partition.name, error = %code, %reason, "append refused");
                Err(code)
            }
            Err(AppendError::Refused(code, reason)) => {
                tracing::error!(partition = %self.partition.name, error = %code, %reason, "append refused");
                Err(code)
            }
            Err(AppendError::Disk(error)) => {
                tracing::debug!(partition = %self.partition.name, %error, "append failed");
                Err(ErrorCode::KafkaStorageError)
            }
        }
    }

    fn end(&self) -> Offset {
        self.partition.log_end_offset().unwrap_or(Offset::MAX)
    }

    fn high_watermark(&self) -> Offset {
        self.partition.high_watermark()
    }

    fn is_failed(&self) -> bool {
        self.partition.is_failed()
    }
}

impl<C: Codec> PartitionLog<C> {
    /// Hands over every record from `start`, or where the log starts if that is later.
    pub fn replay_from(&self, start: Offset, apply: &mut dyn FnMut(C::Record)) -> Result<(), ErrorCode> {
        let mut at = self.partition.log_start_offset()?.max(start);
        let end = self.partition.log_end_offset()?;
        while at < end {
            let bytes = self.partition.read_log(at, REPLAY_BYTES)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (batch, next) = self.split(rest)?;
                if batch.header.next_offset() > at {
                    self.apply_batch(&rest[..batch.size], apply)?;
                    at = batch.header.next_offset();
                }
                rest = next;
            }
        }
        Ok(())
    }

    fn split<'a>(&self, bytes: &'a [u8]) -> Result<(Split, &'a [u8]), ErrorCode> {
        let header = record::Header::read(bytes).map_err(|error| self.unreadable(&error.to_string()))?;
        let size = header.size();
        let next = bytes.get(size..).ok_or_else(|| self.unreadable("a batch is cut short"))?;
        Ok((Split { header, size }, next))
    }

    fn apply_batch(&self, bytes: &[u8], apply: &mut dyn FnMut(C::Record)) -> Result<(), ErrorCode> {
        // After a clean stop nobody has looked at it yet, and here it is believed (I9).
        if !record::checksum_matches(bytes) {
            return Err(self.unreadable("the checksum of a batch does not match"));
        }
        let batch =
            record::open(bytes, &DecompressLimits::default()).map_err(|error| self.unreadable(&error.to_string()))?;
        if batch.header().is_control() {
            return Ok(());
        }
        for record in batch.records() {
            let record = record.map_err(|error| self.unreadable(&error.to_string()))?;
            if let Some(decoded) = self.codec.decode(record.key, record.value) {
                apply(decoded);
            }
        }
        Ok(())
    }

    fn unreadable(&self, reason: &str) -> ErrorCode {
        tracing::error!(partition = %self.partition.name, %reason, "a log of the broker's own cannot be read");
        ErrorCode::KafkaStorageError
    }
}

impl Partition {
    /// Whole batches from an offset on, also those that are not committed yet: for the machine that wrote them.
    fn read_log(&self, from: Offset, max_bytes: usize) -> Result<Vec<u8>, ErrorCode> {
        let range = self.read_to_end(from, max_bytes)?;
        let Some(range) = range else { return Ok(Vec::new()) };
        range.read().map_err(|error| {
            tracing::error!(partition = %self.name, %error, "cannot read the log");
            ErrorCode::KafkaStorageError
        })
    }
}
