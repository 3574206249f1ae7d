//! See `metadata_machine` in targets/metadata.rs.
#![no_main]

use milena_fuzz::{run, targets::metadata};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(metadata::metadata_machine, input));
