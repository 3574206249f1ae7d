//! DescribeGroups, versions 0 to 6: the state and the members of classic groups.
//!
//! 3 brings the operations the caller may carry out, 4 instance ids, 6 tells an unknown group by GROUP_ID_NOT_FOUND; before
//! it is Dead without an error.

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{Context, Reply, text};
use crate::state::group::{GroupAnswer, GroupInput};
use crate::types::ErrorCode;

const UNKNOWN_GROUP_SINCE: i16 = 6;
/// Read, delete, describe, and describe and alter configs: what a group knows, as bits of `AclOperation` (3, 6, 8, 10, 11).
const ALL_GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

pub async fn handle(ctx: &mut Context<'_>, request: DescribeGroupsRequest) -> Reply<DescribeGroupsResponse> {
    let version = ctx.version;
    let shows_operations = request.include_authorized_operations;
    let mut asked = Vec::new();
    for group_id in request.groups {
        let group = group_id.to_string();
        let answer = ctx.ask_group(&group, GroupInput::Describe { group_id: group.clone() }).await;
        asked.push((group_id, answer));
    }
    Reply::Later(Box::pin(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, answer) in asked {
            let group = describe(group_id, answer.await.map(GroupAnswer::describe), version);
            groups.push(lower(group, shows_operations, version));
        }
        DescribeGroupsResponse::default().with_groups(groups)
    }))
}

fn describe(
    group_id: GroupId,
    answer: Result<Option<DescribedGroup>, ErrorCode>,
    version: i16,
) -> DescribedGroup {
    let unknown = DescribedGroup::default().with_group_state(text("Dead"));
    match answer {
        Ok(Some(group)) => group,
        Ok(None) if version >= UNKNOWN_GROUP_SINCE => {
            let message = format!("Group {} not found.", &*group_id);
            unknown.with_error_code(ErrorCode::GroupIdNotFound.code()).with_error_message(Some(text(message)))
        }
        Ok(None) => unknown,
        Err(code) => DescribedGroup::default().with_error_code(code.code()),
    }
    .with_group_id(group_id)
}

fn lower(mut group: DescribedGroup, shows_operations: bool, version: i16) -> DescribedGroup {
    if shows_operations && version >= 3 && group.error_code == 0 {
        group.authorized_operations = ALL_GROUP_OPERATIONS;
    }
    if version < 4 {
        group.members.iter_mut().for_each(|member| member.group_instance_id = None);
    }
    group
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;

    use super::*;
    use crate::api::tests::encodes;

    #[test]
    fn every_version_carries_every_answer() {
        let member = DescribedGroupMember::default().with_member_id(text("m")).with_group_instance_id(Some(text("i")));
        let found = DescribedGroup::default().with_group_state(text("Stable")).with_members(vec![member]);
        for version in 0..=6 {
            for answer in [Ok(Some(found.clone())), Ok(None), Err(ErrorCode::NotCoordinator)] {
                for shows_operations in [false, true] {
                    let group = describe(GroupId(text("g")), answer.clone(), version);
                    let group = lower(group, shows_operations, version);
                    assert_eq!(&*group.group_id.0, "g");
                    encodes(&DescribeGroupsResponse::default().with_groups(vec![group]), version);
                }
            }
        }
    }

    /// The captured exchange groups-107 for version 5; client-facts 17 for both.
    #[test]
    fn an_unknown_group_is_dead_and_from_version_6_on_not_found() {
        let group = describe(GroupId(text("ghost")), Ok(None), 5);
        assert_eq!((group.error_code, &*group.group_state), (0, "Dead"));
        let group = describe(GroupId(text("ghost")), Ok(None), 6);
        assert_eq!((group.error_code, &*group.group_state), (69, "Dead"));
        assert_eq!(group.error_message.as_deref(), Some("Group ghost not found."));
    }

    #[test]
    fn operations_are_shown_only_when_asked_for() {
        let found = || describe(GroupId(text("g")), Ok(Some(DescribedGroup::default())), 5);
        assert_eq!(lower(found(), false, 5).authorized_operations, i32::MIN);
        assert_eq!(lower(found(), true, 5).authorized_operations, (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11));
    }
}
