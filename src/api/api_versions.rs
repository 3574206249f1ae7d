//! ApiVersions, versions 0 to 4: what this broker speaks, read from the table of `api/mod.rs` and from nothing else.
//!
//! An unknown version gets the version 0 answer with error 35 and the one row for ApiVersions itself, as Kafka sends it:
//! franz-go opens every connection that way. The response header is version 0 for ever. Version 3 tells software names,
//! which are checked; versions up to 3 hide features whose lowest level is 0 (KAFKA-17011).

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::Encodable;

use super::{APIS, Context, Reply, text, with_length};
use crate::net::{Answer, Reaction};
use crate::state::metadata::SUPPORTED_FEATURES;
use crate::types::{ErrorCode, Offset};

pub const KEY: i16 = 18;

pub async fn handle(ctx: &mut Context<'_>, request: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
    let mut response = ApiVersionsResponse::default();
    if ctx.version >= 3 && !(is_software(&request.client_software_name) && is_software(&request.client_software_version)) {
        response.error_code = ErrorCode::InvalidRequest.code();
        return Reply::Now(response);
    }
    response.api_keys = APIS.iter().map(|api| version(api.key, api.min_version, api.max_version)).collect();
    if ctx.version >= 3 {
        let image = ctx.broker.image();
        let lowest = |min: i16| if ctx.version >= 4 { min >= 0 } else { min > 0 };
        response.supported_features = SUPPORTED_FEATURES
            .iter()
            .filter(|(_, min, _)| lowest(*min))
            .map(|(name, min, max)| {
                SupportedFeatureKey::default().with_name(text(name)).with_min_version(*min).with_max_version(*max)
            })
            .collect();
        response.finalized_features_epoch = image.applied().unwrap_or(Offset::ZERO).0;
        response.finalized_features = image
            .features()
            .iter()
            .map(|(name, level)| {
                FinalizedFeatureKey::default()
                    .with_name(text(name))
                    .with_min_version_level(*level)
                    .with_max_version_level(*level)
            })
            .collect();
    }
    Reply::Now(response)
}

/// The answer to a version we do not know: one the client can read whatever it speaks.
pub fn unsupported(correlation_id: i32) -> Reaction {
    let own = APIS.iter().find(|api| api.key == KEY).expect("the table has the row of this file");
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(vec![version(own.key, own.min_version, own.max_version)]);
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    frame.put_i32(correlation_id);
    match response.encode(&mut frame, 0) {
        Ok(()) => Reaction::Answer(Answer::One(with_length(frame))),
        Err(error) => Reaction::Close(error.to_string()),
    }
}

fn version(key: i16, min: i16, max: i16) -> ApiVersion {
    ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
}

/// Kafka's rule for the names that clients give of themselves (KIP-511): letters, digits, dashes and dots, neither of the
/// latter two first or last.
fn is_software(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_follow_kip_511() {
        for good in ["kafka-python", "librdkafka", "a", "2.0.2"] {
            assert!(is_software(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä"] {
            assert!(!is_software(bad), "{bad}");
        }
    }
}
