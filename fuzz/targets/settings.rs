//! What people write: settings in a file, in the environment and on the command line; names of topics and addresses.

use std::collections::BTreeMap;

use milena::config::listener::{Endpoint, protocol_map};
use milena::config::{LogConfig, Settings, Sources, catalog, properties, topic};
use milena::types::{TopicName, base64_id, parse_base64_id};

/// A line that begins with `$` is a variable, one with `-` an override; the rest is the file. Whatever comes, there are settings
/// or sentences.
pub fn config(data: &[u8]) {
    let text = properties::decode(data.to_vec());
    let mut sources = Sources { host_name: "host".into(), ..Sources::default() };
    let mut file = String::new();
    for line in text.lines() {
        match (line.strip_prefix('$'), line.strip_prefix('-')) {
            (Some(variable), _) => {
                let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                sources.environment.push((name.into(), value.into()));
            }
            (_, Some(more)) => sources.overrides.push(more.into()),
            _ => file.extend([line, "\n"]),
        }
    }
    topic_overrides(&file);
    sources.file = Some(("server.properties".into(), file));
    match Settings::load(&sources) {
        Ok(settings) => assert!(!settings.net.listeners.is_empty(), "a broker listens somewhere"),
        Err(error) => assert!(!error.to_string().trim().is_empty(), "a refusal says why"),
    }
}

/// The same lines as a topic's own settings: what the catalogue accepts, the topic can be made of.
fn topic_overrides(file: &str) {
    let Ok(entries) = properties::parse(file) else { return };
    let overrides: BTreeMap<String, String> = entries.into_iter().map(|entry| (entry.name, entry.value)).collect();
    for (name, value) in &overrides {
        drop(catalog::topic(name).map(|setting| setting.check(value)));
    }
    if let Err(sentence) = topic::parse(&overrides, &LogConfig::default()) {
        assert!(!sentence.is_empty());
    }
}

/// Names of topics, addresses, protocols, ids.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if TopicName::check(&text).is_ok() {
        assert!(
            text.len() <= 249 && !text.contains('/') && text != "." && text != "..",
            "{text} is no directory's name"
        );
    }
    if let Ok(endpoints) = Endpoint::parse_list(&text) {
        for endpoint in &endpoints {
            let again = Endpoint::parse(&endpoint.to_string()).expect("what is printed is read");
            assert_eq!(&again, endpoint);
            drop(endpoint.bind());
        }
        let pairs = endpoints.iter().zip(endpoints.iter().skip(1));
        pairs.for_each(|(one, next)| assert_eq!(one.collides_with(next), next.collides_with(one)));
    }
    drop(protocol_map(&text));
    if let Some(id) = parse_base64_id(&text) {
        assert_eq!(parse_base64_id(&base64_id(id)), Some(id));
    }
}
