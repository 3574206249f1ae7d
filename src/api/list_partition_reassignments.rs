//! ListPartitionReassignments, version 0: partitions whose replicas are on their way from broker to broker. There is one
//! broker, so there are none; what does not exist is passed over, as in Kafka.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::{Context, Reply};

pub async fn handle(
    _: &mut Context<'_>,
    _: ListPartitionReassignmentsRequest,
) -> Reply<ListPartitionReassignmentsResponse> {
    Reply::Now(none())
}

fn none() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn nothing_is_on_its_way() {
        let response = none();
        assert_eq!((response.error_code, response.topics.len()), (0, 0));
        check_versions(response, 0..=0);
    }
}
