//! Which settings may be set on what, and what a change of them comes to.
//!
//! A change works out what the overrides of a resource shall be, asks the catalogue whether each of them may be, and
//! writes the difference. What is set to its default is an override all the same: it then holds whatever the broker's
//! default becomes. Codes and sentences are Kafka 4.3's, which differ from one kind of resource to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config;
use crate::config::catalog::{self, Kind, Setting, Update};

/// The longest name or value that a record can carry.
const MAX_TEXT_BYTES: usize = i16::MAX as usize;

type Decision = (Vec<MetadataRecord>, MetadataAnswer);

impl Metadata {
    /// The overrides of a topic to be made; of a name given twice the last value counts, as in Kafka.
    pub(super) fn check_creation_configs(&self, topic: &NewTopic) -> Result<Configs, Refused> {
        let mut configs = Configs::new();
        for (name, value) in &topic.configs {
            let Some(value) = value else {
                return Err(invalid_config(format!("Null value not supported for topic configs: {name}")));
            };
            configs.insert(name.clone(), value.clone());
        }
        self.check_configs(&ConfigResource::Topic(topic.name.clone()), &configs)?;
        Ok(configs)
    }

    pub(super) fn alter_configs(&self, resources: Vec<(ConfigResource, NamedValues)>, validate_only: bool) -> Decision {
        self.each_resource(resources, validate_only, |_, _, configs| {
            check_names(configs.iter().map(|(name, _)| name))?;
            configs
                .into_iter()
                .map(|(name, value)| Ok((name.clone(), value.ok_or_else(|| null_value(&name))?)))
                .collect()
        })
    }

    pub(super) fn incremental_alter_configs(
        &self,
        resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Decision {
        self.each_resource(resources, validate_only, |resource, present, changes| {
            check_names(changes.iter().map(|change| &change.name))?;
            let mut configs = present.clone();
            for change in changes {
                self.apply_change(resource, &mut configs, change)?;
            }
            Ok(configs)
        })
    }

    /// Works out what each resource's overrides shall be, checks them, and writes the difference.
    fn each_resource<T>(
        &self,
        resources: Vec<(ConfigResource, T)>,
        validate_only: bool,
        wanted: impl Fn(&ConfigResource, &Configs, T) -> Result<Configs, Refused>,
    ) -> Decision {
        let named = counts(resources.iter().map(|(resource, _)| resource.clone()));
        let mut records = Vec::new();
        let mut answers = Vec::new();
        for (resource, change) in resources {
            let present = self.image.configs(&resource);
            let result = if named[&resource] > 1 {
                Err(invalid_request("Each resource must appear at most once."))
            } else {
                self.check_resource(&resource).and_then(|()| wanted(&resource, &present, change)).and_then(|wanted| {
                    self.check_configs(&resource, &wanted)?;
                    Ok(difference(&resource, &present, &wanted))
                })
            };
            answers.push((resource, result.map(|made| records.extend(made))));
        }
        if validate_only {
            records.clear();
        }
        (records, MetadataAnswer::ConfigsAltered(answers))
    }

    fn check_resource(&self, resource: &ConfigResource) -> Result<(), Refused> {
        if resource.name().len() > MAX_TEXT_BYTES {
            return Err(invalid_request("The resource name is longer than 32767 bytes."));
        }
        match resource {
            ConfigResource::Topic(name) if name.as_str().is_empty() => {
                Err(invalid_request("Default topic resources are not allowed."))
            }
            ConfigResource::Topic(name) => {
                TopicName::check(name.as_str())
                    .map_err(|message| Refused::new(ErrorCode::InvalidTopicException, message))?;
                self.image.topic(name.as_str()).map(|_| ()).ok_or_else(|| {
                    Refused::new(ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
                })
            }
            ConfigResource::Group(name) if name.is_empty() => {
                Err(invalid_request("Default group resources are not allowed."))
            }
            ConfigResource::ClientMetrics(name) if name.is_empty() => {
                Err(invalid_request("Subscription name can't be empty"))
            }
            _ => Ok(()),
        }
    }

    fn check_configs(&self, resource: &ConfigResource, configs: &Configs) -> Result<(), Refused> {
        if configs.iter().any(|(name, value)| name.len() > MAX_TEXT_BYTES || value.len() > MAX_TEXT_BYTES) {
            return Err(invalid_config(
                "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
            ));
        }
        match resource {
            ConfigResource::Topic(_) => {
                config::topic::parse(configs, &self.settings.log).map(|_| ()).map_err(invalid_config)
            }
            ConfigResource::Broker(id) => self.check_broker(configs, id.is_some()),
            ConfigResource::Group(_) => {
                config::group::parse(configs, &self.settings.groups).map(|_| ()).map_err(invalid_config)
            }
            ConfigResource::ClientMetrics(_) => check_client_metrics(configs),
        }
    }

    /// Kafka keeps names it does not know for its plug-ins, shows them without their value, and so do we. It refuses
    /// `advertised.listeners`, which Kafka with ZooKeeper took ([`config::ADVERTISED`]).
    fn check_broker(&self, configs: &Configs, one_broker: bool) -> Result<(), Refused> {
        let those = |wanted: &dyn Fn(&Setting) -> bool| {
            let names = configs.keys().filter(|name| catalog::broker(name).is_some_and(wanted));
            names.cloned().collect::<Vec<_>>().join(", ")
        };
        let is_told = |setting: &Setting| setting.name == config::ADVERTISED && one_broker;
        let is_fixed = |setting: &Setting| setting.is_read_only() || setting.name == "listeners" && one_broker;
        let fixed = those(&|setting| is_fixed(setting) && !is_told(setting));
        if !fixed.is_empty() {
            return Err(invalid_request(format!("Cannot update these configs dynamically: [{fixed}]")));
        }
        let secrets = those(&|setting| setting.is_sensitive());
        if !secrets.is_empty() {
            return Err(invalid_request(format!(
                "These security configs can be dynamically updated only per-listener using the listener prefix: [{secrets}]"
            )));
        }
        let own = those(&|setting| setting.update == Update::PerBroker);
        if !one_broker && !own.is_empty() {
            return Err(invalid_request(format!(
                "Cannot update these configs at default cluster level, broker id must be specified: [{own}]"
            )));
        }
        for (name, value) in configs {
            if let Some(setting) = catalog::broker(name) {
                setting.check(value).map_err(invalid_request)?;
            }
        }
        if let Some(text) = configs.get(config::ADVERTISED) {
            self.settings.listeners.check_advertised(text).map_err(invalid_request)?;
        }
        Ok(())
    }

    fn apply_change(
        &self,
        resource: &ConfigResource,
        configs: &mut Configs,
        change: ConfigChange,
    ) -> Result<(), Refused> {
        let ConfigChange { name, operation, value } = change;
        if operation == ConfigOperation::Delete {
            configs.remove(&name);
            return Ok(());
        }
        let value = value.ok_or_else(|| null_value(&name))?;
        let verb = match operation {
            ConfigOperation::Append => "APPEND",
            ConfigOperation::Subtract => "SUBTRACT",
            _ => {
                configs.insert(name, value);
                return Ok(());
            }
        };
        if setting(resource, &name).is_none_or(|setting| setting.kind != Kind::List) {
            return Err(invalid_config(format!("Can't {verb} to key {name} because its type is not LIST.")));
        }
        let mut items = elements(&configs.get(&name).cloned().unwrap_or_else(|| self.default_list(resource, &name)));
        let given = elements(&value);
        if operation == ConfigOperation::Append {
            let new = given.into_iter().filter(|item| !items.contains(item)).collect::<Vec<_>>();
            items.extend(new);
        } else {
            items.retain(|item| !given.contains(item));
        }
        configs.insert(name, items.join(","));
        Ok(())
    }

    /// What a list holds while nobody has set it: where appending and subtracting begin.
    fn default_list(&self, resource: &ConfigResource, name: &str) -> String {
        if name == "cleanup.policy" {
            let policies = [("compact", self.settings.log.compact), ("delete", self.settings.log.delete)];
            return policies.iter().filter(|(_, on)| *on).map(|(policy, _)| *policy).collect::<Vec<_>>().join(",");
        }
        setting(resource, name).and_then(|setting| setting.default).unwrap_or_default().to_string()
    }
}

fn setting(resource: &ConfigResource, name: &str) -> Option<&'static Setting> {
    match resource {
        ConfigResource::Topic(_) => catalog::topic(name),
        ConfigResource::Broker(_) => catalog::broker(name),
        ConfigResource::Group(_) => catalog::group(name),
        ConfigResource::ClientMetrics(_) => None,
    }
}

/// `ClientMetricsConfigs`: three names, of which only the interval has a range.
fn check_client_metrics(configs: &Configs) -> Result<(), Refused> {
    for (name, value) in configs {
        match name.as_str() {
            "metrics" => {}
            "interval.ms" => {
                let interval = value.trim().parse::<i32>().map_err(|_| {
                    invalid_config(format!(
                        "Invalid value {value} for configuration interval.ms: Not a number of type INT"
                    ))
                })?;
                if !(100..=3_600_000).contains(&interval) {
                    return Err(invalid_request(format!(
                        "Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                    )));
                }
            }
            "match" => {
                if let Some(bad) = elements(value).iter().find(|pattern| !is_client_pattern(pattern)) {
                    return Err(invalid_config(format!("Illegal client matching pattern: {bad}")));
                }
            }
            _ => return Err(invalid_request(format!("Unknown client metrics configuration: {name}"))),
        }
    }
    Ok(())
}

/// `name=pattern`, the name being one of those that Kafka matches clients by (KIP-714).
fn is_client_pattern(pattern: &str) -> bool {
    const NAMES: [&str; 6] = [
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    ];
    pattern.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name.trim()))
}

fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(invalid_request("Error due to duplicate config keys"));
        }
    }
    Ok(())
}

fn elements(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_string).collect()
}

fn null_value(name: &str) -> Refused {
    invalid_request(format!("Null value not supported for : {name}"))
}

fn invalid_request(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, message)
}

fn invalid_config(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidConfig, message)
}

/// The records that turn one set of overrides into another, by name.
fn difference(resource: &ConfigResource, present: &Configs, wanted: &Configs) -> Vec<MetadataRecord> {
    let mut changes: BTreeMap<&String, Option<&String>> = BTreeMap::new();
    changes.extend(present.keys().filter(|name| !wanted.contains_key(*name)).map(|name| (name, None)));
    let changed = wanted.iter().filter(|(name, value)| present.get(*name) != Some(*value));
    changes.extend(changed.map(|(name, value)| (name, Some(value))));
    changes
        .into_iter()
        .map(|(name, value)| MetadataRecord::Config {
            resource: resource.clone(),
            name: name.clone(),
            value: value.cloned(),
        })
        .collect()
}
