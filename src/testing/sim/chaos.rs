//! What goes wrong while the clients work, as the plan has it: crashes at any write, connections cut and stalled, a disk that
//! is slow, full, or fails a flush, a wall clock that jumps.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::testing::seed::Seed;

use super::life::Life;

/// How long a flush takes at most on a healthy disk.
const FLUSH_MS: u64 = 3;

/// Torments a life until the run is over or the life ends; one that is meant to crash never returns.
pub async fn torment(life: &Arc<Life>, mut dice: Seed) {
    let end_ms = life.world.plan.seconds * 1000;
    let faults = life.world.plan.faults;
    let crash_at_ms = match faults.crash_every_ms {
        0 => u64::MAX,
        mean => life.now_ms() + dice.below(2 * mean),
    };
    loop {
        let left_ms = end_ms.saturating_sub(life.now_ms());
        if left_ms == 0 {
            return;
        }
        if life.now_ms() >= crash_at_ms {
            life.disk.die_after(dice.below(120));
            // An idle broker writes nothing to die with.
            sleep_ms(2_000).await;
            life.disk.die_now();
        }
        let pause = (200 + dice.below(4_000)).min(left_ms).min(crash_at_ms.saturating_sub(life.now_ms()).max(1));
        sleep_ms(pause).await;
        strike(life, &mut dice).await;
        if dice.one_in(20) && faults.crash_every_ms > 0 {
            // A clean stop and a start.
            life.world.count("restarts", 1);
            return;
        }
    }
}

async fn strike(life: &Arc<Life>, dice: &mut Seed) {
    let faults = life.world.plan.faults;
    match dice.below(6) {
        0 if faults.cuts => {
            let links = life.links();
            if let Some(link) = links.get(dice.below(links.len() as u64) as usize) {
                life.world.count("cuts", 1);
                link.cut();
            }
        }
        1 if faults.stalls => {
            let links = life.links();
            if let Some(link) = links.get(dice.below(links.len() as u64) as usize) {
                life.world.count("stalls", 1);
                link.stall(Duration::from_millis(dice.below(8_000)));
            }
        }
        2 if faults.slow_disk => {
            life.flush_ms.store(50 + dice.below(3_000), Ordering::SeqCst);
            sleep_ms(dice.below(10_000)).await;
            life.flush_ms.store(FLUSH_MS, Ordering::SeqCst);
        }
        3 if faults.full_disk => {
            life.disk.set_capacity(Some(life.disk.used() + dice.below(3_000)));
            sleep_ms(dice.below(10_000)).await;
            life.disk.set_capacity(None);
        }
        4 if faults.failed_flush && dice.one_in(4) => {
            life.disk.fail_sync(dice.below(10));
        }
        5 if faults.clock_jumps => {
            life.world.count("clock jumps", 1);
            let jump = dice.below(8 * 3_600_000) as i64 - 4 * 3_600_000;
            life.clock.jump(jump);
            life.world.jumped(jump);
        }
        _ => {}
    }
}

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
