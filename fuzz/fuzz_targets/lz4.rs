//! See `lz4` in targets/batches.rs.
#![no_main]

use milena_fuzz::{run, targets::batches};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(batches::lz4, input));
