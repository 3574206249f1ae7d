//! See `transaction_records` in targets/coordinator.rs.
#![no_main]

use milena_fuzz::{run, targets::coordinator};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(coordinator::transaction_records, input));
