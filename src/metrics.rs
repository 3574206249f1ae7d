//! Every meter by name. Counters are plain atomics: cheap enough to stand on every path, read by whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number. Most only grow; what is counted anew now and then is set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! meters {
    ($($name:ident $help:literal;)*) => {
        /// All meters of a broker.
        #[derive(Debug, Default)]
        pub struct Metrics { $(#[doc = $help] pub $name: Counter,)* }

        impl Metrics {
            /// Name, help line and value of each.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name.get()),)*]
            }
        }
    };
}

meters! {
    connections_accepted "connections accepted since start";
    connections_refused "connections turned away because their address had as many as it may, or opened them too fast";
    connections_delayed "connections that waited to be accepted because there were too many, or they came too fast";
    accepts_failed "times that the system did not hand over a connection, for want of descriptors mostly";
    connections_closed_for_fault "connections ended by the broker because the peer broke the protocol or a time limit";
    connection_panics "connections ended by a panic of ours";
    requests "requests begun";
    requests_refused "requests refused before they were decoded";
    quota_waits "times that a client was told to wait because its quota was used up";
    bytes_in "bytes of record batches appended";
    bytes_out "bytes of record batches sent to consumers";
    batches_in "record batches appended";
    duplicate_batches "record batches recognised as a retry and not appended again";
    remembered_producers "producers whose last batches are remembered, as of the last checkpoint";
    cold_reads "ranges of records that a consumer asked for and that had to come from the disk";
    flushes "rounds of the flusher";
    flushed_files "files flushed to disk";
    flushed_bytes "bytes of record batches that these rounds made outlast a power cut";
    append_failures "appends that the disk did not take";
    scrub_passes "times that everything stored was checked";
    scrubbed_bytes "bytes of closed segments that were checked";
    scrub_read_errors "segments that could not be read for the check";
    damaged_batches "ranges of stored records that were found damaged";
    segments_deleted "segments removed by retention";
    logs_cleaned "cleanings of compacted logs";
    bytes_cleaned_away "bytes by which cleaning made logs smaller";
    flush_failures "flushes that failed and took their partition offline";
}
