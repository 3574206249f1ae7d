//! FindCoordinator, versions 0 to 6: which broker answers for a group or a transactional id.
//!
//! One key up to version 3 (a group, before 1), a list from 4 on with an error for each. The answer is always this
//! broker, under the address of the listener the question came in on (lesson 16). Differs from Kafka in one thing: it
//! never answers COORDINATOR_NOT_AVAILABLE while an internal topic is being made; the first call that needs the topic
//! waits for it. Share coordinators (key type 2) are refused as by a Kafka without share groups: INVALID_REQUEST.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Context, Reply, text};
use crate::types::ErrorCode;

/// A single key is asked for up to here.
const LAST_SINGLE_VERSION: i16 = 3;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Kafka's sentence for the code, which it gives for want of a better one.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or the \
                               message was sent to an incompatible broker. See the broker logs for more details.";

pub async fn handle(ctx: &mut Context<'_>, request: FindCoordinatorRequest) -> Reply<FindCoordinatorResponse> {
    let told = ctx.broker.advertised(ctx.session.peer.listener);
    let id = BrokerId(ctx.broker.node_id.0);
    let me = Node { id, host: StrBytes::from_string(told.host), port: i32::from(told.port) };
    Reply::Now(respond(&request, me, ctx.version))
}

#[derive(Clone)]
struct Node {
    id: BrokerId,
    host: StrBytes,
    port: i32,
}

fn respond(request: &FindCoordinatorRequest, me: Node, version: i16) -> FindCoordinatorResponse {
    let (code, message, node) = match request.key_type {
        GROUP | TRANSACTION => (ErrorCode::None, text(ErrorCode::None.name()), me),
        other => {
            let nobody = Node { id: BrokerId(-1), host: text(""), port: -1 };
            // Of share groups Kafka knows the type, and says nothing when it does not coordinate them.
            let message = if other == SHARE { "" } else { INVALID_REQUEST };
            (ErrorCode::InvalidRequest, text(message), nobody)
        }
    };
    if version <= LAST_SINGLE_VERSION {
        return FindCoordinatorResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(message))
            .with_node_id(node.id)
            .with_host(node.host)
            .with_port(node.port);
    }
    // On success the two forms differ: "NONE" above, nothing here.
    let message = if code == ErrorCode::None { text("") } else { message };
    let found = |key: &StrBytes| {
        Coordinator::default()
            .with_key(key.clone())
            .with_error_code(code.code())
            .with_error_message(Some(message.clone()))
            .with_node_id(node.id)
            .with_host(node.host.clone())
            .with_port(node.port)
    };
    FindCoordinatorResponse::default().with_coordinators(request.coordinator_keys.iter().map(found).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::encodes;

    fn ask(key_type: i8, version: i16) -> FindCoordinatorResponse {
        let me = Node { id: BrokerId(7), host: text("localhost"), port: 9092 };
        let request = match version {
            0..=LAST_SINGLE_VERSION => FindCoordinatorRequest::default().with_key(text("g1")),
            _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g1"), text("g2")]),
        };
        respond(&request.with_key_type(key_type), me, version)
    }

    #[test]
    fn every_key_is_answered_with_this_broker_in_every_version() {
        for version in 0..=6 {
            for key_type in [GROUP, TRANSACTION] {
                let answer = ask(key_type, version);
                encodes(&answer, version);
                if version <= LAST_SINGLE_VERSION {
                    assert_eq!((answer.error_code, answer.node_id, answer.port), (0, BrokerId(7), 9092));
                } else {
                    let keys: Vec<_> = answer.coordinators.iter().map(|found| found.key.as_str()).collect();
                    assert_eq!(keys, ["g1", "g2"]);
                    assert!(answer.coordinators.iter().all(|found| found.port == 9092 && found.error_code == 0));
                    // As in the captured exchange groups-89: not null.
                    assert_eq!(answer.coordinators[0].error_message.as_deref(), Some(""));
                }
            }
        }
    }

    #[test]
    fn a_key_of_another_type_is_an_invalid_request() {
        for version in 1..=6 {
            for key_type in [-1, 2, 3] {
                let answer = ask(key_type, version);
                encodes(&answer, version);
                let code = answer.coordinators.first().map_or(answer.error_code, |found| found.error_code);
                assert_eq!(code, ErrorCode::InvalidRequest.code());
            }
        }
    }
}
