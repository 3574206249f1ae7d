//! Placeholder head of the crate; the map of the house comes with ARCHITECTURE.md.
