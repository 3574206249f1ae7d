//! Which brokers hold the replicas of new partitions: a pure choice from a list of brokers and a number.
//!
//! As Kafka's `StripedReplicaPlacer` in its single-rack case: partitions walk round the brokers from a random start,
//! each partition's replicas on the brokers that follow its first; a fenced broker is never first.

use super::image::Broker;
use crate::types::BrokerId;

/// The replicas of `count` partitions, the leader-to-be first. `first_partition` shifts the walk, so that partitions
/// added later go on where the topic ended. The error is the end of Kafka's sentence.
pub fn place(
    brokers: &[&Broker],
    first_partition: usize,
    count: usize,
    replication_factor: i16,
    random: u64,
) -> Result<Vec<Vec<BrokerId>>, String> {
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    if wanted > brokers.len() {
        return Err(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are registered or some brokers have all their log directories cordoned.",
            brokers.len()
        ));
    }
    let active: Vec<BrokerId> = brokers.iter().filter(|b| b.is_active()).map(|b| b.id).collect();
    let fenced: Vec<BrokerId> = brokers.iter().filter(|b| !b.is_active()).map(|b| b.id).collect();
    if active.is_empty() {
        return Err("All brokers are currently fenced.".to_string());
    }
    let start = (random % active.len() as u64) as usize + first_partition;
    // Replicas after the first shift by one more each round, so that a failed broker's load spreads over all.
    Ok((0..count)
        .map(|i| {
            let lap = (start + i) / active.len();
            let mut others: Vec<BrokerId> =
                (1..active.len()).map(|step| active[(start + i + step) % active.len()]).collect();
            if !others.is_empty() {
                let turn = lap % others.len();
                others.rotate_left(turn);
            }
            let first = active[(start + i) % active.len()];
            std::iter::once(first).chain(others).chain(fenced.iter().copied()).take(wanted).collect()
        })
        .collect())
}
