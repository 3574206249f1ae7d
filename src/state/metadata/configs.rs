//! Which settings may be set on what, and what a change of them comes to.

use std::collections::BTreeMap;

use super::*;

type Decision = (Vec<MetadataRecord>, MetadataAnswer);

impl Metadata {
    /// The overrides of a topic to be made; Kafka refuses null values here.
    pub(super) fn check_creation_configs(&self, topic: &NewTopic) -> Result<Configs, Refused> {
        let mut configs = Configs::new();
        for (name, value) in &topic.configs {
            let Some(value) = value else {
                let message = format!("Null value not supported for topic configs: {name}");
                return Err(Refused::new(ErrorCode::InvalidConfig, message));
            };
            configs.insert(name.clone(), value.clone());
        }
        self.check_configs(&ConfigResource::Topic(topic.name.clone()), &configs)?;
        Ok(configs)
    }

    pub(super) fn alter_configs(&self, resources: Vec<(ConfigResource, NamedValues)>, validate_only: bool) -> Decision {
        self.each_resource(resources, validate_only, |_, configs| {
            // A null value is no override, so it goes like all that are not named.
            Ok(configs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
        })
    }

    pub(super) fn incremental_alter_configs(
        &self,
        resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Decision {
        self.each_resource(resources, validate_only, |present, changes| {
            let mut configs = present.clone();
            for change in changes {
                apply_change(&mut configs, change)?;
            }
            Ok(configs)
        })
    }

    /// Works out what each resource's overrides shall be, checks them, and writes the difference.
    fn each_resource<T>(
        &self,
        resources: Vec<(ConfigResource, T)>,
        validate_only: bool,
        wanted: impl Fn(&Configs, T) -> Result<Configs, Refused>,
    ) -> Decision {
        let mut records = Vec::new();
        let answers = resources
            .into_iter()
            .map(|(resource, change)| {
                let result = self.check_resource(&resource).and_then(|()| {
                    let present = self.image.configs(&resource);
                    let wanted = wanted(&present, change)?;
                    self.check_configs(&resource, &wanted)?;
                    records.extend(difference(&resource, &present, &wanted));
                    Ok(())
                });
                (resource, result)
            })
            .collect();
        if validate_only {
            records.clear();
        }
        (records, MetadataAnswer::ConfigsAltered(answers))
    }

    fn check_resource(&self, resource: &ConfigResource) -> Result<(), Refused> {
        match resource {
            ConfigResource::Topic(name) if self.image.topic(name.as_str()).is_none() => {
                Err(Refused::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition."))
            }
            _ => Ok(()),
        }
    }

    fn check_configs(&self, _resource: &ConfigResource, _configs: &Configs) -> Result<(), Refused> {
        Ok(())
    }
}

fn apply_change(configs: &mut Configs, change: ConfigChange) -> Result<(), Refused> {
    let ConfigChange { name, operation, value } = change;
    let list = |configs: &Configs| -> Vec<String> {
        let text = configs.get(&name).cloned().unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_string).collect()
    };
    let given: Vec<String> =
        value.iter().flat_map(|value| value.split(',')).map(|item| item.trim().to_string()).collect();
    match operation {
        ConfigOperation::Set => {
            configs.insert(name, value.unwrap_or_default());
        }
        ConfigOperation::Delete => {
            configs.remove(&name);
        }
        ConfigOperation::Append => {
            let mut items = list(configs);
            for item in given {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            configs.insert(name, items.join(","));
        }
        ConfigOperation::Subtract => {
            let mut items = list(configs);
            items.retain(|item| !given.contains(item));
            configs.insert(name, items.join(","));
        }
    }
    Ok(())
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
