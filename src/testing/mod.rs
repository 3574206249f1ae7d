//! Compiled for tests only: the simulated disk, seeds, models, the simulation of a whole broker.

pub mod disk;
pub mod models;
pub mod seed;
pub mod sim;
