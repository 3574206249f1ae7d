//! DeleteAcls, versions 1 to 3: there is no authorizer that keeps any (`describe_acls.rs`), which every filter is told.
//!
//! 2 is flexible, 3 knows users as resources.

use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::describe_acls::{NO_AUTHORIZER_FOR_CHANGES, UNKNOWN};
use super::{Context, Reply};
use crate::types::ErrorCode;

pub async fn handle(_: &mut Context<'_>, request: DeleteAclsRequest) -> Reply<DeleteAclsResponse> {
    respond(&request)
}

fn respond(request: &DeleteAclsRequest) -> Reply<DeleteAclsResponse> {
    let kinds = request
        .filters
        .iter()
        .flat_map(|acl| [acl.resource_type_filter, acl.pattern_type_filter, acl.operation, acl.permission_type]);
    if kinds.into_iter().any(|kind| kind == UNKNOWN) {
        return Reply::Close("DeleteAcls with an unknown kind".to_owned());
    }
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER_FOR_CHANGES));
    Reply::Now(DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()]))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;

    use super::super::check_versions;
    use super::*;

    fn filter(operation: i8) -> DeleteAclsFilter {
        DeleteAclsFilter::default().with_resource_type_filter(1).with_operation(operation).with_permission_type(1)
    }

    #[test]
    fn every_filter_is_told_that_there_is_no_authorizer() {
        let request = DeleteAclsRequest::default().with_filters(vec![filter(1), filter(2)]);
        let Reply::Now(response) = respond(&request) else { panic!("an answer") };
        let codes: Vec<i16> = response.filter_results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [54, 54]);
        check_versions(response, 1..=3);
        let unknown = DeleteAclsRequest::default().with_filters(vec![filter(0)]);
        assert!(matches!(respond(&unknown), Reply::Close(_)));
    }
}
