//! DeleteGroups, versions 0 to 2: groups without members go, with their offsets (I70). Each has its own result.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use super::{Context, Reply};
use crate::state::group::{GroupAnswer, GroupInput};
use crate::types::ErrorCode;

pub async fn handle(ctx: &mut Context<'_>, request: DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
    let mut asked = Vec::new();
    for group_id in distinct(request.groups_names) {
        let group = group_id.to_string();
        let answer = ctx.ask_group(&group, GroupInput::Delete { group_id: group.clone() }).await;
        asked.push((group_id, answer));
    }
    Reply::Later(Box::pin(async move {
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, answer) in asked {
            results.push(result(group_id, answer.await.map_or_else(|code| code, GroupAnswer::delete)));
        }
        DeleteGroupsResponse::default().with_results(results)
    }))
}

/// A group that is named twice is deleted, and answered, once.
fn distinct(groups: Vec<GroupId>) -> Vec<GroupId> {
    let mut seen = std::collections::BTreeSet::new();
    groups.into_iter().filter(|group| seen.insert(group.to_string())).collect()
}

fn result(group_id: GroupId, code: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult::default().with_group_id(group_id).with_error_code(code.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::encodes;
    use crate::api::text;

    #[test]
    fn a_group_named_twice_is_answered_once_in_every_version() {
        let names = ["b", "a", "b"].map(|name| GroupId(text(name)));
        let results: Vec<_> =
            distinct(names.to_vec()).into_iter().map(|group| result(group, ErrorCode::NonEmptyGroup)).collect();
        assert_eq!(results.iter().map(|result| result.group_id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        for version in 0..=2 {
            encodes(&DeleteGroupsResponse::default().with_results(results.clone()), version);
        }
    }
}
