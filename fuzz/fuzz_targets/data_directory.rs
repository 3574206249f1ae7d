//! See `data_directory` in targets/checkpoints.rs.
#![no_main]

use milena_fuzz::{run, targets::checkpoints};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(checkpoints::data_directory, input));
