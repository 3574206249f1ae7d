//! Every setting once: Kafka's names, typed for the rooms that need them.

pub mod log;

pub use log::LogConfig;
