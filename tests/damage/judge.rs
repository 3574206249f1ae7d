//! Starts a broker on a damaged directory, asks for everything, and says how it went.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::damage::{Damage, Kind};
use crate::ground::{self, Ground, TOPICS, Truth, Unread};
use crate::report;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything is served as if nothing had happened.
    Harmless,
    /// Something is missing or refused, and a line says which file or directory it is about.
    Reported,
    /// A batch with a wrong checksum is served as it is, as Kafka does: clients refuse it, the scrubber reports it later.
    LeftToClients,
    /// The broker does not start, and says because of which file.
    Refused,
    /// After a kill, the end of a log is gone that no checkpoint knew of yet: nothing tells it from a crash that came earlier.
    LikeACrash,
}

/// Starting and answering take longer on no machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn judge(ground: &Ground, damage: &Damage) -> Result<Verdict, String> {
    let disk = Arc::new(damage.carry_out(ground));
    drop(report::said());
    let panics = report::panics();
    let started = tokio::time::timeout(PATIENCE, ground::start(&disk)).await.map_err(|_| "the start takes for ever")?;
    let house = match started {
        Err(refusal) => {
            let said = report::said() + &refusal;
            let why = || format!("the start was refused without the file's name: {said}");
            return names(damage, &said).then_some(Verdict::Refused).ok_or_else(why);
        }
        Ok(house) => house,
    };
    let asked = tokio::time::timeout(PATIENCE, ask(ground, damage, &house)).await;
    house.stop().await;
    let found = asked.map_err(|_| "no answer comes")??;
    if report::panics() > panics {
        return Err("something panicked".into());
    }
    let said = report::said();
    match found {
        Difference::None => Ok(Verdict::Harmless),
        Difference::Lacks(_) | Difference::Checksum if names(damage, &said) => Ok(Verdict::Reported),
        Difference::Checksum => Ok(Verdict::LeftToClients),
        Difference::Lacks(_) if damage.is_like_a_crash(ground) => Ok(Verdict::LikeACrash),
        Difference::Lacks(difference) => Err(format!("{difference}, and nothing is said of it; only: {said:?}")),
    }
}

/// Is the file, or the directory it lies in, named? Of the two of a swap, either.
fn names(damage: &Damage, said: &str) -> bool {
    let is_named = |file: &Path| {
        let name = file.file_name().is_some_and(|name| said.contains(&*name.to_string_lossy()));
        let directory = file.parent().filter(|parent| *parent != Path::new(ground::DATA));
        let partition = directory.and_then(Path::file_name).is_some_and(|name| said.contains(&*name.to_string_lossy()));
        name || partition
    };
    is_named(&damage.file) || matches!(&damage.kind, Kind::Swap(other) if is_named(other))
}

/// What differs from the truth.
enum Difference {
    None,
    /// Every client refuses what was served.
    Checksum,
    /// Something is not there, or refused.
    Lacks(String),
}

/// What differs from the truth, if anything does. An error is something wrong that was served.
async fn ask(ground: &Ground, damage: &Damage, house: &milena::house::House) -> Result<Difference, String> {
    let truth = &ground.images[damage.image].truth;
    let mut client = ground::connect(house).await;
    let mut difference = Difference::None;
    for (name, partitions) in TOPICS {
        for partition in 0..*partitions {
            let due = &truth.records[&(*name, partition)];
            let (found, unread) = ground::read(&mut client, name, partition).await;
            if let Some((offset, value)) = found.iter().find(|record| !due.contains(record)) {
                let value = String::from_utf8_lossy(value);
                return Err(format!("{name}-{partition} serves `{value}` at offset {offset}, which was never there"));
            }
            match unread {
                Some(Unread::Checksum) => difference = Difference::Checksum,
                Some(Unread::Code(code)) => {
                    difference = Difference::Lacks(format!("{name}-{partition} answers with error {code}"));
                }
                None if found.len() < due.len() => {
                    let story = format!("{name}-{partition} has {} of {} records", found.len(), due.len());
                    difference = Difference::Lacks(story);
                }
                None => {}
            }
        }
    }
    let is_whole = matches!(difference, Difference::None);
    match ask_of_the_rest(ground, truth, &mut client, is_whole).await? {
        Some(story) => Ok(Difference::Lacks(story)),
        None => Ok(difference),
    }
}

async fn ask_of_the_rest(
    ground: &Ground,
    truth: &Truth,
    client: &mut crate::support::Client,
    is_whole: bool,
) -> Result<Option<String>, String> {
    let mut difference = None;
    for group in ground::GROUPS {
        match ground::committed(client, group).await {
            Err(code) => difference = Some(format!("the offsets of {group}: error {code}")),
            Ok(found) => {
                for (partition, offset) in found {
                    let due = truth.committed[&(*group, partition)];
                    if offset != due {
                        difference =
                            Some(format!("{group} committed {due} of plain-{partition}, and is told {offset}"));
                    }
                }
            }
        }
    }
    if !is_whole {
        return Ok(difference);
    }
    for ((partition, time), due) in &truth.times {
        match ground::offset_for_time(client, "plain", *partition, *time).await {
            Ok(found) if found == *due => {}
            Ok(found) => {
                return Err(format!("time {time} of plain-{partition} is said to be at {found}, and is at {due}"));
            }
            Err(code) => difference = Some(format!("times of plain-{partition}: error {code}")),
        }
    }
    // A batch that is sent again is known, whatever happened to the snapshots (I30, I33).
    let (batch, due) = &ground.last_batch;
    match client.produce("counted", 0, batch.clone()).await {
        Ok(base) if base == *due => {}
        Ok(base) => return Err(format!("a batch that was sent again is written at {base}, beside {due}")),
        Err(code) => difference = Some(format!("a batch that was sent again is refused with error {code}")),
    }
    Ok(difference)
}
