//! What changes of partitions cost (KIP-599): a token for each partition that is made or removed, where the client has a
//! `controller_mutation_rate`.
//!
//! A topic is paid for when all else about it is well. Newer requests are strict: while the bucket owes tokens, a topic is
//! refused with THROTTLING_QUOTA_EXCEEDED; older ones are carried out, and their client waits. One topic may take more than
//! there is, and what is only validated is paid for too (Kafka 4.3.1 does the same). The buckets are the machine's own, but not the image's: a restart forgets them.

use super::*;
use crate::state::quota::{Bucket, Group, Groups, Limits, Window};

/// The key of the quota.
const KEY: &str = "controller_mutation_rate";

/// Who pays.
#[derive(Clone, Debug, PartialEq)]
pub struct MutationPayer {
    pub user: String,
    pub client_id: String,
    /// Refuse what there are no tokens for, instead of letting the client wait.
    pub strict: bool,
}

/// What a request may take.
pub(super) struct Purse<'a> {
    account: Option<Account<'a>>,
    strict: bool,
    wait_ms: u64,
}

struct Account<'a> {
    bucket: &'a mut Bucket,
    window: Window,
    now: Monotonic,
    limit: f64,
}

impl<'a> Purse<'a> {
    /// For whoever has no quota.
    pub fn bottomless() -> Purse<'a> {
        Purse { account: None, strict: false, wait_ms: 0 }
    }

    pub fn of(
        payer: &MutationPayer,
        image: &Image,
        buckets: &'a mut Groups<Bucket>,
        window: Window,
        now: Monotonic,
    ) -> Purse<'a> {
        let found: Option<(f64, Group)> = Limits::of(image, KEY).find(&payer.user, &payer.client_id);
        let account =
            found.map(|(limit, group)| Account { bucket: buckets.of(window, now, group), window, now, limit });
        Purse { account, strict: payer.strict, wait_ms: 0 }
    }

    /// Pays for so many partitions.
    pub fn pay(&mut self, partitions: usize) -> Result<(), Refused> {
        let Some(Account { bucket, window, now, limit }) = &mut self.account else { return Ok(()) };
        let owing_ms = bucket.wait_ms(*window, *now, *limit);
        if self.strict && owing_ms > 0 {
            self.wait_ms = owing_ms;
            // Kafka gives no sentence either.
            return Err(Refused::new(ErrorCode::ThrottlingQuotaExceeded, ""));
        }
        bucket.take(*window, *now, *limit, partitions as f64);
        if !self.strict {
            self.wait_ms = bucket.wait_ms(*window, *now, *limit);
        }
        Ok(())
    }

    /// How long the client has to wait.
    pub fn wait_ms(&self) -> u64 {
        self.wait_ms
    }
}
