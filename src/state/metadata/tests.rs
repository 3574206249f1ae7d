use super::*;
use crate::types::TopicPartition;

fn broker(id: i32) -> Broker {
    Broker {
        id: BrokerId(id),
        epoch: -1,
        incarnation: Uuid::from_u128(7),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(9)],
        features: vec![],
    }
}

/// A machine with its log: what is answered has been applied, as the driver does it.
struct Scene {
    machine: Metadata,
    log: Vec<MetadataRecord>,
}

impl Scene {
    fn new() -> Scene {
        let mut scene = Scene { machine: Metadata::new(MetadataSettings::new("cluster")), log: vec![] };
        scene.ask(MetadataInput::RegisterBroker { broker: broker(1) });
        scene
    }

    fn ask(&mut self, input: MetadataInput) -> MetadataAnswer {
        let mut effects = self.machine.step(Now::default(), Ticket(1), input);
        for record in &effects.append {
            self.machine.apply(record);
        }
        self.log.append(&mut effects.append);
        effects.answer.pop().expect("every input is answered at once").1
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refused> {
        match self.ask(MetadataInput::CreateTopics { topics: vec![topic], validate_only: false, random: 5 }) {
            MetadataAnswer::Created(mut topics) => topics.pop().unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn image(&self) -> &Image {
        self.machine.image()
    }
}

fn topic(name: &str, id: u128) -> NewTopic {
    NewTopic {
        name: name.into(),
        id: TopicId(Uuid::from_u128(id)),
        partitions: -1,
        replication_factor: -1,
        assignments: vec![],
        configs: vec![],
    }
}

#[test]
fn a_created_topic_is_in_the_image_with_a_leader() {
    let mut scene = Scene::new();
    let created = scene.create(NewTopic { partitions: 3, ..topic("a", 11) }).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let info = scene.image().partition(&TopicPartition::new("a", 2)).unwrap();
    assert_eq!(info.leader, BrokerId(1));
    assert_eq!(info.directories, [Uuid::from_u128(9)]);
    assert_eq!(scene.image().topic_by_id(created.id).unwrap().name.as_str(), "a");
}

#[test]
fn a_fresh_machine_fed_the_log_or_the_snapshot_equals_the_live_one() {
    let mut scene = Scene::new();
    for i in 0..300u128 {
        scene.create(NewTopic { partitions: 2, ..topic(&format!("t{i}"), i + 1) }).unwrap();
    }
    let topics = (0..300).step_by(3).map(|i| TopicRef::Name(format!("t{i}").as_str().into())).collect();
    scene.ask(MetadataInput::DeleteTopics { topics });
    scene.ask(MetadataInput::AllocateProducerIds { broker: BrokerId(1) });
    for records in [scene.log.clone(), scene.machine.snapshot()] {
        let mut fresh = Metadata::new(MetadataSettings::new("cluster"));
        records.iter().for_each(|record| fresh.apply(record));
        assert_eq!(fresh.image(), scene.image());
    }
}
