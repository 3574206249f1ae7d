//! See `log_checkpoints` in targets/checkpoints.rs.
#![no_main]

use milena_fuzz::{run, targets::checkpoints};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(checkpoints::log_checkpoints, input));
