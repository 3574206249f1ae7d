//! DescribeClientQuotas, versions 0 and 1: the quotas of the users, client ids and addresses that a filter finds.
//!
//! 1 is flexible, and otherwise the same. Entities come in the order of their names, Kafka's in none; their values come in the
//! order in which Kafka's map holds them, because tools print them so.

use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{Image, QuotaEntity, QuotaFilter, Quotas};

pub async fn handle(
    ctx: &mut Context<'_>,
    request: DescribeClientQuotasRequest,
) -> Reply<DescribeClientQuotasResponse> {
    Reply::Now(respond(&request, &ctx.broker.image()))
}

fn respond(request: &DescribeClientQuotasRequest, image: &Image) -> DescribeClientQuotasResponse {
    let components = request.components.iter().map(|component| {
        let name = component._match.as_ref().map(|name| name.to_string());
        (component.entity_type.to_string(), component.match_type, name)
    });
    match QuotaFilter::new(components, request.strict) {
        Ok(filter) => {
            let found = image.quotas().iter().filter(|(entity, _)| filter.matches(entity));
            let entries = found.map(|(entity, quotas)| entry(entity, quotas)).collect();
            DescribeClientQuotasResponse::default().with_error_message(Some(text(""))).with_entries(Some(entries))
        }
        Err(refused) => DescribeClientQuotasResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(sentence(&refused.message))
            .with_entries(None),
    }
}

const KAFKAS_ORDER: &[&str] =
    &["request_percentage", "producer_byte_rate", "consumer_byte_rate", "controller_mutation_rate"];

fn entry(entity: &QuotaEntity, quotas: &Quotas) -> EntryData {
    let parts = entity
        .parts()
        .map(|(kind, name)| EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text)));
    let mut values: Vec<_> = quotas.iter().collect();
    values.sort_by_key(|(key, _)| KAFKAS_ORDER.iter().position(|known| known == key));
    let values = values.into_iter().map(|(key, value)| ValueData::default().with_key(text(key)).with_value(value.0));
    EntryData::default().with_entity(parts.collect()).with_values(values.collect())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_client_quotas_request::ComponentData;

    use super::super::check_versions;
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{EntityName, Metadata, MetadataRecord, MetadataSettings, QuotaValue};

    fn image() -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let named = |name: &str| Some(EntityName::Named(name.into()));
        for entity in [
            QuotaEntity { user: named("u"), client_id: named("c"), ip: None },
            QuotaEntity { user: Some(EntityName::Default), ..QuotaEntity::default() },
            QuotaEntity { user: named("u"), ..QuotaEntity::default() },
            QuotaEntity { client_id: named("c"), ..QuotaEntity::default() },
        ] {
            let (key, value) = ("producer_byte_rate".into(), Some(QuotaValue(1024.0)));
            machine.apply(&MetadataRecord::ClientQuota { entity, key, value });
        }
        machine.image().clone()
    }

    fn ask(components: &[(&str, i8, Option<&str>)], strict: bool) -> DescribeClientQuotasResponse {
        let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| {
            ComponentData::default().with_entity_type(text(kind)).with_match_type(*match_type).with_match(name.map(text))
        };
        let components = components.iter().map(component).collect();
        let request = DescribeClientQuotasRequest::default().with_components(components).with_strict(strict);
        let response = respond(&request, &image());
        check_versions(response.clone(), 0..=1);
        response
    }

    fn found(components: &[(&str, i8, Option<&str>)], strict: bool) -> usize {
        ask(components, strict).entries.expect("entries where nothing is wrong").len()
    }

    #[test]
    fn a_filter_finds_by_name_default_and_type_and_strictly() {
        assert_eq!(found(&[], false), 4);
        assert_eq!(found(&[], true), 0);
        assert_eq!(found(&[("user", 0, Some("u"))], false), 2);
        assert_eq!(found(&[("user", 0, Some("u"))], true), 1);
        assert_eq!(found(&[("user", 1, None)], true), 1);
        assert_eq!(found(&[("user", 2, None)], true), 2);
        assert_eq!(found(&[("user", 2, None), ("client-id", 0, Some("c"))], true), 1);
        assert_eq!(found(&[("ip", 2, None)], false), 0);
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused_in_kafkas_words() {
        let said = |components: &[(&str, i8, Option<&str>)]| {
            let response = ask(components, false);
            assert!(response.entries.is_none());
            (response.error_code, response.error_message.unwrap().to_string())
        };
        assert_eq!(said(&[("", 0, None)]), (42, "Invalid empty entity type.".to_string()));
        assert_eq!(said(&[("group", 2, None)]), (35, "Unsupported entity type group".to_string()));
        assert_eq!(said(&[("user", 9, None)]), (42, "Unknown match type 9".to_string()));
        for twice in [[("ip", 2, None), ("user", 2, None)], [("user", 2, None), ("user", 1, None)]] {
            assert_eq!(said(&twice).0, 42);
        }
        for odd in [("user", 0, None), ("user", 1, Some("u")), ("user", 2, Some("u"))] {
            assert!(said(&[odd]).1.starts_with("Request specified MATCH_TYPE_"));
        }
    }
}
