//! Runs one pure machine over one log: replay, step, append, apply, and answers held until what they rest on is committed.
//!
//! ```text
//! ask ─ step ─ append ─ apply ─┐                      (one lock, in order)
//!                              └─ held ─ committed ─ answer
//! ```
//! Every answer waits for the high watermark to reach the end of the log as it was when the machine spoke, also when the
//! step appended nothing: what it saw must not be taken back. When an append is refused the machine is dropped and its
//! callers learn NOT_COORDINATOR; the next call replays the log. There is no roll-back and no second copy of the state.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::seldom::Seldom;
use crate::state::{Effects, Machine, Ticket};
use crate::types::{ErrorCode, Monotonic, Now, Offset};

/// What a machine's records go to: a partition of an internal topic, the local metadata log, later the quorum.
pub trait RecordLog<R>: Send + Sync {
    /// Hands over every record of the log in order.
    fn replay(&self, apply: &mut dyn FnMut(R)) -> Result<(), ErrorCode>;
    /// Appends all of the records or none; the end of the log after them.
    fn append(&self, records: &[R], now: Now) -> Result<Offset, ErrorCode>;
    fn end(&self) -> Offset;
    fn high_watermark(&self) -> Offset;
    /// Will nothing be committed here any more? Then nobody may be kept waiting for it.
    fn is_failed(&self) -> bool;
}

/// Makes the machine as it is before the first record.
pub type Birth<M> = Box<dyn Fn() -> M + Send + Sync>;
/// Called under the driver's lock when effects are committed, before their answers leave.
pub type OnCommit<S> = Box<dyn Fn(&S) + Send + Sync>;

/// What of a machine is shown to others once committed. `()` for machines nobody looks into.
pub trait Published: Machine {
    type View: Clone + Send;
    fn view(&self) -> Self::View;

    /// All of the log before `end` has been applied.
    fn applied_to(&mut self, _end: Offset) {}
}

pub struct Driver<M: Published> {
    log: Arc<dyn RecordLog<M::Record>>,
    clock: Arc<dyn Clock>,
    birth: Birth<M>,
    on_commit: OnCommit<M::View>,
    /// The machine and whoever waits for it.
    state: Mutex<State<M>>,
    /// When the timer task will call, in ms; `u64::MAX` when it sleeps without end.
    armed: AtomicU64,
    rearm: Notify,
    refused: Seldom,
}

struct State<M: Published> {
    machine: Option<M>,
    next_ticket: u64,
    callers: HashMap<Ticket, oneshot::Sender<M::Answer>>,
    held: VecDeque<Held<M>>,
}

/// Answers that may leave once the log is committed up to `end`.
struct Held<M: Published> {
    end: Offset,
    view: Option<M::View>,
    answers: Vec<(Ticket, M::Answer)>,
}

impl<M: Published + 'static> Driver<M> {
    pub fn new(
        log: Arc<dyn RecordLog<M::Record>>,
        clock: Arc<dyn Clock>,
        birth: Birth<M>,
        on_commit: OnCommit<M::View>,
    ) -> Arc<Self> {
        Arc::new(Driver {
            log,
            clock,
            birth,
            on_commit,
            state: Mutex::new(State { machine: None, next_ticket: 0, callers: HashMap::new(), held: VecDeque::new() }),
            armed: AtomicU64::new(u64::MAX),
            rearm: Notify::new(),
            refused: Seldom::default(),
        })
    }

    /// Replays the log now instead of at the first call.
    pub fn load(&self) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        self.loaded(&mut state).map(|_| ())
    }

    /// Hands one input to the machine. The input is taken in when this returns; the answer comes with the future.
    pub fn ask(&self, input: M::Input) -> impl Future<Output = Result<M::Answer, ErrorCode>> + Send + use<M> {
        let (sender, receiver) = oneshot::channel();
        let begun = self.begin(input, sender);
        async move {
            begun?;
            // Dropped callers: the machine was given up because its log refused an append.
            receiver.await.map_err(|_| ErrorCode::NotCoordinator)
        }
    }

    /// Hands over an input whose answer nobody needs.
    pub fn tell(&self, input: M::Input) {
        let (sender, _) = oneshot::channel();
        let _ = self.begin(input, sender);
    }

    fn begin(&self, input: M::Input, caller: oneshot::Sender<M::Answer>) -> Result<(), ErrorCode> {
        let now = self.clock.now();
        let mut state = self.lock();
        if self.log.is_failed() {
            self.give_up(&mut state);
            return Err(ErrorCode::NotCoordinator);
        }
        self.loaded(&mut state)?;
        let ticket = Ticket(state.next_ticket);
        state.next_ticket += 1;
        state.callers.insert(ticket, caller);
        let effects = match state.machine.as_mut() {
            Some(machine) => machine.step(now, ticket, input),
            None => return Err(ErrorCode::NotCoordinator),
        };
        self.carry_out(&mut state, now, effects)
    }

    /// Calls the machine if its time has come.
    fn tick(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(machine) = state.machine.as_mut() else { return };
        if machine.next_deadline().is_some_and(|deadline| deadline <= now.mono) {
            let effects = machine.tick(now);
            // A refused append has been logged and has dropped the machine; there is nobody to tell.
            let _ = self.carry_out(&mut state, now, effects);
        }
    }

    /// The high watermark of the log has moved, or will never move again.
    pub fn committed(&self) {
        let mut state = self.lock();
        self.release(&mut state);
        if self.log.is_failed() {
            self.give_up(&mut state);
        }
    }

    /// Drops the machine; whoever waits for it learns NOT_COORDINATOR.
    fn give_up(&self, state: &mut State<M>) {
        state.machine = None;
        state.callers.clear();
        state.held.clear();
        self.rearm.notify_one();
    }

    fn carry_out(&self, state: &mut State<M>, now: Now, effects: Effects<M>) -> Result<(), ErrorCode> {
        let mut end = None;
        if !effects.append.is_empty() {
            match self.log.append(&effects.append, now) {
                Ok(offset) => end = Some(offset),
                Err(code) => {
                    if let Some(more) = self.refused.due(now.mono.0) {
                        tracing::warn!(error = %code, more, "the log of a coordinator refused an append; it is loaded anew");
                    }
                    self.give_up(state);
                    return Err(ErrorCode::NotCoordinator);
                }
            }
        }
        let machine = state.machine.as_mut().expect("whoever stepped it holds the lock still");
        for record in &effects.append {
            machine.apply(record);
        }
        if let Some(end) = end {
            machine.applied_to(end);
        }
        self.arm(machine.next_deadline());
        if end.is_some() || !effects.answer.is_empty() {
            let view = end.map(|_| machine.view());
            let end = end.unwrap_or_else(|| self.log.end());
            state.held.push_back(Held { end, view, answers: effects.answer });
            self.release(state);
        }
        Ok(())
    }

    /// Lets go of everything that is committed, in order.
    fn release(&self, state: &mut State<M>) {
        let high_watermark = self.log.high_watermark();
        while state.held.front().is_some_and(|held| held.end <= high_watermark) {
            let Some(held) = state.held.pop_front() else { return };
            if let Some(view) = &held.view {
                (self.on_commit)(view);
            }
            for (ticket, answer) in held.answers {
                if let Some(caller) = state.callers.remove(&ticket) {
                    // A caller that has gone needs no answer.
                    let _ = caller.send(answer);
                }
            }
        }
    }

    fn loaded(&self, state: &mut State<M>) -> Result<(), ErrorCode> {
        if state.machine.is_some() {
            return Ok(());
        }
        let mut machine = (self.birth)();
        self.log.replay(&mut |record| machine.apply(&record))?;
        machine.applied_to(self.log.end());
        let now = self.clock.now();
        let effects = machine.tick(now);
        state.machine = Some(machine);
        if let Some(machine) = &state.machine {
            (self.on_commit)(&machine.view());
        }
        self.carry_out(state, now, effects)
    }

    fn arm(&self, deadline: Option<Monotonic>) {
        let wanted = deadline.map_or(u64::MAX, |deadline| deadline.0);
        // Later deadlines are found when the earlier one fires; only an earlier one wakes the timer.
        if wanted < self.armed.load(Ordering::SeqCst) {
            self.armed.store(wanted, Ordering::SeqCst);
            self.rearm.notify_one();
        }
    }

    /// The timer: one task per machine that is loaded, asleep while there is no deadline. It ends with the log.
    pub async fn run_timer(self: Arc<Self>) {
        while !self.log.is_failed() {
            let next = self.rearmed();
            match next {
                Some(deadline) => {
                    let wait = Duration::from_millis(deadline.ms_since(self.clock.now().mono));
                    tokio::select! {
                        // Chance must not decide: a simulation is repeated from its seed (I116).
                        biased;
                        () = tokio::time::sleep(wait) => self.tick(),
                        () = self.rearm.notified() => {}
                    }
                }
                None => self.rearm.notified().await,
            }
        }
    }

    /// The next deadline, noted as what the timer waits for. Under one lock: an earlier deadline that came between the two
    /// would compare itself with the old note and wake nobody (I66).
    fn rearmed(&self) -> Option<Monotonic> {
        let state = self.lock();
        let next = state.machine.as_ref().and_then(Machine::next_deadline);
        self.armed.store(next.map_or(u64::MAX, |deadline| deadline.0), Ordering::SeqCst);
        next
    }

    /// Looks at the machine, for reads that need no commit and for tests.
    pub fn inspect<T>(&self, look: impl FnOnce(&M) -> T) -> Option<T> {
        self.lock().machine.as_ref().map(look)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
