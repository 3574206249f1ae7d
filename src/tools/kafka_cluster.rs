//! `kafka-cluster`: the cluster's id, its endpoints, and removing a broker that is gone.

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Error};
use kafka_protocol::messages as m;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-cluster",
    aliases: &["kafka.tools.ClusterTool", "org.apache.kafka.tools.ClusterTool"],
    about: "cluster-id, list-endpoints, unregister",
    usage: || USAGE,
    run,
};

const USAGE: Usage =
    Usage { about: "kafka-cluster {cluster-id,unregister,list-endpoints}: the Kafka cluster tool.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    flag(&["bootstrap-controller", "C"], Takes::Value("host:port"), "A controller to begin with."),
    target::COMMAND_CONFIG,
    flag(&["config", "c"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["id", "i"], Takes::Value("id"), "unregister: the broker."),
    flag(&["include-fenced-brokers"], Takes::Nothing, "list-endpoints: fenced brokers too."),
    flag(&["kafka-cluster-id"], Takes::Value("id"), "Taken without effect."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let Some(command) = flags.words.first() else {
        return Err(Failure::Usage("kafka-cluster: error: too few arguments".to_owned()));
    };
    let act: fn(&mut Client, &Flags, &mut Output) -> Done = match command.as_str() {
        "cluster-id" => cluster_id,
        "list-endpoints" => list_endpoints,
        "unregister" => unregister,
        other => {
            let choices = "(choose from 'cluster-id', 'unregister', 'list-endpoints')";
            return Err(Failure::Usage(format!("kafka-cluster: error: invalid choice: '{other}' {choices}")));
        }
    };
    act(&mut target::connect(&flags, "milena-cluster")?, &flags, out)
}

fn cluster_id(client: &mut Client, _: &Flags, out: &mut Output) -> Done {
    match client.cluster_id() {
        Some(id) => out.line(format!("Cluster ID: {id}")),
        None => out.line("No cluster ID found. The Kafka version is probably too old."),
    }
    Ok(())
}

fn list_endpoints(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let request = m::DescribeClusterRequest::default().with_endpoint_type(1);
    let deadline = client.deadline();
    let version = client.any(&deadline)?.version::<m::DescribeClusterRequest>(2)?;
    let has_state = version >= 2;
    let request =
        if version >= 2 { request.with_include_fenced_brokers(flags.has("include-fenced-brokers")) } else { request };
    let answer = client.ask_any_up_to(&request, version)?;
    Error::check(answer.error_code, answer.error_message.as_deref())?;
    let hosts = answer.brokers.iter().map(|broker| broker.host.len()).max().unwrap_or(0).max("HOST".len());
    let line = |cells: [&str; 6]| {
        let [id, host, port, rack, state, kind] = cells;
        let state = if has_state { format!("{state:10} ") } else { String::new() };
        format!("{id:10} {host:hosts$} {port:10} {rack:10} {state}{kind:15}")
    };
    out.line(line(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"]));
    for broker in &answer.brokers {
        let (id, port) = (broker.broker_id.0.to_string(), broker.port.to_string());
        let rack = broker.rack.as_deref().unwrap_or("null");
        let state = if broker.is_fenced { "fenced" } else { "unfenced" };
        out.line(line([&id, &broker.host, &port, rack, state, "broker"]));
    }
    Ok(())
}

fn unregister(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let id: i32 = flags.number("id")?.ok_or_else(|| Failure::Usage("argument --id/-i is required".to_owned()))?;
    let request = m::UnregisterBrokerRequest::default().with_broker_id(m::BrokerId(id));
    let answer = client.ask_controller(&request, 0)?;
    Error::check(answer.error_code, answer.error_message.as_deref())
        .map_err(|error| Failure::Error(format!("{}: {error}", error.java_class())))?;
    out.line(format!("Broker {id} is no longer registered."));
    Ok(())
}
