//! ListTransactions, versions 0 to 2: the transactions this broker coordinates, which are none as long as it serves none.
//!
//! What the filters say is checked all the same: a state that Kafka does not know is named in the answer. 1 brings a filter
//! by duration, 2 one by a regular expression, of which one that cannot be read is an error.

use indexmap::IndexSet;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};

use super::{Context, Reply};
use crate::types::ErrorCode;

/// The states of a transaction as Kafka spells them.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub async fn handle(_: &mut Context<'_>, request: ListTransactionsRequest) -> Reply<ListTransactionsResponse> {
    Reply::Now(respond(&request))
}

fn respond(request: &ListTransactionsRequest) -> ListTransactionsResponse {
    if !is_readable(request.transactional_id_pattern.as_deref().unwrap_or_default()) {
        return ListTransactionsResponse::default().with_error_code(ErrorCode::InvalidRegularExpression.code());
    }
    let unknown: IndexSet<_> =
        request.state_filters.iter().filter(|name| !STATES.contains(&name.as_str())).cloned().collect();
    ListTransactionsResponse::default().with_unknown_state_filters(unknown.into_iter().collect())
}

/// Kafka's engine (RE2) knows classes of Unicode, and takes a brace that repeats nothing for itself, which ours does not.
fn is_readable(pattern: &str) -> bool {
    ["\\p", "\\P", "{"].iter().any(|more| pattern.contains(more)) || regex_lite::Regex::new(pattern).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::{check_versions, text};
    use super::*;

    #[test]
    fn filters_are_read_and_nothing_is_there() {
        let filters = ["Ongoing", "ongoing", "Nonsense", "ongoing"].map(text).to_vec();
        let response = respond(&ListTransactionsRequest::default().with_state_filters(filters));
        assert_eq!(response.unknown_state_filters, ["ongoing", "Nonsense"].map(text));
        assert_eq!((response.error_code, response.transaction_states.len()), (0, 0));
        check_versions(response, 0..=2);
    }

    #[test]
    fn a_pattern_is_a_regular_expression() {
        for (pattern, code) in [(None, 0), (Some(""), 0), (Some("app-.*"), 0), (Some("\\p{L}+"), 0), (Some("("), 128)] {
            let request = ListTransactionsRequest::default().with_transactional_id_pattern(pattern.map(text));
            assert_eq!(respond(&request).error_code, code, "{pattern:?}");
        }
    }
}
