//! What may be created, grown and deleted: Kafka's checks in Kafka's order, with Kafka's sentences.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::types::LeaderEpoch;

/// A request may make at most this many partitions (Kafka's `MAX_PARTITIONS_PER_BATCH`; S10).
const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

type Decision = (Vec<MetadataRecord>, MetadataAnswer);

impl Metadata {
    pub(super) fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
        random: u64,
        purse: &mut Purse<'_>,
    ) -> Decision {
        let wanted = topics.iter().map(|topic| self.wanted_partitions(topic)).sum::<usize>();
        if wanted > MAX_PARTITIONS_PER_REQUEST {
            // Every topic is answered, and each with this.
            let answers = topics.into_iter().map(|topic| (topic.name, Err(too_large()))).collect();
            return (vec![], MetadataAnswer::Created(answers));
        }
        let named = counts(topics.iter().map(|topic| topic.name.clone()));
        let mut answers = Vec::new();
        let mut records = Vec::new();
        let mut room = self.settings.max_partitions.saturating_sub(self.image.partition_count());
        for topic in topics {
            // One answer for all occurrences of a name.
            if answers.iter().any(|(name, _)| *name == topic.name) {
                continue;
            }
            let result = if named[&topic.name] > 1 {
                Err(Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.create_topic(&topic, random, &mut room, purse)
            };
            answers.push((
                topic.name,
                result.map(|(made, topic)| {
                    records.extend(made);
                    topic
                }),
            ));
        }
        if validate_only {
            records.clear();
        }
        (records, MetadataAnswer::Created(answers))
    }

    /// Topics made because somebody asked for them: never more replicas than there are brokers for internal ones,
    /// so that a single broker is ready with Kafka's default of three.
    pub(super) fn auto_create_topics(&self, topics: Vec<(TopicName, TopicId)>, random: u64) -> Decision {
        let brokers = i16::try_from(self.image.brokers.len()).unwrap_or(i16::MAX);
        let topics = topics
            .into_iter()
            .map(|(name, id)| {
                let internal = match name.as_str() {
                    CONSUMER_OFFSETS => Some(&self.settings.offsets_topic),
                    TRANSACTION_STATE => Some(&self.settings.transaction_topic),
                    _ => None,
                };
                NewTopic {
                    name,
                    id,
                    partitions: internal.map_or(-1, |topic| topic.partitions),
                    replication_factor: internal.map_or(-1, |topic| topic.replication_factor.min(brokers.max(1))),
                    assignments: Vec::new(),
                    configs: internal.map_or_else(Vec::new, |topic| {
                        topic.configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect()
                    }),
                }
            })
            .collect();
        self.create_topics(topics, false, random, &mut Purse::bottomless())
    }

    fn wanted_partitions(&self, topic: &NewTopic) -> usize {
        let asked = match topic.partitions {
            -1 => self.settings.num_partitions,
            count => count,
        };
        if topic.assignments.is_empty() { usize::try_from(asked).unwrap_or(0) } else { topic.assignments.len() }
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        random: u64,
        room: &mut usize,
        purse: &mut Purse<'_>,
    ) -> Result<(Vec<MetadataRecord>, CreatedTopic), Refused> {
        self.check_new_name(&topic.name)?;
        let configs = self.check_creation_configs(topic)?;
        let replicas = self.place_topic(topic, random)?;
        *room = room.checked_sub(replicas.len()).ok_or_else(|| self.too_many_partitions())?;
        purse.pay(replicas.len())?;

        let created = CreatedTopic {
            id: topic.id,
            partitions: replicas.len() as i32,
            replication_factor: replicas.first().map_or(0, |replicas| replicas.len() as i16),
            configs: Arc::new(configs.clone()),
        };
        let mut records = vec![MetadataRecord::Topic { name: topic.name.clone(), id: topic.id }];
        records.extend(configs.into_iter().map(|(name, value)| MetadataRecord::Config {
            resource: ConfigResource::Topic(topic.name.clone()),
            name,
            value: Some(value),
        }));
        records.extend(self.partition_records(topic.id, 0, replicas));
        Ok((records, created))
    }

    fn check_new_name(&self, name: &TopicName) -> Result<(), Refused> {
        if name.as_str() == CLUSTER_METADATA {
            let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
            return Err(Refused::new(ErrorCode::InvalidRequest, message));
        }
        if self.image.topic(name.as_str()).is_some() {
            return Err(Refused::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        TopicName::check(name.as_str()).map_err(|message| Refused::new(ErrorCode::InvalidTopicException, message))?;
        match self.image.colliding(name.as_str()) {
            Some(other) => Err(Refused::new(
                ErrorCode::InvalidTopicException,
                format!("Topic '{name}' collides with existing topic: {other}"),
            )),
            None => Ok(()),
        }
    }

    fn place_topic(&self, topic: &NewTopic, random: u64) -> Result<Vec<Vec<BrokerId>>, Refused> {
        if !topic.assignments.is_empty() {
            return self.place_by_hand(topic);
        }
        let count = match topic.partitions {
            -1 => self.settings.num_partitions,
            count => count,
        };
        let replication_factor = match topic.replication_factor {
            -1 => self.settings.default_replication_factor,
            factor => factor,
        };
        if replication_factor <= 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refused::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if count <= 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refused::new(ErrorCode::InvalidPartitions, message));
        }
        self.place(0, count as usize, replication_factor, random)
    }

    fn place(
        &self,
        first: usize,
        count: usize,
        replication_factor: i16,
        random: u64,
    ) -> Result<Vec<Vec<BrokerId>>, Refused> {
        let brokers: Vec<&Broker> = self.image.brokers().collect();
        placement::place(&brokers, first, count, replication_factor, random).map_err(|why| {
            let message = format!("Unable to replicate the partition {replication_factor} time(s): {why}");
            Refused::new(ErrorCode::InvalidReplicationFactor, message)
        })
    }

    fn place_by_hand(&self, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
        for (number, what) in
            [(i32::from(topic.replication_factor), "replication factor"), (topic.partitions, "numPartitions")]
        {
            if number != -1 {
                let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
                return Err(Refused::new(ErrorCode::InvalidRequest, message));
            }
        }
        let mut placed: BTreeMap<i32, Vec<BrokerId>> = BTreeMap::new();
        let mut replication_factor = None;
        for (partition, replicas) in &topic.assignments {
            if placed.contains_key(partition) {
                return Err(bad_assignment(format!(
                    "Found multiple manual partition assignments for partition {partition}"
                )));
            }
            self.check_replicas(*partition, replicas, replication_factor)?;
            replication_factor = Some(replicas.len());
            placed.insert(*partition, replicas.clone());
        }
        if placed.keys().zip(0..).any(|(partition, expected)| *partition != expected) {
            return Err(bad_assignment("partitions should be a consecutive 0-based integer sequence".to_string()));
        }
        Ok(placed.into_values().collect())
    }

    fn check_replicas(&self, partition: i32, replicas: &[BrokerId], expected: Option<usize>) -> Result<(), Refused> {
        self.image.check_replicas(replicas)?;
        if let Some(expected) = expected.filter(|expected| *expected != replicas.len()) {
            return Err(bad_assignment(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with previous partitions, which have {expected} replica(s).",
                replicas.len()
            )));
        }
        if self.active(replicas).is_empty() {
            return Err(bad_assignment(format!(
                "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown."
            )));
        }
        Ok(())
    }

    fn active(&self, replicas: &[BrokerId]) -> Vec<BrokerId> {
        replicas.iter().copied().filter(|id| self.image.broker(*id).is_some_and(Broker::is_active)).collect()
    }

    fn too_many_partitions(&self) -> Refused {
        let message = format!(
            "The cluster would have more than {} partitions, which is the most it may have.",
            self.settings.max_partitions
        );
        Refused::new(ErrorCode::PolicyViolation, message)
    }

    fn partition_records(
        &self,
        topic: TopicId,
        first: usize,
        replicas: Vec<Vec<BrokerId>>,
    ) -> impl Iterator<Item = MetadataRecord> {
        replicas.into_iter().zip(first as i32..).map(move |(replicas, partition)| {
            let isr = self.active(&replicas);
            let info = PartitionInfo {
                leader: isr.first().copied().unwrap_or(BrokerId::NONE),
                leader_epoch: LeaderEpoch::ZERO,
                directories: replicas.iter().map(|id| self.default_directory(*id)).collect(),
                replicas,
                isr,
                partition_epoch: 0,
            };
            MetadataRecord::Partition { topic, partition, info }
        })
    }

    /// A broker with one data directory has no choice; with several, it chooses itself (nil: not assigned yet).
    fn default_directory(&self, broker: BrokerId) -> Uuid {
        match self.image.broker(broker).map(|broker| broker.log_dirs.as_slice()) {
            Some([only]) => *only,
            _ => Uuid::nil(),
        }
    }

    pub(super) fn delete_topics(&self, topics: Vec<TopicRef>, purse: &mut Purse<'_>) -> Decision {
        let names = counts(topics.iter().filter_map(|topic| match topic {
            TopicRef::Name(name) => Some(name.clone()),
            TopicRef::Id(_) => None,
        }));
        let ids = counts(topics.iter().filter_map(|topic| match topic {
            TopicRef::Id(id) => Some(*id),
            TopicRef::Name(_) => None,
        }));
        let mut records = Vec::new();
        let mut answers: Vec<DeletedTopic> = Vec::new();
        for topic in topics {
            let mut answer = match topic {
                TopicRef::Name(name) if names[&name] > 1 => refused_name(name, duplicate("name")),
                TopicRef::Id(id) if ids[&id] > 1 => refused_id(id, duplicate("id")),
                TopicRef::Name(name) => match self.image.topic(name.as_str()) {
                    Some(topic) if ids.contains_key(&topic.id) => {
                        let message = "The provided topic name maps to an ID that was already supplied.";
                        let result = Err(Refused::new(ErrorCode::InvalidRequest, message));
                        DeletedTopic { name: Some(name), id: topic.id, result }
                    }
                    Some(topic) => DeletedTopic { name: Some(name), id: topic.id, result: Ok(()) },
                    None => refused_name(name, unknown_topic()),
                },
                // Its name was given as well: that answer is for both.
                TopicRef::Id(id) if self.image.topic_by_id(id).is_some_and(|topic| names.contains_key(&topic.name)) => {
                    continue;
                }
                TopicRef::Id(id) => match self.image.topic_by_id(id) {
                    Some(topic) => DeletedTopic { name: Some(topic.name.clone()), id, result: Ok(()) },
                    None => refused_id(id, unknown_topic_id()),
                },
            };
            // One answer for all occurrences.
            if answers.iter().any(|known| known.name == answer.name && known.id == answer.id) {
                continue;
            }
            if let (Ok(()), Some(topic)) = (&answer.result, self.image.topic_by_id(answer.id)) {
                answer.result = purse.pay(topic.partitions.len());
            }
            if answer.result.is_ok() {
                records.push(MetadataRecord::RemoveTopic(answer.id));
            }
            answers.push(answer);
        }
        (records, MetadataAnswer::Deleted(answers))
    }

    pub(super) fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
        random: u64,
        purse: &mut Purse<'_>,
    ) -> Decision {
        let named = counts(topics.iter().map(|topic| topic.name.clone()));
        let mut answers: Vec<(TopicName, Result<(), Refused>)> = Vec::new();
        let mut records = Vec::new();
        let mut request = MAX_PARTITIONS_PER_REQUEST;
        let mut room = self.settings.max_partitions.saturating_sub(self.image.partition_count());
        for topic in topics {
            if answers.iter().any(|(name, _)| *name == topic.name) {
                continue;
            }
            let result = if named[&topic.name] > 1 {
                Err(duplicate("name"))
            } else {
                self.grow(&topic, random, &mut request, &mut room, purse).map(|made| records.extend(made))
            };
            answers.push((topic.name, result));
        }
        if validate_only {
            records.clear();
        }
        (records, MetadataAnswer::PartitionsCreated(answers))
    }

    fn grow(
        &self,
        wanted: &NewPartitions,
        random: u64,
        request: &mut usize,
        room: &mut usize,
        purse: &mut Purse<'_>,
    ) -> Result<Vec<MetadataRecord>, Refused> {
        let unknown = || Refused::new(ErrorCode::UnknownTopicOrPartition, "");
        let topic = self.image.topic(wanted.name.as_str()).ok_or_else(unknown)?;
        let present = topic.partitions.len();
        let Some(additional) = usize::try_from(wanted.count).ok().and_then(|count| count.checked_sub(present)) else {
            let message = format!(
                "The topic {} currently has {present} partition(s); {} would not be an increase.",
                wanted.name, wanted.count
            );
            return Err(Refused::new(ErrorCode::InvalidPartitions, message));
        };
        if additional == 0 {
            let message = format!("Topic already has {present} partition(s).");
            return Err(Refused::new(ErrorCode::InvalidPartitions, message));
        }
        if let Some(assignments) = wanted.assignments.as_ref().filter(|given| given.len() != additional) {
            return Err(bad_assignment(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            )));
        }
        *request = request.checked_sub(additional).ok_or_else(too_large)?;
        *room = room.checked_sub(additional).ok_or_else(|| self.too_many_partitions())?;
        purse.pay(additional)?;
        let replication_factor = topic.partitions.first().map_or(1, |first| first.replicas.len());
        let replicas = match &wanted.assignments {
            Some(assignments) => {
                for (replicas, partition) in assignments.iter().zip(present as i32..) {
                    self.check_replicas(partition, replicas, Some(replication_factor))?;
                }
                assignments.clone()
            }
            None => self.place(present, additional, replication_factor as i16, random)?,
        };
        Ok(self.partition_records(topic.id, present, replicas).collect())
    }
}

impl Image {
    /// Whether a partition could have these replicas, as far as it is its own affair.
    pub fn check_replicas(&self, replicas: &[BrokerId]) -> Result<(), Refused> {
        if replicas.is_empty() {
            return Err(bad_assignment("The manual partition assignment includes an empty replica list.".to_string()));
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        for (i, id) in sorted.iter().enumerate() {
            if self.broker(*id).is_none() {
                return Err(bad_assignment(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is registered."
                )));
            }
            if i > 0 && sorted[i - 1] == *id {
                return Err(bad_assignment(format!(
                    "The manual partition assignment includes the broker {id} more than once."
                )));
            }
        }
        Ok(())
    }
}

fn bad_assignment(message: String) -> Refused {
    Refused::new(ErrorCode::InvalidReplicaAssignment, message)
}

fn too_large() -> Refused {
    Refused::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.")
}

fn duplicate(what: &str) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, format!("Duplicate topic {what}."))
}

fn unknown_topic() -> Refused {
    Refused::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
}

fn unknown_topic_id() -> Refused {
    Refused::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")
}

fn refused_name(name: TopicName, refused: Refused) -> DeletedTopic {
    DeletedTopic { name: Some(name), id: TopicId::ZERO, result: Err(refused) }
}

fn refused_id(id: TopicId, refused: Refused) -> DeletedTopic {
    DeletedTopic { name: None, id, result: Err(refused) }
}
