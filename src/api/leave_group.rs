//! LeaveGroup, versions 0 to 5: members leave, so that the others need not wait for the end of their sessions.
//!
//! One member up to version 2, whose error is that of the answer; from 3 on a list, also of static members by their
//! instance id alone; 5 brings a reason.

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Context, Reply};
use crate::state::group::GroupInput;
use crate::types::ErrorCode;

const LAST_SINGLE_VERSION: i16 = 2;

pub async fn handle(ctx: &mut Context<'_>, request: LeaveGroupRequest) -> Reply<LeaveGroupResponse> {
    let version = ctx.version;
    let group_id = request.group_id.to_string();
    let answer = ctx.ask_group(&group_id, GroupInput::Leave { request: lift(request, version) }).await;
    Reply::Later(Box::pin(async move { lower(answer.await.map_or_else(refused, |answer| answer.leave()), version) }))
}

fn refused(code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(code.code())
}

fn lift(mut request: LeaveGroupRequest, version: i16) -> LeaveGroupRequest {
    if version <= LAST_SINGLE_VERSION {
        request.members = vec![MemberIdentity::default().with_member_id(request.member_id.clone())];
    }
    request
}

fn lower(mut response: LeaveGroupResponse, version: i16) -> LeaveGroupResponse {
    if version <= LAST_SINGLE_VERSION {
        let of_member = response.members.drain(..).next().map_or(0, |member| member.error_code);
        if response.error_code == 0 {
            response.error_code = of_member;
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::leave_group_response::MemberResponse;

    use super::*;
    use crate::api::tests::encodes;
    use crate::api::text;

    #[test]
    fn every_version_carries_every_answer() {
        let member = MemberResponse::default()
            .with_member_id(text("m"))
            .with_group_instance_id(Some(text("i")))
            .with_error_code(25);
        for version in 0..=5 {
            let answer = lower(LeaveGroupResponse::default().with_members(vec![member.clone()]), version);
            encodes(&answer, version);
            assert_eq!(answer.error_code, if version <= 2 { 25 } else { 0 });
            encodes(&lower(refused(ErrorCode::NotCoordinator), version), version);
        }
    }

    #[test]
    fn an_old_request_names_one_member() {
        let request = LeaveGroupRequest::default().with_member_id(text("m"));
        assert_eq!(&*lift(request, 2).members[0].member_id, "m");
    }
}
