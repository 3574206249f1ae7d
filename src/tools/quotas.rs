//! Quotas of users, clients and addresses, as `kafka-configs` shows and changes them; and the SCRAM users it lists.

use kafka_protocol::messages as m;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::EntryData as Described;
use kafka_protocol::protocol::StrBytes;

use super::config_entities::{Changes, Entity, Kind};
use super::kafka_configs::Failed;
use super::{Failure, Output, java};
use crate::client::{Client, Error};

pub fn describe(client: &mut Client, entities: &[Entity], out: &mut Output) -> Result<(), Error> {
    let component = |entity: &Entity| {
        let (match_type, name) = match (&entity.name, entity.is_default) {
            (Some(name), _) => (0, Some(text(name))),
            (None, true) => (1, None),
            (None, false) => (2, None),
        };
        ComponentData::default()
            .with_entity_type(StrBytes::from_static_str(quota_type(entity.kind)))
            .with_match_type(match_type)
            .with_match(name)
    };
    let components: Vec<ComponentData> = entities.iter().map(component).collect();
    let request = m::DescribeClientQuotasRequest::default().with_components(components).with_strict(true);
    let answer = client.ask_any(&request)?;
    Error::check(answer.error_code, answer.error_message.as_deref())?;
    for entry in answer.entries.unwrap_or_default() {
        out.line(line(&entry));
    }
    match entities {
        [only] if only.kind == Kind::Users && !only.is_default => credentials(client, only, out),
        _ => Ok(()),
    }
}

fn line(entry: &Described) -> String {
    let mut who: Vec<_> = entry.entity.iter().collect();
    who.sort_by_key(|entity| &*entity.entity_type != "user");
    let named = |entity: &&m::describe_client_quotas_response::EntityData| {
        let kind = match &*entity.entity_type {
            "user" => "user-principal",
            other => other,
        };
        match entity.entity_name.as_deref() {
            Some(name) => format!("{kind} '{name}'"),
            None => format!("the default {kind}"),
        }
    };
    let who: Vec<String> = who.iter().map(named).collect();
    let ordered = java::sized_hash_order(entry.values.iter().collect(), |value| &value.key);
    let values: Vec<String> =
        ordered.iter().map(|value| format!("{}={}", &*value.key, java::double(value.value))).collect();
    format!("Quota configs for {} are {}", who.join(", "), values.join(", "))
}

fn credentials(client: &mut Client, user: &Entity, out: &mut Output) -> Result<(), Error> {
    let deadline = client.deadline();
    if !client.any(&deadline)?.has::<m::DescribeUserScramCredentialsRequest>() {
        return Ok(());
    }
    let name = |name: &String| m::describe_user_scram_credentials_request::UserName::default().with_name(text(name));
    let request =
        m::DescribeUserScramCredentialsRequest::default().with_users(user.name.as_ref().map(|user| vec![name(user)]));
    let answer = client.ask_any(&request)?;
    Error::check(answer.error_code, answer.error_message.as_deref())?;
    for result in answer.results.iter().filter(|result| result.error_code == 0) {
        let info = |info: &m::describe_user_scram_credentials_response::CredentialInfo| {
            let mechanism = if info.mechanism == 1 { "SCRAM-SHA-256" } else { "SCRAM-SHA-512" };
            format!("{mechanism}=iterations={}", info.iterations)
        };
        let infos: Vec<String> = result.credential_infos.iter().map(info).collect();
        out.line(format!("SCRAM credential configs for user-principal '{}' are {}", &*result.user, infos.join(", ")));
    }
    Ok(())
}

pub fn alter(client: &mut Client, entities: &[Entity], changes: &Changes) -> Result<(), Failed> {
    let names = changes.set.iter().map(|(name, _)| name).chain(&changes.unset);
    if let Some(scram) = names.into_iter().find(|name| name.starts_with("SCRAM-")) {
        let sentence = format!("{scram} credentials cannot be set with this tool yet");
        return Err(Failed::Other(Failure::Error(sentence)));
    }
    let entity = |entity: &Entity| {
        EntityData::default()
            .with_entity_type(StrBytes::from_static_str(quota_type(entity.kind)))
            .with_entity_name(entity.name.as_deref().map(text))
    };
    let mut ops = Vec::new();
    for (name, value) in &changes.set {
        let number = value.trim().parse().map_err(|_| {
            Failed::Other(Failure::Error(format!("Cannot parse quota configuration value for {name}: {value}")))
        })?;
        ops.push(OpData::default().with_key(text(name)).with_value(number));
    }
    ops.extend(changes.unset.iter().map(|name| OpData::default().with_key(text(name)).with_remove(true)));
    let entry = EntryData::default().with_entity(entities.iter().map(entity).collect()).with_ops(ops);
    let request = m::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let answer = client.ask_controller(&request, 1)?;
    for entry in &answer.entries {
        Error::check(entry.error_code, entry.error_message.as_deref())?;
    }
    Ok(())
}

fn quota_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Users => "user",
        Kind::Clients => "client-id",
        _ => "ip",
    }
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}
