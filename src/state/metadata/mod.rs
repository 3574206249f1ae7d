//! Cluster metadata: decides topic and configuration changes.

pub mod generated;
