//! DescribeTransactions, version 0: what the coordinator knows of transactional ids, which is none of them as long as
//! transactions are not served. An empty id is none.

use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionalId};

use super::{Context, Reply};
use crate::types::ErrorCode;

pub async fn handle(_: &mut Context<'_>, request: DescribeTransactionsRequest) -> Reply<DescribeTransactionsResponse> {
    let states = request.transactional_ids.into_iter().map(state).collect();
    Reply::Now(DescribeTransactionsResponse::default().with_transaction_states(states))
}

fn state(id: TransactionalId) -> TransactionState {
    let code = if id.0.is_empty() { ErrorCode::InvalidRequest } else { ErrorCode::TransactionalIdNotFound };
    TransactionState::default().with_transactional_id(id).with_error_code(code.code())
}

#[cfg(test)]
mod tests {
    use super::super::{check_versions, text};
    use super::*;

    #[test]
    fn nobody_has_a_transaction() {
        let states: Vec<_> = ["app", ""].into_iter().map(|id| state(TransactionalId(text(id)))).collect();
        assert_eq!(states.iter().map(|state| state.error_code).collect::<Vec<_>>(), [105, 42]);
        check_versions(DescribeTransactionsResponse::default().with_transaction_states(states), 0..=0);
    }
}
