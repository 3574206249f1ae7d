//! See `produce` in targets/wire.rs.
#![no_main]

use milena_fuzz::{run, targets::wire};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(wire::produce, input));
