//! The memory that connections share (I113, S7): who needs more than is there waits in line, and does not read meanwhile.
//!
//! ```text
//! first reads     16 KiB for whoever has something to say; most requests end in them
//! large requests  the buffers of longer ones, as their bytes come         half: pool   half: for the one whose turn it is
//! answers         what a slow reader has not taken yet; while it is full no request is begun, what has begun goes on
//! ```
//! Nothing that holds memory waits for memory that only another waiter could give: a request that was read whole asks for
//! none any more, and of those half read the first in line may always be read to its end, however full the pool is (the
//! half that is kept for it takes the largest request there may be). Meanwhile who holds memory and lets it lie is given
//! less time (`is_pressed`), so that nobody blocks the others by doing nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify};

use crate::memory::pool::Pool;
use crate::memory::shares::{FIRST_READ_BYTES, Shares};

use super::BoxFuture;

/// What all connections share.
#[derive(Debug)]
pub struct Memory {
    pub first_reads: Arc<Line>,
    pub large_requests: Arc<Line>,
    pub answers: Arc<Line>,
}

impl Memory {
    /// `max_queued`: `queued.max.request.bytes`, if that is less.
    pub fn new(shares: &Shares, max_queued: Option<usize>) -> Arc<Self> {
        let large = shares.max_request_bytes().min(max_queued.unwrap_or(usize::MAX));
        Arc::new(Memory {
            first_reads: Line::new(shares.first_reads),
            large_requests: Line::new(large),
            answers: Line::new(shares.answers),
        })
    }
}

/// A pool, and those who wait for their part of it in the order they came.
#[derive(Debug)]
pub struct Line {
    pool: Pool,
    /// Whoever has it is first in line.
    head: Mutex<()>,
    /// Whoever has it is the first of those that have nothing yet. The others go before: what they hold is of use only when
    /// they have the rest.
    newcomers: Mutex<()>,
    freed: Notify,
    waiting: AtomicUsize,
    /// Somebody has the turn: may take what it needs, beyond the pool.
    turn_taken: AtomicBool,
}

impl Line {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Line {
            pool: Pool::new(bytes),
            head: Mutex::new(()),
            newcomers: Mutex::new(()),
            freed: Notify::new(),
            waiting: AtomicUsize::new(0),
            turn_taken: AtomicBool::new(false),
        })
    }

    pub fn held(&self) -> usize {
        self.pool.held()
    }

    pub fn is_full(&self) -> bool {
        self.pool.is_full()
    }

    /// Does somebody wait?
    pub fn is_pressed(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// A part of the pool, if it is there and nobody waits for it.
    fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        (!self.is_pressed() && self.pool.try_take(bytes)).then(|| self.hold(bytes))
    }

    /// Memory that is in use already.
    pub fn hold_anyway(self: &Arc<Self>, bytes: usize) -> Held {
        self.pool.take_anyway(bytes);
        self.hold(bytes)
    }

    /// A part of the pool, or the turn, whichever comes first.
    async fn take(self: Arc<Self>, bytes: usize, is_new: bool) -> Held {
        let _counted = Counted::new(&self);
        let _newcomer = if is_new { Some(self.newcomers.lock().await) } else { None };
        let _head = self.head.lock().await;
        loop {
            if self.pool.try_take(bytes) {
                return self.hold(bytes);
            }
            if !self.turn_taken.swap(true, Ordering::SeqCst) {
                return Held { line: self.clone(), bytes: 0, turn: true };
            }
            self.freed.notified().await;
        }
    }

    /// Until something of the pool is left.
    async fn room(self: Arc<Self>) {
        let _counted = Counted::new(&self);
        let _head = self.head.lock().await;
        while self.pool.is_full() {
            self.freed.notified().await;
        }
    }

    fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        Held { line: self.clone(), bytes, turn: false }
    }

    fn give_back(&self, bytes: usize) {
        self.pool.give_back(bytes);
        self.wake();
    }

    fn wake(&self) {
        if self.is_pressed() {
            self.freed.notify_one();
        }
    }
}

/// One more in the line, as long as it lives.
struct Counted<'a>(&'a Line);

impl<'a> Counted<'a> {
    fn new(line: &'a Line) -> Self {
        line.waiting.fetch_add(1, Ordering::SeqCst);
        Counted(line)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A part of a pool; goes back when it is dropped.
#[derive(Debug)]
pub struct Held {
    line: Arc<Line>,
    bytes: usize,
    turn: bool,
}

impl Held {
    fn add(&mut self, mut other: Held) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.turn |= std::mem::take(&mut other.turn);
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) {
            self.bytes = bytes;
            self.line.give_back(less);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.turn {
            self.line.turn_taken.store(false, Ordering::SeqCst);
        }
        match self.bytes {
            0 => self.line.wake(),
            bytes => self.line.give_back(bytes),
        }
    }
}

/// What one connection holds for the request it reads.
#[derive(Debug)]
pub(super) struct Account {
    memory: Arc<Memory>,
    first: Option<Held>,
    large: Option<Held>,
}

impl Account {
    pub fn new(memory: Arc<Memory>) -> Self {
        Account { memory, first: None, large: None }
    }

    pub fn holds_anything(&self) -> bool {
        self.first.is_some() || self.large.is_some()
    }

    /// May it read no further than to the end of its request?
    pub fn has_the_turn(&self) -> bool {
        self.large.as_ref().is_some_and(|held| held.turn)
    }

    /// May the buffer have `needed` bytes now? Where there is plenty, the `whole` request is paid for at once.
    pub fn cover(&mut self, needed: usize, whole: usize) -> bool {
        if self.first.is_none() {
            self.first = self.memory.first_reads.try_take(FIRST_READ_BYTES);
        }
        if self.first.is_none() || needed <= FIRST_READ_BYTES {
            return self.first.is_some();
        }
        let (held, turn) = self.large.as_ref().map_or((0, false), |large| (large.bytes, large.turn));
        if turn || needed <= held {
            return true;
        }
        let line = &self.memory.large_requests;
        let plenty = line.held().saturating_add(whole) <= line.pool.total() / 2;
        let wanted = if plenty { whole.max(needed) } else { needed };
        let taken = line.try_take(wanted - held);
        let covered = taken.is_some();
        taken.into_iter().for_each(|more| self.add(more));
        covered
    }

    /// What is needed is covered: may the buffer have `hoped` bytes, which are more? Only where there is plenty and nobody
    /// waits.
    pub fn cover_ahead(&mut self, hoped: usize) -> bool {
        if self.is_pressed() || self.has_the_turn() {
            return false;
        }
        let held = self.large.as_ref().map_or(0, |large| large.bytes);
        if hoped <= held.max(FIRST_READ_BYTES) {
            return true;
        }
        let line = &self.memory.large_requests;
        let plenty = line.held().saturating_add(hoped) <= line.pool.total() / 2;
        let taken = if plenty { line.try_take(hoped - held) } else { None };
        let covered = taken.is_some();
        taken.into_iter().for_each(|more| self.add(more));
        covered
    }

    /// Stands in line for what `cover` did not get.
    pub fn stand_in_line(&self, needed: usize) -> BoxFuture<'static, Held> {
        if self.first.is_none() {
            return Box::pin(self.memory.first_reads.clone().take(FIRST_READ_BYTES, true));
        }
        let held = self.large.as_ref().map_or(0, |large| large.bytes);
        Box::pin(self.memory.large_requests.clone().take(needed.saturating_sub(held), held == 0))
    }

    /// Until answers may be made again.
    pub fn room_for_answers(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.memory.answers.clone().room())
    }

    pub fn add(&mut self, held: Held) {
        let slot = match Arc::ptr_eq(&held.line, &self.memory.large_requests) {
            true => &mut self.large,
            false => &mut self.first,
        };
        match slot {
            Some(mine) => mine.add(held),
            None => *slot = Some(held),
        }
    }

    /// Do others wait for what this connection holds without needing it?
    pub fn should_give_back(&self) -> bool {
        let wanted = |held: &Held| held.turn || held.line.is_pressed();
        self.large.as_ref().is_some_and(wanted) || self.first.as_ref().is_some_and(wanted)
    }

    /// Is it more than the first read that others wait for?
    pub fn is_pressed(&self) -> bool {
        [&self.first, &self.large].into_iter().flatten().any(|held| held.line.is_pressed())
    }

    /// The buffer is gone.
    pub fn give_back(&mut self) {
        self.first = None;
        self.large = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(large: usize) -> Arc<Memory> {
        Arc::new(Memory {
            first_reads: Line::new(4 * FIRST_READ_BYTES),
            large_requests: Line::new(large),
            answers: Line::new(1 << 20),
        })
    }

    #[test]
    fn a_small_request_takes_one_first_read_however_often() {
        let memory = memory(1 << 20);
        let mut account = Account::new(memory.clone());
        assert!(account.cover(100, 100) && account.cover(FIRST_READ_BYTES, 100));
        assert_eq!((memory.first_reads.held(), memory.large_requests.held()), (FIRST_READ_BYTES, 0));
        drop(account);
        assert_eq!(memory.first_reads.held(), 0);
    }

    #[test]
    fn a_large_request_is_paid_for_at_once_while_there_is_plenty() {
        let memory = memory(1 << 20);
        let mut account = Account::new(memory.clone());
        assert!(account.cover(100_000, 400_000));
        assert_eq!(memory.large_requests.held(), 400_000);
        let mut other = Account::new(memory.clone());
        assert!(other.cover(100_000, 400_000));
        assert_eq!(memory.large_requests.held(), 500_000);
    }

    /// I113: what is read ahead is never waited for, and goes no further while others wait.
    #[tokio::test]
    async fn i113_nobody_reads_ahead_of_those_who_wait() {
        let memory = memory(300_000);
        let mut account = Account::new(memory.clone());
        assert!(account.cover(100, 0) && account.cover_ahead(FIRST_READ_BYTES));
        assert_eq!(memory.large_requests.held(), 0);
        assert!(account.cover_ahead(100_000) && account.cover_ahead(100_000) && account.cover_ahead(50_000));
        assert_eq!(memory.large_requests.held(), 100_000);
        let mut other = Account::new(memory.clone());
        assert!(other.cover(100, 0) && !other.cover_ahead(100_000), "there is not plenty any more");
        assert!(other.cover(190_000, 250_000));
        let mut third = Account::new(memory.clone());
        assert!(!third.cover(50_000, 50_000));
        let mut waits = third.stand_in_line(50_000);
        let turn = (&mut waits).await;
        let mut next = Box::pin(memory.large_requests.clone().take(50_000, true));
        tokio::select! {
            biased;
            _ = &mut next => panic!("there is one turn"),
            () = std::future::ready(()) => {}
        }
        assert!(!account.cover_ahead(100_000), "others wait for what it holds");
        drop(turn);
    }

    /// I113: two that hold all of it and need more do not wait for each other for ever.
    #[tokio::test]
    async fn i113_the_first_in_line_may_go_on_when_the_pool_is_full() {
        let memory = memory(200_000);
        let (mut one, mut other) = (Account::new(memory.clone()), Account::new(memory.clone()));
        assert!(one.cover(100_000, 300_000) && other.cover(100_000, 300_000));
        assert!(!one.cover(150_000, 300_000));
        one.add(one.stand_in_line(150_000).await);
        assert!(one.has_the_turn() && one.cover(300_000, 300_000));
        let mut waits = other.stand_in_line(150_000);
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is one turn"),
            () = std::future::ready(()) => {}
        }
        assert!(one.should_give_back());
        one.give_back();
        other.add(waits.await);
        assert!(other.cover(150_000, 300_000));
        drop((one, other));
        assert_eq!(memory.large_requests.held(), 0);
    }

    #[tokio::test]
    async fn who_comes_later_does_not_overtake_those_in_line() {
        let line = Line::new(100);
        let held = line.try_take(100).unwrap();
        let turn = line.clone().take(50, true).await;
        let mut waits = Box::pin(line.clone().take(50, true));
        tokio::select! {
            biased;
            _ = &mut waits => panic!("nothing is left"),
            () = std::future::ready(()) => {}
        }
        drop(held);
        assert!(line.try_take(10).is_none());
        assert_eq!(waits.await.bytes, 50);
        assert!(line.try_take(10).is_some());
        drop(turn);
    }

    #[tokio::test]
    async fn answers_over_the_limit_hold_back_new_requests_until_they_are_taken() {
        let line = Line::new(100);
        let mut held = line.hold_anyway(250);
        let mut room = Box::pin(line.clone().room());
        tokio::select! {
            biased;
            () = &mut room => panic!("it is full"),
            () = std::future::ready(()) => {}
        }
        assert!(line.is_pressed());
        held.shrink_to(99);
        room.await;
        assert!(!line.is_pressed());
    }
}
