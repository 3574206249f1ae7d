//! See `metadata_log` in targets/metadata.rs.
#![no_main]

use milena_fuzz::{run, targets::metadata};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(metadata::metadata_log, input));
