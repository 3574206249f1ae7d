//! AlterClientQuotas, versions 0 and 1: sets and removes quotas of users, client ids and addresses.
//!
//! 1 is flexible, and otherwise the same. An entity is altered wholly or not at all; each is answered once, however often it
//! was named. The answer leaves when the quotas are committed and in force. Kafka takes the name of a host for an address
//! where it can be resolved; we take addresses.

use kafka_protocol::messages::alter_client_quotas_request::EntryData as Wanted;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{MetadataAnswer, MetadataInput, QuotaAlteration, QuotaValue, Refused, WantedEntity};
use crate::types::ErrorCode;

pub async fn handle(
    ctx: &mut Context<'_>,
    request: AlterClientQuotasRequest,
) -> Reply<AlterClientQuotasResponse> {
    let entries: Vec<QuotaAlteration> = request.entries.iter().map(alteration).collect();
    let named: Vec<WantedEntity> = entries.iter().map(|entry| entry.entity.clone()).collect();
    let input = MetadataInput::AlterClientQuotas { entries, validate_only: request.validate_only };
    let asked = ctx.broker.controller.ask(input);
    Reply::Later(Box::pin(async move {
        let answers = match asked.await {
            Ok(MetadataAnswer::QuotasAltered(answers)) => answers,
            Ok(other) => unreachable!("AlterClientQuotas is answered with entities, not {other:?}"),
            Err(code) => named.into_iter().map(|entity| (entity, Err(Refused::new(code, "")))).collect(),
        };
        AlterClientQuotasResponse::default().with_entries(answers.iter().map(told).collect())
    }))
}

fn alteration(entry: &Wanted) -> QuotaAlteration {
    let part = |part: &kafka_protocol::messages::alter_client_quotas_request::EntityData| {
        (part.entity_type.to_string(), part.entity_name.as_ref().map(|name| name.to_string()))
    };
    let changes = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(QuotaValue(op.value))));
    QuotaAlteration { entity: entry.entity.iter().map(part).collect(), changes: changes.collect() }
}

fn told((entity, result): &(WantedEntity, Result<(), Refused>)) -> EntryData {
    let (code, message) = match result {
        Ok(()) => (ErrorCode::None, ""),
        Err(refused) => (refused.code, refused.message.as_str()),
    };
    let parts = entity.iter().map(|(kind, name)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.as_ref().map(text))
    });
    EntryData::default()
        .with_error_code(code.code())
        .with_error_message(sentence(message))
        .with_entity(parts.collect())
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn every_answer_fits_every_version() {
        let entity = WantedEntity::from([("user".to_string(), None), ("client-id".to_string(), Some("c".to_string()))]);
        let refused = Err(Refused::new(ErrorCode::InvalidRequest, "no"));
        let entries = vec![told(&(entity.clone(), Ok(()))), told(&(entity, refused))];
        check_versions(AlterClientQuotasResponse::default().with_entries(entries), 0..=1);
    }
}
