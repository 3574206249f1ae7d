//! KEEPS. Partitions as files: synchronous Rust over a small file system; knows offsets and bytes, not requests.
//!
//! Files, names and formats are Kafka's: its own dump tools read a directory of ours. `log.rs` is the way in for one
//! partition, `log_dir.rs` for a whole data directory.
//!
//! Cost of an append: one `pwritev` of two slices, and every 4 KiB of log an index entry in memory. Of a read: one look at
//! a batch header, where the reader comes back to a place it was given before.

mod checkpoint;
pub mod compaction;
pub mod disk;
mod error;
mod index;
mod leader_epochs;
pub mod log;
pub mod log_dir;
mod offset_index;
mod producer_state;
mod recovery;
pub mod retention;
mod scan;
pub mod scrub;
mod segment;
mod segment_checkpoint;
mod time_index;
mod txn_index;

pub use checkpoint::Offsets;
pub use error::Error;

#[cfg(test)]
mod tests;
