//! An allocator that counts what is asked of it, by this thread and by all of the process, and hands it on to the system's.
//! `tests/hot_path.rs` uses it, too.

#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Counting;

thread_local! {
    /// Allocations of this thread and their bytes: other threads of the broker do not disturb the count.
    static ASKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The same of all threads.
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Allocations and bytes of this thread since it began.
pub fn so_far() -> (u64, u64) {
    ASKED.get()
}

/// Allocations and bytes of the process since it began.
pub fn of_all_threads() -> (u64, u64) {
    (COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
}

pub fn since(before: (u64, u64)) -> (u64, u64) {
    let now = so_far();
    (now.0 - before.0, now.1 - before.1)
}

fn note(bytes: usize) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    // A thread that is ending has no counter any more, and nothing left to count.
    let _ = ASKED.try_with(|asked| {
        let (count, sum) = asked.get();
        asked.set((count + 1, sum + bytes as u64));
    });
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches a thread-local cell that needs no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}
