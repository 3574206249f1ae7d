//! CreateAcls, versions 1 to 3: there is no authorizer to keep them (`describe_acls.rs`), which every one of them is told.
//!
//! 2 is flexible, 3 knows users as resources.

use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::describe_acls::{NO_AUTHORIZER_FOR_CHANGES, UNKNOWN};
use super::{Context, Reply};
use crate::types::ErrorCode;

pub async fn handle(_: &mut Context<'_>, request: CreateAclsRequest) -> Reply<CreateAclsResponse> {
    respond(&request)
}

fn respond(request: &CreateAclsRequest) -> Reply<CreateAclsResponse> {
    let kinds = request
        .creations
        .iter()
        .flat_map(|acl| [acl.resource_type, acl.resource_pattern_type, acl.operation, acl.permission_type]);
    if kinds.into_iter().any(|kind| kind == UNKNOWN) {
        return Reply::Close("CreateAcls with an unknown kind".to_owned());
    }
    let refused = AclCreationResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER_FOR_CHANGES));
    Reply::Now(CreateAclsResponse::default().with_results(vec![refused; request.creations.len()]))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::create_acls_request::AclCreation;

    use super::super::check_versions;
    use super::*;

    fn acl(permission_type: i8) -> AclCreation {
        AclCreation::default().with_resource_type(2).with_operation(3).with_permission_type(permission_type)
    }

    #[test]
    fn every_one_is_told_that_there_is_no_authorizer() {
        let request = CreateAclsRequest::default().with_creations(vec![acl(3), acl(2)]);
        let Reply::Now(response) = respond(&request) else { panic!("an answer") };
        let codes: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [54, 54]);
        check_versions(response, 1..=3);
        let unknown = CreateAclsRequest::default().with_creations(vec![acl(3), acl(0)]);
        assert!(matches!(respond(&unknown), Reply::Close(_)));
    }
}
