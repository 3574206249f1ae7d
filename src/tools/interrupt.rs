//! Ctrl-C, for tools that would go on for ever and have something to say at the end.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Watches SIGINT and SIGTERM from its making on; [`Interrupt::came`] asks without waiting.
pub struct Interrupt {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    pub fn watch() -> io::Result<Interrupt> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        Ok(Interrupt { runtime, interrupt, terminate })
    }

    pub fn came(&mut self) -> bool {
        let Interrupt { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = a_moment() => false,
            }
        })
    }
}

/// Long enough for the runtime to look at its signals, and no longer.
async fn a_moment() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}
