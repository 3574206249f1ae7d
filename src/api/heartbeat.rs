//! Heartbeat, versions 0 to 4: a member is alive, and learns whether a rebalance has begun. 3 brings static members.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Context, Reply};
use crate::state::group::GroupInput;
use crate::types::ErrorCode;

pub async fn handle(ctx: &mut Context<'_>, request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
    let group_id = request.group_id.to_string();
    let input = GroupInput::Heartbeat { connection: ctx.session.peer.connection, request };
    let answer = ctx.ask_group(&group_id, input).await;
    Reply::Later(Box::pin(async move { answer.await.map_or_else(refused, |answer| answer.heartbeat()) }))
}

fn refused(code: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(code.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::encodes;

    #[test]
    fn every_version_carries_every_answer() {
        for version in 0..=4 {
            encodes(&refused(ErrorCode::None), version);
            encodes(&refused(ErrorCode::FencedInstanceId), version);
        }
    }
}
