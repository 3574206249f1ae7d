//! How long a peer may take (S8): for its first request, for the rest of a request that has begun, between two requests, and
//! to take an answer.
//!
//! One coarse timer for everything that is waited for, set anew only when it has run out or is too far away, so that a
//! request costs no timer. A large request may take its time as long as it keeps coming; while others wait for the memory
//! it holds (I113), it must come faster.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How often a request that has begun, or memory that lies idle, is looked at.
const STEP: Duration = Duration::from_secs(1);

/// What a peer may take beyond the timeout: a second for so many bytes that have come or gone.
const BYTES_PER_SECOND: usize = 16 << 10;

/// The same while others wait for its memory, and the timeout then.
const PRESSED_BYTES_PER_SECOND: usize = 256 << 10;
const PRESSED_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may come of a request then: longer than a lost packet takes.
const PRESSED_PAUSE: Duration = Duration::from_secs(2);

/// For timers that are not to fire.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limits in time of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `milena.connection.first.request.timeout.ms`
    pub first_request: Duration,
    /// `milena.connection.request.timeout.ms`
    pub request: Duration,
    /// `connections.max.idle.ms`
    pub idle: Duration,
}

/// Has a peer had its time, which began at `begun` and brought or took `moved` bytes since?
pub(super) fn is_over(begun: Instant, moved: usize, timeout: Duration, pressed: bool) -> bool {
    let (timeout, rate) = match pressed {
        true => (timeout.min(PRESSED_TIMEOUT), PRESSED_BYTES_PER_SECOND),
        false => (timeout, BYTES_PER_SECOND),
    };
    begun.elapsed() > timeout.saturating_add(Duration::from_millis((moved * 1000 / rate) as u64))
}

/// What a connection is doing when it is looked at.
pub(super) struct Doing {
    /// Bytes of a request that is not whole; 0 between requests.
    pub received: usize,
    /// The socket is being read, so that it is the peer who keeps us waiting.
    pub reading: bool,
    pub answering: bool,
    /// Others wait for memory that this connection holds.
    pub pressed: bool,
}

/// What has run out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Late {
    FirstRequest,
    RestOfRequest,
    Idle,
}

pub(super) struct Deadlines {
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    opened: Instant,
    last_activity: Instant,
    seen_a_request: bool,
    /// When the request that is not whole began.
    begun: Option<Instant>,
}

impl Deadlines {
    pub fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Deadlines {
            patience,
            timer: Box::pin(sleep_until(after(now, patience.first_request))),
            opened: now,
            last_activity: now,
            seen_a_request: false,
            begun: None,
        }
    }

    pub fn touch(&mut self) {
        self.last_activity = Instant::now();
    }

    /// How long nothing has come or gone.
    pub fn quiet(&self) -> Duration {
        self.last_activity.elapsed()
    }

    /// Bytes have come. `whole`: requests among them were complete; `rest`: one has begun that is not.
    pub fn received(&mut self, whole: bool, rest: bool) {
        self.touch();
        self.seen_a_request |= whole;
        if !rest {
            self.begun = None;
        } else if whole || self.begun.is_none() {
            self.begun = Some(self.last_activity);
        }
        self.look_soon();
    }

    /// Has the timer look within a step: there is memory to give back, or a request to wait for.
    fn look_soon(&mut self) {
        let soon = self.last_activity + STEP;
        if self.timer.deadline() > soon + STEP {
            self.timer.as_mut().reset(soon);
        }
    }

    /// Until the timer runs out.
    pub async fn tick(&mut self) {
        Tick(&mut self.timer).await;
    }

    /// After a tick: what has run out, if anything; sets the timer for the next look.
    pub fn look(&mut self, doing: &Doing, has_memory: bool) -> Option<Late> {
        let now = Instant::now();
        if !doing.reading {
            // While we do not read, the peer's time stands still.
            self.begun = self.begun.map(|_| now);
        }
        let late = self.late(doing);
        let next = if has_memory || doing.received > 0 {
            now + STEP
        } else if !self.seen_a_request {
            after(self.opened, self.patience.first_request)
        } else {
            after(self.last_activity, self.patience.idle)
        };
        self.timer.as_mut().reset(next.max(now + STEP));
        late
    }

    fn late(&self, doing: &Doing) -> Option<Late> {
        if let Some(begun) = self.begun.filter(|_| doing.received > 0) {
            let pauses = doing.pressed && doing.reading && self.quiet() > PRESSED_PAUSE;
            if pauses || is_over(begun, doing.received, self.patience.request, doing.pressed) {
                return Some(Late::RestOfRequest);
            }
        }
        // A peer whose request is being answered is not idle, however long that takes.
        if doing.answering {
            return None;
        }
        if !self.seen_a_request && self.opened.elapsed() >= self.patience.first_request {
            return Some(Late::FirstRequest);
        }
        (self.quiet() >= self.patience.idle).then_some(Late::Idle)
    }
}

fn after(from: Instant, time: Duration) -> Instant {
    from + time.min(NEVER)
}

struct Tick<'a>(&'a mut Pin<Box<Sleep>>);

impl Future for Tick<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience {
            first_request: Duration::from_secs(60),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(600),
        }
    }

    fn reading(received: usize) -> Doing {
        Doing { received, reading: true, answering: false, pressed: false }
    }

    async fn runs_out(deadlines: &mut Deadlines, doing: impl Fn() -> Doing) -> (Late, u64) {
        let start = Instant::now();
        loop {
            deadlines.tick().await;
            if let Some(late) = deadlines.look(&doing(), false) {
                return (late, start.elapsed().as_secs());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s8_who_says_nothing_and_who_says_no_more_are_let_go() {
        let mut deadlines = Deadlines::new(patience());
        assert_eq!(runs_out(&mut deadlines, || reading(0)).await, (Late::FirstRequest, 60));
        let mut deadlines = Deadlines::new(patience());
        deadlines.received(true, false);
        assert_eq!(runs_out(&mut deadlines, || reading(0)).await, (Late::Idle, 600));
    }

    /// S8: one byte now and then does not make a request young again.
    #[tokio::test(start_paused = true)]
    async fn s8_a_request_that_trickles_in_runs_out_of_time() {
        let mut deadlines = Deadlines::new(patience());
        deadlines.received(true, true);
        for received in 1..40 {
            deadlines.received(false, true);
            tokio::time::sleep(STEP).await;
            if deadlines.look(&reading(received), false).is_some() {
                assert!((30..=32).contains(&received), "after {received} seconds");
                return;
            }
        }
        panic!("it was waited for without end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_request_may_take_longer_while_nobody_waits_for_its_memory() {
        let mut deadlines = Deadlines::new(patience());
        deadlines.received(true, true);
        let half = || reading(960 << 10);
        assert_eq!(runs_out(&mut deadlines, half).await, (Late::RestOfRequest, 91));
        let mut deadlines = Deadlines::new(patience());
        deadlines.received(true, true);
        let pressed = || Doing { pressed: true, ..reading(960 << 10) };
        assert_eq!(runs_out(&mut deadlines, pressed).await, (Late::RestOfRequest, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_while_the_socket_is_not_read() {
        let mut deadlines = Deadlines::new(patience());
        deadlines.received(true, true);
        for _ in 0..100 {
            tokio::time::sleep(STEP).await;
            assert_eq!(deadlines.look(&Doing { reading: false, answering: true, ..reading(10) }, true), None);
        }
    }
}
