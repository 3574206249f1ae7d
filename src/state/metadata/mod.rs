//! Cluster metadata: decides topic and configuration changes.
