//! AlterConfigs, versions 0 to 2: the old way of setting, after which a resource has these overrides and no others.
//!
//! Old clients and tools still use it; IncrementalAlterConfigs changes single settings instead. Both are answered by the
//! same machine with the same checks, resource by resource.

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{ConfigResource, MetadataAnswer, MetadataInput, NamedValues, Refused};
use crate::types::{BrokerId, ErrorCode};

pub async fn handle(ctx: &mut Context<'_>, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
    let mut wanted = Wanted::default();
    for resource in &request.resources {
        let configs: NamedValues = resource
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(|value| value.to_string())))
            .collect();
        let names = configs.iter().map(|(name, _)| name.as_str());
        let target = target(ctx.broker.node_id, resource.resource_type, &resource.resource_name, names);
        wanted.add(resource.resource_type, &resource.resource_name, target.map(|resource| (resource, configs)));
    }
    let (resources, validate_only) = (std::mem::take(&mut wanted.resources), request.validate_only);
    let asked = ctx.broker.controller.ask(MetadataInput::AlterConfigs { resources, validate_only });
    Reply::Later(Box::pin(async move {
        let responses = wanted.answers(asked.await).into_iter().map(|answer| {
            AlterConfigsResourceResponse::default()
                .with_error_code(answer.code.code())
                .with_error_message(sentence(&answer.message))
                .with_resource_type(answer.kind)
                .with_resource_name(text(answer.name))
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    }))
}

/// The resources of a request in their order: those the machine decides about, and those refused before.
pub struct Wanted<T> {
    pub resources: Vec<(ConfigResource, T)>,
    /// Kind, name, and the refusal where there is one; the others are answered in the order of `resources`.
    asked: Vec<(i8, String, Option<Refused>)>,
}

/// The answer about one resource.
pub struct Told {
    pub code: ErrorCode,
    pub message: String,
    pub kind: i8,
    pub name: String,
}

impl<T> Default for Wanted<T> {
    fn default() -> Self {
        Wanted { resources: Vec::new(), asked: Vec::new() }
    }
}

impl<T> Wanted<T> {
    pub fn add(&mut self, kind: i8, name: &str, change: Result<(ConfigResource, T), Refused>) {
        let refused = match change {
            Ok(change) => {
                self.resources.push(change);
                None
            }
            Err(refused) => Some(refused),
        };
        self.asked.push((kind, name.to_string(), refused));
    }

    /// Puts the machine's answers where they belong.
    pub fn answers(self, answer: Result<MetadataAnswer, ErrorCode>) -> Vec<Told> {
        let (mut decided, failed) = match answer {
            Ok(MetadataAnswer::ConfigsAltered(decided)) => (decided.into_iter(), ErrorCode::UnknownServerError),
            Ok(other) => unreachable!("an alteration is answered with resources, not {other:?}"),
            Err(code) => (Vec::new().into_iter(), code),
        };
        let told = self.asked.into_iter().map(|(kind, name, refused)| {
            let result = match refused {
                Some(refused) => Err(refused),
                None => decided.next().map_or_else(|| Err(Refused::new(failed, "")), |(_, result)| result),
            };
            let (code, message) = match result {
                Ok(()) => (ErrorCode::None, String::new()),
                Err(refused) => (refused.code, refused.message),
            };
            Told { code, message, kind, name }
        });
        told.collect()
    }
}

/// What a request means by kind and name; refused with Kafka's sentences.
pub fn target<'a>(
    node_id: BrokerId,
    kind: i8,
    name: &str,
    mut settings: impl Iterator<Item = &'a str>,
) -> Result<ConfigResource, Refused> {
    let invalid = |message: String| Refused::new(ErrorCode::InvalidRequest, message);
    match (kind, ConfigResource::new(kind, name)) {
        (ConfigResource::BROKER, None) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
        (ConfigResource::BROKER, Some(ConfigResource::Broker(Some(id)))) if id != node_id => {
            Err(invalid(format!("Unexpected broker id, expected {node_id}, but received {name}")))
        }
        (ConfigResource::BROKER_LOGGER, _) => match settings.next() {
            // Kafka's loggers are Java classes; `RUST_LOG` and `milena.log` set ours, at the start.
            Some(logger) => Err(Refused::new(ErrorCode::InvalidConfig, format!("Logger {logger} does not exist!"))),
            None => Err(invalid("No logger is named.".to_string())),
        },
        (_, Some(resource)) => Ok(resource),
        (kind, None) => Err(invalid(format!("Unknown resource type {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    /// Kafka 4.3.1's sentences.
    #[test]
    fn a_resource_that_holds_no_settings_is_refused() {
        let told = |kind, name| target(BrokerId(1), kind, name, ["a"].into_iter()).map_err(|refused| refused.message);
        assert_eq!(told(4, "1"), Ok(ConfigResource::Broker(Some(BrokerId(1)))));
        assert_eq!(told(4, ""), Ok(ConfigResource::Broker(None)));
        assert_eq!(told(4, "2"), Err("Unexpected broker id, expected 1, but received 2".into()));
        assert_eq!(told(4, "abc"), Err("Node id must be an integer, but it is: abc".into()));
        assert_eq!(told(7, "x"), Err("Unknown resource type 7".into()));
        assert_eq!(told(8, "1"), Err("Logger a does not exist!".into()));
    }

    #[test]
    fn answers_stand_in_the_order_of_the_request() {
        let mut wanted: Wanted<()> = Wanted::default();
        let topic = |name: &str| ConfigResource::Topic(name.into());
        wanted.add(2, "a", Ok((topic("a"), ())));
        wanted.add(7, "b", Err(Refused::new(ErrorCode::InvalidRequest, "no")));
        wanted.add(2, "c", Ok((topic("c"), ())));
        let decided = vec![(topic("a"), Err(Refused::new(ErrorCode::InvalidConfig, "bad"))), (topic("c"), Ok(()))];
        let told = wanted.answers(Ok(MetadataAnswer::ConfigsAltered(decided)));
        let codes: Vec<_> = told.iter().map(|told| (told.name.as_str(), told.code)).collect();
        use ErrorCode::*;
        assert_eq!(codes, [("a", InvalidConfig), ("b", InvalidRequest), ("c", None)]);
    }

    #[test]
    fn every_answer_fits_every_version() {
        let one = AlterConfigsResourceResponse::default()
            .with_error_message(sentence("no"))
            .with_resource_type(2)
            .with_resource_name(text("a"));
        let ok = AlterConfigsResourceResponse::default().with_error_message(sentence(""));
        check_versions(AlterConfigsResponse::default().with_responses(vec![one, ok]), 0..=2);
    }
}
