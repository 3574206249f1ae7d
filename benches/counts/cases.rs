//! The pieces: from the frame to the answer, each alone and then all of them together as one request.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kafka_protocol::messages as m;
use milena::api::Front;
use milena::config::LogConfig;
use milena::net::frame::FrameReader;
use milena::net::{Peer, Reaction, Service, schema};
use milena::record::{Builder, Compression, DecompressLimits, Rules, ValidBatch, validate};
use milena::state::fetch_session::{FetchSessions, PartitionKey, Request, Told, Wanted};
use milena::storage::disk::RealDisk;
use milena::storage::log::{Log, OpenHint, Origin};
use milena::types::{ConnectionId, LeaderEpoch, Monotonic, Now, Offset, Timestamp, TopicId, TopicName, TopicPartition};

#[path = "../../tests/support/mod.rs"]
mod support;
use support::{TestBroker, fetch_request, frame, topic};

/// Who counts a piece: its name, and what to do again and again.
type Count<'a> = &'a mut dyn FnMut(&str, &mut dyn FnMut());

const NOW: Now = Now { wall: Timestamp(1_700_000_000_000), mono: Monotonic(1) };

/// Every piece, in the order in which a request meets them.
pub fn each(count: Count<'_>) {
    frames(count);
    batches(count);
    logs(count);
    sessions(count);
    requests(count);
}

fn batch(codec: Compression, records: usize, value_bytes: usize) -> Bytes {
    let mut builder = Builder::new().compression(codec);
    for index in 0..records {
        let value: Vec<u8> = (0..value_bytes).map(|at| (at * 7 + index * 13) as u8).collect();
        builder.push(Timestamp(1_700_000_000_000), None, Some(&value), &[]);
    }
    builder.build().into_bytes()
}

/// A Produce request with the same batch for each of some partitions of `t`.
fn produce(partitions: i32, records: &Bytes, acks: i16) -> m::ProduceRequest {
    let data = (0..partitions).map(|index| {
        m::produce_request::PartitionProduceData::default().with_index(index).with_records(Some(records.clone()))
    });
    let topics =
        m::produce_request::TopicProduceData::default().with_name(topic("t")).with_partition_data(data.collect());
    m::ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topics])
}

fn fetch(partitions: i32, offset: i64) -> m::FetchRequest {
    let names: Vec<(&str, i32, i64)> = (0..partitions).map(|index| ("t", index, offset)).collect();
    let mut request = fetch_request(&names, 0, 0);
    let all = request.topics.drain(..).flat_map(|topic| topic.partitions).collect();
    request.topics = vec![m::fetch_request::FetchTopic::default().with_topic(topic("t")).with_partitions(all)];
    request
}

fn frames(count: Count<'_>) {
    let large = frame(9, 1, &produce(1, &batch(Compression::None, 60, 1024), 1)).freeze();
    count("frame and walk: Produce, 1 x 60 KiB", &mut || walk(&large, 0));
    let wide = frame(9, 1, &produce(100, &batch(Compression::None, 1, 100), 1)).freeze();
    count("frame and walk: Produce, 100 x 100 B", &mut || walk(&wide, 0));
    let fetch = frame(12, 1, &fetch(100, 0)).freeze();
    count("frame and walk: Fetch, 100 partitions", &mut || walk(&fetch, 1));
}

fn walk(bytes: &Bytes, key: i16) {
    // The bytes are lent to the reader, as they lie in its buffer after a read.
    let mut reader = FrameReader::new(1 << 20);
    let needed = reader.needed();
    reader.room(needed).extend_from_slice(bytes);
    let frame = reader.next_frame().expect("a good length").expect("a whole frame");
    let header = schema::read_header(&frame).expect("a header");
    assert_eq!(header.api_key, key);
    let limits = schema::Limits::default();
    black_box(schema::check(key, header.version, &frame[header.body_offset..], &limits)).expect("a good body");
}

fn batches(count: Count<'_>) {
    let small = batch(Compression::None, 1, 100);
    count("validate: 1 x 100 B", &mut || drop(black_box(valid(&small))));
    let large = batch(Compression::None, 60, 1024);
    count("validate: 60 x 1 KiB", &mut || drop(black_box(valid(&large))));
    let many = batch(Compression::None, 600, 100);
    count("validate: 600 x 100 B", &mut || drop(black_box(valid(&many))));
    let packed = batch(Compression::Lz4, 60, 1024);
    count("validate: 60 x 1 KiB, lz4", &mut || drop(black_box(valid(&packed))));
}

fn valid(bytes: &Bytes) -> ValidBatch {
    thread_local!(static LOG: (LogConfig, TopicPartition) = (LogConfig::default(), TopicPartition::new("t", 0)));
    LOG.with(|(log, partition)| {
        let (now, limits) = (NOW.wall, DecompressLimits::default());
        validate(bytes.clone(), &Rules { log, partition, api_version: 9, now, full: false, limits })
            .expect("a good batch")
    })
}

fn logs(count: Count<'_>) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = LogConfig { segment_bytes: 4 << 20, ..LogConfig::default() };
    let path = directory.path().join("t-0");
    let hint = OpenHint::fresh();
    let (mut log, _) = Log::open(Arc::new(RealDisk), path, Arc::new(config), hint, None, NOW).expect("a log");
    let small = valid(&batch(Compression::None, 1, 100));
    count("append: 1 x 100 B", &mut || append(&mut log, &small));
    let large = valid(&batch(Compression::None, 60, 1024));
    count("append: 60 x 1 KiB", &mut || append(&mut log, &large));
    (0..700).for_each(|_| append(&mut log, &large));
    let end = log.log_end_offset();
    let read = |from: Offset| log.read(from, end, 1 << 20, true).expect("a read").next_offset;
    let mut far = 0;
    count("read 1 MiB anywhere: index look-up", &mut || {
        far = (far + 37 * 60 + 11) % (end.0 - 2_000);
        black_box(read(Offset(far)));
    });
}

fn append(log: &mut Log, batch: &ValidBatch) {
    let mut batch = batch.clone();
    log.append(&mut batch, LeaderEpoch::ZERO, NOW, Origin::Client).expect("an append");
}

fn sessions(count: Count<'_>) {
    let mut sessions = FetchSessions::new(10);
    let keys: Vec<PartitionKey> = (0..100)
        .map(|partition| PartitionKey { topic: TopicName::from("t"), topic_id: TopicId::default(), partition })
        .collect();
    let wanted = Wanted {
        fetch_offset: Offset::ZERO,
        current_leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 1 << 20,
    };
    let partitions = keys.iter().map(|key| (key.clone(), wanted.clone())).collect();
    let first = Request { session_id: 0, session_epoch: 0, uses_topic_ids: false, partitions, forgotten: Vec::new() };
    let session_id = sessions.plan(NOW.mono, first, || 7).expect("a session").session_id;
    let mut session_epoch = 0;
    count("fetch session: plan and news of 100 partitions", &mut || {
        session_epoch += 1;
        let request =
            Request { session_id, session_epoch, uses_topic_ids: false, partitions: Vec::new(), forgotten: Vec::new() };
        let plan = sessions.plan(NOW.mono, request, || 7).expect("the session goes on");
        let told = Told { high_watermark: Offset::ZERO, log_start_offset: Offset::ZERO };
        let told: Vec<_> = plan.partitions.into_iter().map(|(key, _)| (key, told, false, false)).collect();
        black_box(sessions.news(session_id, &told));
    });
}

/// Whole requests, from the frame to the answer, without the socket; durability is the page cache's.
fn requests(count: Count<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let broker = runtime.block_on(TestBroker::with(&["milena.durability=page-cache"]));
    runtime.block_on(async {
        let mut client = broker.connect().await;
        client.create_topic("t", 100, &[]).await;
    });
    let front = Front { broker: broker.house.broker.clone() };
    let address = "127.0.0.1:9".parse().expect("an address");
    let mut session = front.connected(Peer { connection: ConnectionId(1), address, listener: 0 });
    let mut ask = |frame: &Bytes| answer(&front, &mut session, frame.clone());

    let one = body(frame(9, 1, &produce(1, &batch(Compression::None, 1, 100), 1)));
    count("Produce: 1 partition x 100 B", &mut || ask(&one));
    let all = body(frame(9, 1, &produce(1, &batch(Compression::None, 1, 100), -1)));
    count("Produce: 1 partition x 100 B, acks=all", &mut || ask(&all));
    let large = body(frame(9, 1, &produce(1, &batch(Compression::None, 60, 1024), 1)));
    count("Produce: 1 partition x 60 KiB", &mut || ask(&large));
    let wide = body(frame(9, 1, &produce(16, &batch(Compression::None, 14, 1024), 1)));
    count("Produce: 16 partitions x 14 KiB", &mut || ask(&wide));
    let small = body(frame(12, 1, &fetch(1, 0)));
    count("Fetch: 1 partition", &mut || ask(&small));
    let many = body(frame(12, 1, &fetch(100, 0)));
    count("Fetch: 100 partitions, 16 with records", &mut || ask(&many));
    let metadata = body(frame(9, 1, &support::metadata_of("t")));
    count("Metadata: 1 topic of 100 partitions", &mut || ask(&metadata));
    drop(session);
    runtime.block_on(broker.stop());
}

/// A frame as the service gets it, without its length.
fn body(frame: bytes::BytesMut) -> Bytes {
    frame.freeze().slice(4..)
}

/// The answer of a request that need not wait for anything.
fn answer(front: &Front, session: &mut <Front as Service>::Session, frame: Bytes) {
    let call = pin!(front.call(session, frame));
    match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Reaction::Answer(answer)) => assert!(answer.len() > 8),
        Poll::Ready(Reaction::Close(reason)) => panic!("{reason}"),
        Poll::Ready(_) => panic!("no answer, or a later one"),
        Poll::Pending => panic!("the request waits for something"),
    }
}
