//! The obvious second implementation: a log as a vector of batches. What it answers, the real one must answer.

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRecord {
    pub offset: i64,
    pub timestamp: i64,
    pub value: String,
}

/// A log: batches of records in order, some of them hidden by the log start.
#[derive(Clone, Debug, Default)]
pub struct LogModel {
    batches: Vec<Vec<ModelRecord>>,
    pub start: i64,
    pub end: i64,
}

impl LogModel {
    /// Appends a batch of values with their times; its base offset.
    pub fn append(&mut self, records: &[(i64, String)]) -> i64 {
        let base = self.end;
        let records = records.iter().zip(base..).map(|((timestamp, value), offset)| ModelRecord {
            offset,
            timestamp: *timestamp,
            value: value.clone(),
        });
        self.batches.push(records.collect());
        self.end += self.batches.last().map_or(0, Vec::len) as i64;
        base
    }

    /// Every record between two offsets.
    pub fn records(&self, from: i64, limit: i64) -> impl Iterator<Item = &ModelRecord> {
        self.batches.iter().flatten().filter(move |record| record.offset >= from && record.offset < limit)
    }

    pub fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end));
    }

    /// Cuts off every batch that holds `offset` or a later one.
    pub fn truncate(&mut self, offset: i64) {
        self.batches.retain(|batch| batch.last().is_some_and(|last| last.offset < offset));
        self.end =
            self.batches.last().and_then(|batch| batch.last()).map_or(self.start.min(offset), |last| last.offset + 1);
        self.start = self.start.min(self.end);
    }

    /// The first record at or after a time.
    pub fn at_time(&self, timestamp: i64, limit: i64) -> Option<(i64, i64)> {
        let found = self.records(self.start, self.end).find(|record| record.timestamp >= timestamp);
        found.map(|record| (record.offset, record.timestamp)).filter(|(offset, _)| *offset < limit)
    }

    /// The first record with the largest time.
    pub fn latest(&self, limit: i64) -> Option<(i64, i64)> {
        let largest = self.records(self.start, limit).map(|record| record.timestamp).max()?;
        let found = self.records(self.start, limit).find(|record| record.timestamp == largest);
        found.map(|record| (record.offset, record.timestamp))
    }

    /// The offset behind the last batch that lies wholly below `limit`, where a read that is bounded by it may end.
    pub fn whole_batches_end(&self, limit: i64) -> i64 {
        let whole = self.batches.iter().rev().filter_map(|batch| batch.last()).find(|last| last.offset < limit);
        whole.map_or(0, |last| last.offset + 1)
    }
}
