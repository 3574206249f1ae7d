//! ListGroups, versions 0 to 5: the groups this broker answers for. 4 filters by state, 5 by type.

use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Context, Reply};
use crate::state::group::{GroupAnswer, GroupInput};

pub async fn handle(ctx: &mut Context<'_>, request: ListGroupsRequest) -> Reply<ListGroupsResponse> {
    let version = ctx.version;
    let broker = ctx.broker.clone();
    let own = |names: &[StrBytes]| names.iter().map(|name| name.to_string()).collect();
    let (states, types): (Vec<String>, Vec<String>) = (own(&request.states_filter), own(&request.types_filter));
    Reply::Later(Box::pin(async move {
        let input = || GroupInput::List { states: states.clone(), types: types.clone() };
        let response = match broker.groups.ask_all(&broker, input).await {
            Ok(answers) => {
                let groups = answers.into_iter().flat_map(GroupAnswer::list).collect();
                ListGroupsResponse::default().with_groups(groups)
            }
            Err(code) => ListGroupsResponse::default().with_error_code(code.code()),
        };
        lower(response, version)
    }))
}

fn lower(mut response: ListGroupsResponse, version: i16) -> ListGroupsResponse {
    for group in &mut response.groups {
        if version < 4 {
            group.group_state = StrBytes::default();
        }
        if version < 5 {
            group.group_type = StrBytes::default();
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::list_groups_response::ListedGroup;

    use super::*;
    use crate::api::tests::encodes;
    use crate::api::text;

    #[test]
    fn every_version_carries_every_answer() {
        let group = ListedGroup::default().with_group_state(text("Stable")).with_group_type(text("classic"));
        for version in 0..=5 {
            encodes(&lower(ListGroupsResponse::default().with_groups(vec![group.clone()]), version), version);
            encodes(&lower(ListGroupsResponse::default().with_error_code(16), version), version);
        }
    }
}
