//! Compiled for tests only: the simulated disk, seeds, models.
