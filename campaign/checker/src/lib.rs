//! Checks what clients of a Kafka-like log saw against what such a log may show them.
//!
//! `history` is what happened, one operation a line; `check` tells the anomalies in it by class, after the method of Jepsen's
//! kafka workload, with two classes of our own; `generate` makes histories that are right, and `faults` spoils one in one place,
//! so that the checker itself is tested. README.md has the format and the classes.

pub mod anomaly;
pub mod batch;
pub mod check;
pub mod client;
pub mod cycles;
pub mod faults;
pub mod generate;
pub mod history;
pub mod json;
pub mod load;
pub mod order;
pub mod random;
