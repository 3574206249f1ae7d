//! How much of a share of memory is taken: a number that many tasks change without a lock.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Pool {
    total: usize,
    held: AtomicUsize,
}

impl Pool {
    pub const fn new(total: usize) -> Self {
        Pool { total, held: AtomicUsize::new(0) }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub fn is_full(&self) -> bool {
        self.held() >= self.total
    }

    /// Takes so many bytes if they are there.
    pub fn try_take(&self, bytes: usize) -> bool {
        let fits =
            self.held.fetch_add(bytes, Ordering::SeqCst).checked_add(bytes).is_some_and(|held| held <= self.total);
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Takes note of bytes that are in use already, whether they fit or not. Who may cause more of them asks `is_full` first.
    pub fn take_anyway(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
    }

    pub fn give_back(&self, bytes: usize) {
        let before = self.held.fetch_sub(bytes, Ordering::SeqCst);
        debug_assert!(before >= bytes, "more given back than was taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let pool = Pool::new(100);
        assert!(pool.try_take(60));
        assert!(!pool.try_take(41));
        assert!(pool.try_take(40));
        assert!(pool.is_full());
        pool.give_back(100);
        assert_eq!(pool.held(), 0);
    }

    #[test]
    fn what_is_taken_anyway_counts() {
        let pool = Pool::new(100);
        pool.take_anyway(150);
        assert!(pool.is_full() && !pool.try_take(1));
        pool.give_back(60);
        assert!(pool.try_take(10));
    }
}
