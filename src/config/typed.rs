//! From texts to the typed structs. A value that cannot be understood is noted, with where it was set, and its default
//! stands in, so that one start names all mistakes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, Fate, Setting, Value};
use super::listener::{Endpoint, ListenerNames, Protocol, protocol_map};
use super::load::{self, Origin, Values};
use super::starting_topics::{self, StartingTopic};
use super::*;

/// Connections that may wait to be accepted: a burst of clients does not fit into Kafka's 50.
const BACKLOG: u32 = 4_096;

/// With less a request of 1 MiB, Kafka's largest by default, finds no room.
const MEMORY_MIN_BYTES: u64 = 32 << 20;

pub(super) fn settings(values: Values, host_name: &str) -> Result<Settings, Vec<String>> {
    let reader = Reader { values: &values, read: RefCell::default(), problems: RefCell::default() };
    reader.refuse_clusters();
    if !reader.problems.borrow().is_empty() {
        // What else is amiss with one of several brokers need not be known: the first sentence says it all.
        reader.problems.borrow_mut().truncate(1);
        return Err(reader.problems.into_inner());
    }
    reader.refuse_what_the_catalogue_refuses();
    let remarks = remarks(&values);
    let settings = Settings {
        node_id: reader.node_id(),
        cluster_id: reader.cluster_id(),
        rack: reader.text("broker.rack"),
        memory: reader.memory(),
        net: reader.net(host_name),
        storage: reader.storage(),
        produce: reader.produce(),
        fetch: reader.fetch(),
        groups: reader.groups(),
        transactions: reader.transactions(),
        controller: reader.controller(),
        quotas: reader.quotas(),
        log_level: values.log_level.clone(),
        in_image: values.dialect.is_some(),
        remarks,
        host_name: host_name.to_string(),
        values: values.clone(),
    };
    let problems = reader.problems.into_inner();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// The text a topic gets from the broker for `setting`, when somebody set one of its synonyms, in the topic setting's unit.
pub(super) fn topic_text(values: &Values, setting: &Setting) -> Option<(String, Origin)> {
    let name = setting.synonyms.iter().find(|name| values.set_by_user(name).is_some())?;
    let (text, origin) = values.set_by_user(name)?;
    Some((in_milliseconds(name, text), origin.clone()))
}

fn in_milliseconds(name: &str, text: &str) -> String {
    let unit_ms: i64 = match name.rsplit('.').next() {
        Some("hours") => 3_600_000,
        Some("minutes") => 60_000,
        _ => return text.to_string(),
    };
    match text.trim().parse::<i64>() {
        Ok(number) => number.saturating_mul(unit_ms).max(-1).to_string(),
        Err(_) => text.to_string(),
    }
}

struct Reader<'a> {
    values: &'a Values,
    /// The names asked for; a test compares them with what the catalogue calls honoured.
    read: RefCell<BTreeSet<&'static str>>,
    problems: RefCell<Vec<String>>,
}

impl Reader<'_> {
    fn net(&self, host_name: &str) -> NetSettings {
        NetSettings {
            listeners: self.listeners(host_name),
            controller_listener_names: self.controller_listener_names(),
            socket_request_max_bytes: self.size("socket.request.max.bytes"),
            socket_send_buffer_bytes: self.chosen("socket.send.buffer.bytes").map(as_size),
            socket_receive_buffer_bytes: self.chosen("socket.receive.buffer.bytes").map(as_size),
            socket_listen_backlog_size: self
                .chosen("socket.listen.backlog.size")
                .map_or(BACKLOG, |size| size.try_into().unwrap_or(u32::MAX)),
            connections_max_idle_ms: self.limit("connections.max.idle.ms"),
            max_connections: self.size("max.connections"),
            max_connections_per_ip: self.size("max.connections.per.ip"),
            max_connections_per_ip_overrides: self.connections_per_ip_overrides(),
            max_connection_creation_rate: self.number("max.connection.creation.rate").try_into().unwrap_or(u32::MAX),
            queued_max_requests: self.size("queued.max.requests"),
            queued_max_request_bytes: self.limit("queued.max.request.bytes").map(as_size),
            max_in_flight_requests: self.size("milena.connection.max.in.flight.requests"),
            first_request_timeout_ms: self.count("milena.connection.first.request.timeout.ms"),
            request_timeout_ms: self.count("milena.connection.request.timeout.ms"),
        }
    }

    fn memory(&self) -> Shares {
        const NAME: &str = "milena.memory.max.bytes";
        let max_bytes = self.limit(NAME);
        if max_bytes.is_some_and(|bytes| bytes < MEMORY_MIN_BYTES) {
            self.refuse(format!(
                "{NAME} ({}) must be at least {MEMORY_MIN_BYTES}, or -1 for half of what there is",
                self.origin(NAME)
            ));
        }
        Shares::new(max_bytes)
    }

    fn storage(&self) -> StorageSettings {
        StorageSettings {
            log_dir: self.log_dir(),
            log: self.log(),
            durability: match self.word("milena.durability").as_str() {
                "page-cache" => Durability::PageCache,
                _ => Durability::Flush,
            },
            retention_check_interval_ms: self.count("log.retention.check.interval.ms"),
            flush_scheduler_interval_ms: self.count("log.flush.scheduler.interval.ms"),
            flush_offset_checkpoint_interval_ms: self.count("log.flush.offset.checkpoint.interval.ms"),
            recovery_max_bytes: self.count("milena.recovery.max.bytes"),
            flush_start_offset_checkpoint_interval_ms: self.count("log.flush.start.offset.checkpoint.interval.ms"),
            initial_task_delay_ms: self.count("log.initial.task.delay.ms"),
            recovery_threads: self.size("num.recovery.threads.per.data.dir"),
            cleaner: CleanerSettings {
                enable: self.flag("log.cleaner.enable"),
                threads: self.size("log.cleaner.threads"),
                dedupe_buffer_size: self.size("log.cleaner.dedupe.buffer.size"),
                io_buffer_size: self.size("log.cleaner.io.buffer.size"),
                io_buffer_load_factor: self.double("log.cleaner.io.buffer.load.factor"),
                io_max_bytes_per_second: self.double("log.cleaner.io.max.bytes.per.second"),
                backoff_ms: self.count("log.cleaner.backoff.ms"),
            },
            scrub: ScrubSettings {
                bytes_per_second: self.count("milena.scrub.bytes.per.second"),
                interval_ms: self.count("milena.scrub.interval.ms"),
            },
        }
    }

    fn produce(&self) -> ProduceSettings {
        ProduceSettings {
            full_validation: self.word("milena.produce.validation") == "full",
            decompress_max_bytes: self.size("milena.decompress.max.bytes"),
        }
    }

    fn fetch(&self) -> FetchSettings {
        FetchSettings {
            max_bytes: self.size("fetch.max.bytes"),
            max_sessions: self.size("max.incremental.fetch.session.cache.slots"),
        }
    }

    fn groups(&self) -> GroupSettings {
        let protocols = self.list("group.coordinator.rebalance.protocols");
        let settings = GroupSettings {
            serve_classic: protocols.iter().any(|protocol| protocol == "classic"),
            serve_consumer: protocols.iter().any(|protocol| protocol == "consumer"),
            initial_rebalance_delay_ms: self.count("group.initial.rebalance.delay.ms"),
            min_session_timeout_ms: self.count("group.min.session.timeout.ms"),
            max_session_timeout_ms: self.count("group.max.session.timeout.ms"),
            max_size: self.size("group.max.size"),
            disconnect_grace_ms: self.count("milena.group.disconnect.grace.ms"),
            offset_metadata_max_bytes: self.size("offset.metadata.max.bytes"),
            offsets_retention_ms: self.count("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: self.count("offsets.retention.check.interval.ms"),
            offsets_commit_timeout_ms: self.count("offsets.commit.timeout.ms"),
            offsets_topic_partitions: self.number("offsets.topic.num.partitions").try_into().unwrap_or(i32::MAX),
            offsets_topic_segment_bytes: self.count("offsets.topic.segment.bytes"),
            consumer: self.consumer_groups(),
        };
        self.in_order("group.min.session.timeout.ms", "group.max.session.timeout.ms");
        settings
    }

    fn consumer_groups(&self) -> ConsumerGroupSettings {
        let policy = self.word("group.consumer.migration.policy").to_ascii_lowercase();
        let settings = ConsumerGroupSettings {
            session_timeout_ms: self.count("group.consumer.session.timeout.ms"),
            min_session_timeout_ms: self.count("group.consumer.min.session.timeout.ms"),
            max_session_timeout_ms: self.count("group.consumer.max.session.timeout.ms"),
            heartbeat_interval_ms: self.count("group.consumer.heartbeat.interval.ms"),
            min_heartbeat_interval_ms: self.count("group.consumer.min.heartbeat.interval.ms"),
            max_heartbeat_interval_ms: self.count("group.consumer.max.heartbeat.interval.ms"),
            max_size: self.size("group.consumer.max.size"),
            assignors: self.list("group.consumer.assignors"),
            may_upgrade: policy == "upgrade" || policy == "bidirectional",
            may_downgrade: policy == "downgrade" || policy == "bidirectional",
            regex_refresh_interval_ms: self.count("group.consumer.regex.refresh.interval.ms"),
        };
        self.in_order("group.consumer.min.session.timeout.ms", "group.consumer.session.timeout.ms");
        self.in_order("group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms");
        self.in_order("group.consumer.min.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms");
        self.in_order("group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms");
        self.only_known_assignors(&settings.assignors);
        settings
    }

    fn transactions(&self) -> TransactionSettings {
        TransactionSettings {
            max_timeout_ms: self.count("transaction.max.timeout.ms"),
            topic_partitions: self.number("transaction.state.log.num.partitions").try_into().unwrap_or(i32::MAX),
            topic_segment_bytes: self.count("transaction.state.log.segment.bytes"),
            transactional_id_expiration_ms: self.count("transactional.id.expiration.ms"),
            abort_check_interval_ms: self.count("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expiration_check_interval_ms: self.count("transaction.remove.expired.transaction.cleanup.interval.ms"),
            verify_partitions: self.flag("transaction.partition.verification.enable"),
            two_phase_commit: self.flag("transaction.two.phase.commit.enable"),
            producer_id_expiration_ms: self.count("producer.id.expiration.ms"),
            producer_id_check_interval_ms: self.count("producer.id.expiration.check.interval.ms"),
        }
    }

    fn controller(&self) -> ControllerSettings {
        ControllerSettings {
            num_partitions: self.number("num.partitions").try_into().unwrap_or(i32::MAX),
            default_replication_factor: self.number("default.replication.factor").try_into().unwrap_or(i16::MAX),
            auto_create_topics: self.flag("auto.create.topics.enable"),
            delete_topics: self.flag("delete.topic.enable"),
            max_request_partitions: self.size("max.request.partition.size.limit"),
            snapshot_after_bytes: self.size("metadata.log.max.record.bytes.between.snapshots") as u64,
            starting_topics: self.starting_topics(),
        }
    }

    fn quotas(&self) -> QuotaSettings {
        QuotaSettings {
            clients: self.quota_window("quota.window.num", "quota.window.size.seconds"),
            controller: self.quota_window("controller.quota.window.num", "controller.quota.window.size.seconds"),
        }
    }

    fn quota_window(&self, samples: &'static str, seconds: &'static str) -> QuotaWindow {
        QuotaWindow { samples: self.size(samples), sample_ms: self.count(seconds).saturating_mul(1000) }
    }

    fn node_id(&self) -> BrokerId {
        let node_id = self.number("node.id");
        let broker_id = self.number("broker.id");
        if broker_id != node_id && broker_id != -1 {
            let place = (self.origin("node.id"), self.origin("broker.id"));
            self.refuse(format!(
                "node.id is {node_id} ({}) and broker.id is {broker_id} ({}), but they are two names of one number; \
                 leave one of them out",
                place.0, place.1
            ));
        }
        BrokerId(node_id.try_into().unwrap_or(i32::MAX))
    }

    fn cluster_id(&self) -> Option<WantedClusterId> {
        let (ours, other) = (self.text("milena.cluster.id"), self.text("cluster.id"));
        let name = if ours.is_some() { "milena.cluster.id" } else { "cluster.id" };
        let wanted = WantedClusterId { is_strict: ours.is_some(), id: ours.or(other)? };
        // It becomes one line of meta.properties.
        if wanted.id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.refuse(format!("{name} ({}) holds a blank or a line break; write one word", self.origin(name)));
        }
        Some(wanted)
    }

    fn starting_topics(&self) -> Vec<StartingTopic> {
        const NAME: &str = "milena.create.topics";
        starting_topics::parse(&self.word(NAME)).unwrap_or_else(|problem| {
            self.refuse(format!("{NAME} ({}): {problem}", self.origin(NAME)));
            Vec::new()
        })
    }

    fn log_dir(&self) -> PathBuf {
        let dir = self.list("log.dir");
        let dirs = self.list("log.dirs");
        let (name, dirs) = if dirs.is_empty() { ("log.dir", dir) } else { ("log.dirs", dirs) };
        if dirs.len() > 1 {
            self.refuse(format!(
                "{name} ({}) names {} directories, but only one is served yet; leave {}",
                self.origin(name),
                dirs.len(),
                dirs[0]
            ));
        }
        match dirs.into_iter().next() {
            Some(dir) => dir.into(),
            None => {
                self.refuse(format!("{name} ({}) is empty; name a directory or remove it", self.origin(name)));
                PathBuf::new()
            }
        }
    }

    /// What topics get that say nothing: each topic setting from the first of its synonyms that is set.
    fn log(&self) -> LogConfig {
        let mut log = LogConfig::default();
        for setting in catalog::topic_settings() {
            for name in setting.synonyms {
                self.value(name);
            }
            let Some((text, origin)) = topic_text(self.values, setting) else { continue };
            let name = setting.synonyms.iter().find(|name| self.values.set_by_user(name).is_some());
            let name = name.expect("the text came from one of them");
            // A value that is wrong on its own has been told in the broker setting's words by now.
            if let (Ok(_), Err(sentence)) = (self.check(name), topic::set(&mut log, setting, &text)) {
                self.refuse(format!("{name} ({origin}) does not fit: {sentence}; correct or remove it"));
            }
            if *name == "log.retention.ms" && text == "0" {
                self.refuse(format!("log.retention.ms ({origin}) is 0; say -1 for no limit, or 1 or more"));
            }
        }
        if log.min_compaction_lag_ms > log.max_compaction_lag_ms {
            self.refuse(format!(
                "log.cleaner.min.compaction.lag.ms ({}) is more than log.cleaner.max.compaction.lag.ms ({}); correct one",
                log.min_compaction_lag_ms, log.max_compaction_lag_ms
            ));
        }
        log
    }

    fn connections_per_ip_overrides(&self) -> BTreeMap<String, usize> {
        const NAME: &str = "max.connections.per.ip.overrides";
        let text = self.text(NAME).unwrap_or_default();
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (host, count) = pair.rsplit_once(':')?;
            Some((host.trim().trim_matches(['[', ']']).to_string(), count.trim().parse().ok()?))
        };
        let mut overrides = BTreeMap::new();
        for pair in pairs {
            match read(pair) {
                Some((host, count)) => drop(overrides.insert(host, count)),
                None => self.refuse(format!("{NAME} ({}): `{pair}` is not host:count", self.origin(NAME))),
            }
        }
        overrides
    }

    fn only_known_assignors(&self, assignors: &[String]) {
        const NAME: &str = "group.consumer.assignors";
        // Kafka takes class names too, of its own assignors among others.
        let is_ours = |name: &String| {
            let class = name.strip_prefix("org.apache.kafka.coordinator.group.assignor.").unwrap_or(name);
            matches!(class, "uniform" | "range" | "UniformAssignor" | "RangeAssignor")
        };
        for stranger in assignors.iter().filter(|name| !is_ours(name)) {
            self.refuse(format!(
                "{NAME} ({}) names {stranger}, but only `uniform` and `range` are served; Java classes cannot be loaded",
                self.origin(NAME)
            ));
        }
    }
}

/// Listeners.
impl Reader<'_> {
    /// Those for clients, then those for controllers, each in the order they were written.
    fn listeners(&self, host_name: &str) -> Vec<Listener> {
        let endpoints = self.endpoints("listeners");
        let protocols = self.protocols();
        let controllers = self.controller_listener_names();
        let advertised = self.advertised(host_name, &endpoints, &controllers);
        self.refuse_collisions(&endpoints);
        let is_for_controllers = |endpoint: &&Endpoint| controllers.contains(&endpoint.name);
        let for_clients: Vec<_> = endpoints.iter().filter(|endpoint| !is_for_controllers(endpoint)).collect();
        // Where an address could not be read, that has been said.
        let is_understood = !endpoints.is_empty() || self.text("listeners").is_none();
        if for_clients.is_empty() && is_understood {
            self.refuse(format!(
                "listeners ({}) has no listener for clients; add one, for example PLAINTEXT://localhost:9092",
                self.origin("listeners")
            ));
        }
        self.refuse_protocols(&for_clients, &protocols);
        self.inter_broker_listener(&for_clients);
        let listener = |endpoint: &Endpoint| Listener {
            advertised: match &advertised {
                Some(advertised) if !is_for_controllers(&endpoint) => advertised.get(&endpoint.name).cloned(),
                _ => Some(reachable(endpoint, host_name)),
            },
            is_for_controllers: is_for_controllers(&endpoint),
            protocol: Protocol::Plaintext,
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
        };
        // One that was to be encrypted is better closed: nobody but other controllers would come in there.
        let is_plain =
            |endpoint: &&Endpoint| protocols.get(&endpoint.name).is_none_or(|found| *found == Protocol::Plaintext);
        let for_controllers = endpoints.iter().filter(is_for_controllers).filter(is_plain);
        for_clients.iter().copied().chain(for_controllers).map(listener).collect()
    }

    /// Brokers talk to each other on one of the listeners for clients; alone, a broker only has to see that it exists.
    fn inter_broker_listener(&self, for_clients: &[&Endpoint]) {
        const NAME: &str = "inter.broker.listener.name";
        let Some(name) = self.text(NAME) else { return };
        if !for_clients.is_empty() && !for_clients.iter().any(|endpoint| endpoint.name.eq_ignore_ascii_case(&name)) {
            let names: Vec<_> = for_clients.iter().map(|endpoint| endpoint.name.as_str()).collect();
            self.refuse(format!(
                "{NAME} ({}) is {name}, which is no listener for clients; they are {}",
                self.origin(NAME),
                names.join(",")
            ));
        }
    }

    fn endpoints(&self, name: &'static str) -> Vec<Endpoint> {
        let text = self.text(name).unwrap_or_default();
        Endpoint::parse_list(&text).unwrap_or_else(|problem| {
            self.refuse(format!("{name} ({}): {problem}", self.origin(name)));
            Vec::new()
        })
    }

    /// The map as set, over Kafka's four names for themselves.
    fn protocols(&self) -> BTreeMap<String, Protocol> {
        const NAME: &str = "listener.security.protocol.map";
        let text = self.text(NAME).unwrap_or_default();
        let said = protocol_map(&text).unwrap_or_else(|problem| {
            self.refuse(format!("{NAME} ({}): {problem}", self.origin(NAME)));
            BTreeMap::new()
        });
        let four = [Protocol::Plaintext, Protocol::Ssl, Protocol::SaslPlaintext, Protocol::SaslSsl];
        let mut map: BTreeMap<_, _> = four.map(|protocol| (protocol.name().to_string(), protocol)).into();
        map.extend(said);
        map
    }

    /// One sentence for all listeners that cannot be served: what is missing is the same for each.
    fn refuse_protocols(&self, listeners: &[&Endpoint], protocols: &BTreeMap<String, Protocol>) {
        let origin = self.origin("listeners");
        let mut secured: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Endpoint { name, .. } in listeners {
            match protocols.get(name) {
                Some(Protocol::Plaintext) => {}
                Some(protocol) => secured.entry(protocol.name()).or_default().push(name),
                None => self.refuse(format!(
                    "No security protocol defined for listener {name} ({origin}); add {name}:PLAINTEXT to \
                     listener.security.protocol.map"
                )),
            }
        }
        if secured.is_empty() {
            return;
        }
        let speaks = |(protocol, names): (&&str, &Vec<&str>)| {
            let verb = if names.len() == 1 { "speaks" } else { "speak" };
            format!("{} {verb} {protocol}", names.join(" and "))
        };
        let told: Vec<_> = secured.iter().map(speaks).collect();
        let missing = match (
            secured.keys().any(|name| name.starts_with("SASL")),
            secured.keys().any(|name| name.ends_with("SSL")),
        ) {
            (true, true) => "authentication (SASL) and encryption (TLS) are",
            (true, false) => "authentication (SASL) is",
            _ => "encryption (TLS) is",
        };
        self.refuse(format!(
            "listeners ({origin}): {}, but {missing} not served yet, only PLAINTEXT; remove it, or map it to PLAINTEXT in \
             listener.security.protocol.map if the network is trusted",
            told.join(", ")
        ));
    }

    fn controller_listener_names(&self) -> BTreeSet<String> {
        self.list("controller.listener.names").into_iter().map(|name| name.to_ascii_uppercase()).collect()
    }

    /// Listener name to the address clients are told; `None` when nobody said.
    fn advertised(
        &self,
        host_name: &str,
        listeners: &[Endpoint],
        controllers: &BTreeSet<String>,
    ) -> Option<BTreeMap<String, Advertised>> {
        const NAME: &str = "advertised.listeners";
        let endpoints = self.endpoints(NAME);
        if endpoints.is_empty() {
            return None;
        }
        let names = ListenerNames {
            for_clients: listeners.iter().map(|listener| listener.name.clone()).collect(),
            for_controllers: controllers.clone(),
        };
        for objection in names.objections(&endpoints) {
            self.refuse(format!("{NAME} ({}) {objection}", self.origin(NAME)));
        }
        let for_clients = endpoints.into_iter().filter(|endpoint| !controllers.contains(&endpoint.name));
        let told = for_clients.map(|endpoint| (endpoint.name.clone(), reachable(&endpoint, host_name))).collect();
        Some(told)
    }

    fn refuse_collisions(&self, endpoints: &[Endpoint]) {
        let origin = self.origin("listeners");
        for (at, one) in endpoints.iter().enumerate() {
            for other in &endpoints[at + 1..] {
                if one.name == other.name {
                    self.refuse(format!("listeners ({origin}) names {} twice; give one another name", one.name));
                } else if one.collides_with(other) {
                    self.refuse(format!(
                        "listeners ({origin}) has {one} and {other} on one port; give one of them another port"
                    ));
                }
            }
        }
    }
}

/// The address that leads to a listener.
fn reachable(endpoint: &Endpoint, host_name: &str) -> Advertised {
    let host = if endpoint.is_everywhere() { host_name } else { &endpoint.host };
    Advertised { host: host.to_string(), port: endpoint.port }
}

/// What stops a start.
impl Reader<'_> {
    fn refuse_what_the_catalogue_refuses(&self) {
        for (name, text, origin) in self.values.user_settings() {
            let Some(setting) = load::known(name) else { continue };
            let Fate::Refused(reason) = setting.fate else { continue };
            if !setting.is_default(text) {
                self.refuse(format!("{name} ({origin}) is not served: {reason}; remove it to start"));
            }
        }
    }

    /// Several brokers that do not know each other would each believe to be the whole cluster.
    fn refuse_clusters(&self) {
        let advice = "clusters are not served yet; start a single broker, without it";
        let voters = self.list("controller.quorum.voters");
        let voter_id = |voter: &String| voter.split('@').next().and_then(|id| id.trim().parse::<i64>().ok());
        let voter_ids: BTreeSet<_> = voters.iter().map(voter_id).collect();
        let origin = self.origin("controller.quorum.voters");
        if voter_ids.len() > 1 {
            self.refuse(format!(
                "controller.quorum.voters ({origin}) names {} controllers, but {advice}",
                voter_ids.len()
            ));
        } else if let Some(Some(id)) = voter_ids.first() {
            let node_id = self.number("node.id");
            if *id != node_id {
                self.refuse(format!(
                    "controller.quorum.voters ({origin}) says that node {id} is the controller, but this is node \
                     {node_id} ({}), and {advice}, or give both the same number",
                    self.origin("node.id")
                ));
            }
        } else if !voters.is_empty() {
            self.refuse(format!("controller.quorum.voters ({origin}) is not written id@host:port; remove it"));
        }
        let servers: BTreeSet<_> = self.list("controller.quorum.bootstrap.servers").into_iter().collect();
        if servers.len() > 1 {
            let origin = self.origin("controller.quorum.bootstrap.servers");
            let count = servers.len();
            self.refuse(format!(
                "controller.quorum.bootstrap.servers ({origin}) names {count} controllers, but {advice}"
            ));
        }
        let roles = self.list("process.roles");
        if !roles.is_empty() && !roles.iter().any(|role| role == "broker") {
            self.refuse(format!(
                "process.roles ({}) makes this a controller only, but {advice}, or say broker,controller",
                self.origin("process.roles")
            ));
        }
    }

    fn in_order(&self, low: &'static str, high: &'static str) {
        let (low_value, high_value) = (self.number(low), self.number(high));
        if low_value > high_value {
            self.refuse(format!(
                "{low} is {low_value} ({}) and {high} is {high_value} ({}); the first must not be more",
                self.origin(low),
                self.origin(high)
            ));
        }
    }

    fn refuse(&self, sentence: String) {
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&sentence) {
            problems.push(sentence);
        }
    }
}

/// Values by type. Each name given here is one of the catalogue's.
impl Reader<'_> {
    fn origin(&self, name: &str) -> Origin {
        self.values.origin(name)
    }

    fn check(&self, name: &'static str) -> Result<(), String> {
        let setting = load::known(name).expect("only the catalogue's names are read");
        self.values.get(name).map_or(Ok(()), |text| setting.check(text).map(drop))
    }

    /// The value, or the default where it cannot be understood; `None` where there is neither.
    fn value(&self, name: &'static str) -> Option<Value> {
        self.read.borrow_mut().insert(name);
        let setting = load::known(name).expect("only the catalogue's names are read");
        let text = self.values.get(name)?;
        match setting.check(&without_empty_elements(setting, text)) {
            Ok(value) => Some(value),
            Err(sentence) => {
                let origin = self.origin(name);
                self.refuse(format!("{} ({origin}); correct or remove it", sentence.trim_end_matches('.')));
                setting.default.and_then(|default| setting.check(default).ok())
            }
        }
    }

    fn number(&self, name: &'static str) -> i64 {
        match self.value(name) {
            Some(Value::Number(number)) => number,
            _ => 0,
        }
    }

    /// What the validator has kept from being negative.
    fn count(&self, name: &'static str) -> u64 {
        self.number(name).try_into().unwrap_or(0)
    }

    fn size(&self, name: &'static str) -> usize {
        as_size(self.count(name))
    }

    /// `None` where a negative number means "no limit".
    fn limit(&self, name: &'static str) -> Option<u64> {
        self.number(name).try_into().ok()
    }

    /// What somebody chose; Kafka's default is for machines of another time, and the system does better without it.
    fn chosen(&self, name: &'static str) -> Option<u64> {
        let limit = self.limit(name);
        self.values.set_by_user(name).and(limit)
    }

    fn double(&self, name: &'static str) -> f64 {
        match self.value(name) {
            Some(Value::Double(number)) => number,
            _ => 0.0,
        }
    }

    fn flag(&self, name: &'static str) -> bool {
        self.value(name) == Some(Value::Boolean(true))
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => Vec::new(),
        }
    }

    /// A text that is not empty. Of a list, the text as it was written.
    fn text(&self, name: &'static str) -> Option<String> {
        let text = match self.value(name)? {
            Value::Text(text) => text,
            Value::List(list) => list.join(","),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    fn word(&self, name: &'static str) -> String {
        self.text(name).unwrap_or_default()
    }
}

fn as_size(count: u64) -> usize {
    count.try_into().unwrap_or(usize::MAX)
}

/// Kafka refuses an empty element; test tools leave a trailing comma, and mean nothing by it.
fn without_empty_elements(setting: &Setting, text: &str) -> String {
    if setting.kind != catalog::Kind::List {
        return text.to_string();
    }
    text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect::<Vec<_>>().join(",")
}

/// What the start says about settings, one line for each kind.
fn remarks(values: &Values) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut without_effect: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, text, origin) in values.user_settings() {
        match load::known(name) {
            // What is so anyway has its effect.
            Some(setting) if setting.is_default(text) => {}
            Some(Setting { fate: Fate::Ignored(reason), .. }) => without_effect.entry(reason).or_default().push(name),
            Some(_) => {}
            None if load::is_of_one_listener(name) => {
                without_effect.entry("settings of one listener are not served yet").or_default().push(name)
            }
            None => remarks.push(format!("unknown setting {name} ({origin}){}", did_you_mean(name))),
        }
    }
    if !without_effect.is_empty() {
        let parts = without_effect.iter().map(|(reason, names)| format!("{} ({reason})", names.join(", ")));
        remarks.push(format!("settings without effect here: {}", parts.collect::<Vec<_>>().join("; ")));
    }
    if !values.without_effect.is_empty() {
        let names = values.without_effect.join(", ");
        remarks.push(format!("environment variables of plug-ins and start scripts, without effect here: {names}"));
    }
    if !values.strangers.is_empty() {
        let names: Vec<_> = values.strangers.iter().map(|name| stranger(name)).collect();
        remarks.push(format!("environment variables that name no setting: {}", names.join(", ")));
    }
    remarks.extend(values.remarks.iter().cloned());
    remarks
}

/// A variable with the one it was probably meant to be.
fn stranger(variable: &str) -> String {
    let (prefix, name) = ["KAFKA_CFG_", "KAFKA_"]
        .into_iter()
        .find_map(|prefix| Some((prefix, variable.strip_prefix(prefix)?)))
        .unwrap_or(("", variable));
    match nearest(&name.to_ascii_lowercase().replace('_', ".")) {
        Some(near) => {
            let near = near.to_ascii_uppercase().replace('_', "__").replace('.', "_");
            format!("{variable} (did you mean {prefix}{near}?)")
        }
        None => variable.to_string(),
    }
}

fn did_you_mean(name: &str) -> String {
    nearest(name).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

fn nearest(name: &str) -> Option<&'static str> {
    let (distance, near) =
        catalog::broker_settings().map(|setting| (distance(name, setting.name), setting.name)).min()?;
    (distance <= 2 && distance < near.len() / 3).then_some(near)
}

/// How many letters must be put in, taken out or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..other.len() {
            let changed = diagonal + usize::from(other[j] != letter);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests;
