//! See `offset_index` in targets/log_files.rs.
#![no_main]

use milena_fuzz::{run, targets::log_files};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(log_files::offset_index, input));
