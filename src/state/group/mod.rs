//! The group coordinator: many groups, one machine.

pub mod generated;
