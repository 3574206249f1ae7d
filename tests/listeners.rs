//! Clients are told the address of the listener they came in on, whatever they ask (lesson 16).

mod support;

use kafka_protocol::messages as m;
use support::{Client, TestBroker, batch, text, values};

#[tokio::test(flavor = "multi_thread")]
async fn lesson_16_every_answer_names_the_listener_it_came_in_on() {
    let broker = TestBroker::with(&[
        "listeners=INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0",
        "advertised.listeners=INSIDE://inside.example:1111,OUTSIDE://outside.example:2222",
        "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
        "inter.broker.listener.name=INSIDE",
    ])
    .await;
    let expected = [("inside.example", 1111), ("outside.example", 2222)];
    for (address, (host, port)) in broker.house.addresses.iter().zip(expected) {
        let mut client = Client::connect(address.port()).await;
        let metadata = client.ask(9, m::MetadataRequest::default().with_topics(Some(Vec::new()))).await;
        assert_eq!((metadata.brokers[0].host.as_str(), metadata.brokers[0].port), (host, port));
        let found = client.ask(2, m::FindCoordinatorRequest::default().with_key(text("g"))).await;
        assert_eq!((found.error_code, found.host.as_str(), found.port), (0, host, port));
        let cluster = client.ask(0, m::DescribeClusterRequest::default()).await;
        assert_eq!((cluster.brokers[0].host.as_str(), cluster.brokers[0].port), (host, port));
    }
    broker.stop().await;
}

/// What Metadata, FindCoordinator and DescribeCluster tell on a connection to this port.
async fn told(port: u16) -> Vec<(String, i32)> {
    let mut client = Client::connect(port).await;
    let metadata = client.ask(9, m::MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    let found = client.ask(2, m::FindCoordinatorRequest::default().with_key(text("g"))).await;
    let cluster = client.ask(0, m::DescribeClusterRequest::default()).await;
    let (of_metadata, of_cluster) = (&metadata.brokers[0], &cluster.brokers[0]);
    let all = [(&of_metadata.host, of_metadata.port), (&found.host, found.port), (&of_cluster.host, of_cluster.port)];
    all.map(|(host, port)| (host.to_string(), port)).to_vec()
}

/// Sets `advertised.listeners` of the running broker, or sets it back; the error's sentence.
async fn advertise(port: u16, value: Option<&str>) -> Result<(), String> {
    let change = m::incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text("advertised.listeners"))
        .with_config_operation(if value.is_some() { 0 } else { 1 })
        .with_value(value.map(text));
    let broker = m::incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("1"))
        .with_configs(vec![change]);
    let request = m::IncrementalAlterConfigsRequest::default().with_resources(vec![broker]);
    let answer = Client::connect(port).await.ask(1, request).await.responses.remove(0);
    if answer.error_code == 0 { Ok(()) } else { Err(answer.error_message.expect("a sentence").to_string()) }
}

/// As DescribeConfigs shows it: the value and its source.
async fn shown(port: u16) -> (Option<String>, i8) {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("1"))
        .with_configuration_keys(Some(vec![text("advertised.listeners")]));
    let request = m::DescribeConfigsRequest::default().with_resources(vec![resource]);
    let row = Client::connect(port).await.ask(4, request).await.results.remove(0).configs.remove(0);
    (row.value.map(|value| value.to_string()), row.config_source)
}

/// Test tools start a container before they know the port that leads to it, and some correct the addresses then.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_set_in_a_running_broker_are_told_at_once_and_after_a_restart() {
    let home = tempfile::tempdir().expect("a directory");
    let settings = [
        "node.id=1",
        "listeners=A://127.0.0.1:0,B://127.0.0.1:0",
        "advertised.listeners=A://a.example:1,B://b.example:2",
        "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT",
        "inter.broker.listener.name=A",
    ];
    let three = |host: &str, port| vec![(host.to_string(), port); 3];
    let (dynamic, fixed) = (2, 4);
    let broker = TestBroker::at(home.path(), &settings).await;
    let [a, b] = [0, 1].map(|index: usize| broker.house.addresses[index].port());
    assert_eq!((told(a).await, told(b).await), (three("a.example", 1), three("b.example", 2)));
    let changed = "A://new.example:3,B://[::1]:0";
    advertise(a, Some(changed)).await.expect("taken");
    assert_eq!(
        (told(a).await, told(b).await),
        (three("new.example", 3), three("::1", i32::from(b))),
        "port 0: its own"
    );
    assert_eq!(shown(a).await, (Some(changed.to_string()), dynamic));
    let refused = advertise(a, Some("C://c:1")).await.expect_err("not a listener");
    assert_eq!(refused, "advertised.listeners names C, which listeners does not have; its names are A,B");
    assert_eq!(told(a).await, three("new.example", 3));
    broker.stop().await;

    let broker = TestBroker::at(home.path(), &settings).await;
    let a = broker.port();
    assert_eq!((told(a).await, shown(a).await.1), (three("new.example", 3), dynamic));
    let registered = broker.house.broker.image().brokers().next().expect("this one").endpoints[0].host.clone();
    assert_eq!(registered, "new.example");
    advertise(a, None).await.expect("set back");
    assert_eq!((told(a).await, shown(a).await.1), (three("a.example", 1), fixed));
    advertise(a, Some(changed)).await.expect("taken again");
    broker.stop().await;

    // A start with other listeners: what was set does not fit them any more, and everything else that was set holds.
    let broker = TestBroker::at(home.path(), &["node.id=1", "listeners=PLAINTEXT://127.0.0.1:0"]).await;
    let port = broker.port();
    assert_eq!(told(port).await, three("127.0.0.1", i32::from(port)));
    assert_eq!(shown(port).await, (None, 5));
    broker.stop().await;
}

/// Without any setting about listeners a client on either loopback is served: `localhost` may be `::1` first.
#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_both_loopbacks() {
    let broker = TestBroker::with(&["listeners=PLAINTEXT://localhost:0"]).await;
    let ports: std::collections::BTreeSet<u16> = broker.house.addresses.iter().map(|a| a.port()).collect();
    assert_eq!(ports.len(), 1, "one port for both: {:?}", broker.house.addresses);
    assert!(broker.house.addresses.iter().all(|address| address.ip().is_loopback()));
    if broker.house.addresses.len() < 2 {
        println!("skipped: this machine has no IPv6 loopback");
    }
    for address in &broker.house.addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "{address}");
    }
    broker.stop().await;
}

/// Lesson 17: from version 13 on a fetch names topics by id alone; an id that is not known is told as such.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_17_a_fetch_by_topic_id() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    let id = client.ask(12, support::metadata_of("t")).await.topics[0].topic_id;
    let mut request = support::fetch_request(&[("", 0, 0)], 0, 1);
    request.topics[0].topic_id = id;
    let fetched = client.ask(13, request.clone()).await;
    assert_eq!(fetched.responses[0].topic_id, id);
    assert_eq!(values(&fetched.responses[0].partitions[0].records), [(0, b"x".to_vec())]);
    request.topics[0].topic_id = uuid::Uuid::from_u128(77);
    assert_eq!(client.ask(13, request).await.responses[0].partitions[0].error_code, 100);
    broker.stop().await;
}

/// One that is named is open, so that a look at its port succeeds; nobody is told of it. One that cannot be is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_listener_is_open_if_it_is_named() {
    let broker = TestBroker::with(&[
        "listeners=CONTROLLER://127.0.0.1:0,PLAINTEXT://127.0.0.1:0",
        "controller.listener.names=CONTROLLER",
        "controller.quorum.voters=1@elsewhere.invalid:9093",
    ])
    .await;
    assert_eq!(broker.house.addresses.len(), 2);
    for address in &broker.house.addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "{address}");
    }
    let image = broker.house.broker.image();
    let told: Vec<_> = image.brokers().flat_map(|known| &known.endpoints).map(|each| each.listener.clone()).collect();
    assert_eq!(told, ["PLAINTEXT"]);
    broker.stop().await;
    let unreachable =
        TestBroker::with(&["listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://no-such-host.invalid:9093"]).await;
    assert_eq!(unreachable.house.addresses.len(), 1);
    unreachable.stop().await;
}

/// `KAFKA_CREATE_TOPICS` and its like: made once, and left alone when they are there.
#[tokio::test(flavor = "multi_thread")]
async fn topics_of_the_start_are_made_once() {
    let home = tempfile::tempdir().unwrap();
    let topics = |list: &str| format!("milena.create.topics={list}");
    for list in ["signups:3:1,profiles:2:3:compact", "signups:9:1,plain"] {
        let broker = TestBroker::at(home.path(), &[&topics(list), "num.partitions=4"]).await;
        let expected: &[(&str, usize)] =
            if list.contains("plain") { &[("signups", 3), ("plain", 4)] } else { &[("signups", 3), ("profiles", 2)] };
        for (name, partitions) in expected {
            let made = async {
                while broker.house.broker.image().topic(name).is_none() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(support::PATIENCE, made).await.expect("the topic is made");
            let image = broker.house.broker.image();
            assert_eq!(image.topic(name).unwrap().partitions.len(), *partitions, "{name}");
        }
        broker.stop().await;
    }
    let broker = TestBroker::at(home.path(), &[]).await;
    let configs = broker.house.broker.image().topic_configs(&"profiles".into());
    assert_eq!(configs.get("cleanup.policy").map(String::as_str), Some("compact"));
    broker.stop().await;
}

/// A client from another address that asks for the brokers and never comes to the address it was told is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_comes_back_to_the_advertised_address_is_noticed() {
    let broker = TestBroker::with(&["advertised.listeners=PLAINTEXT://127.0.0.1:1"]).await;
    let from = async |ip: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        Client::over(socket.connect(broker.house.addresses[0]).await.unwrap())
    };
    let metadata = || m::MetadataRequest::default().with_topics(Some(Vec::new()));
    let (mut lost, mut found) = (from("127.0.0.2").await, from("127.0.0.3").await);
    lost.ask(9, metadata()).await;
    found.ask(9, metadata()).await;
    found.ask(2, m::FindCoordinatorRequest::default().with_key(text("g"))).await;
    let later = milena::types::Monotonic(broker.house.broker.clock.now().mono.0 + 60_000);
    assert_eq!(broker.house.broker.visitors.in_vain(later), [("127.0.0.2".parse().unwrap(), 0)]);
    assert_eq!(broker.house.broker.settings.advertised_by(), "advertised.listeners");
    broker.stop().await;
}

/// No host, `0.0.0.0` and `[::]` are every address of the machine; without a port the system chooses one for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn no_host_is_every_address() {
    for host in ["", "0.0.0.0", "[::]"] {
        let broker = TestBroker::with(&[&format!("listeners=PLAINTEXT://{host}:0")]).await;
        let addresses = &broker.house.addresses;
        assert!(addresses.iter().all(|address| address.ip().is_unspecified()), "{addresses:?}");
        let port = addresses[0].port();
        assert!(addresses.iter().all(|address| address.port() == port && port != 0), "{addresses:?}");
        let mut client = Client::connect(port).await;
        let metadata = client.ask(9, m::MetadataRequest::default().with_topics(Some(Vec::new()))).await;
        let told = (metadata.brokers[0].host.as_str(), metadata.brokers[0].port);
        assert_eq!(told, ("localhost", i32::from(port)), "the machine's name, and the port it got");
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        if has_ipv6 {
            assert!(tokio::net::TcpStream::connect(("::1", port)).await.is_ok(), "{host}");
        } else {
            println!("skipped: this machine has no IPv6 loopback");
        }
        broker.stop().await;
    }
}
