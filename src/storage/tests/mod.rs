//! The promises of storage, each as a test named after it. `harness` makes logs on the real disk and on the simulated one.

mod appends;
mod compaction;
mod compaction_crash;
mod compaction_model;
mod crash_images;
mod damage;
mod harness;
mod log_dirs;
mod model;
mod probes;
mod producers;
mod retention;
mod scrub;
