//! The bug zoo: small breaks of the real code, each of which some check must catch (`scripts/zoo.sh`). They are in builds for
//! tests only (unit tests, and the feature `testing`); `MILENA_BUG=n` then lets one out. In a release every call is `false` when
//! compiled, and the code around it is gone.
//!
//! The numbers are those of the list this project tests itself against; those that are missing belong to transactions,
//! replication and logins, which are not there yet.

/// Number, what is broken, and which promise that breaks.
pub const BUGS: &[(u8, &str, &str)] = &[
    (1, "acks=all is answered before the batch is committed", "I1, I2"),
    (2, "nothing is flushed", "I2"),
    (3, "directories are not flushed after a file was made", "I15"),
    (4, "a failed flush is taken for a good one", "I17"),
    (5, "a bad batch is cut off even where the log was flushed", "I10"),
    (6, "after a crash the log ends where the checkpoint says", "I1"),
    (7, "one batch of each producer is remembered, not five", "I30"),
    (8, "snapshots hold no producers", "I33"),
    (9, "an older producer epoch is let through", "I32"),
    (15, "the generation of a commit is not looked at", "I61"),
    (16, "every member is given the assignment of the first", "I60"),
    (17, "offsets expire while the group rebalances", "I68"),
    (18, "a coordinator answers without having loaded its log", "I63"),
    (19, "tombstones go the first time they are cleaned", "I81"),
    (20, "transaction markers are compacted by key", "I84"),
    (25, "the length of an array is believed", "S3"),
    (26, "decompression has no limit", "S6"),
];

/// Is this bug at large?
#[cfg(any(test, feature = "testing"))]
pub fn bug(number: u8) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<u8>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("MILENA_BUG").ok()?.parse().ok());
    *chosen == Some(number)
}

/// Never, where there is no zoo.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub const fn bug(_number: u8) -> bool {
    false
}
