//! DescribeAcls, versions 1 to 3: who may do what. Nobody keeps such lists here, so all may do everything, and the answer is
//! what Kafka gives without an authorizer: SECURITY_DISABLED.
//!
//! 2 is flexible, 3 knows users as resources. A filter with an element of kind 0 ("unknown") is no question: Kafka hangs up.

use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Context, Reply};
use crate::types::ErrorCode;

/// Kafka's sentences, which tools and clients print: that of its broker here, that of its controller where rules change.
const NO_AUTHORIZER: StrBytes = StrBytes::from_static_str("No Authorizer is configured on the broker");
pub const NO_AUTHORIZER_FOR_CHANGES: StrBytes = StrBytes::from_static_str("No Authorizer is configured.");

/// What Kafka calls UNKNOWN of resource types, pattern types, operations and permissions alike.
pub const UNKNOWN: i8 = 0;

pub async fn handle(_: &mut Context<'_>, request: DescribeAclsRequest) -> Reply<DescribeAclsResponse> {
    respond(&request)
}

fn respond(request: &DescribeAclsRequest) -> Reply<DescribeAclsResponse> {
    let kinds = [request.resource_type_filter, request.pattern_type_filter, request.operation, request.permission_type];
    if kinds.contains(&UNKNOWN) {
        return Reply::Close("DescribeAcls with an unknown kind".to_owned());
    }
    let response = DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(NO_AUTHORIZER));
    Reply::Now(response)
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    fn ask(operation: i8) -> Reply<DescribeAclsResponse> {
        let filter = DescribeAclsRequest::default().with_resource_type_filter(2).with_pattern_type_filter(3);
        respond(&filter.with_operation(operation).with_permission_type(1))
    }

    #[test]
    fn there_is_no_authorizer() {
        let Reply::Now(response) = ask(1) else { panic!("an answer") };
        assert_eq!((response.error_code, response.error_message.clone()), (54, Some(NO_AUTHORIZER)));
        check_versions(response, 1..=3);
        assert!(matches!(ask(0), Reply::Close(_)), "an unknown operation");
    }
}
