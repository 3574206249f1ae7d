//! What a client may write: Kafka's rules for one partition of a Produce request, in Kafka's order, with its error codes
//! and its sentences (`ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`).
//!
//! Uncompressed records are walked one by one. Compressed ones are opened only where a rule needs to see inside: a
//! compacted topic (null keys), timestamp bounds other than the default, a `compression.type` that is not the batch's, a
//! header that is not plausible, or `milena.produce.validation=full`. Otherwise the timestamps of the header stand for
//! the records', and what is compressed is as the client made it.
//!
//! Stricter than Kafka, which no client notices: bytes behind the batch are refused (Kafka drops them silently), offset
//! deltas must count 0, 1, 2 ... (S5; Kafka looks at those of compressed batches only), lengths below -1 are not null. And
//! where Kafka answers with an unexpected server error (an unknown codec, garbage that does not decompress, a length of
//! too many bytes) we say UNSUPPORTED_COMPRESSION_TYPE and INVALID_RECORD. All checked against Kafka 4.3.1.

use bytes::Bytes;

use super::compression::{Unpack, decompress};
use super::header::{HEADER_LEN, LENGTH_AT, LENGTH_OVERHEAD, MAGIC_AT};
use super::walk::{RawRecord, Walked, read_record, walk};
use super::{Builder, Compression, DecompressLimits, Header, ValidBatch, checksum_matches};
use crate::config::LogConfig;
use crate::types::{ErrorCode, Offset, Timestamp, TopicPartition};

/// What the bytes are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub log: &'a LogConfig,
    /// Where it goes, for the sentences.
    pub partition: &'a TopicPartition,
    /// The version of the Produce request.
    pub api_version: i16,
    pub now: Timestamp,
    /// `milena.produce.validation=full`: open compressed batches always.
    pub full: bool,
    pub limits: DecompressLimits,
}

/// Why nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
    /// Which records, by their place in the batch, and why; only where single records are at fault.
    pub record_errors: Vec<(i32, String)>,
    /// Found in looking through the batch, which Kafka's log does: then the answer tells where that log starts.
    pub by_log: bool,
}

impl Refusal {
    /// The `error_message` of the response. Kafka sends one only where it also names records; the other sentences it
    /// keeps for its log, and its clients print the meaning of the code instead.
    pub fn error_message(&self) -> Option<&str> {
        (!self.record_errors.is_empty()).then_some(self.message.as_str())
    }

    fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), record_errors: Vec::new(), by_log: false }
    }

    fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(ErrorCode::InvalidRecord, message)
    }

    fn corrupt(message: impl Into<String>) -> Refusal {
        Refusal::new(ErrorCode::CorruptMessage, message)
    }
}

impl From<Unpack> for Refusal {
    fn from(why: Unpack) -> Refusal {
        match why {
            // The Java producer splits such a batch and sends the halves.
            Unpack::TooLarge { .. } => Refusal::new(ErrorCode::MessageTooLarge, why.to_string()),
            // Clients send it again after their back-off.
            Unpack::Busy => Refusal::new(ErrorCode::RequestTimedOut, why.to_string()),
            Unpack::Broken { .. } => Refusal::invalid(why.to_string()),
        }
    }
}

/// Judges what a client sent for one partition: exactly one batch of magic 2.
pub fn validate(records: Bytes, rules: &Rules<'_>) -> Result<ValidBatch, Refusal> {
    let header = one_batch(&records, rules)?;
    let judged = judge(header, records, rules);
    judged.map_err(|refusal| Refusal { by_log: refusal.code == ErrorCode::InvalidRecord || refusal.by_log, ..refusal })
}

fn judge(header: Header, records: Bytes, rules: &Rules<'_>) -> Result<ValidBatch, Refusal> {
    check_append(&header, &records, rules)?;
    check_header(&header, rules)?;
    let source = header.compression();
    let target = rules.log.compression.map_or(Some(source), Compression::from_id).unwrap_or(source);
    let batch = if source != target {
        recompress(&header, &records, target, rules)?
    } else if source == Compression::None {
        let walked = check_records(&header, &records[HEADER_LEN..], rules)?;
        stamp(ValidBatch::from_parts(header, records), walked.max_timestamp, rules)
    } else {
        compressed_in_place(header, records, rules)?
    };
    check_size_after(&batch, source != target, rules)?;
    Ok(batch)
}

/// Step one, `ProduceRequest.validateRecords`: is there one batch, of the right format, and nothing else?
fn one_batch(records: &[u8], rules: &Rules<'_>) -> Result<Header, Refusal> {
    let version = rules.api_version;
    let none = || {
        Refusal::invalid(format!(
            "Produce requests with version {version} must have at least one record batch per partition"
        ))
    };
    if records.len() < LENGTH_OVERHEAD {
        return Err(none());
    }
    let length = i32::from_be_bytes(*records[LENGTH_AT..].first_chunk().ok_or_else(none)?);
    check_length(length)?;
    let magic = *records.get(MAGIC_AT).ok_or_else(none)? as i8;
    if !(0..=2).contains(&magic) {
        return Err(Refusal::corrupt(format!("Invalid magic found in record: {magic}")));
    }
    let size = LENGTH_OVERHEAD + usize::try_from(length).unwrap_or(usize::MAX - LENGTH_OVERHEAD);
    if records.len() < size {
        return Err(none());
    }
    if magic != 2 {
        return Err(Refusal::invalid(format!(
            "Produce requests with version {version} are only allowed to contain record batches with magic version 2"
        )));
    }
    let header = Header::read(records).map_err(|why| Refusal::corrupt(why.reason))?;
    check_codec(&header, version)?;
    if records.len() > size {
        return Err(Refusal::invalid(format!(
            "Produce requests with version {version} are only allowed to contain exactly one record batch per partition"
        )));
    }
    Ok(header)
}

fn check_length(length: i32) -> Result<(), Refusal> {
    // The header of the oldest format, the first bound that Kafka checks.
    const LEGACY_OVERHEAD: i32 = 14;
    if length >= LEGACY_OVERHEAD {
        return Ok(());
    }
    Err(Refusal::corrupt(format!("Record size {length} is less than the minimum record overhead ({LEGACY_OVERHEAD})")))
}

fn check_codec(header: &Header, version: i16) -> Result<(), Refusal> {
    let message = match header.try_compression() {
        None => format!("Unknown compression type id: {}", header.attributes & 7),
        Some(Compression::Zstd) if version < 7 => {
            format!("Produce requests with version {version} are not allowed to use ZStandard compression")
        }
        Some(_) => return Ok(()),
    };
    Err(Refusal::new(ErrorCode::UnsupportedCompressionType, message))
}

/// Step two, `UnifiedLog.analyzeAndValidateRecords`: base offset, size, checksum.
fn check_append(header: &Header, batch: &[u8], rules: &Rules<'_>) -> Result<(), Refusal> {
    let partition = rules.partition;
    if header.base_offset != Offset::ZERO {
        return Err(Refusal::invalid(format!(
            "The baseOffset of the record batch in the append to {partition} should be 0, but it is {}",
            header.base_offset
        )));
    }
    if batch.len() > rules.log.max_message_bytes {
        return Err(Refusal::new(
            ErrorCode::MessageTooLarge,
            format!(
                "The record batch size in the append to {partition} is {} bytes which exceeds the maximum configured value of {}.",
                batch.len(),
                rules.log.max_message_bytes
            ),
        ));
    }
    if !checksum_matches(batch) {
        return Err(Refusal::corrupt(format!(
            "Record is corrupt (stored crc = {}) in topic partition {partition}.",
            header.crc
        )));
    }
    Ok(())
}

/// Step three, `LogValidator.validateBatch`: what only the header tells.
fn check_header(header: &Header, rules: &Rules<'_>) -> Result<(), Refusal> {
    let partition = rules.partition;
    let (first, last) = (header.base_offset, header.last_offset());
    let range = i64::from(header.last_offset_delta) + 1;
    let message = if range <= 0 {
        format!("Batch has an invalid offset range: [{first}, {last}] in topic partition {partition}")
    } else if header.count <= 0 {
        format!("Invalid reported count for record batch: {} in topic partition {partition}", header.count)
    } else if range != i64::from(header.count) {
        format!(
            "Inconsistent batch offset range [{first}, {last}] and count of records {} in topic partition {partition}",
            header.count
        )
    } else if header.is_control() {
        format!("Clients are not allowed to write control records in topic partition {partition}")
    } else if header.has_producer() && header.base_sequence.0 < 0 {
        format!(
            "Invalid sequence number {} in record batch with producerId {} in topic partition {partition}",
            header.base_sequence, header.producer_id
        )
    } else {
        return Ok(());
    };
    Err(Refusal::invalid(message))
}

/// Patches the header where it says something else than the records do, or than the topic wants.
fn stamp(mut batch: ValidBatch, max_timestamp: Timestamp, rules: &Rules<'_>) -> ValidBatch {
    let log_append_time = rules.log.log_append_time;
    batch.set_max_timestamp(log_append_time, if log_append_time { rules.now } else { max_timestamp });
    batch
}

/// Compressed, and to be written as it is.
fn compressed_in_place(header: Header, batch: Bytes, rules: &Rules<'_>) -> Result<ValidBatch, Refusal> {
    let mut max_timestamp = header.max_timestamp;
    if must_open(&header, rules) {
        let records = decompress(header.compression(), &batch[HEADER_LEN..], &rules.limits)?;
        max_timestamp = check_records(&header, &records, rules)?.max_timestamp;
    }
    Ok(stamp(ValidBatch::from_parts(header, batch), max_timestamp, rules))
}

/// Does a rule need to see the records?
fn must_open(header: &Header, rules: &Rules<'_>) -> bool {
    // The smallest record takes seven bytes: a count beyond what the limit can hold must be counted.
    const SMALLEST_RECORD: usize = 7;
    let default = LogConfig::default();
    let most = rules.limits.max_bytes / SMALLEST_RECORD;
    let bounds = |log: &LogConfig| (log.timestamp_before_max_ms, log.timestamp_after_max_ms);
    let custom_bounds = !rules.log.log_append_time && bounds(rules.log) != bounds(&default);
    let out_of_bounds = |timestamp| timestamp_is_out_of_bounds(timestamp, rules);
    rules.full
        || rules.log.compact
        || custom_bounds
        || usize::try_from(header.count).is_ok_and(|count| count > most)
        // Headers that would be refused, or that do not hold together: the records decide, as they do in Kafka.
        || header.is_log_append_time()
        || header.max_timestamp < header.base_timestamp
        || out_of_bounds(header.base_timestamp)
        || out_of_bounds(header.max_timestamp)
}

/// The topic wants another codec than the client used: opens the batch and makes it anew.
fn recompress(header: &Header, batch: &[u8], target: Compression, rules: &Rules<'_>) -> Result<ValidBatch, Refusal> {
    let unpacked = decompress(header.compression(), &batch[HEADER_LEN..], &rules.limits)?;
    let walked = check_records(header, &unpacked, rules)?;
    let builder = Builder::new().compression(target).transactional(header.is_transactional());
    let builder = builder.producer(header.producer_id, header.producer_epoch, header.base_sequence);
    let rebuilt = builder.rebuild(header, &unpacked);
    Ok(stamp(rebuilt, walked.max_timestamp, rules))
}

/// Step four, `LogValidator.validateRecord`: structure, keys, timestamps.
fn check_records(header: &Header, records: &[u8], rules: &Rules<'_>) -> Result<Walked, Refusal> {
    let walked = walk(records, header).map_err(|flaw| Refusal::invalid(flaw.to_string()))?;
    let suspicious = (rules.log.compact && walked.has_null_key)
        || header.is_log_append_time()
        || timestamp_is_out_of_bounds(walked.max_timestamp, rules)
        || timestamp_is_out_of_bounds(walked.min_timestamp, rules);
    if suspicious {
        refuse_records(header, records, rules)?;
    }
    Ok(walked)
}

/// The slow second walk that names the records at fault.
fn refuse_records(header: &Header, mut records: &[u8], rules: &Rules<'_>) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    let mut is_time = false;
    for index in 0..header.count {
        let record = read_record(&mut records).map_err(|flaw| Refusal::invalid(flaw.to_string()))?;
        let timestamp = record.timestamp(header);
        if rules.log.compact && record.key.is_none() {
            let partition = rules.partition;
            errors.push((
                index,
                format!("Compacted topic cannot accept message without key in topic partition {partition}"),
            ));
        } else if timestamp_is_out_of_bounds(timestamp, rules) {
            is_time = true;
            errors.push((index, out_of_bounds_sentence(timestamp, index, rules)));
        } else if header.is_log_append_time() && (rules.log.log_append_time || timestamp == Timestamp::NONE) {
            is_time = true;
            errors.push((index, stamped_sentence(&record, header, index)));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let code = if is_time { ErrorCode::InvalidTimestamp } else { ErrorCode::InvalidRecord };
    let message = if is_time {
        "One or more records have been rejected due to invalid timestamp".to_string()
    } else {
        first_three_errors(&errors)
    };
    Err(Refusal { code, message, record_errors: errors, by_log: true })
}

fn first_three_errors(errors: &[(i32, String)]) -> String {
    let shown: Vec<String> = errors
        .iter()
        .take(3)
        .map(|(index, message)| format!("RecordError(batchIndex={index}, message='{message}')"))
        .collect();
    format!(
        "One or more records have been rejected due to {} record errors in total, and only showing the first three errors at most: [{}]",
        errors.len(),
        shown.join(", ")
    )
}

fn stamped_sentence(record: &RawRecord<'_>, header: &Header, index: i32) -> String {
    format!(
        "Invalid timestamp type in message DefaultRecord(offset={index}, timestamp={}, key={} bytes, value={} bytes). Producer should not set timestamp type to LogAppendTime.",
        header.max_timestamp,
        record.key.map_or(0, <[u8]>::len),
        record.value.map_or(0, <[u8]>::len),
    )
}

/// Kafka's comparison, wrapping arithmetic included. A record without a timestamp is within all bounds.
fn timestamp_is_out_of_bounds(timestamp: Timestamp, rules: &Rules<'_>) -> bool {
    if rules.log.log_append_time || timestamp == Timestamp::NONE {
        return false;
    }
    let age_ms = rules.now.0.wrapping_sub(timestamp.0);
    age_ms > bound_ms(rules.log.timestamp_before_max_ms)
        || age_ms.wrapping_neg() > bound_ms(rules.log.timestamp_after_max_ms)
}

fn out_of_bounds_sentence(timestamp: Timestamp, index: i32, rules: &Rules<'_>) -> String {
    let from = rules.now.0.wrapping_sub(bound_ms(rules.log.timestamp_before_max_ms));
    let to = rules.now.0.wrapping_add(bound_ms(rules.log.timestamp_after_max_ms));
    format!(
        "Timestamp {timestamp} of message with offset {index} is out of range. The timestamp should be within [{from}, {to}]"
    )
}

fn bound_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Last step, back in `UnifiedLog.append`: the size as it will be written.
fn check_size_after(batch: &ValidBatch, changed: bool, rules: &Rules<'_>) -> Result<(), Refusal> {
    let partition = rules.partition;
    let size = batch.size();
    if changed && size > rules.log.max_message_bytes {
        return Err(Refusal::new(
            ErrorCode::MessageTooLarge,
            format!(
                "Message batch size is {size} bytes in append to partition {partition} which exceeds the maximum configured size of {}.",
                rules.log.max_message_bytes
            ),
        ));
    }
    if size as u64 > rules.log.segment_bytes {
        return Err(Refusal::new(
            ErrorCode::RecordListTooLarge,
            format!(
                "Message batch size is {size} bytes in append to partition {partition}, which exceeds the maximum configured segment size of {}.",
                rules.log.segment_bytes
            ),
        ));
    }
    Ok(())
}
