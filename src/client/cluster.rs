//! A cluster as a client sees it: where to begin, which brokers there are, who leads what, and whom to ask.
//!
//! What any broker can answer goes over the bootstrap connection; the rest to the address the broker advertises. On a
//! cluster of one broker the bootstrap connection is that broker, so a tool beside it works whatever it advertises.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};

use super::{Connection, Deadline, Error, Settings};
use crate::clock::{Clock, SystemClock};

/// A broker and where it says it can be reached.
#[derive(Clone, Debug)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

impl Broker {
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Partitions by topic, in order.
pub type TopicPartitions = BTreeMap<String, Vec<i32>>;

pub struct Client {
    settings: Settings,
    clock: Arc<dyn Clock>,
    bootstrap: Option<Connection>,
    connections: BTreeMap<i32, Connection>,
    brokers: BTreeMap<i32, Broker>,
    controller: i32,
    cluster_id: Option<String>,
}

impl Client {
    /// Connects to the first bootstrap address that answers, again and again until `default.api.timeout.ms` is over: who
    /// starts tools beside a broker that is just starting counts on that.
    pub fn open(settings: Settings) -> Result<Client, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let mut client = Client {
            settings,
            clock,
            bootstrap: None,
            connections: BTreeMap::new(),
            brokers: BTreeMap::new(),
            controller: -1,
            cluster_id: None,
        };
        let deadline = client.deadline();
        client.refresh(&deadline)?;
        Ok(client)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now().wall.0
    }

    /// Until when a question with its retries may take.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(&self.clock, self.settings.api_timeout_ms)
    }

    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Asks whichever broker is at hand.
    pub fn ask_any<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        self.ask_any_up_to(request, i16::MAX)
    }

    /// The same in no version above `highest`.
    pub fn ask_any_up_to<R: Request>(&mut self, request: &R, highest: i16) -> Result<R::Response, Error> {
        let deadline = self.deadline();
        self.retry(&deadline, |client, deadline| client.any(deadline)?.ask(request, highest, deadline))
    }

    /// Asks the broker that the cluster calls its controller; with KRaft that is any broker, which passes the question on.
    pub fn ask_controller<R: Request>(&mut self, request: &R, highest: i16) -> Result<R::Response, Error> {
        if self.brokers.contains_key(&self.controller) {
            self.ask(self.controller, request, highest)
        } else {
            self.ask_any_up_to(request, highest)
        }
    }

    /// Asks one broker, connecting where needed.
    pub fn ask<R: Request>(&mut self, broker: i32, request: &R, highest: i16) -> Result<R::Response, Error> {
        let deadline = self.deadline();
        self.retry(&deadline, |client, deadline| client.connection(broker, deadline)?.ask(request, highest, deadline))
    }

    /// Does it over while the error is one that passes and there is time; `attempt` gets the time for one answer.
    pub fn retry<T>(
        &mut self,
        deadline: &Deadline,
        mut attempt: impl FnMut(&mut Client, &Deadline) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut pause_ms = FIRST_PAUSE_MS;
        loop {
            let patience = deadline.at_most(self.settings.request_timeout_ms);
            let error = match attempt(self, &patience) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.forget_broken(&error);
            if !error.is_retriable() || deadline.has_passed() {
                return Err(error);
            }
            self.pause(pause_ms, deadline);
            pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
            if deadline.has_passed() {
                return Err(error);
            }
        }
    }

    pub fn pause(&self, ms: u64, deadline: &Deadline) {
        if let Some(left) = deadline.left() {
            std::thread::sleep(left.min(Duration::from_millis(ms)));
        }
    }

    /// A connection of its own to a broker: for what may keep an answer waiting, as Fetch and JoinGroup do.
    pub fn connect(&self, broker: i32, deadline: &Deadline) -> Result<Connection, Error> {
        let address = match (&self.bootstrap, self.brokers.get(&broker)) {
            (Some(bootstrap), _) if self.brokers.len() == 1 => bootstrap.address().to_owned(),
            (_, Some(broker)) => broker.address(),
            _ => return Err(Error::Setting(format!("there is no broker {broker}"))),
        };
        Connection::open(&address, &self.settings, deadline)
    }

    /// The connection to one broker, opened where needed.
    pub fn connection(&mut self, broker: i32, deadline: &Deadline) -> Result<&mut Connection, Error> {
        if self.brokers.len() == 1 && self.brokers.contains_key(&broker) {
            return self.any(deadline);
        }
        if !self.connections.contains_key(&broker) {
            let connection = self.connect(broker, deadline)?;
            self.connections.insert(broker, connection);
        }
        Ok(self.connections.get_mut(&broker).expect("it was there or has just been opened"))
    }

    /// The bootstrap connection.
    pub fn any(&mut self, deadline: &Deadline) -> Result<&mut Connection, Error> {
        if self.bootstrap.is_none() {
            self.bootstrap = Some(self.dial(deadline)?);
        }
        Ok(self.bootstrap.as_mut().expect("it was there or has just been opened"))
    }

    /// What the cluster says of topics: of all (`None`) or of some.
    pub fn metadata(
        &mut self,
        topics: Option<&[String]>,
        may_create: bool,
    ) -> Result<Vec<MetadataResponseTopic>, Error> {
        let deadline = self.deadline();
        self.retry(&deadline, |client, deadline| client.metadata_once(topics, may_create, deadline))
    }

    /// All partitions of all topics that there are.
    pub fn partitions(&mut self, topics: Option<&[String]>) -> Result<Vec<MetadataResponseTopic>, Error> {
        let found = self.metadata(topics, false)?;
        Ok(found.into_iter().filter(|topic| topic.error_code == 0 && topic.name.is_some()).collect())
    }

    /// The coordinator of a group (`key_type` 0) or a transactional id (1).
    pub fn coordinator(&mut self, key: &str, key_type: i8) -> Result<i32, Error> {
        let deadline = self.deadline();
        self.retry(&deadline, |client, deadline| {
            let found = client.find_coordinator(key, key_type, deadline)?;
            let known = Broker { id: found.node_id.0, host: found.host.to_string(), port: found.port, rack: None };
            client.brokers.entry(known.id).or_insert(known);
            Ok(found.node_id.0)
        })
    }

    fn find_coordinator(&mut self, key: &str, key_type: i8, deadline: &Deadline) -> Result<Coordinator, Error> {
        let connection = self.any(deadline)?;
        let key = StrBytes::from_string(key.to_owned());
        let request = FindCoordinatorRequest::default().with_key_type(key_type);
        if connection.version::<FindCoordinatorRequest>(i16::MAX)? < 4 {
            let answer = connection.ask(&request.with_key(key), 3, deadline)?;
            Error::check(answer.error_code, answer.error_message.as_deref())?;
            return Ok(Coordinator::default()
                .with_node_id(answer.node_id)
                .with_host(answer.host)
                .with_port(answer.port));
        }
        let answer = connection.ask(&request.with_coordinator_keys(vec![key]), i16::MAX, deadline)?;
        let found = answer
            .coordinators
            .into_iter()
            .next()
            .ok_or_else(|| Error::Unsupported { api: "FindCoordinator".to_owned() })?;
        Error::check(found.error_code, found.error_message.as_deref())?;
        Ok(found)
    }

    /// Learns the brokers.
    fn refresh(&mut self, deadline: &Deadline) -> Result<(), Error> {
        self.retry(deadline, |client, deadline| client.metadata_once(Some(&[]), false, deadline)).map(|_| ())
    }

    fn metadata_once(
        &mut self,
        topics: Option<&[String]>,
        may_create: bool,
        deadline: &Deadline,
    ) -> Result<Vec<MetadataResponseTopic>, Error> {
        let named = |name: &String| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
        };
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(may_create);
        let answer = self.any(deadline)?.ask(&request, i16::MAX, deadline)?;
        Error::check(answer.error_code, None)?;
        self.learn(&answer);
        Ok(answer.topics)
    }

    fn learn(&mut self, answer: &MetadataResponse) {
        let broker = |found: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| Broker {
            id: found.node_id.0,
            host: found.host.to_string(),
            port: found.port,
            rack: found.rack.as_ref().map(ToString::to_string),
        };
        self.brokers = answer.brokers.iter().map(broker).map(|broker| (broker.id, broker)).collect();
        self.controller = answer.controller_id.0;
        self.cluster_id = answer.cluster_id.as_ref().map(ToString::to_string);
    }

    fn dial(&self, deadline: &Deadline) -> Result<Connection, Error> {
        let mut last = Error::Setting("no bootstrap servers".to_owned());
        for address in &self.settings.bootstrap {
            match Connection::open(address, &self.settings, deadline) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection that broke is opened anew by whoever asks next.
    fn forget_broken(&mut self, error: &Error) {
        let broken = match error {
            Error::Disconnected { address, .. } | Error::Malformed { address, .. } => address,
            Error::TimedOut(_) => {
                self.bootstrap = None;
                self.connections.clear();
                return;
            }
            _ => return,
        };
        if self.bootstrap.as_ref().is_some_and(|connection| connection.address() == broken) {
            self.bootstrap = None;
        }
        self.connections.retain(|_, connection| connection.address() != broken);
    }
}

const FIRST_PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 1000;
