//! Every setting once: Kafka's names, typed for the rooms that need them.

pub mod catalog;
mod generated;
pub mod log;
pub mod topic;

pub use log::LogConfig;
