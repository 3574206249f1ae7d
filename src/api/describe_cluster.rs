//! DescribeCluster, versions 0 to 2: the brokers of the cluster under the addresses of the listener that was asked.
//!
//! 1: a client may say that it wants controllers; they are not behind this endpoint, which is error 114. 2: fenced
//! brokers are shown if asked for.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{self as m, DescribeClusterRequest, DescribeClusterResponse};

use super::metadata::{ALL_CLUSTER_OPERATIONS, NO_OPERATIONS};
use super::{Context, Reply, sentence, text};
use crate::state::metadata::{Broker, Image};
use crate::types::{BrokerId, ErrorCode};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub async fn handle(ctx: &mut Context<'_>, request: DescribeClusterRequest) -> Reply<DescribeClusterResponse> {
    let image = ctx.broker.image();
    let own = ctx.broker.node_id;
    let listener = &ctx.broker.settings.net.listeners[ctx.session.peer.listener].name;
    let told = ctx.broker.advertised(ctx.session.peer.listener);
    let address = |broker: &Broker| match broker.endpoint(listener) {
        _ if broker.id == own => Some((told.host.clone(), told.port)),
        Some(endpoint) => Some((endpoint.host.clone(), endpoint.port)),
        None => None,
    };
    Reply::Now(respond(&request, ctx.version, &image, own, address))
}

fn respond(
    request: &DescribeClusterRequest,
    version: i16,
    image: &Image,
    controller: BrokerId,
    address: impl Fn(&Broker) -> Option<(String, u16)>,
) -> DescribeClusterResponse {
    let refused = |code: ErrorCode, message: &str| {
        DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(sentence(message))
            .with_controller_id(m::BrokerId(-1))
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refused(ErrorCode::MismatchedEndpointType, message);
        }
        other => return refused(ErrorCode::UnsupportedEndpointType, &format!("Unsupported endpoint type {other}")),
    }
    let shown = |broker: &&Broker| !broker.fenced || (version >= 2 && request.include_fenced_brokers);
    let brokers = image.brokers().filter(shown).filter_map(|broker| {
        let (host, port) = address(broker)?;
        let told = DescribeClusterBroker::default()
            .with_broker_id(m::BrokerId(broker.id.0))
            .with_host(text(host))
            .with_port(i32::from(port))
            .with_rack(broker.rack.as_ref().map(text))
            .with_is_fenced(broker.fenced);
        Some(told)
    });
    let operations =
        if request.include_cluster_authorized_operations { ALL_CLUSTER_OPERATIONS } else { NO_OPERATIONS };
    DescribeClusterResponse::default()
        .with_cluster_id(text(image.cluster_id()))
        .with_controller_id(m::BrokerId(controller.0))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(operations)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::check_versions;
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{Metadata, MetadataRecord, MetadataSettings};

    fn image() -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        for (id, fenced) in [(1, false), (2, true)] {
            machine.apply(&MetadataRecord::RegisterBroker(Broker {
                id: BrokerId(id),
                epoch: 0,
                incarnation: Uuid::nil(),
                endpoints: vec![],
                rack: Some("r".into()),
                fenced,
                in_controlled_shutdown: false,
                log_dirs: vec![],
                features: vec![],
            }));
        }
        machine.image().clone()
    }

    fn ask(request: &DescribeClusterRequest, version: i16) -> DescribeClusterResponse {
        let response = respond(request, version, &image(), BrokerId(1), |_| Some(("host".into(), 9092)));
        check_versions(response.clone(), version..=version);
        response
    }

    #[test]
    fn fenced_brokers_are_shown_only_to_who_asks() {
        let request = DescribeClusterRequest::default().with_endpoint_type(1).with_include_fenced_brokers(true);
        let counts: Vec<usize> = (0..=2).map(|version| ask(&request, version).brokers.len()).collect();
        assert_eq!(counts, [1, 1, 2]);
        let response = ask(&request, 2);
        assert_eq!((&*response.cluster_id, response.controller_id.0), ("cluster", 1));
    }

    /// Kafka 4.3.1's codes and sentences.
    #[test]
    fn controllers_are_elsewhere() {
        let told = |kind| {
            let response = ask(&DescribeClusterRequest::default().with_endpoint_type(kind), 2);
            (response.error_code, response.error_message.unwrap().to_string())
        };
        let (code, message) = told(2);
        assert_eq!(code, 114);
        assert!(message.ends_with("we wanted an endpoint of type CONTROLLER"));
        assert_eq!(told(3), (115, "Unsupported endpoint type 3".to_string()));
    }
}
