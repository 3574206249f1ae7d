//! What all fuzz targets share: the bodies in `targets/`, and an allocator that counts. At the end a run says what its dearest
//! input cost, beside libFuzzer's own figures.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use targets::allocation::{Counting, LIMIT_BYTES, growth_of};

#[path = "targets/mod.rs"]
pub mod targets;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static MOST_BYTES: AtomicUsize = AtomicUsize::new(0);

/// One input: no panic, and no more memory than [`LIMIT_BYTES`].
pub fn run(target: fn(&[u8]), input: &[u8]) {
    static AT_EXIT: Once = Once::new();
    // SAFETY: the function takes nothing, gives nothing and touches a counter only.
    AT_EXIT.call_once(|| assert_eq!(unsafe { atexit(report) }, 0));
    let growth = growth_of(|| target(input));
    MOST_BYTES.fetch_max(growth, Ordering::Relaxed);
    assert!(growth <= LIMIT_BYTES, "{growth} bytes for an input of {}", input.len());
}

extern "C" fn report() {
    eprintln!("stat::peak_allocation_bytes:     {}", MOST_BYTES.load(Ordering::Relaxed));
}

unsafe extern "C" {
    fn atexit(call: extern "C" fn()) -> i32;
}
