//! `kafka-broker-api-versions`: what every broker of a cluster can be asked, and in which versions Kafka 4.3.1's client
//! would ask. The commonest health check: exit 0 says that every broker answered.

use super::flags::{Flag, Usage};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Broker, Client, Connection};
use kafka_protocol::messages::DescribeClusterRequest;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-broker-api-versions",
    aliases: &["kafka.admin.BrokerApiVersionsCommand", "org.apache.kafka.tools.BrokerApiVersionsCommand"],
    about: "show which requests each broker takes",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool helps to retrieve broker version information.", flags: FLAGS };

static FLAGS: &[Flag] = &[target::BOOTSTRAP_SERVER, target::BROKER_LIST, target::COMMAND_CONFIG];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let mut client = target::connect(&flags, "milena-broker-api-versions")?;
    let brokers = fenced(&mut client)?;
    let mut failed = false;
    for (broker, is_fenced) in brokers {
        let deadline = client.deadline().at_most(client.settings().request_timeout_ms);
        let rack = broker.rack.as_deref().unwrap_or("null");
        let who = format!("{} (id: {} rack: {rack} isFenced: {is_fenced})", broker.address(), broker.id);
        match client.connection(broker.id, &deadline) {
            Ok(connection) => describe(&who, connection, out),
            Err(error) => {
                failed = true;
                out.line(format!("{who} -> ERROR: {}: {error}\n", error.java_class()));
            }
        }
    }
    if failed { Err(Failure::Exit(1)) } else { Ok(()) }
}

/// Every broker, and whether it is fenced, where the cluster can tell.
fn fenced(client: &mut Client) -> Result<Vec<(Broker, bool)>, Failure> {
    let deadline = client.deadline();
    let knows = client.any(&deadline)?.version::<DescribeClusterRequest>(2).is_ok_and(|version| version >= 2);
    let known: Vec<Broker> = client.brokers().cloned().collect();
    if !knows {
        return Ok(known.into_iter().map(|broker| (broker, false)).collect());
    }
    let answer = client.ask_any_up_to(&DescribeClusterRequest::default().with_endpoint_type(1), 2)?;
    let is_fenced = |id| answer.brokers.iter().any(|broker| broker.broker_id.0 == id && broker.is_fenced);
    Ok(known
        .into_iter()
        .map(|broker| {
            let fenced = is_fenced(broker.id);
            (broker, fenced)
        })
        .collect())
}

fn describe(who: &str, connection: &Connection, out: &mut Output) {
    out.line(format!("{who} -> ("));
    let mut lines: Vec<String> = APIS.iter().map(|api| known(api, connection)).collect();
    let is_known = |key: &i16| APIS.iter().any(|(known, ..)| known == key);
    for (key, (first, last)) in connection.offered().iter().filter(|(key, _)| !is_known(key)) {
        lines.push(format!("\tUNKNOWN({key}): {}", range(*first, *last)));
    }
    out.line(lines.join(",\n"));
    out.line(")");
}

fn known(&(key, name, first, last): &(i16, &str, i16, i16), connection: &Connection) -> String {
    let Some(&(lowest, highest)) = connection.offered().get(&key) else {
        return format!("\t{name}({key}): UNSUPPORTED");
    };
    let usable = if highest < first {
        "unusable: node too old".to_owned()
    } else if lowest > last {
        "unusable: node too new".to_owned()
    } else {
        format!("usable: {}", highest.min(last))
    };
    format!("\t{name}({key}): {} [{usable}]", range(lowest, highest))
}

fn range(first: i16, last: i16) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

/// What Kafka 4.3.1's client can ask: key, name, versions. As its tool printed it for a broker of its own.
const APIS: &[(i16, &str, i16, i16)] = &[
    (0, "Produce", 0, 13),
    (1, "Fetch", 4, 18),
    (2, "ListOffsets", 1, 11),
    (3, "Metadata", 0, 13),
    (8, "OffsetCommit", 2, 10),
    (9, "OffsetFetch", 1, 10),
    (10, "FindCoordinator", 0, 6),
    (11, "JoinGroup", 0, 9),
    (12, "Heartbeat", 0, 4),
    (13, "LeaveGroup", 0, 5),
    (14, "SyncGroup", 0, 5),
    (15, "DescribeGroups", 0, 6),
    (16, "ListGroups", 0, 5),
    (17, "SaslHandshake", 0, 1),
    (18, "ApiVersions", 0, 4),
    (19, "CreateTopics", 2, 7),
    (20, "DeleteTopics", 1, 6),
    (21, "DeleteRecords", 0, 2),
    (22, "InitProducerId", 0, 5),
    (23, "OffsetForLeaderEpoch", 2, 4),
    (24, "AddPartitionsToTxn", 0, 5),
    (25, "AddOffsetsToTxn", 0, 4),
    (26, "EndTxn", 0, 5),
    (27, "WriteTxnMarkers", 1, 2),
    (28, "TxnOffsetCommit", 0, 5),
    (29, "DescribeAcls", 1, 3),
    (30, "CreateAcls", 1, 3),
    (31, "DeleteAcls", 1, 3),
    (32, "DescribeConfigs", 1, 4),
    (33, "AlterConfigs", 0, 2),
    (34, "AlterReplicaLogDirs", 1, 2),
    (35, "DescribeLogDirs", 1, 5),
    (36, "SaslAuthenticate", 0, 2),
    (37, "CreatePartitions", 0, 3),
    (38, "CreateDelegationToken", 1, 3),
    (39, "RenewDelegationToken", 1, 2),
    (40, "ExpireDelegationToken", 1, 2),
    (41, "DescribeDelegationToken", 1, 3),
    (42, "DeleteGroups", 0, 2),
    (43, "ElectLeaders", 0, 2),
    (44, "IncrementalAlterConfigs", 0, 1),
    (45, "AlterPartitionReassignments", 0, 1),
    (46, "ListPartitionReassignments", 0, 0),
    (47, "OffsetDelete", 0, 0),
    (48, "DescribeClientQuotas", 0, 1),
    (49, "AlterClientQuotas", 0, 1),
    (50, "DescribeUserScramCredentials", 0, 0),
    (51, "AlterUserScramCredentials", 0, 0),
    (55, "DescribeQuorum", 0, 2),
    (57, "UpdateFeatures", 0, 2),
    (60, "DescribeCluster", 0, 2),
    (61, "DescribeProducers", 0, 0),
    (64, "UnregisterBroker", 0, 0),
    (65, "DescribeTransactions", 0, 0),
    (66, "ListTransactions", 0, 2),
    (68, "ConsumerGroupHeartbeat", 0, 1),
    (69, "ConsumerGroupDescribe", 0, 1),
    (71, "GetTelemetrySubscriptions", 0, 0),
    (72, "PushTelemetry", 0, 0),
    (74, "ListConfigResources", 0, 1),
    (75, "DescribeTopicPartitions", 0, 0),
    (76, "ShareGroupHeartbeat", 1, 1),
    (77, "ShareGroupDescribe", 1, 1),
    (78, "ShareFetch", 1, 2),
    (79, "ShareAcknowledge", 1, 2),
    (80, "AddRaftVoter", 0, 1),
    (81, "RemoveRaftVoter", 0, 0),
    (83, "InitializeShareGroupState", 0, 0),
    (84, "ReadShareGroupState", 0, 0),
    (85, "WriteShareGroupState", 0, 1),
    (86, "DeleteShareGroupState", 0, 0),
    (87, "ReadShareGroupStateSummary", 0, 1),
    (88, "StreamsGroupHeartbeat", 0, 0),
    (89, "StreamsGroupDescribe", 0, 0),
    (90, "DescribeShareGroupOffsets", 0, 1),
    (91, "AlterShareGroupOffsets", 0, 0),
    (92, "DeleteShareGroupOffsets", 0, 0),
];
