//! IncrementalAlterConfigs, versions 0 and 1: sets and deletes single settings, appends to lists and subtracts from them.
//!
//! Topics, brokers (one, or with the empty name all), client metrics and groups. Settings are checked together with those
//! that stay; a resource changes wholly or not at all.

use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::alter_configs::{Wanted, target};
use super::{Context, Reply, sentence, text};
use crate::state::metadata::{ConfigChange, ConfigOperation, MetadataInput, Refused};
use crate::types::ErrorCode;

pub async fn handle(
    ctx: &mut Context<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Reply<IncrementalAlterConfigsResponse> {
    let mut wanted = Wanted::default();
    for resource in &request.resources {
        let names = resource.configs.iter().map(|config| config.name.as_str());
        let target = target(ctx.broker.node_id, resource.resource_type, &resource.resource_name, names);
        let change = target.and_then(|target| {
            let changes: Result<Vec<_>, _> = resource.configs.iter().map(config_change).collect();
            Ok((target, changes?))
        });
        wanted.add(resource.resource_type, &resource.resource_name, change);
    }
    let (resources, validate_only) = (std::mem::take(&mut wanted.resources), request.validate_only);
    let asked = ctx.broker.controller.ask(MetadataInput::IncrementalAlterConfigs { resources, validate_only });
    Reply::Later(Box::pin(async move {
        let responses = wanted.answers(asked.await).into_iter().map(|answer| {
            AlterConfigsResourceResponse::default()
                .with_error_code(answer.code.code())
                .with_error_message(sentence(&answer.message))
                .with_resource_type(answer.kind)
                .with_resource_name(text(answer.name))
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }))
}

/// Kafka answers an operation it does not know with UNKNOWN_SERVER_ERROR and no sentence; a client can do more with this.
fn config_change(config: &AlterableConfig) -> Result<ConfigChange, Refused> {
    let operation = ConfigOperation::from_number(config.config_operation).ok_or_else(|| {
        Refused::new(ErrorCode::InvalidRequest, format!("Unknown operations type {}", config.config_operation))
    })?;
    let value = config.value.as_ref().map(|value| value.to_string());
    Ok(ConfigChange { name: config.name.to_string(), operation, value })
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn every_answer_fits_every_version() {
        let one = AlterConfigsResourceResponse::default()
            .with_error_message(sentence("no"))
            .with_resource_type(2)
            .with_resource_name(text("a"));
        check_versions(IncrementalAlterConfigsResponse::default().with_responses(vec![one]), 0..=1);
    }

    #[test]
    fn an_operation_is_one_of_four() {
        let change = |operation| config_change(&AlterableConfig::default().with_config_operation(operation));
        assert_eq!(change(3).unwrap().operation, ConfigOperation::Subtract);
        assert_eq!(change(4).unwrap_err().message, "Unknown operations type 4");
        assert_eq!(change(-1).unwrap_err().code, ErrorCode::InvalidRequest);
    }
}
