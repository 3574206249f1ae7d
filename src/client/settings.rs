//! What a client is told: where to begin, how long to wait, and Kafka's client properties as far as they mean something here.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use crate::config::properties;

/// Client properties under Kafka's names. Later ones win.
#[derive(Clone, Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Reads a `.properties` file, as `--command-config` and its like name one.
    pub fn read(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = std::fs::read(path)
            .map_err(|error| Error::Setting(format!("{} cannot be read: {error}", path.display())))?;
        let entries = properties::parse(&properties::decode(bytes))
            .map_err(|bad| Error::Setting(format!("{} line {}: {}", path.display(), bad.line, bad.reason)))?;
        self.0.extend(entries.into_iter().map(|entry| (entry.name, entry.value)));
        Ok(())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// `name=value`, as on a command line; without `=` it is a name with an empty value, as Kafka takes it.
    pub fn set_pair(&mut self, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        self.set(name.trim(), value);
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value with its blanks: a separator may be one.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bad = || Error::Setting(format!("Invalid value {text} for configuration {name}: Not a number of type INT"));
        text.parse().map(Some).map_err(|_| bad())
    }
}

/// How one client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, at least one.
    pub bootstrap: Vec<String>,
    pub client_id: String,
    /// `request.timeout.ms`: the longest wait for one answer.
    pub request_timeout_ms: u64,
    /// `default.api.timeout.ms`: the longest wait for a question with all its retries.
    pub api_timeout_ms: u64,
    /// The largest answer that is read.
    pub max_response_bytes: usize,
}

impl Settings {
    /// `servers`: `host:port`, comma-separated.
    pub fn new(servers: &str, client_id: &str, properties: &Properties) -> Result<Settings, Error> {
        refuse_security(properties)?;
        let timeout = |name: &str, default: u64| Ok::<_, Error>(properties.number(name)?.unwrap_or(default));
        Ok(Settings {
            bootstrap: addresses(servers)?,
            client_id: properties.get("client.id").unwrap_or(client_id).to_owned(),
            request_timeout_ms: timeout("request.timeout.ms", 30_000)?,
            api_timeout_ms: timeout("default.api.timeout.ms", 60_000)?,
            // Fetch answers are asked to stay below 50 MiB; one batch above that still has to come through.
            max_response_bytes: 1 << 30,
        })
    }
}

fn refuse_security(properties: &Properties) -> Result<(), Error> {
    match properties.get("security.protocol") {
        None => Ok(()),
        Some(protocol) if protocol.eq_ignore_ascii_case("PLAINTEXT") => Ok(()),
        Some(protocol) => Err(Error::Setting(format!(
            "security.protocol={protocol} is not there yet: these tools speak PLAINTEXT only"
        ))),
    }
}

fn addresses(servers: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for server in servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        found.push(
            address(server).ok_or_else(|| Error::Setting(format!("Invalid url in bootstrap.servers: {server}")))?,
        );
    }
    if found.is_empty() {
        return Err(Error::Setting("No bootstrap urls given in bootstrap.servers".to_owned()));
    }
    Ok(found)
}

/// `host:port`, `[::1]:port`, each also with `PLAINTEXT://` in front, as people copy it from a listener.
fn address(server: &str) -> Option<String> {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    let (host, port) = bare.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    match host {
        "" => None,
        host if host.contains(':') && !is_bracketed => Some(format!("[{host}]:{port}")),
        _ => Some(bare.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        assert_eq!(addresses("a:1, PLAINTEXT://b:2,,[::1]:3").unwrap(), ["a:1", "b:2", "[::1]:3"]);
        assert_eq!(addresses("::1:9").unwrap(), ["[::1]:9"]);
        for bad in ["a", "a:", ":1", "a:x", "a:70000", "a:0", "", ","] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_security_protocol_that_is_not_there_is_named() {
        let mut properties = Properties::default();
        properties.set_pair("security.protocol=SASL_SSL");
        let error = Settings::new("a:1", "t", &properties).unwrap_err();
        assert!(error.to_string().contains("SASL_SSL"), "{error}");
        properties.set_pair("security.protocol=plaintext");
        assert!(Settings::new("a:1", "t", &properties).is_ok());
    }
}
