//! JoinGroup, versions 0 to 9: become a member, and wait until the next generation begins.
//!
//! 1 brings a rebalance timeout of its own (before, the session timeout served for both), 4 has a new dynamic member
//! ask twice (MEMBER_ID_REQUIRED), 5 static members, 7 the protocol type in the answer, 8 a reason, 9 lets a static
//! leader that came back skip the assignment. The answer is parked in the group's machine; closing the connection does
//! not withdraw the call, but shortens the session ([`crate::state::group`]).

use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{Context, Reply, text};
use crate::state::group::{Caller, GroupInput, Join};

/// A new dynamic member is given its id first and asks again with it.
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

pub async fn handle(ctx: &mut Context<'_>, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
    let version = ctx.version;
    let group_id = request.group_id.to_string();
    // The wait may be long, and what is kept of the request would keep all of its frame.
    let member_id = text(&*request.member_id);
    let join = Join {
        caller: Caller {
            connection: ctx.session.peer.connection,
            client_id: ctx.client_id.to_string(),
            client_host: ctx.session.client_host.to_string(),
        },
        request: lift(request, version),
        member_id_required: version >= MEMBER_ID_REQUIRED_SINCE,
        skip_assignment: version >= SKIP_ASSIGNMENT_SINCE,
        random_id: ctx.broker.clock.random_id(),
    };
    let answer = ctx.ask_group(&group_id, GroupInput::Join(Box::new(join))).await;
    Reply::Later(Box::pin(async move {
        let response = match answer.await {
            Ok(answer) => answer.join(),
            Err(code) => JoinGroupResponse::default()
                .with_error_code(code.code())
                .with_protocol_name(None)
                .with_member_id(member_id),
        };
        lower(response, version)
    }))
}

fn lift(mut request: JoinGroupRequest, version: i16) -> JoinGroupRequest {
    if version == 0 {
        request.rebalance_timeout_ms = request.session_timeout_ms;
    }
    request
}

fn lower(mut response: JoinGroupResponse, version: i16) -> JoinGroupResponse {
    if version < 7 {
        // May not be null yet.
        response.protocol_name.get_or_insert_default();
        response.protocol_type = None;
    }
    if version < SKIP_ASSIGNMENT_SINCE {
        response.skip_assignment = false;
    }
    if version < 5 {
        response.members.iter_mut().for_each(|member| member.group_instance_id = None);
    }
    response
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;

    use super::*;
    use crate::api::tests::encodes;

    #[test]
    fn every_version_carries_every_answer() {
        let member = JoinGroupResponseMember::default().with_member_id(text("m")).with_group_instance_id(Some(text("i")));
        let full = JoinGroupResponse::default()
            .with_generation_id(1)
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_skip_assignment(true)
            .with_members(vec![member]);
        let refused = JoinGroupResponse::default().with_error_code(25).with_protocol_name(None);
        for version in 0..=9 {
            encodes(&lower(full.clone(), version), version);
            encodes(&lower(refused.clone(), version), version);
        }
    }

    #[test]
    fn version_0_has_one_timeout_for_both() {
        let request = JoinGroupRequest::default().with_session_timeout_ms(7_000).with_rebalance_timeout_ms(-1);
        assert_eq!(lift(request.clone(), 0).rebalance_timeout_ms, 7_000);
        assert_eq!(lift(request, 1).rebalance_timeout_ms, -1);
    }
}
