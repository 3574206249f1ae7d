//! The local log of cluster metadata, `__cluster_metadata-0`: records in Kafka's format, kept short by snapshots.
//!
//! A snapshot is `<end offset>-<epoch>.checkpoint` beside the segments: a header marker, the records that make the image, a
//! footer marker, as Kafka writes it (KIP-630). It is written whole under another name, flushed and renamed (I16), and only
//! then are the records before its end given up. A start reads the newest snapshot and the log behind it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use crate::record::{self, Builder, ControlKind, DecompressLimits};
use crate::seldom::Seldom;
use crate::state::metadata::generated::{SnapshotFooterRecord, SnapshotHeaderRecord};
use crate::state::metadata::{Metadata, MetadataRecord};
use crate::types::{ErrorCode, LeaderEpoch, Now, Offset};

use super::controller::{Controller, MetadataCodec};
use super::driver::{Driver, RecordLog};
use super::partition::{Partition, Shop};
use super::record_log::{Codec, PartitionLog};

/// Records in one batch of a snapshot.
const SNAPSHOT_BATCH: usize = 1_000;
const ENDING: &str = ".checkpoint";

pub struct MetadataLog {
    records: PartitionLog<MetadataCodec>,
    shop: Arc<Shop>,
    driver: OnceLock<Weak<Driver<Metadata>>>,
    /// `metadata.log.max.record.bytes.between.snapshots`
    snapshot_after_bytes: u64,
    failed_snapshots: Seldom,
}

impl RecordLog<MetadataRecord> for MetadataLog {
    fn replay(&self, apply: &mut dyn FnMut(MetadataRecord)) -> Result<(), ErrorCode> {
        let start = match self.newest_snapshot() {
            Some((path, end)) => {
                self.read_snapshot(&path, apply)?;
                end
            }
            None => Offset::ZERO,
        };
        let log_start = self.partition().log_start_offset()?;
        if start < log_start {
            let directory = self.directory();
            tracing::error!(directory = %directory.display(), %log_start, "the metadata snapshot that the log begins behind is gone");
            return Err(ErrorCode::KafkaStorageError);
        }
        self.records.replay_from(start, apply)
    }

    fn append(&self, records: &[MetadataRecord], now: Now) -> Result<Offset, ErrorCode> {
        self.records.append(records, now)
    }

    fn end(&self) -> Offset {
        self.records.end()
    }

    fn high_watermark(&self) -> Offset {
        self.records.high_watermark()
    }

    fn is_failed(&self) -> bool {
        self.records.is_failed()
    }
}

impl MetadataLog {
    pub fn new(records: PartitionLog<MetadataCodec>, shop: Arc<Shop>, snapshot_after_bytes: u64) -> Self {
        MetadataLog {
            records,
            shop,
            driver: OnceLock::new(),
            snapshot_after_bytes,
            failed_snapshots: Seldom::default(),
        }
    }

    pub fn partition(&self) -> &Arc<Partition> {
        &self.records.partition
    }

    /// Tells the driver when its records are committed.
    pub fn listen(&self, driver: &Arc<Driver<Metadata>>) {
        let weak = Arc::downgrade(driver);
        let _ = self.driver.set(weak.clone());
        self.partition().on_commit(Box::new(move || {
            if let Some(driver) = weak.upgrade() {
                driver.committed();
            }
        }));
        driver.committed();
    }

    /// Writes a snapshot when enough has been appended since the last one, and gives up what it covers.
    pub fn snapshot_if_due(&self, controller: &Controller) {
        if self.partition().size_bytes() >= self.snapshot_after_bytes {
            self.snapshot(controller);
        }
    }

    /// Writes a snapshot of what is committed; logs and goes on where it cannot.
    pub fn snapshot(&self, controller: &Controller) {
        let taken = controller.driver().inspect(|machine| {
            let end = self.end();
            // What is not committed must not get into a file that outlives it.
            (self.high_watermark() >= end).then(|| (machine.snapshot(), end))
        });
        let Some((records, end)) = taken.flatten() else { return };
        let epoch = self.partition().leader_epoch();
        if let Err(error) = self.write_snapshot(&records, end, epoch) {
            if let Some(more) = self.failed_snapshots.due(self.shop.clock.now().mono.0) {
                tracing::error!(%error, more, "cannot write a metadata snapshot; the log stays as long as it is");
            }
            return;
        }
        let trimmed = self.partition().tend(|log| {
            log.roll(self.shop.clock.now())?;
            // Whole segments, so that no checkpoint need remember where the log starts: its first file says so.
            log.delete_segments(end)
        });
        if let Some(Err(error)) = trimmed {
            tracing::error!(%error, "cannot shorten the metadata log");
        }
        self.remove_older_snapshots(end);
    }

    fn directory(&self) -> PathBuf {
        self.shop.log_dir.path().join(self.partition().name.to_string())
    }

    fn write_snapshot(&self, records: &[MetadataRecord], end: Offset, epoch: LeaderEpoch) -> std::io::Result<()> {
        let bytes = self.snapshot_bytes(records);
        let directory = self.directory();
        let target = directory.join(format!("{:020}-{:010}{ENDING}", end.0, epoch.0));
        let temporary = target.with_extension("checkpoint.part");
        let disk = &self.shop.disk;
        let written = self.write_file(&temporary, &bytes).and_then(|()| disk.rename(&temporary, &target));
        if written.is_err() && disk.exists(&temporary) {
            // On a full disk a part of a snapshot only takes room.
            let _ = disk.remove_file(&temporary);
        }
        written?;
        disk.sync_dir(&directory)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let file = self.shop.disk.open(path, true)?;
        file.set_len(0)?;
        file.write_all_at(&[std::io::IoSlice::new(bytes)], 0)?;
        file.sync()
    }

    fn snapshot_bytes(&self, records: &[MetadataRecord]) -> Vec<u8> {
        let now = self.shop.clock.now().wall;
        let mut bytes = Vec::new();
        let mut next = 0i64;
        let mut add = |builder: Builder, count: usize| {
            let batch = builder.base_offset(Offset(next)).build();
            next += count as i64;
            bytes.extend_from_slice(&batch.to_vec());
        };
        let mut value = Vec::new();
        SnapshotHeaderRecord { last_contained_log_timestamp: now.0, ..Default::default() }.encode(0, &mut value);
        add(marker(ControlKind::SnapshotHeader, &value, now), 1);
        for chunk in records.chunks(SNAPSHOT_BATCH) {
            let mut builder = Builder::new();
            for record in chunk {
                builder.push(now, None, Some(&record.encode()), &[]);
            }
            add(builder, chunk.len());
        }
        let mut value = Vec::new();
        SnapshotFooterRecord::default().encode(0, &mut value);
        add(marker(ControlKind::SnapshotFooter, &value, now), 1);
        bytes
    }

    /// Reads a snapshot to its footer; one without a footer was not finished and is not there (it was never renamed).
    fn read_snapshot(&self, path: &Path, apply: &mut dyn FnMut(MetadataRecord)) -> Result<(), ErrorCode> {
        let unreadable = |reason: String| {
            tracing::error!(file = %path.display(), %reason, "the metadata snapshot cannot be read");
            ErrorCode::KafkaStorageError
        };
        let bytes = self.read_file(path).map_err(|error| unreadable(error.to_string()))?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record::Header::read(rest).map_err(|error| unreadable(error.to_string()))?;
            let batch = rest.get(..header.size()).ok_or_else(|| unreadable("it is cut short".into()))?;
            if !record::checksum_matches(batch) {
                return Err(unreadable("a checksum does not match".into()));
            }
            let opened =
                record::open(batch, &DecompressLimits::default()).map_err(|error| unreadable(error.to_string()))?;
            if !header.is_control() {
                for record in opened.records() {
                    let record = record.map_err(|error| unreadable(error.to_string()))?;
                    if let Some(decoded) = self.records.codec.decode(record.key, record.value) {
                        apply(decoded);
                    }
                }
            }
            rest = &rest[header.size()..];
        }
        Ok(())
    }

    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let file = self.shop.disk.open(path, false)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(std::io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn snapshots(&self) -> Vec<(PathBuf, Offset)> {
        let directory = self.directory();
        let names = self.shop.disk.list(&directory).unwrap_or_default();
        let mut found: Vec<(PathBuf, Offset)> = names
            .iter()
            .filter_map(|name| {
                let (end, _) = name.strip_suffix(ENDING)?.split_once('-')?;
                Some((directory.join(name), Offset(end.parse().ok()?)))
            })
            .collect();
        found.sort_by_key(|(_, end)| *end);
        found
    }

    fn newest_snapshot(&self) -> Option<(PathBuf, Offset)> {
        self.snapshots().pop()
    }

    fn remove_older_snapshots(&self, end: Offset) {
        for (path, older) in self.snapshots() {
            if older < end
                && let Err(error) = self.shop.disk.remove_file(&path)
            {
                tracing::warn!(file = %path.display(), %error, "an old metadata snapshot stays");
            }
        }
    }
}

fn marker(kind: ControlKind, value: &[u8], now: crate::types::Timestamp) -> Builder {
    let mut builder = Builder::new().control(true);
    builder.push(now, Some(&kind.key()), Some(value), &[]);
    builder
}
