//! How the ceiling of memory (`milena.memory.max.bytes`) is shared out (I113).
//!
//! | share | of it | what it bounds |
//! |---|---|---|
//! | base | a fifth, at least 24 MiB | the program, its threads, indexes and machines: follows what is stored, not who calls |
//! | connections | a quarter of the rest | how many may be open, at [`CONNECTION_BYTES`] each |
//! | first reads | an eighth | the [`FIRST_READ_BYTES`] in which every request begins, and most of them end |
//! | large requests | three eighths | the buffers of longer ones; half of it is for the one whose turn it is |
//! | answers | a sixteenth | what waits for slow readers |
//! | parked | a sixteenth | fetches that wait for records |
//! | decompression | an eighth | batches opened at one time, and decoded requests |
//!
//! The shares are apart so that none can be starved by another: a heartbeat is read while large requests queue for room.

/// What one open connection takes in the process, measured (the kernel has buffers of its own).
pub const CONNECTION_BYTES: usize = 4 << 10;

/// What a connection gets to read into before anything is known of its request.
pub const FIRST_READ_BYTES: usize = 16 << 10;

/// Where nothing tells how much memory there is.
const UNKNOWN_MACHINE_BYTES: u64 = 1 << 30;

const BASE_MIN_BYTES: usize = 24 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// `milena.memory.max.bytes`, or half of what the machine or the container has.
    pub max_bytes: usize,
    pub connections: usize,
    pub first_reads: usize,
    pub large_requests: usize,
    pub answers: usize,
    pub parked: usize,
    pub decompression: usize,
}

impl Shares {
    /// The shares of a ceiling; without one, of half of what there is. The other half is the kernel's, for the files.
    pub fn new(max_bytes: Option<u64>) -> Self {
        let there_is = || super::machine::limit_bytes().unwrap_or(UNKNOWN_MACHINE_BYTES) / 2;
        Shares::of(usize::try_from(max_bytes.unwrap_or_else(there_is)).unwrap_or(usize::MAX))
    }

    fn of(max_bytes: usize) -> Self {
        let base = (max_bytes / 5).max(BASE_MIN_BYTES);
        let eighth = max_bytes.saturating_sub(base).max(8 << 20) / 8;
        Shares {
            max_bytes,
            connections: 2 * eighth,
            first_reads: eighth,
            large_requests: 3 * eighth,
            answers: eighth / 2,
            parked: eighth / 2,
            decompression: eighth,
        }
    }

    pub fn max_connections(&self) -> usize {
        (self.connections / CONNECTION_BYTES).max(1)
    }

    /// The largest request that is sure to find room, whatever others do.
    pub fn max_request_bytes(&self) -> usize {
        self.large_requests / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i113_the_shares_and_the_base_are_the_ceiling_and_no_more() {
        for max_bytes in [32 << 20, 96 << 20, 400 << 20, 12 << 30] {
            let shares = Shares::of(max_bytes);
            let sum = shares.connections
                + shares.first_reads
                + shares.large_requests
                + shares.answers
                + shares.parked
                + shares.decompression;
            assert!(sum + (max_bytes / 5).max(BASE_MIN_BYTES) <= max_bytes);
            assert!(sum + (max_bytes / 5).max(BASE_MIN_BYTES) > max_bytes - 16);
        }
    }

    #[test]
    fn i113_400_mib_are_enough_for_20_000_connections_and_32_for_a_request_of_1_mib() {
        assert!(Shares::of(400 << 20).max_connections() >= 20_000);
        assert!(Shares::of(32 << 20).max_request_bytes() > 1 << 20);
    }

    #[test]
    fn without_a_ceiling_it_is_half_of_what_there_is() {
        let there_is = super::super::machine::limit_bytes().unwrap();
        assert_eq!(Shares::new(None).max_bytes as u64, there_is / 2);
        assert_eq!(Shares::new(Some(1 << 30)).max_bytes, 1 << 30);
    }
}
