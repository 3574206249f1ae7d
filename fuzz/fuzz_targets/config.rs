//! See `config` in targets/settings.rs.
#![no_main]

use milena_fuzz::{run, targets::settings};

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(settings::config, input));
