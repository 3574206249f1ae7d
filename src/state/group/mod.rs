//! The group coordinator: many groups, one machine.
