//! KEEPS. Partitions as files: synchronous Rust over a small file system; knows offsets and bytes, not requests.

pub mod disk;
