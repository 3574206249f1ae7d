//! What one partition's log is told about itself: the topic settings of Kafka, typed.

/// The topic-level settings that reach storage and validation. Times in milliseconds, sizes in bytes; `None` where
/// Kafka's -1 means "no limit".
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is closed before it would grow past this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is closed when its first record is older than this.
    pub segment_ms: u64,
    /// `segment.jitter.ms`: at most this much is taken off `segment_ms`, so that partitions do not roll together.
    pub segment_jitter_ms: u64,
    /// `segment.index.bytes`: the largest size of an offset index file; a full index closes the segment.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: an index entry at most every so many bytes of log.
    pub index_interval_bytes: u64,
    /// `retention.ms`
    pub retention_ms: Option<u64>,
    /// `retention.bytes`
    pub retention_bytes: Option<u64>,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: u64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: u64,
    /// `delete.retention.ms`: how long tombstones and markers stay after they were first cleaned.
    pub delete_retention_ms: u64,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: u64,
    /// `flush.messages`
    pub flush_messages: u64,
    /// `flush.ms`
    pub flush_ms: u64,
    /// `max.message.bytes`: the largest batch as it is sent.
    pub max_message_bytes: usize,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: u64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: u64,
    /// `compression.type`: the codec id (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd) or `None` for `producer`.
    pub compression: Option<u8>,
    /// `min.insync.replicas`
    pub min_insync_replicas: u32,
    /// `preallocate`
    pub preallocate: bool,
}

/// Apache Kafka 4.3's defaults (`topic-configs`).
impl Default for LogConfig {
    fn default() -> Self {
        const DAY_MS: u64 = 86_400_000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            delete: true,
            compact: false,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX as u64,
            delete_retention_ms: DAY_MS,
            min_cleanable_dirty_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX as u64,
            flush_ms: i64::MAX as u64,
            max_message_bytes: 1_048_588,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX as u64,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            min_insync_replicas: 1,
            preallocate: false,
        }
    }
}
