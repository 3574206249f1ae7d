//! DescribeLogDirs, versions 1 to 4: the data directory, what each partition takes in it, and the room that is left.
//!
//! 3: an error for the whole answer, which we never have. 4: total and usable bytes of the file system. Null asks for all
//! partitions; partitions that are not here are passed over. The metadata log is not told, as in Kafka.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{self as m, DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{Context, Reply, text};
use crate::types::{ErrorCode, TopicPartition};

pub async fn handle(ctx: &mut Context<'_>, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
    let broker = ctx.broker;
    let sizes: Vec<(TopicPartition, u64)> = match &request.topics {
        None => broker.partitions.all().iter().map(|each| (each.name.clone(), each.size_bytes())).collect(),
        Some(topics) => {
            let asked = topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|index| broker.partition(topic.topic.0.as_str(), *index))
            });
            asked.flatten().map(|each| (each.name.clone(), each.size_bytes())).collect()
        }
    };
    let path = broker.log_dir.path().display().to_string();
    Reply::Now(respond(&path, sizes, broker.disk_space(), ctx.version))
}

fn respond(
    path: &str,
    sizes: Vec<(TopicPartition, u64)>,
    space: Result<(u64, u64), ErrorCode>,
    version: i16,
) -> DescribeLogDirsResponse {
    let mut topics: BTreeMap<_, BTreeMap<i32, u64>> = BTreeMap::new();
    for (name, size) in sizes {
        topics.entry(name.topic).or_default().insert(name.partition, size);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, size)| {
            DescribeLogDirsPartition::default().with_partition_index(index).with_partition_size(number(size))
        });
        DescribeLogDirsTopic::default()
            .with_name(m::TopicName(text(name.as_str())))
            .with_partitions(partitions.collect())
    });
    let mut directory = DescribeLogDirsResult::default().with_log_dir(text(path)).with_topics(topics.collect());
    match space {
        Ok((total, usable)) if version >= 4 => {
            directory.total_bytes = number(total);
            directory.usable_bytes = number(usable);
        }
        Ok(_) => {}
        Err(code) => directory.error_code = code.code(),
    }
    DescribeLogDirsResponse::default().with_results(vec![directory])
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn every_answer_fits_every_version() {
        let sizes = vec![
            (TopicPartition::new("b", 0), 5),
            (TopicPartition::new("a", 1), 7),
            (TopicPartition::new("a", 0), 6),
        ];
        for version in 1..=4 {
            let response = respond("/data", sizes.clone(), Ok((100, 40)), version);
            check_versions(response.clone(), version..=version);
            let names: Vec<_> = response.results[0].topics.iter().map(|topic| topic.name.to_string()).collect();
            assert_eq!(names, ["a", "b"]);
        }
        let response = respond("/data", sizes, Ok((100, 40)), 4);
        assert_eq!((response.results[0].total_bytes, response.results[0].usable_bytes), (100, 40));
        check_versions(respond("/data", vec![], Err(ErrorCode::KafkaStorageError), 1), 1..=4);
    }
}
