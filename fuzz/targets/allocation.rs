//! Counts what is allocated, so that a few bytes that cost much memory are found without a sanitizer.
//!
//! Each thread counts for itself. What C code takes (zstd's window) does not pass here; the fuzzer's `-rss_limit_mb` sees it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one input may cost, in all and at once.
pub const LIMIT_BYTES: usize = 64 << 20;

/// Beyond this an allocation fails on the spot, so that the stack of the culprit is seen.
const HOPELESS_BYTES: usize = 1 << 30;

pub struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Runs `work`; how many bytes it held at most, beyond those it found.
pub fn growth_of(work: impl FnOnce()) -> usize {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    work();
    usize::try_from(PEAK.with(Cell::get) - before).unwrap_or(0)
}

fn add(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = HELD.try_with(|held| {
        let now = held.get() + bytes;
        held.set(now);
        PEAK.with(|peak| peak.set(peak.get().max(now)));
    });
}

// SAFETY: everything is left to the system's allocator; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > HOPELESS_BYTES {
            return std::ptr::null_mut();
        }
        add(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > HOPELESS_BYTES {
            return std::ptr::null_mut();
        }
        add(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > HOPELESS_BYTES {
            return std::ptr::null_mut();
        }
        add(size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}
