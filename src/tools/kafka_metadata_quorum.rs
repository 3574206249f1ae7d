//! `kafka-metadata-quorum`: who leads the metadata log, who votes, how far each has come.

use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::{PartitionData as Quorum, ReplicaState};
use kafka_protocol::protocol::StrBytes;

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Error};
use crate::types::base64_id;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-metadata-quorum",
    aliases: &["org.apache.kafka.tools.MetadataQuorumCommand"],
    about: "describe the metadata quorum",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "kafka-metadata-quorum {describe,add-controller,remove-controller}: this tool describes kraft metadata quorum status.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["bootstrap-controller"], Takes::Value("host:port"), "A controller to begin with."),
    target::BOOTSTRAP_SERVER,
    target::COMMAND_CONFIG,
    flag(&["human-readable", "hr"], Takes::Nothing, "describe --replication: times as how long ago."),
    flag(&["replication", "r", "re"], Takes::Nothing, "describe: how far each replica has come."),
    flag(&["status", "s"], Takes::Nothing, "describe: who leads."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    match flags.words.first().map(String::as_str) {
        Some("describe") => {}
        Some(other) => return Err(Failure::Error(format!("{other} is not there yet: one node is its own quorum"))),
        None => return Err(Failure::Usage("kafka-metadata-quorum: error: too few arguments".to_owned())),
    }
    if flags.count(&["status", "replication"]) == 0 {
        let sentence = "One of --status or --replication must be specified with describe sub-command";
        return Err(Failure::Error(sentence.to_owned()));
    }
    let mut client = target::connect(&flags, "milena-metadata-quorum")?;
    let answer = ask(&mut client)?;
    let quorum = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
    let quorum = quorum.ok_or_else(|| Failure::Error("the broker tells nothing of a quorum".to_owned()))?;
    Error::check(quorum.error_code, quorum.error_message.as_deref())?;
    if flags.has("replication") {
        replication(quorum, flags.has("human-readable").then(|| client.now_ms()), out);
    } else {
        status(&client, &answer, quorum, out);
    }
    Ok(())
}

fn ask(client: &mut Client) -> Result<m::DescribeQuorumResponse, Error> {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![PartitionData::default()]);
    let answer = client.ask_any(&m::DescribeQuorumRequest::default().with_topics(vec![topic]))?;
    Error::check(answer.error_code, answer.error_message.as_deref())?;
    Ok(answer)
}

fn status(client: &Client, answer: &m::DescribeQuorumResponse, quorum: &Quorum, out: &mut Output) {
    let leader = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let end = leader.map_or(0, |leader| leader.log_end_offset);
    let caught_up = leader.map_or(0, |leader| leader.last_caught_up_timestamp);
    let followers = || quorum.current_voters.iter().filter(|voter| voter.replica_id != quorum.leader_id);
    let lag = followers().map(|follower| end - follower.log_end_offset).max().unwrap_or(0);
    let behind = followers().map(|follower| caught_up - follower.last_caught_up_timestamp).max().unwrap_or(0);
    out.line(format!("ClusterId:              {}", client.cluster_id().unwrap_or_default()));
    out.line(format!("LeaderId:               {}", quorum.leader_id.0));
    out.line(format!("LeaderEpoch:            {}", quorum.leader_epoch));
    out.line(format!("HighWatermark:          {}", quorum.high_watermark));
    out.line(format!("MaxFollowerLag:         {lag}"));
    out.line(format!("MaxFollowerLagTimeMs:   {behind}"));
    out.line(format!("CurrentVoters:          {}", replicas(&quorum.current_voters, answer)));
    out.line(format!("CurrentObservers:       {}", replicas(&quorum.observers, answer)));
}

fn replicas(replicas: &[ReplicaState], answer: &m::DescribeQuorumResponse) -> String {
    let one = |replica: &ReplicaState| {
        let mut fields = vec![format!("\"id\": {}", replica.replica_id.0)];
        if !replica.replica_directory_id.is_nil() {
            fields.push(format!("\"directoryId\": \"{}\"", base64_id(replica.replica_directory_id)));
        }
        if let Some(node) = answer.nodes.iter().find(|node| node.node_id == replica.replica_id) {
            let endpoint =
                |at: &m::describe_quorum_response::Listener| format!("\"{}://{}:{}\"", &*at.name, &*at.host, at.port);
            let endpoints: Vec<String> = node.listeners.iter().map(endpoint).collect();
            fields.push(format!("\"endpoints\": [{}]", endpoints.join(", ")));
        }
        format!("{{{}}}", fields.join(", "))
    };
    format!("[{}]", replicas.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn replication(quorum: &Quorum, now_ms: Option<i64>, out: &mut Output) {
    let leader = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let end = leader.map_or(0, |leader| leader.log_end_offset);
    let time = |ms: i64| match now_ms {
        Some(_) if ms < 0 => "unknown".to_owned(),
        Some(now) => format!("{} ms ago", now - ms),
        None => ms.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.0.to_string(),
            base64_id(replica.replica_directory_id),
            replica.log_end_offset.to_string(),
            (end - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let is_leader = |replica: &&ReplicaState| replica.replica_id == quorum.leader_id;
    let leaders = quorum.current_voters.iter().filter(is_leader).map(|replica| row(replica, "Leader"));
    let followers =
        quorum.current_voters.iter().filter(|replica| !is_leader(replica)).map(|replica| row(replica, "Follower"));
    let observers = quorum.observers.iter().map(|replica| row(replica, "Observer"));
    let header =
        ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];
    let rows: Vec<Vec<String>> = leaders.chain(followers).chain(observers).collect();
    super::table::padded(&header, &rows).into_iter().for_each(|line| out.line(line));
}
