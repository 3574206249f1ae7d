//! The one place that starts tasks and threads: each has a name, an owner and a fate.
//!
//! A panic in a connection ends that connection, is counted and logged with its address (I114). A panic in a task of the
//! broker itself ends the process: a restart is a tested path, a broker that lacks one of its organs is not.
//!
//! On a runtime of one thread, as a simulation has, work that blocks runs where it is: nothing else decides the order in
//! which things happen.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::metrics::Metrics;
use crate::net::Spawn;

/// Starts a task the broker cannot live without.
#[allow(clippy::disallowed_methods)]
pub fn organ(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(what) = caught(future).await {
            tracing::error!(task = name, panic = %what, "a task of the broker failed; the process ends");
            std::process::abort();
        }
    })
}

/// Starts a thread for work that blocks: flushing, cleaning, deleting.
#[allow(clippy::disallowed_methods)]
pub fn thread(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if std::panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!(thread = name, "a thread of the broker failed; the process ends");
                std::process::abort();
            }
        })
        .expect("the process may start a thread: it is one of a handful made at start")
}

/// Runs the same work on several threads and waits for all of them.
#[allow(clippy::disallowed_methods)]
pub fn scoped(threads: usize, work: &(dyn Fn() + Sync)) {
    let threads = if is_alone() { 1 } else { threads };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// Runs blocking work away from the tasks that serve connections.
#[allow(clippy::disallowed_methods)]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if is_alone() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => unreachable!("blocking work is never cancelled"),
    }
}

/// Is this the only thread of its runtime?
fn is_alone() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// How connections are started.
#[allow(clippy::disallowed_methods)]
pub fn connections(metrics: Arc<Metrics>) -> Spawn {
    Arc::new(move |future| {
        let metrics = metrics.clone();
        tokio::spawn(async move {
            if let Err(what) = caught(future).await {
                metrics.connection_panics.add(1);
                tracing::error!(panic = %what, "a connection was ended by a fault of ours");
            }
        });
    })
}

/// Runs a future to its end or its panic.
async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(message(&*panic))),
    })
    .await
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("of an unknown kind").to_owned()
}
