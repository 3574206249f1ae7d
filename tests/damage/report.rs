//! What the broker says: its warnings and errors of one run, and whether anything panicked.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::fmt::MakeWriter;

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static PANICS: AtomicU64 = AtomicU64::new(0);

struct Ear;

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        SAID.lock().expect("nobody panics while listening").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Ear {
    type Writer = Ear;

    fn make_writer(&self) -> Ear {
        Ear
    }
}

/// Begins to listen, once for the process.
pub fn listen() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false).with_writer(Ear).init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
}

/// What was said since this was last asked.
pub fn said() -> String {
    let said = std::mem::take(&mut *SAID.lock().expect("nobody panics while listening"));
    String::from_utf8_lossy(&said).into_owned()
}

pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
