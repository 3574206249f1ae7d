//! The whole broker on a simulated disk: what only shows when all rooms come together.

use std::path::Path;
use std::sync::Arc;

use super::Broker;
use crate::clock::ManualClock;
use crate::config::{Settings, Sources};
use crate::storage::disk::Disk;
use crate::testing::disk::{Crashes, Cut, Image, SimDisk};
use crate::testing::seed::Seed;
use crate::types::Timestamp;

/// Starts a broker, lets it register itself, and stops it.
fn start_and_stop(disk: Arc<dyn Disk>, dice: u64) -> Result<String, String> {
    let sources =
        Sources { overrides: vec!["log.dirs=/data".into()], host_name: "localhost".into(), ..Sources::default() };
    let settings = Settings::load(&sources).expect("good settings");
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000), dice));
    let broker = Broker::open(settings, disk, clock).map_err(|error| error.0)?;
    broker.employ();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let started = runtime.block_on(broker.start(vec![9092])).map_err(|error| error.0);
    broker.stop();
    started.map(|()| broker.log_dir.cluster_id().to_owned())
}

/// "Has this directory been used?" is answered by `meta.properties` alone: a kill or a power cut at any write of the first
/// start leaves a directory that the second one takes.
#[test]
fn lesson_36_a_first_start_that_was_cut_short_is_followed_by_one_that_works() {
    let first = SimDisk::new();
    start_and_stop(Arc::new(first.clone()), 1).expect("the first start");
    let ops = first.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    let mut seed = Seed::new(36);
    let mut images = 0;
    while crashes.advance() {
        for cut in [Cut::Killed, Cut::LoseAll, Cut::LoseData, Cut::LoseNames, Cut::Half, Cut::Random(seed.fork())] {
            let disk = SimDisk::from_image(crashes.image(&cut));
            let told = format!("cut {cut:?} behind {:?}", ops[crashes.position() - 1]);
            let cluster = start_and_stop(Arc::new(disk.clone()), 2).unwrap_or_else(|why| panic!("{why}; {told}"));
            let again = start_and_stop(Arc::new(disk.clone()), 3).unwrap_or_else(|why| panic!("{why}; {told}"));
            assert_eq!(cluster, again, "the directory belongs to one cluster; {told}");
            assert!(disk.exists(Path::new("/data/meta.properties")), "{told}");
            images += 1;
        }
    }
    assert!(images > 100, "{images} images");
}
