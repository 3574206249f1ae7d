//! Compiled for tests only: the simulated disk, seeds, models.

pub mod disk;
pub mod models;
pub mod seed;
