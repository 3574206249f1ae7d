//! The groups of connections that share a quota, and what each has used. Bounded (S10): one whose use is over is forgotten, and
//! once there are as many as may be, those that come next share one.

use std::collections::BTreeMap;

use super::{Bucket, Group, Rate, Window};
use crate::types::Monotonic;

/// Groups that are told apart. A stranger makes as many as he likes: each client id is one where there is a default.
pub(super) const MAX_GROUPS: usize = 4096;
/// The part of a client id that is told apart: the id is the client's, and may have 32 KiB.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// What is kept of a use.
pub trait Fading: Default {
    /// A group that has not used anything yet would look the same.
    fn is_over(&mut self, window: Window, now: Monotonic) -> bool;
}

impl Fading for Rate {
    fn is_over(&mut self, window: Window, now: Monotonic) -> bool {
        Rate::is_over(self, window, now)
    }
}

impl Fading for Bucket {
    fn is_over(&mut self, window: Window, now: Monotonic) -> bool {
        Bucket::is_over(self, window, now)
    }
}

#[derive(Debug)]
pub struct Groups<T> {
    pub(super) known: BTreeMap<Group, T>,
    /// When it was last looked whether some are over.
    swept: Monotonic,
}

impl<T: Fading> Groups<T> {
    pub fn of(&mut self, window: Window, now: Monotonic, mut group: Group) -> &mut T {
        group.client_id.truncate(group.client_id.floor_char_boundary(MAX_NAME_BYTES));
        if self.known.len() >= MAX_GROUPS && !self.known.contains_key(&group) {
            if now.ms_since(self.swept) >= window.sample_ms {
                self.swept = now;
                self.known.retain(|_, used| !used.is_over(window, now));
            }
            if self.known.len() >= MAX_GROUPS {
                group = Group::default();
            }
        }
        self.known.entry(group).or_default()
    }
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Groups { known: BTreeMap::new(), swept: Monotonic(0) }
    }
}
