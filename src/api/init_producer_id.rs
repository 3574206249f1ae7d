//! InitProducerId, versions 0 to 5: an id for an idempotent producer.
//!
//! Without a transactional id every request gets a new id with epoch 0, also one that names the id and epoch it had
//! (3, KIP-360): so does Kafka, since nothing is kept about such producers that an epoch could fence. The two must be
//! given together.
//!
//! Not yet: transactions. A transactional id is refused with INVALID_TRANSACTION_TIMEOUT, as by a broker whose
//! `transaction.max.timeout.ms` is 0: the one code that says something about transactions and that Java, librdkafka and
//! the others take as final. UNSUPPORTED_VERSION reads better, but librdkafka retries it for ever.

use kafka_protocol::messages::{self as m, InitProducerIdRequest, InitProducerIdResponse};

use super::{Context, Reply};
use crate::types::{ErrorCode, ProducerEpoch, ProducerId};

pub async fn handle(ctx: &mut Context<'_>, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
    if let Err(code) = check(&request) {
        if code == ErrorCode::InvalidTransactionTimeout {
            tracing::warn!(client_id = ctx.client_id, "a transactional producer was refused: transactions are not served yet");
        }
        return Reply::Now(respond(Err(code)));
    }
    let broker = ctx.broker.clone();
    Reply::Later(Box::pin(async move { respond(broker.next_producer_id().await.map(ProducerId)) }))
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    let (id, epoch) = (ProducerId(request.producer_id.0), ProducerEpoch(request.producer_epoch));
    if (id == ProducerId::NONE) != (epoch == ProducerEpoch::NONE) {
        return Err(ErrorCode::InvalidRequest);
    }
    match &request.transactional_id {
        Some(name) if name.0.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::InvalidTransactionTimeout),
        None => Ok(()),
    }
}

fn respond(id: Result<ProducerId, ErrorCode>) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default();
    match id {
        Ok(id) => response.with_producer_id(m::ProducerId(id.0)).with_producer_epoch(0),
        Err(code) => response
            .with_error_code(code.code())
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_versions, text};
    use super::*;

    /// As Apache Kafka 4.3.1 answers the same requests, but for the transactional id.
    #[test]
    fn id_and_epoch_come_together_and_names_are_not_empty() {
        let ask = |name: Option<&str>, id, epoch| {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(name.map(|name| m::TransactionalId(text(name))))
                .with_producer_id(m::ProducerId(id))
                .with_producer_epoch(epoch);
            check(&request)
        };
        assert_eq!(ask(None, -1, -1), Ok(()));
        assert_eq!(ask(None, 5, 3), Ok(()));
        assert_eq!(ask(None, 5, i16::MAX), Ok(()));
        assert_eq!(ask(None, 5, -1), Err(ErrorCode::InvalidRequest));
        assert_eq!(ask(None, -1, 3), Err(ErrorCode::InvalidRequest));
        assert_eq!(ask(Some(""), -1, -1), Err(ErrorCode::InvalidRequest));
        assert_eq!(ask(Some("t"), -1, -1), Err(ErrorCode::InvalidTransactionTimeout));
    }

    #[test]
    fn every_answer_fits_every_version() {
        check_versions(respond(Ok(ProducerId(7))), 0..=5);
        check_versions(respond(Err(ErrorCode::InvalidRequest)), 0..=5);
    }
}
