//! See `record_batch` in targets/batches.rs.
#![no_main]

use milena_fuzz::{run, targets::batches};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(batches::record_batch, input));
