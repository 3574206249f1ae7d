//! The addresses of a broker: where it listens, and what it tells clients to connect to.
//!
//! Written `NAME://host:port`, several separated by commas. Without a host, or with `0.0.0.0` or `::`, it is every address
//! of the machine, and clients are told its host name; `localhost` is both loopback addresses, IPv4 and IPv6. Port 0 lets
//! the system choose. A listener's name leads to its protocol by `listener.security.protocol.map`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// As it was written; [`Listener::bind`] says what it means.
    pub host: String,
    /// 0: the system chooses.
    pub port: u16,
    pub protocol: Protocol,
    /// It is for controllers among themselves: opened because it was named, and told to nobody.
    pub is_for_controllers: bool,
    /// What clients are told; `None` when `advertised.listeners` leaves this listener out.
    pub advertised: Option<Advertised>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Every address of the machine, IPv4 and IPv6.
    Everywhere,
    /// 127.0.0.1 and ::1.
    Loopback,
    /// A name or an address.
    Host(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    pub host: String,
    /// 0: the port that the listener got.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl Listener {
    pub fn bind(&self) -> Bind {
        Bind::of(&self.host)
    }
}

impl Bind {
    pub fn of(host: &str) -> Bind {
        match host {
            "" | "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0" => Bind::Everywhere,
            "localhost" => Bind::Loopback,
            host => Bind::Host(host.to_string()),
        }
    }
}

/// One element of `listeners` or `advertised.listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// Reads `NAME://host:port`; the error says what is missing.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let wrong = |what: &str| format!("`{text}` {what}; an address is written NAME://host:port");
        let (name, address) = text.split_once("://").ok_or_else(|| wrong("has no ://"))?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(wrong("does not begin with a listener name"));
        }
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().map_err(|_| wrong("has no port between 0 and 65535"))?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => {
                bracketed.strip_suffix(']').ok_or_else(|| wrong("opens a bracket and does not close it"))?
            }
            None => host,
        };
        if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:%".contains(c)) {
            return Err(wrong("has a host that is neither a name nor an address"));
        }
        Ok(Endpoint { name: name.to_ascii_uppercase(), host: host.to_string(), port })
    }

    /// Reads a list; empty elements are dropped, as some test tools leave a trailing comma.
    pub fn parse_list(text: &str) -> Result<Vec<Endpoint>, String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Endpoint::parse).collect()
    }

    pub fn bind(&self) -> Bind {
        Bind::of(&self.host)
    }

    pub fn is_everywhere(&self) -> bool {
        self.bind() == Bind::Everywhere
    }

    /// Whether both could not be open at the same time.
    pub fn collides_with(&self, other: &Endpoint) -> bool {
        let same_host = self.host == other.host || self.is_everywhere() || other.is_everywhere();
        self.port != 0 && self.port == other.port && same_host
    }
}

/// What `advertised.listeners` may name, at the start and in a running broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerNames {
    pub for_clients: Vec<String>,
    /// These may be named, and nobody is told of them.
    pub for_controllers: BTreeSet<String>,
}

impl ListenerNames {
    /// What is wrong with telling clients of these, each as what a sentence about it says.
    pub fn objections(&self, advertised: &[Endpoint]) -> Vec<String> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for endpoint in advertised.iter().filter(|endpoint| !self.for_controllers.contains(&endpoint.name)) {
            let Endpoint { name, host, .. } = endpoint;
            if !self.for_clients.contains(name) {
                let valid = self.for_clients.join(",");
                found.push(format!("names {name}, which listeners does not have; its names are {valid}"));
            }
            if endpoint.is_everywhere() && !host.is_empty() {
                found.push(format!(
                    "cannot use {host}, which no client can connect to; write a host name or an address"
                ));
            }
            if !seen.insert(name) {
                found.push(format!("names {name} twice; leave one of them out"));
            }
        }
        found
    }

    /// The same for a text that is set in a running broker, where a missing host is a variable that was empty in somebody's
    /// script; the first objection.
    pub fn check_advertised(&self, text: &str) -> Result<(), String> {
        let sentence = |objection: &str| format!("advertised.listeners {objection}");
        let endpoints =
            Endpoint::parse_list(text).map_err(|problem| sentence(&format!("cannot be read: {problem}")))?;
        if endpoints.is_empty() {
            return Err(sentence("names no address; delete the setting to go back to those of the start"));
        }
        if let Some(nowhere) = endpoints.iter().find(|endpoint| endpoint.host.is_empty()) {
            return Err(sentence(&format!("has no host for {}; write a host name or an address", nowhere.name)));
        }
        self.objections(&endpoints).first().map_or(Ok(()), |objection| Err(sentence(objection)))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { name, host, port } = self;
        if host.contains(':') { write!(f, "{name}://[{host}]:{port}") } else { write!(f, "{name}://{host}:{port}") }
    }
}

impl Protocol {
    pub fn named(name: &str) -> Option<Protocol> {
        match name.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Some(Protocol::Plaintext),
            "SSL" => Some(Protocol::Ssl),
            "SASL_PLAINTEXT" => Some(Protocol::SaslPlaintext),
            "SASL_SSL" => Some(Protocol::SaslSsl),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Protocol::Plaintext => "PLAINTEXT",
            Protocol::Ssl => "SSL",
            Protocol::SaslPlaintext => "SASL_PLAINTEXT",
            Protocol::SaslSsl => "SASL_SSL",
        }
    }
}

/// `listener.security.protocol.map`: listener name to protocol, as `NAME:PROTOCOL,NAME:PROTOCOL`.
pub fn protocol_map(text: &str) -> Result<BTreeMap<String, Protocol>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, protocol) = pair.rsplit_once(':').ok_or_else(|| format!("`{pair}` is not NAME:PROTOCOL"))?;
            let known = Protocol::named(protocol.trim())
                .ok_or_else(|| format!("`{protocol}` is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"))?;
            Ok((name.trim().to_ascii_uppercase(), known))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, host: &str, port: u16) -> Endpoint {
        Endpoint { name: name.into(), host: host.into(), port }
    }

    #[test]
    fn an_address_is_a_name_a_host_and_a_port() {
        for (text, expected) in [
            ("PLAINTEXT://:9092", endpoint("PLAINTEXT", "", 9092)),
            ("plaintext://localhost:0", endpoint("PLAINTEXT", "localhost", 0)),
            ("MY-NAME://broker-1.example_net:65535", endpoint("MY-NAME", "broker-1.example_net", 65535)),
            ("A://[::1]:1", endpoint("A", "::1", 1)),
            ("A://[fe80::1%eth0]:1", endpoint("A", "fe80::1%eth0", 1)),
        ] {
            assert_eq!(Endpoint::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_told_apart() {
        for (text, reason) in [
            ("localhost:9092", "has no ://"),
            ("://x:1", "does not begin with a listener name"),
            ("A://x", "has no port"),
            ("A://x:", "has no port between 0 and 65535"),
            ("A://x:65536", "has no port between 0 and 65535"),
            ("A://[::1:1", "opens a bracket"),
            ("A://a b:1", "neither a name nor an address"),
        ] {
            assert!(Endpoint::parse(text).unwrap_err().contains(reason), "{text}: {:?}", Endpoint::parse(text));
        }
    }

    #[test]
    fn a_trailing_comma_is_forgiven() {
        assert_eq!(Endpoint::parse_list(" A://x:1 , B://y:2,\n").unwrap().len(), 2);
        assert_eq!(Endpoint::parse_list("").unwrap(), []);
    }

    #[test]
    fn localhost_is_both_loopback_addresses_and_no_host_is_everywhere() {
        assert_eq!(endpoint("A", "localhost", 1).bind(), Bind::Loopback);
        for host in ["", "0.0.0.0", "::"] {
            assert_eq!(endpoint("A", host, 1).bind(), Bind::Everywhere);
        }
        assert_eq!(endpoint("A", "::1", 1).bind(), Bind::Host("::1".into()));
    }

    #[test]
    fn an_endpoint_is_written_as_it_is_read() {
        for text in ["A://:1", "A://x:1", "A://[::1]:1"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
    }

    /// In a running broker the same holds as at the start, and a host has to be there.
    #[test]
    fn what_clients_may_be_told_is_checked() {
        let names = ListenerNames {
            for_clients: vec!["IN".into(), "OUT".into()],
            for_controllers: BTreeSet::from(["CTL".to_string()]),
        };
        for fine in ["IN://a:1", "OUT://b:2,IN://a:1,", "in://[::1]:0,CTL://c:3"] {
            assert_eq!(names.check_advertised(fine), Ok(()), "{fine}");
        }
        for (text, objection) in [
            ("", "names no address"),
            (" , ", "names no address"),
            ("IN", "cannot be read: `IN` has no ://"),
            ("IN://:1", "has no host for IN"),
            ("IN://0.0.0.0:1", "cannot use 0.0.0.0"),
            ("IN://[::]:1", "cannot use ::"),
            ("X://a:1", "names X, which listeners does not have; its names are IN,OUT"),
            ("IN://a:1,IN://b:1", "names IN twice"),
        ] {
            let error = names.check_advertised(text).unwrap_err();
            assert!(error.starts_with("advertised.listeners ") && error.contains(objection), "{text}: {error}");
        }
    }

    #[test]
    fn two_endpoints_collide_on_one_port_of_one_address() {
        let all = endpoint("A", "", 9092);
        let one = endpoint("B", "127.0.0.1", 9092);
        assert!(all.collides_with(&one) && one.collides_with(&all));
        assert!(!one.collides_with(&endpoint("C", "10.0.0.1", 9092)));
        assert!(!endpoint("A", "", 0).collides_with(&endpoint("B", "", 0)));
    }

    #[test]
    fn a_protocol_map_names_four_protocols() {
        let map = protocol_map("controller:PLAINTEXT, X:ssl ,").unwrap();
        assert_eq!(map["CONTROLLER"], Protocol::Plaintext);
        assert_eq!(map["X"], Protocol::Ssl);
        assert!(protocol_map("X:TLS").unwrap_err().contains("TLS"));
        assert!(protocol_map("X").unwrap_err().contains("NAME:PROTOCOL"));
    }
}
