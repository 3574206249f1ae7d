//! DescribeConfigs, versions 1 to 4: every setting of a resource with its value, where it comes from, and what stands
//! behind it.
//!
//! Sources: 1 the topic's own, 2 set at run time for this broker, 3 for all brokers, 4 by file, environment or flag,
//! 5 default, 7 client metrics, 8 the group's own. All settings are always listed, without a value where there is none:
//! clients written in Java fail over one that is missing. 3 brought types and documentation. A secret's value is never
//! told (S62), nor that of a name nobody knows, which may be one. Broker loggers (kind 8) have no settings here.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Context, Reply, text};
use crate::config::catalog::{self, Kind, Setting, Value};
use crate::config::{Settings, Synonym};
use crate::state::metadata::{ConfigResource, Configs, Image, Refused};
use crate::types::{BrokerId, ErrorCode, TopicName};

const TOPIC_CONFIG: i8 = 1;
const DYNAMIC_BROKER: i8 = 2;
const DYNAMIC_DEFAULT_BROKER: i8 = 3;
const DEFAULT: i8 = 5;
const CLIENT_METRICS_CONFIG: i8 = 7;
const GROUP_CONFIG: i8 = 8;

/// Kafka's message of INVALID_REQUEST, which it gives for kinds that it does not know.
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.";

pub async fn handle(ctx: &mut Context<'_>, request: DescribeConfigsRequest) -> Reply<DescribeConfigsResponse> {
    let scene = Scene { image: &ctx.broker.image(), settings: &settings_now(ctx), node_id: ctx.broker.node_id };
    let shown = Shown {
        synonyms: request.include_synonyms,
        types: ctx.version >= 3,
        documentation: request.include_documentation && ctx.version >= 3,
    };
    let results = request.resources.iter().map(|resource| result(resource, scene.rows(resource), shown)).collect();
    Reply::Now(DescribeConfigsResponse::default().with_results(results))
}

/// The settings of this broker as they are now, with what was changed at run time.
pub fn settings_now(ctx: &Context<'_>) -> Arc<Settings> {
    let image = ctx.broker.image();
    let own = image.configs(&ConfigResource::Broker(Some(ctx.broker.node_id)));
    let all = image.configs(&ConfigResource::Broker(None));
    if own.is_empty() && all.is_empty() {
        return ctx.broker.settings.clone();
    }
    match ctx.broker.settings.reconfigured(&own, &all) {
        Ok(settings) => Arc::new(settings),
        Err(refusals) => {
            tracing::warn!(%refusals, "settings changed at run time do not go together; those of the start are shown");
            ctx.broker.settings.clone()
        }
    }
}

/// One setting as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub value: Option<String>,
    pub read_only: bool,
    pub source: i8,
    pub is_sensitive: bool,
    /// Name, value and source of all the value could come from; the first is where it does come from.
    pub synonyms: Vec<(String, Option<String>, i8)>,
    /// Kafka's number of the type; 0 unknown.
    pub kind: i8,
    pub documentation: &'static str,
}

impl Row {
    fn new(setting: &Setting, value: Option<String>, source: i8, synonyms: Vec<Synonym>) -> Row {
        let shown = |value: Option<String>| value.map(|text| shown(setting, &text));
        let synonyms = synonyms.into_iter().map(|each| (each.name.to_string(), shown(each.value), each.source.id()));
        Row {
            name: setting.name.to_string(),
            value: shown(value),
            read_only: false,
            source,
            is_sensitive: setting.is_sensitive(),
            synonyms: synonyms.collect(),
            kind: setting.kind.id(),
            documentation: setting.doc,
        }
    }

    /// The row with the resource's own value over what it would be otherwise.
    fn overridden(mut self, value: Option<String>, source: i8) -> Row {
        if value.is_some() {
            self.source = source;
            self.value = value;
            self.synonyms.insert(0, (self.name.clone(), self.value.clone(), source));
        }
        self
    }

    /// A setting nobody knows, kept for whoever does.
    fn stranger(name: &str, sources: Vec<i8>) -> Row {
        Row {
            name: name.to_string(),
            value: None,
            read_only: true,
            source: sources[0],
            is_sensitive: true,
            synonyms: sources.into_iter().map(|source| (name.to_string(), None, source)).collect(),
            kind: 0,
            documentation: "",
        }
    }
}

/// A value as Kafka prints it after reading it: without blanks, a list joined by commas, a truth value in small letters.
fn shown(setting: &Setting, text: &str) -> String {
    match setting.check(text) {
        Ok(Value::List(elements)) => elements.join(","),
        Ok(Value::Boolean(on)) => on.to_string(),
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::Double(number)) => format!("{number:?}"),
        Ok(Value::Text(word)) => word,
        Err(_) => text.to_string(),
    }
}

fn own(setting: &Setting, overrides: &Configs) -> Option<String> {
    overrides.get(setting.name).map(|text| shown(setting, text))
}

/// All settings of a topic with these overrides, by name.
pub fn topic_rows(settings: &Settings, overrides: &Configs) -> Vec<Row> {
    let rows = catalog::topic_settings().filter(|setting| !setting.internal).map(|setting| {
        let (value, source, synonyms) = settings.topic_default(setting);
        Row::new(setting, value, source.id(), synonyms).overridden(own(setting, overrides), TOPIC_CONFIG)
    });
    rows.collect()
}

fn group_rows(settings: &Settings, overrides: &Configs) -> Vec<Row> {
    let rows = catalog::group_settings().filter(|setting| !setting.internal).map(|setting| {
        let (value, source, synonyms) = settings.group_default(setting);
        Row::new(setting, value, source.id(), synonyms).overridden(own(setting, overrides), GROUP_CONFIG)
    });
    rows.collect()
}

/// `settings` has what was changed at run time in it already.
fn broker_rows(settings: &Settings, own: &Configs, all: &Configs) -> Vec<Row> {
    let known = catalog::broker_settings().filter(|setting| !setting.internal).map(|setting| {
        let (value, source) = settings.broker_value(setting.name);
        let row = Row::new(setting, value, source.id(), settings.broker_synonyms(setting));
        Row { read_only: setting.is_read_only(), ..row }
    });
    let mut rows: Vec<Row> = known.collect();
    let mut names: Vec<&String> = own.keys().chain(all.keys()).filter(|name| catalog::broker(name).is_none()).collect();
    names.sort();
    names.dedup();
    rows.extend(names.into_iter().map(|name| {
        let layers = [(own, DYNAMIC_BROKER), (all, DYNAMIC_DEFAULT_BROKER)];
        let sources = layers.iter().filter(|(layer, _)| layer.contains_key(name)).map(|(_, source)| *source);
        Row::stranger(name, sources.collect())
    }));
    rows
}

/// The empty name: what is set for all brokers, and nothing else.
fn default_broker_rows(all: &Configs) -> Vec<Row> {
    let rows = all.iter().map(|(name, value)| match catalog::broker(name) {
        Some(setting) => {
            let value = Some(shown(setting, value)).filter(|_| !setting.is_sensitive());
            let row = Row::new(setting, None, DYNAMIC_DEFAULT_BROKER, Vec::new());
            row.overridden(value, DYNAMIC_DEFAULT_BROKER)
        }
        None => Row::stranger(name, vec![DYNAMIC_DEFAULT_BROKER]),
    });
    rows.collect()
}

/// KIP-714's three settings of a subscription.
fn client_metrics_rows(overrides: &Configs) -> Vec<Row> {
    let settings = [("interval.ms", "300000", Kind::Int), ("match", "", Kind::List), ("metrics", "", Kind::List)];
    let rows = settings.into_iter().map(|(name, default, kind)| {
        let row = Row {
            name: name.to_string(),
            value: Some(default.to_string()),
            read_only: false,
            source: DEFAULT,
            is_sensitive: false,
            synonyms: Vec::new(),
            kind: kind.id(),
            documentation: "",
        };
        row.overridden(overrides.get(name).cloned(), CLIENT_METRICS_CONFIG)
    });
    rows.collect()
}

/// What an answer is made from.
struct Scene<'a> {
    image: &'a Image,
    settings: &'a Settings,
    node_id: BrokerId,
}

impl Scene<'_> {
    fn rows(&self, resource: &DescribeConfigsResource) -> Result<Vec<Row>, Refused> {
        let name = resource.resource_name.as_str();
        let of = |resource: &ConfigResource| self.image.configs(resource);
        let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
        match resource.resource_type {
            ConfigResource::TOPIC => {
                TopicName::check(name)
                    .map_err(|message| Refused::new(ErrorCode::InvalidTopicException, message))?;
                let topic =
                    self.image.topic(name).ok_or_else(|| Refused::new(ErrorCode::UnknownTopicOrPartition, ""))?;
                Ok(topic_rows(self.settings, &self.image.topic_configs(&topic.name)))
            }
            ConfigResource::BROKER => self.broker(name),
            ConfigResource::BROKER_LOGGER if name == self.node_id.to_string() => Ok(Vec::new()),
            ConfigResource::BROKER_LOGGER => {
                invalid(&format!("Unexpected broker id, expected {} but received {name}", self.node_id))
            }
            ConfigResource::CLIENT_METRICS if name.is_empty() => {
                invalid("Client metrics subscription name must not be empty")
            }
            ConfigResource::CLIENT_METRICS => Ok(client_metrics_rows(&of(&ConfigResource::ClientMetrics(name.into())))),
            ConfigResource::GROUP if name.is_empty() => invalid("Group name must not be empty"),
            ConfigResource::GROUP => Ok(group_rows(self.settings, &of(&ConfigResource::Group(name.into())))),
            _ => invalid(MALFORMED),
        }
    }

    fn broker(&self, name: &str) -> Result<Vec<Row>, Refused> {
        let refused = |message| Err(Refused::new(ErrorCode::InvalidRequest, message));
        let all = self.image.configs(&ConfigResource::Broker(None));
        match ConfigResource::new(ConfigResource::BROKER, name) {
            Some(ConfigResource::Broker(None)) => Ok(default_broker_rows(&all)),
            Some(own @ ConfigResource::Broker(Some(id))) if id == self.node_id => {
                Ok(broker_rows(self.settings, &self.image.configs(&own), &all))
            }
            Some(_) => refused(format!(
                "Unexpected broker id, expected {} or empty string, but received {name}",
                self.node_id
            )),
            None => refused(format!("Broker id must be an integer, but it is: {name}")),
        }
    }
}

/// Which columns the client asked for, and its version has.
#[derive(Clone, Copy)]
struct Shown {
    synonyms: bool,
    types: bool,
    documentation: bool,
}

fn result(
    resource: &DescribeConfigsResource,
    rows: Result<Vec<Row>, Refused>,
    shown: Shown,
) -> DescribeConfigsResult {
    let (code, message, rows) = match rows {
        Ok(rows) => (ErrorCode::None, String::new(), rows),
        Err(refused) => (refused.code, refused.message, Vec::new()),
    };
    // Kafka: an empty list of names means all, like null; names that do not exist are passed over.
    let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
    let wanted = |row: &Row| keys.is_none_or(|keys| keys.iter().any(|key| **key == row.name));
    DescribeConfigsResult::default()
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
        .with_resource_type(resource.resource_type)
        .with_resource_name(text(resource.resource_name.as_str()))
        .with_configs(rows.into_iter().filter(wanted).map(|row| told(row, shown)).collect())
}

fn told(row: Row, shown: Shown) -> DescribeConfigsResourceResult {
    let synonyms = row.synonyms.into_iter().filter(|_| shown.synonyms).map(|(name, value, source)| {
        DescribeConfigsSynonym::default().with_name(text(name)).with_value(value.map(text)).with_source(source)
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(row.name))
        .with_value(row.value.map(text))
        .with_read_only(row.read_only)
        .with_config_source(row.source)
        .with_is_sensitive(row.is_sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(if shown.types { row.kind } else { 0 })
        .with_documentation(shown.documentation.then(|| text(row.documentation)))
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;
    use crate::config::Sources;

    fn settings(lines: &str) -> Settings {
        let file = Some(("server.properties".to_string(), lines.to_string()));
        Settings::load(&Sources { file, ..Sources::default() }).unwrap()
    }

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn row(rows: Vec<Row>, name: &str) -> Row {
        rows.into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is listed"))
    }

    fn synonyms(row: &Row) -> Vec<(&str, Option<&str>, i8)> {
        row.synonyms.iter().map(|(name, value, source)| (name.as_str(), value.as_deref(), *source)).collect()
    }

    #[test]
    fn every_answer_fits_every_version() {
        let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("a"));
        for version in 1..=4 {
            let shown = Shown { synonyms: true, types: version >= 3, documentation: version >= 3 };
            let rows = topic_rows(&settings(""), &configs(&[("retention.ms", "5")]));
            let results = vec![
                result(&resource, Ok(rows), shown),
                result(&resource, Err(Refused::new(ErrorCode::UnknownTopicOrPartition, "")), shown),
            ];
            check_versions(DescribeConfigsResponse::default().with_results(results), version..=version);
        }
    }

    /// As Apache Kafka 4.3.1 describes a topic with one setting of its own on a broker with another set in its file.
    #[test]
    fn a_topics_settings_tell_where_they_come_from() {
        let settings = settings("log.segment.delete.delay.ms=1000\n");
        let rows = topic_rows(&settings, &configs(&[("max.message.bytes", "1048588")]));
        assert_eq!(rows.len(), 33);
        let own = row(rows.clone(), "max.message.bytes");
        // A default set by hand is the topic's own all the same.
        assert_eq!((own.value.as_deref(), own.source, own.kind), (Some("1048588"), 1, 3));
        assert_eq!(
            synonyms(&own),
            [("max.message.bytes", Some("1048588"), 1), ("message.max.bytes", Some("1048588"), 5)]
        );
        let from_file = row(rows.clone(), "file.delete.delay.ms");
        assert_eq!((from_file.value.as_deref(), from_file.source), (Some("1000"), 4));
        assert_eq!(
            synonyms(&from_file),
            [("log.segment.delete.delay.ms", Some("1000"), 4), ("log.segment.delete.delay.ms", Some("60000"), 5)]
        );
        let default = row(rows, "cleanup.policy");
        assert_eq!((default.value.as_deref(), default.source, default.kind), (Some("delete"), 5, 7));
        assert_eq!(synonyms(&default), [("log.cleanup.policy", Some("delete"), 5)]);
        assert!(!default.documentation.is_empty());
    }

    #[test]
    fn a_brokers_settings_are_all_there_and_secrets_have_no_value() {
        let own = configs(&[("max.connections", "100"), ("nope.nope", "5")]);
        let all = configs(&[("max.connections", "200")]);
        let settings = settings("ssl.keystore.password=hush\n").reconfigured(&own, &all).unwrap();
        let rows = broker_rows(&settings, &own, &all);
        assert!(rows.len() > 300);
        let fixed = row(rows.clone(), "num.partitions");
        assert!(fixed.read_only);
        let changed = row(rows.clone(), "max.connections");
        assert_eq!((changed.value.as_deref(), changed.source, changed.read_only), (Some("100"), 2, false));
        assert_eq!(
            synonyms(&changed),
            [
                ("max.connections", Some("100"), 2),
                ("max.connections", Some("200"), 3),
                ("max.connections", Some("2147483647"), 5)
            ]
        );
        let secret = row(rows.clone(), "ssl.keystore.password");
        assert_eq!((secret.value, secret.is_sensitive), (None, true));
        let stranger = row(rows, "nope.nope");
        assert_eq!((stranger.value, stranger.is_sensitive, stranger.source, stranger.kind), (None, true, 2, 0));
        let of_all = default_broker_rows(&all);
        assert_eq!((of_all.len(), of_all[0].value.as_deref(), of_all[0].source), (1, Some("200"), 3));
    }

    #[test]
    fn groups_and_client_metrics_have_settings_too() {
        let rows = group_rows(&settings(""), &configs(&[("consumer.session.timeout.ms", "50000")]));
        let own = row(rows, "consumer.session.timeout.ms");
        assert_eq!(
            synonyms(&own),
            [("consumer.session.timeout.ms", Some("50000"), 8), ("group.consumer.session.timeout.ms", Some("45000"), 5)]
        );
        let rows = client_metrics_rows(&configs(&[("interval.ms", "1000")]));
        assert_eq!(rows.iter().map(|row| row.source).collect::<Vec<_>>(), [7, 5, 5]);
    }

    /// Kafka 4.3.1's codes and sentences.
    #[test]
    fn what_cannot_be_described_says_why() {
        use ErrorCode::*;
        let (image, settings) = (Image::new("c"), settings(""));
        let scene = Scene { image: &image, settings: &settings, node_id: BrokerId(1) };
        let told = |kind, name: &str| {
            let resource = DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
            scene.rows(&resource).map(|_| ()).map_err(|refused| (refused.code, refused.message))
        };
        let invalid = |message: &str| Err((InvalidRequest, message.to_string()));
        assert_eq!(told(2, "nope"), Err((UnknownTopicOrPartition, String::new())));
        assert_eq!(told(2, ""), Err((InvalidTopicException, "Topic name is invalid: the empty string is not allowed".into())));
        assert_eq!(told(4, "2"), invalid("Unexpected broker id, expected 1 or empty string, but received 2"));
        assert_eq!(told(4, "abc"), invalid("Broker id must be an integer, but it is: abc"));
        assert_eq!(told(8, "2"), invalid("Unexpected broker id, expected 1 but received 2"));
        assert_eq!(told(16, ""), invalid("Client metrics subscription name must not be empty"));
        assert_eq!(told(32, ""), invalid("Group name must not be empty"));
        assert_eq!(told(7, "x"), invalid(MALFORMED));
    }

    #[test]
    fn values_are_shown_as_they_were_understood() {
        let overrides = configs(&[
            ("cleanup.policy", " compact , delete"),
            ("flush.ms", " 7 "),
            ("min.cleanable.dirty.ratio", "1"),
            ("preallocate", "TRUE"),
        ]);
        let rows = topic_rows(&settings(""), &overrides);
        let value = |name: &str| row(rows.clone(), name).value.unwrap();
        let shown = ["cleanup.policy", "flush.ms", "min.cleanable.dirty.ratio", "preallocate"].map(value);
        assert_eq!(shown, ["compact,delete", "7", "1.0", "true"]);
        let rows = broker_rows(&settings(""), &Configs::new(), &Configs::new());
        assert_eq!(row(rows, "group.consumer.assignors").value.as_deref(), Some("uniform,range"));
    }

    #[test]
    fn names_that_are_asked_for_are_shown_alone_and_an_empty_list_means_all() {
        let rows = || Ok(topic_rows(&settings(""), &Configs::new()));
        let shown = Shown { synonyms: false, types: true, documentation: false };
        let asked = |keys: Option<Vec<&str>>| {
            let keys = keys.map(|keys| keys.into_iter().map(text).collect());
            result(&DescribeConfigsResource::default().with_configuration_keys(keys), rows(), shown).configs
        };
        assert_eq!(asked(Some(vec!["nope", "retention.ms"])).len(), 1);
        assert_eq!(asked(Some(vec![])).len(), 33);
        let all = asked(None);
        assert_eq!(all.len(), 33);
        assert!(all.iter().all(|row| row.synonyms.is_empty() && row.documentation.is_none()));
    }
}
