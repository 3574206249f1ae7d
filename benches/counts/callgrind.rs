//! Tells callgrind, if this runs under it, what to count: by the instructions that valgrind takes for a request and that do
//! nothing anywhere else (`valgrind.h`, "client requests"). So the program needs no symbols.

use std::arch::asm;

/// What callgrind knows: 'C', 'T', and the number of the request.
const DUMP_STATS: u64 = 0x4354_0000;
const ZERO_STATS: u64 = DUMP_STATS + 1;
const TOGGLE_COLLECT: u64 = DUMP_STATS + 2;

/// Counts the work, and has what was counted written to the next of callgrind's files.
pub fn counted(work: impl FnOnce()) {
    request(ZERO_STATS);
    request(TOGGLE_COLLECT);
    work();
    request(TOGGLE_COLLECT);
    request(DUMP_STATS);
}

#[cfg(target_arch = "x86_64")]
fn request(code: u64) {
    let request = [code, 0, 0, 0, 0, 0];
    // SAFETY: the four rotations by 128 bits in sum leave rdi as it was, the exchange leaves rbx; valgrind reads the six
    // words behind rax and answers in rdx.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inout("rdx") 0_u64 => _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
compile_error!("instructions are recorded for x86_64; elsewhere there is nothing to compare with");
