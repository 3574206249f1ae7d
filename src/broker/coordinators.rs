//! Which driver answers for a group: one machine per partition of `__consumer_offsets`, found by Kafka's hash.
//!
//! The topic is made at the first need and the machine is ready before the first caller is answered: nobody is told "not
//! yet". While a partition is still being replayed, callers wait for it instead of hearing COORDINATOR_LOAD_IN_PROGRESS, and
//! never hear "no offset" (I63).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::OnceCell;

use crate::state::group::{GroupAnswer, GroupConfig, GroupInput, GroupRecord, Groups};
use crate::state::metadata::{CONSUMER_OFFSETS, MetadataInput};
use crate::storage::log::Origin;
use crate::types::{ConnectionId, ErrorCode, TopicId, TopicName};

use super::driver::{Driver, Published};
use super::partition::Partition;
use super::record_log::{Codec, PartitionLog};
use super::{Broker, tasks};

impl Published for Groups {
    type View = ();

    fn view(&self) {}
}

/// Group records in Kafka's own format.
pub struct GroupCodec;

impl Codec for GroupCodec {
    type Record = GroupRecord;

    fn encode(&self, record: &GroupRecord) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let (key, value) = record.encode();
        (Some(key), value)
    }

    fn decode(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Option<GroupRecord> {
        match GroupRecord::decode(key?, value) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(%error, "a group record cannot be read and is passed over");
                None
            }
        }
    }
}

type GroupDriver = Arc<Driver<Groups>>;

/// A partition of one `__consumer_offsets`: deleted and made again it is another topic.
type Place = (TopicId, i32);

pub struct GroupCoordinators {
    config: Arc<GroupConfig>,
    /// One cell per partition, filled at the first use. Grows with the topic; another topic of that name gets others.
    drivers: Mutex<HashMap<Place, Arc<OnceCell<GroupDriver>>>>,
    /// Which partitions a connection has spoken to, to be told when it closes.
    spoken: Mutex<HashMap<ConnectionId, BTreeSet<Place>>>,
}

impl GroupCoordinators {
    pub fn new(config: GroupConfig) -> Self {
        GroupCoordinators { config: Arc::new(config), drivers: Mutex::default(), spoken: Mutex::default() }
    }

    /// Hands the input to the machine of that group.
    pub async fn ask(
        &self,
        broker: &Arc<Broker>,
        group_id: &str,
        connection: ConnectionId,
        input: GroupInput,
    ) -> Result<impl Future<Output = Result<GroupAnswer, ErrorCode>> + Send + use<>, ErrorCode> {
        let partition = self.partition_of(broker, group_id).await?;
        let log = broker.partition(CONSUMER_OFFSETS, partition)?;
        self.note(connection, (log.topic_id, partition));
        let driver = self.driver(broker, log).await?;
        Ok(driver.ask(input))
    }

    /// Hands an input to every machine there is, loading those that are not: for ListGroups and deleted topics.
    pub async fn ask_all(
        &self,
        broker: &Arc<Broker>,
        input: impl Fn() -> GroupInput,
    ) -> Result<Vec<GroupAnswer>, ErrorCode> {
        let count = broker.image().topic(CONSUMER_OFFSETS).map_or(0, |topic| topic.partitions.len());
        let mut asked = Vec::new();
        for partition in 0..count as i32 {
            // A partition without a record holds no group; its machine need not be made to say so.
            let log = broker.partition(CONSUMER_OFFSETS, partition)?;
            if log.log_end_offset()?.0 > 0 || self.is_loaded((log.topic_id, partition)) {
                asked.push(self.driver(broker, log).await?.ask(input()));
            }
        }
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(answer.await?);
        }
        Ok(answers)
    }

    /// A connection has gone: the members it carried are given their grace.
    pub fn connection_closed(&self, connection: ConnectionId) {
        let Some(places) = lock(&self.spoken).remove(&connection) else { return };
        for place in places {
            let cell = lock(&self.drivers).get(&place).cloned();
            if let Some(driver) = cell.as_ref().and_then(|cell| cell.get()) {
                driver.tell(GroupInput::ConnectionClosed { connection });
            }
        }
    }

    /// Loads every partition that has records, so that sessions and retention run from the start.
    pub async fn load_all(&self, broker: &Arc<Broker>) {
        let count = broker.image().topic(CONSUMER_OFFSETS).map_or(0, |topic| topic.partitions.len());
        for partition in 0..count as i32 {
            let Ok(log) = broker.partition(CONSUMER_OFFSETS, partition) else { continue };
            let has_records = log.log_end_offset().is_ok_and(|end| end.0 > 0);
            if has_records && let Err(error) = self.driver(broker, log).await {
                tracing::error!(partition, %error, "a partition of the group coordinator cannot be loaded");
            }
        }
    }

    async fn partition_of(&self, broker: &Arc<Broker>, group_id: &str) -> Result<i32, ErrorCode> {
        if broker.image().topic(CONSUMER_OFFSETS).is_none() {
            broker.make_internal_topic(CONSUMER_OFFSETS).await?;
        }
        let count = broker.image().topic(CONSUMER_OFFSETS).map_or(0, |topic| topic.partitions.len() as i32);
        if count == 0 {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        Ok(java_hash(group_id).checked_abs().unwrap_or(0) % count)
    }

    fn is_loaded(&self, place: Place) -> bool {
        lock(&self.drivers).get(&place).is_some_and(|cell| cell.initialized())
    }

    async fn driver(&self, broker: &Arc<Broker>, log: Arc<Partition>) -> Result<GroupDriver, ErrorCode> {
        let cell = {
            let mut drivers = lock(&self.drivers);
            drivers.retain(|(topic, _), _| *topic == log.topic_id);
            drivers.entry((log.topic_id, log.name.partition)).or_default().clone()
        };
        cell.get_or_try_init(|| self.load(broker, log)).await.cloned()
    }

    async fn load(&self, broker: &Arc<Broker>, log: Arc<Partition>) -> Result<GroupDriver, ErrorCode> {
        let records = PartitionLog { partition: log.clone(), codec: GroupCodec, origin: Origin::Coordinator };
        let config = self.config.clone();
        let birth = move || Groups::new(config.clone());
        let driver = Driver::new(Arc::new(records), broker.clock.clone(), Box::new(birth), Box::new(|()| {}));
        let loading = driver.clone();
        tasks::blocking(move || loading.load()).await?;
        let listener: Weak<Driver<Groups>> = Arc::downgrade(&driver);
        log.on_commit(Box::new(move || {
            if let Some(driver) = listener.upgrade() {
                driver.committed();
            }
        }));
        // What was committed between the load and the line above.
        driver.committed();
        tasks::organ("group coordinator timer", driver.clone().run_timer());
        Ok(driver)
    }

    fn note(&self, connection: ConnectionId, place: Place) {
        lock(&self.spoken).entry(connection).or_default().insert(place);
    }
}

impl Broker {
    /// Makes a topic of the broker's own, or finds that somebody else just has.
    pub async fn make_internal_topic(self: &Arc<Self>, name: &str) -> Result<(), ErrorCode> {
        let id = TopicId(self.clock.random_id());
        let topics = vec![(TopicName::from(name), id)];
        self.controller.ask(MetadataInput::AutoCreateTopics { topics, random: self.clock.random() }).await?;
        match self.image().topic(name) {
            Some(_) => Ok(()),
            None => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
}

/// `String.hashCode` of Java, by which Kafka finds the partition of a group.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from a JVM: a group must be looked for where Kafka has put it.
    #[test]
    fn groups_hash_as_in_java() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("abc"), 96_354);
        // Lesson 26: the smallest integer has no absolute value; Kafka takes 0.
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
