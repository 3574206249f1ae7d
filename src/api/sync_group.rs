//! SyncGroup, versions 0 to 5: the leader brings the assignment, everybody fetches its part.
//!
//! 3 brings static members, 5 the protocol in request and answer, where it may then not be missing.

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Context, Reply};
use crate::state::group::GroupInput;
use crate::types::ErrorCode;

/// From here on the protocol type and name are part of request and answer.
const PROTOCOL_SINCE: i16 = 5;

pub async fn handle(ctx: &mut Context<'_>, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
    let version = ctx.version;
    if version >= PROTOCOL_SINCE && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Reply::Now(refused(ErrorCode::InconsistentGroupProtocol));
    }
    let group_id = request.group_id.to_string();
    let input = GroupInput::Sync { connection: ctx.session.peer.connection, request };
    let answer = ctx.ask_group(&group_id, input).await;
    Reply::Later(Box::pin(async move { lower(answer.await.map_or_else(refused, |answer| answer.sync()), version) }))
}

fn refused(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code.code())
}

fn lower(mut response: SyncGroupResponse, version: i16) -> SyncGroupResponse {
    if version < PROTOCOL_SINCE {
        (response.protocol_type, response.protocol_name) = (None, None);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::encodes;
    use crate::api::text;

    #[test]
    fn every_version_carries_every_answer() {
        let full = SyncGroupResponse::default()
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignment(bytes::Bytes::from_static(b"a"));
        for version in 0..=5 {
            encodes(&lower(full.clone(), version), version);
            encodes(&lower(refused(ErrorCode::RebalanceInProgress), version), version);
        }
    }
}
