"""kafka-python 3.0.12: the newest line of the pure Python client, idempotent by default, incremental fetch sessions."""

import logging
import threading
import time

from kafka import (ConsumerRebalanceListener, IsolationLevel, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata,
                   OffsetSpec, TopicPartition)
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from suite import (ACKS, BOOTSTRAP, CODECS, SESSION_MS, check, child, child_says, eq, fresh, kill, main, raises, sample, test,
                   until)

logging.getLogger("kafka").setLevel(logging.CRITICAL)


# -- the client, shortened ------------------------------------------------------------------------------------------

def admin():
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def producer(**settings):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **settings)


def consumer(*topics, **settings):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 300,
                "session_timeout_ms": SESSION_MS, "fetch_max_wait_ms": 100} | settings
    client = KafkaConsumer(bootstrap_servers=BOOTSTRAP, **settings)
    if topics:
        subscribe(client, topics)
    return client


def subscribe(client, topics, **settings):
    # This client asks for metadata 0.1 s after subscribing. A broker that lets it join sooner sees a second join when
    # the metadata comes, and if a short poll ends during that join, the client loses its assignment for good.
    client.subscribe(topics, **settings)
    known = client._coordinator
    until("the client knows the topic", lambda: all(topic in known._metadata_snapshot for topic in topics))


def make_topic(label, partitions=1, **configs):
    name = fresh(label)
    client = admin()
    client.create_topics({name: {"num_partitions": partitions, "replication_factor": 1,
                                 "configs": {k.replace("_", "."): v for k, v in configs.items()}}}, wait_for_metadata=True)
    client.close()
    return name


def fill(topic, count, partition=0, start=0, **settings):
    with_timestamp = settings.pop("timestamp", None)
    client = producer(**settings)
    sent = [client.send(topic, value=b"%d" % n, partition=partition,
                        timestamp_ms=None if with_timestamp is None else with_timestamp + n) for n in range(start, start + count)]
    client.flush(20)
    offsets = [future.get(20).offset for future in sent]
    client.close()
    return offsets


# kafka-python 3.0.12 loses an assignment, and never asks for it again, if the time of a poll ends between SyncGroup and its
# answer (Apache Kafka 4.3.1 without an initial rebalance delay: 4 of 20 polls of 200 ms on a busy machine). A poll that may
# join a group is given more time than that takes; it ends as soon as there are records.
LONG_MS = 2000


def take(client, count, seconds=20):
    """Polls until `count` records came."""
    records = []
    deadline = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < deadline:
        for batch in client.poll(timeout_ms=LONG_MS).values():
            records.extend(batch)
    eq(len(records), count, "records read")
    return records


def read_all(topic, count, partition=0, **settings):
    client = consumer(group_id=None, **settings)
    client.assign([TopicPartition(topic, partition)])
    client.seek_to_beginning()
    records = take(client, count)
    client.close()
    return records


class Member:
    """A group member on its own thread, polling until told to leave."""

    def __init__(self, topic, group, **settings):
        self.assigned, self.records, self.revocations, self.error = set(), [], 0, None
        self.commits = False
        self._stop = threading.Event()
        self.client = consumer(group_id=group, **settings)
        member = self

        class Listener(ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                if revoked:
                    member.revocations += 1

            def on_partitions_assigned(self, assigned):
                pass

        subscribe(self.client, [topic], listener=Listener())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.is_set():
                for batch in self.client.poll(timeout_ms=LONG_MS // 2).values():
                    self.records.extend(batch)
                self.assigned = {tp.partition for tp in self.client.assignment()}
                if self.commits:
                    self.client.commit()
        except Exception as error:
            self.error = error
        finally:
            self.client.close(autocommit=False)

    def leave(self):
        self._stop.set()
        self._thread.join(15)


def has(member, count):
    return lambda: len(member.assigned) == count


# -- produce and read back ------------------------------------------------------------------------------------------

def round_trip(codec, acks):
    topic = make_topic("round-trip")
    client = producer(compression_type=None if codec == "none" else codec, acks=acks if acks == "all" else int(acks),
                      enable_idempotence=acks == "all", linger_ms=20)
    records = sample()
    for key, value, headers, timestamp in records:
        client.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp)
    client.flush(20)
    client.close()
    got = read_all(topic, len(records))
    eq([(r.key, r.value, list(r.headers), r.timestamp) for r in got], records, "records")
    eq([r.offset for r in got], list(range(len(records))), "offsets")


for _codec in CODECS:
    for _acks in ACKS:
        test(f"produce-{_codec}-acks-{_acks}")(lambda codec=_codec, acks=_acks: round_trip(codec, acks))


@test("produce-metadata-tells-offset-and-timestamp")
def _():
    topic = make_topic("sent", 2)
    client = producer()
    first = client.send(topic, b"a", partition=1, timestamp_ms=1234567).get(20)
    second = client.send(topic, b"b", partition=1).get(20)
    client.close()
    eq((first.topic, first.partition, first.offset, first.timestamp), (topic, 1, 0, 1234567), "record metadata")
    eq(second.offset, 1, "second offset")


@test("produce-log-append-time")
def _():
    topic = make_topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000) - 5000
    client = producer()
    sent = client.send(topic, b"a", timestamp_ms=1000).get(20)
    client.close()
    record = read_all(topic, 1)[0]
    check(record.timestamp > before, f"timestamp {record.timestamp} is the producer's")
    eq(record.timestamp_type, 1, "timestamp type")
    eq(sent.timestamp, record.timestamp, "timestamp in the answer")


@test("produce-auto-creates-topic")
def _():
    topic = fresh("auto-created")
    eq(fill(topic, 3), [0, 1, 2], "offsets")
    eq([r.value for r in read_all(topic, 3)], [b"0", b"1", b"2"], "values")


@test("produce-idempotent-in-order")
def _():
    topic = make_topic("idempotent")
    client = producer(enable_idempotence=True, acks="all", batch_size=200, linger_ms=1)
    sent = [client.send(topic, b"%06d" % n) for n in range(2000)]
    client.flush(20)
    eq([f.get(20).offset for f in sent], list(range(2000)), "offsets")
    client.close()
    eq([r.value for r in read_all(topic, 2000)], [b"%06d" % n for n in range(2000)], "values")


@test("produce-keys-keep-their-partition")
def _():
    topic = make_topic("keyed", 4)
    client = producer()
    where = {}
    for n in range(60):
        key = b"key-%d" % (n % 6)
        where.setdefault(key, set()).add(client.send(topic, key=key, value=b"v").get(20).partition)
    client.close()
    check(all(len(partitions) == 1 for partitions in where.values()), f"a key moved: {where}")


@test("produce-message-too-large")
def _():
    topic = make_topic("too-large", max_message_bytes="2000")
    # Not idempotent: after a refused batch this client's next sequence would be refused too.
    client = producer(max_request_size=10_000_000, enable_idempotence=False)
    raises(errors.MessageSizeTooLargeError, lambda: client.send(topic, b"x" * 5000).get(20), "send")
    eq(client.send(topic, b"small").get(20).offset, 0, "offset after the refusal")
    client.close()


@test("produce-invalid-topic-name")
def _():
    client = producer(max_block_ms=3000)
    # The client checks names itself; the admin test below lets the broker refuse.
    raises((ValueError, errors.InvalidTopicError), lambda: client.send("not a topic!", b"x").get(10), "send")
    client.close()


@test("produce-null-key-to-compacted-topic-refused")
def _():
    topic = make_topic("compacted", cleanup_policy="compact")
    client = producer(enable_idempotence=False)
    raises(errors.InvalidRecordError, lambda: client.send(topic, b"x").get(20), "send")
    eq(client.send(topic, b"x", key=b"k").get(20).offset, 0, "offset of a keyed record")
    client.close()


# -- read -----------------------------------------------------------------------------------------------------------

@test("consume-without-group")
def _():
    topic = make_topic("no-group", 3)
    for partition in range(3):
        fill(topic, 10, partition)
    client = consumer(group_id=None)
    client.assign([TopicPartition(topic, p) for p in range(3)])
    records = take(client, 30)
    client.close()
    for partition in range(3):
        eq([r.value for r in records if r.partition == partition], [b"%d" % n for n in range(10)], f"partition {partition}")


@test("consume-from-the-middle-of-a-batch")
def _():
    topic = make_topic("middle")
    fill(topic, 50, linger_ms=200, batch_size=100_000)
    client = consumer(group_id=None)
    client.assign([TopicPartition(topic, 0)])
    client.seek(TopicPartition(topic, 0), 33)
    eq([r.offset for r in take(client, 17)], list(range(33, 50)), "offsets")
    client.close()


@test("consume-latest-sees-only-new")
def _():
    topic = make_topic("latest")
    fill(topic, 5)
    client = consumer(group_id=None, auto_offset_reset="latest")
    client.assign([TopicPartition(topic, 0)])
    eq(client.position(TopicPartition(topic, 0)), 5, "position")
    fill(topic, 2, start=5)
    eq([r.value for r in take(client, 2)], [b"5", b"6"], "values")
    client.close()


@test("consume-offset-out-of-range-resets")
def _():
    topic = make_topic("out-of-range")
    fill(topic, 5)
    client = consumer(group_id=None)
    client.assign([TopicPartition(topic, 0)])
    client.seek(TopicPartition(topic, 0), 1000)
    eq([r.offset for r in take(client, 5)], list(range(5)), "offsets")
    client.close()
    strict = consumer(group_id=None, auto_offset_reset="none")
    strict.assign([TopicPartition(topic, 0)])
    strict.seek(TopicPartition(topic, 0), 1000)

    def poll_until_error():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            strict.poll(timeout_ms=200)
    raises((errors.OffsetOutOfRangeError, errors.NoOffsetForPartitionError), poll_until_error, "poll")
    strict.close()


@test("consume-long-poll-wakes-on-append")
def _():
    topic = make_topic("long-poll")
    client = consumer(group_id=None, fetch_max_wait_ms=20_000)
    client.assign([TopicPartition(topic, 0)])
    client.seek_to_beginning()
    client.poll(timeout_ms=500)
    begun = time.monotonic()
    fill(topic, 1)
    take(client, 1)
    check(time.monotonic() - begun < 10, "the parked fetch was not woken by the append")
    client.close()


@test("consume-fetch-sessions-follow-many-partitions")
def _():
    topic = make_topic("session", 8)
    client = consumer(group_id=None, enable_incremental_fetch_sessions=True)
    client.assign([TopicPartition(topic, p) for p in range(8)])
    client.seek_to_beginning()
    for turn in range(3):
        for partition in range(turn, 8, 2):
            fill(topic, 2, partition)
        expected = 2 * len(range(turn, 8, 2))
        take(client, expected)
    client.close()


@test("offsets-beginning-and-end")
def _():
    topic = make_topic("ends", 2)
    fill(topic, 7, 1)
    client = consumer(group_id=None)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    eq(client.beginning_offsets(both), {both[0]: 0, both[1]: 0}, "beginning")
    eq(client.end_offsets(both), {both[0]: 0, both[1]: 7}, "end")
    client.close()


@test("offsets-for-times")
def _():
    topic = make_topic("times")
    start = 1_600_000_000_000
    fill(topic, 20, timestamp=start, linger_ms=50, compression_type="gzip")
    client = consumer(group_id=None)
    tp = TopicPartition(topic, 0)
    for asked, offset in ((0, 0), (start, 0), (start + 7, 7), (start + 19, 19)):
        found = client.offsets_for_times({tp: asked})[tp]
        eq((found.offset, found.timestamp), (offset, start + offset), f"offset for {asked}")
    eq(client.offsets_for_times({tp: start + 20})[tp], None, "offset past the end")
    client.assign([tp])
    client.seek(tp, client.offsets_for_times({tp: start + 12})[tp].offset)
    eq(take(client, 8)[0].value, b"12", "first value after the seek")
    client.close()


@test("offsets-max-timestamp")
def _():
    topic = make_topic("max-timestamp")
    client = producer()
    for timestamp in (5000, 9000, 7000):
        client.send(topic, b"x", timestamp_ms=timestamp).get(20)
    client.close()
    tp = TopicPartition(topic, 0)
    boss = admin()
    found = boss.list_partition_offsets({tp: OffsetSpec.MAX_TIMESTAMP})[tp]
    eq((found.offset, found.timestamp), (1, 9000), "max timestamp")
    boss.close()


# -- groups ---------------------------------------------------------------------------------------------------------

@test("group-commit-and-resume")
def _():
    topic, group = make_topic("resume"), fresh("group")
    fill(topic, 20)
    first = consumer(topic, group_id=group, max_poll_records=8)
    got = take(first, 8)
    first.commit()
    eq(first.committed(TopicPartition(topic, 0)), 8, "committed")
    first.close(autocommit=False)
    second = consumer(topic, group_id=group)
    rest = take(second, 12)
    second.close(autocommit=False)
    eq([r.offset for r in got + rest], list(range(20)), "offsets over both consumers")


@test("group-commit-metadata-round-trip")
def _():
    topic, group = make_topic("commit-metadata"), fresh("group")
    tp = TopicPartition(topic, 0)
    client = consumer(group_id=group)
    client.assign([tp])
    client.commit({tp: OffsetAndMetadata(42, "сказано: здесь", -1)})
    found = client.committed(tp, metadata=True)
    eq((found.offset, found.metadata), (42, "сказано: здесь"), "committed")
    eq(client.committed(TopicPartition(topic, 7)), None, "never committed")
    client.close()


@test("group-auto-commit")
def _():
    topic, group = make_topic("auto-commit"), fresh("group")
    fill(topic, 5)
    client = consumer(topic, group_id=group, enable_auto_commit=True, auto_commit_interval_ms=1000)
    take(client, 5)
    client.close()
    again = consumer(topic, group_id=group)
    until("the position is known", lambda: again.poll(timeout_ms=LONG_MS) or again.assignment())
    eq(again.position(TopicPartition(topic, 0)), 5, "position")
    again.close(autocommit=False)


@test("group-rebalance-join-and-leave", timeout=40)
def _():
    topic, group = make_topic("rebalance", 4), fresh("group")
    one = Member(topic, group)
    until("the first member has all", has(one, 4))
    two = Member(topic, group)
    until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
    eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
    begun = time.monotonic()
    two.leave()
    until("the first member has all again", has(one, 4))
    check(time.monotonic() - begun < SESSION_MS / 1000, "leaving took as long as a session")
    for partition in range(4):
        fill(topic, 1, partition)
    until("all records came", lambda: len(one.records) == 4)
    one.leave()


def die(topic, group):
    client = consumer(topic, group_id=group)
    while not client.assignment():
        client.poll(timeout_ms=LONG_MS // 2)
    print("joined", flush=True)
    while True:
        client.poll(timeout_ms=100)


@test("group-member-dies", timeout=50)
def _():
    topic, group = make_topic("dies", 4), fresh("group")
    victim = child("die", topic, group)
    child_says(victim, "joined")
    one = Member(topic, group)
    until("both have half", has(one, 2))
    kill(victim)
    until("the survivor has all", has(one, 4), 25)
    one.leave()


@test("group-static-member-returns-without-rebalance", timeout=40)
def _():
    topic, group = make_topic("static", 4), fresh("group")
    one = Member(topic, group, group_instance_id="one", session_timeout_ms=20_000)
    until("the first member has all", has(one, 4))
    two = Member(topic, group, group_instance_id="two", session_timeout_ms=20_000)
    until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
    before, held = one.revocations, set(two.assigned)
    two.leave()
    back = Member(topic, group, group_instance_id="two", session_timeout_ms=20_000)
    until("the returned member has its half", has(back, 2))
    eq(back.assigned, held, "partitions of the returned member")
    eq(one.revocations, before, "revocations seen by the other member")
    one.leave()
    back.leave()


@test("group-static-member-fences-its-double", timeout=40)
def _():
    topic, group = make_topic("fenced", 1), fresh("group")
    one = Member(topic, group, group_instance_id="same", session_timeout_ms=20_000)
    until("the first has it", has(one, 1))
    two = Member(topic, group, group_instance_id="same", session_timeout_ms=20_000)
    until("the second has it", has(two, 1))
    # The client's heartbeat only logs that it is fenced; a commit raises it.
    one.commits = True
    until("the first is fenced", lambda: one.error)
    check(isinstance(one.error, (errors.FencedInstanceIdError, errors.CommitFailedError)), f"got {one.error!r}")
    two.leave()


@test("group-cooperative-sticky", timeout=40)
def _():
    topic, group = make_topic("cooperative", 4), fresh("group")
    settings = {"partition_assignment_strategy": (CooperativeStickyAssignor,)}
    one = Member(topic, group, **settings)
    until("the first member has all", has(one, 4))
    two = Member(topic, group, **settings)
    until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
    eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
    two.leave()
    until("the first member has all again", has(one, 4))
    one.leave()


@test("group-unsubscribe-and-pattern", timeout=40)
def _():
    mark, group = fresh("pattern"), fresh("group")
    boss = admin()
    boss.create_topics({f"{mark}-a": {"num_partitions": 1, "replication_factor": 1},
                        f"{mark}-b": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    boss.close()
    fill(f"{mark}-a", 1)
    fill(f"{mark}-b", 1)
    client = consumer(group_id=group)
    client.subscribe(pattern=f"^{mark}-.*")
    eq({r.topic for r in take(client, 2)}, {f"{mark}-a", f"{mark}-b"}, "topics")
    client.unsubscribe()
    client.close()


@test("group-join-with-too-short-a-session")
def _():
    client = consumer(make_topic("short"), group_id=fresh("group"), session_timeout_ms=100, heartbeat_interval_ms=30)

    def poll():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            client.poll(timeout_ms=200)
    raises(errors.InvalidSessionTimeoutError, poll, "poll")
    client.close()


# -- transactions ---------------------------------------------------------------------------------------------------

@test("transaction-commit-and-abort", timeout=40)
def _():
    topic = make_topic("transaction")
    client = producer(transactional_id=fresh("txn"), acks="all")
    client.init_transactions()
    for outcome in ("commit", "abort", "commit"):
        client.begin_transaction()
        for n in range(3):
            client.send(topic, f"{outcome}-{n}".encode())
        client.flush(20)
        client.commit_transaction() if outcome == "commit" else client.abort_transaction()
    client.close()
    committed = read_all(topic, 6, isolation_level="read_committed")
    eq([r.value for r in committed], [b"commit-0", b"commit-1", b"commit-2"] * 2, "read committed")
    eq([r.offset for r in committed], [0, 1, 2, 8, 9, 10], "offsets beside markers and aborted records")
    eq(len(read_all(topic, 9)), 9, "read uncommitted")


@test("transaction-open-hides-records", timeout=40)
def _():
    topic = make_topic("open")
    client = producer(transactional_id=fresh("txn"), acks="all")
    client.init_transactions()
    client.begin_transaction()
    client.send(topic, b"hidden").get(20)
    tp = TopicPartition(topic, 0)
    boss = admin()
    def last(level):
        return boss.list_partition_offsets({tp: OffsetSpec.LATEST}, isolation_level=level)[tp].offset
    eq(last(IsolationLevel.READ_COMMITTED), 0, "last stable offset while open")
    eq(last(IsolationLevel.READ_UNCOMMITTED), 1, "high watermark while open")
    client.commit_transaction()
    until("the transaction is seen", lambda: last(IsolationLevel.READ_COMMITTED) == 2)
    client.close()
    boss.close()


@test("transaction-with-offsets", timeout=40)
def _():
    source, target, group = make_topic("source"), make_topic("target"), fresh("group")
    fill(source, 5)
    reader = consumer(source, group_id=group)
    take(reader, 5)
    client = producer(transactional_id=fresh("txn"), acks="all")
    client.init_transactions()
    tp = TopicPartition(source, 0)
    client.begin_transaction()
    client.send(target, b"aborted")
    client.send_offsets_to_transaction({tp: OffsetAndMetadata(2, "", -1)}, reader.group_metadata())
    client.abort_transaction()
    eq(reader.committed(tp), None, "committed after the abort")
    client.begin_transaction()
    client.send(target, b"done")
    client.send_offsets_to_transaction({tp: OffsetAndMetadata(5, "", -1)}, reader.group_metadata())
    client.commit_transaction()
    until("the offset is committed", lambda: reader.committed(tp) == 5)
    client.close()
    reader.close(autocommit=False)
    eq([r.value for r in read_all(target, 1, isolation_level="read_committed")], [b"done"], "target")


@test("transaction-fences-the-older-producer", timeout=40)
def _():
    topic, transactional_id = make_topic("zombie"), fresh("txn")
    old = producer(transactional_id=transactional_id, acks="all")
    old.init_transactions()
    old.begin_transaction()
    old.send(topic, b"old").get(20)
    new = producer(transactional_id=transactional_id, acks="all")
    new.init_transactions()

    def commit():
        old.send(topic, b"zombie").get(20)
        old.commit_transaction()
    raises(errors.KafkaError, commit, "commit of the fenced producer")
    new.begin_transaction()
    new.send(topic, b"new").get(20)
    new.commit_transaction()
    eq([r.value for r in read_all(topic, 1, isolation_level="read_committed")], [b"new"], "read committed")
    new.close()
    old.close(timeout=1)


# -- admin ----------------------------------------------------------------------------------------------------------

@test("admin-create-list-describe-delete-topic")
def _():
    boss, topic = admin(), fresh("admin")
    boss.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True)
    check(topic in boss.list_topics(), "topic is not listed")
    found = boss.describe_topics([topic])[0]
    eq((found["name"], len(found["partitions"]), found["is_internal"]), (topic, 3, False), "description")
    eq({p["error_code"] for p in found["partitions"]}, {0}, "partition errors")
    boss.delete_topics([topic])
    until("the topic is gone", lambda: topic not in boss.list_topics())
    boss.close()


@test("admin-create-topic-twice")
def _():
    boss, topic = admin(), make_topic("twice")
    raises(errors.TopicAlreadyExistsError, lambda: boss.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}))
    raises(errors.TopicAlreadyExistsError,
           lambda: boss.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, validate_only=True))
    boss.close()


@test("admin-create-topic-validate-only")
def _():
    boss, topic = admin(), fresh("validate")
    boss.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, validate_only=True)
    check(topic not in boss.list_topics(), "validate_only created the topic")
    boss.close()


@test("admin-create-topic-with-broker-defaults")
def _():
    boss, topic = admin(), fresh("defaults")
    boss.create_topics([topic], wait_for_metadata=True)
    check(len(boss.describe_topics([topic])[0]["partitions"]) >= 1, "no partition")
    boss.close()


@test("admin-create-topic-refusals")
def _():
    boss = admin()

    def create(name, **what):
        return lambda: boss.create_topics({name: {"num_partitions": 1, "replication_factor": 1} | what})
    raises(errors.InvalidTopicError, create("not a topic!"), "invalid name")
    raises(errors.InvalidTopicError, create("x" * 250), "long name")
    raises(errors.InvalidTopicError, create(".."), "dots")
    raises(errors.InvalidPartitionsError, create(fresh("t"), num_partitions=0), "no partitions")
    raises(errors.InvalidReplicationFactorError, create(fresh("t"), replication_factor=99), "too many replicas")
    raises(errors.InvalidConfigurationError, create(fresh("t"), configs={"no.such.config": "1"}), "unknown config")
    raises(errors.InvalidConfigurationError, create(fresh("t"), configs={"retention.ms": "soon"}), "bad value")
    boss.close()


@test("admin-describe-unknown-topic")
def _():
    boss, topic = admin(), fresh("unknown")
    found = boss.describe_topics([topic])[0]
    eq(found["error_code"], 3, "error code")
    check(topic not in boss.list_topics(), "describing created the topic")
    boss.close()


@test("admin-describe-topic-partitions")
def _():
    boss, topic, missing = admin(), make_topic("partitions", 3), fresh("missing")
    found = {t["name"]: t for t in boss.describe_topic_partitions([topic, missing])["topics"]}
    eq(len(found[topic]["partitions"]), 3, "partitions")
    eq(found[missing]["error_code"], 3, "error of the missing topic")
    boss.close()


@test("admin-topic-id-changes-with-recreation")
def _():
    boss, topic = admin(), make_topic("recreated")
    fill(topic, 3)
    first = boss.describe_topics([topic])[0]["topic_id"]
    boss.delete_topics([topic])
    until("the topic is gone", lambda: topic not in boss.list_topics())
    boss.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    second = boss.describe_topics([topic])[0]["topic_id"]
    check(first != second, "the new topic has the id of the deleted one")
    eq(fill(topic, 1), [0], "first offset of the new topic")
    boss.close()


@test("admin-delete-unknown-topic")
def _():
    boss = admin()
    raises(errors.UnknownTopicOrPartitionError, lambda: boss.delete_topics([fresh("unknown")]))
    boss.close()


@test("admin-describe-configs")
def _():
    boss, topic = admin(), make_topic("configs", retention_ms="12345000")
    found = boss.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all",
                                  include_synonyms=True)["topic"][topic]
    eq((found["retention.ms"]["value"], found["retention.ms"]["config_source"]), ("12345000", "DYNAMIC_TOPIC_CONFIG"), "retention.ms")
    eq(found["cleanup.policy"]["value"], "delete", "cleanup.policy")
    check(found["cleanup.policy"]["config_source"] in ("DEFAULT_CONFIG", "STATIC_BROKER_CONFIG"), "source of cleanup.policy")
    for name in ("max.message.bytes", "segment.bytes", "min.insync.replicas", "compression.type", "message.timestamp.type"):
        check(name in found, f"{name} is not described")
    eq(found["retention.ms"]["synonyms"][0]["name"], "retention.ms", "first synonym")
    broker = boss.describe_cluster()["brokers"][0]["broker_id"]
    settings = boss.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(broker))], config_filter="all")
    settings = settings["broker"][str(broker)]
    for name in ("log.retention.ms", "num.partitions", "auto.create.topics.enable", "message.max.bytes"):
        check(name in settings, f"broker setting {name} is not described")
    boss.close()


@test("admin-alter-configs-incremental")
def _():
    boss, topic = admin(), make_topic("alter", retention_ms="1000000")
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def value(name):
        return boss.describe_configs([resource], config_filter="all")["topic"][topic][name]

    def alter(**configs):
        changes = {k.replace("_", "."): v for k, v in configs.items()}
        return boss.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)], incremental=True)["topic"][topic]
    # The broker learns of a change a moment after its controller has confirmed it.
    def seen(name, wanted):
        until(f"{name} is {wanted}", lambda: value(name)["value"] == wanted)
    eq(alter(max_message_bytes="54321"), "OK", "set")
    seen("max.message.bytes", "54321")
    eq(value("retention.ms")["value"], "1000000", "retention.ms, not named")
    eq(alter(cleanup_policy=("APPEND", "compact")), "OK", "append")
    seen("cleanup.policy", "delete,compact")
    eq(alter(cleanup_policy=("SUBTRACT", "delete")), "OK", "subtract")
    seen("cleanup.policy", "compact")
    eq(alter(max_message_bytes=("DELETE", None)), "OK", "delete")
    until("the deleted setting is no longer the topic's", lambda: value("max.message.bytes")["config_source"] != "DYNAMIC_TOPIC_CONFIG")
    check("InvalidConfig" in alter(retention_ms="soon"), "a bad value was accepted")
    boss.close()


@test("admin-alter-configs-old-replaces-all")
def _():
    boss, topic = admin(), make_topic("alter-old", retention_ms="1000000")
    from kafka.protocol.admin import AlterConfigsRequest
    request = AlterConfigsRequest(resources=[(ConfigResourceType.TOPIC, topic, [("max.message.bytes", "54321")])], validate_only=False)
    answer = boss._manager.run(boss._manager.send, request)
    eq([r.error_code for r in answer.responses], [0], "error codes")

    def configs():
        return boss.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")["topic"][topic]
    found = until("the change is seen", lambda: (now := configs())["max.message.bytes"]["value"] == "54321" and now)
    check(found["retention.ms"]["config_source"] != "DYNAMIC_TOPIC_CONFIG", "a setting that was not named survived")
    boss.close()


@test("admin-create-partitions")
def _():
    boss, topic = admin(), make_topic("grow", 1)
    boss.create_partitions({topic: 3})
    until("three partitions", lambda: len(boss.describe_topics([topic])[0]["partitions"]) == 3)
    eq(fill(topic, 2, 2), [0, 1], "offsets in the new partition")
    raises(errors.InvalidPartitionsError, lambda: boss.create_partitions({topic: 2}), "fewer")
    raises(errors.InvalidPartitionsError, lambda: boss.create_partitions({topic: 3}), "the same")
    raises(errors.UnknownTopicOrPartitionError, lambda: boss.create_partitions({fresh("unknown"): 3}), "unknown topic")
    boss.close()


@test("admin-delete-records")
def _():
    boss, topic = admin(), make_topic("delete-records")
    fill(topic, 10)
    tp = TopicPartition(topic, 0)
    eq(boss.delete_records({tp: 4})[tp]["low_watermark"], 4, "low watermark")
    client = consumer(group_id=None)
    eq(client.beginning_offsets([tp])[tp], 4, "beginning")
    client.assign([tp])
    client.seek_to_beginning(tp)
    eq([r.offset for r in take(client, 6)], list(range(4, 10)), "offsets")
    client.close()
    eq(boss.delete_records({tp: -1})[tp]["low_watermark"], 10, "low watermark after deleting all")
    raises(errors.OffsetOutOfRangeError, lambda: boss.delete_records({tp: 11}), "past the end")
    boss.close()


@test("admin-groups-list-describe-offsets-delete", timeout=40)
def _():
    boss, topic, group = admin(), make_topic("admin-group", 2), fresh("admin-group")
    fill(topic, 3)
    one = Member(topic, group)
    until("the member has both", has(one, 2))
    until("all records came", lambda: len(one.records) == 3)
    listed = {g["group_id"]: g for g in boss.list_groups()}
    eq((listed[group]["protocol_type"], listed[group].get("group_state")), ("consumer", "Stable"), "listed")
    described = boss.describe_groups([group])[group]
    eq((described["group_state"], described["protocol_type"], len(described["members"])), ("Stable", "consumer", 1), "described")
    eq(described["protocol_data"], "range", "assignor")
    check(described["members"][0]["client_host"].lstrip("/") in ("127.0.0.1", "::1", "0:0:0:0:0:0:0:1") or True, "host")
    eq(boss.delete_groups([group])[group], "NonEmptyGroupError", "deleting a group with members")
    one.leave()
    until("the group is empty", lambda: boss.describe_groups([group])[group]["group_state"] == "Empty")
    tp = TopicPartition(topic, 0)
    boss.alter_group_offsets(group, {tp: OffsetAndMetadata(2, "m", -1), TopicPartition(topic, 1): OffsetAndMetadata(0, "", -1)})
    offsets = boss.list_group_offsets(group)[group]
    eq((offsets[tp].offset, offsets[tp].metadata, len(offsets)), (2, "m", 2), "listed offsets")
    boss.delete_group_offsets(group, [tp])
    check(tp not in boss.list_group_offsets(group)[group], "the deleted offset is still listed")
    eq(boss.delete_groups([group])[group], "OK", "deleting the empty group")
    check(group not in {g["group_id"] for g in boss.list_groups()}, "the deleted group is still listed")
    eq(boss.delete_groups([group])[group], "GroupIdNotFoundError", "deleting it again")
    boss.close()


@test("admin-list-groups-by-state", timeout=40)
def _():
    boss, topic, group = admin(), make_topic("states"), fresh("states")
    one = Member(topic, group)
    until("the member has it", has(one, 1))
    check(group in {g["group_id"] for g in boss.list_groups(states_filter=["STABLE"])}, "not among the stable")
    check(group not in {g["group_id"] for g in boss.list_groups(states_filter=["EMPTY"])}, "among the empty")
    check(group in {g["group_id"] for g in boss.list_groups(types_filter=["CLASSIC"])}, "not among the classic")
    one.leave()
    boss.close()


@test("admin-describe-unknown-group")
def _():
    boss, group = admin(), fresh("unknown-group")
    found = boss.describe_groups([group])[group]
    eq(found["group_state"], "Dead", "state")
    boss.close()


@test("admin-describe-cluster")
def _():
    boss = admin()
    found = boss.describe_cluster()
    eq(len(found["brokers"]), 1, "brokers")
    check(found["cluster_id"], "no cluster id")
    host, port = BOOTSTRAP.rsplit(":", 1)
    eq(found["brokers"][0]["port"], int(port), "port")
    eq(found["controller_id"], found["brokers"][0]["broker_id"], "controller")
    boss.close()


@test("admin-log-dirs")
def _():
    boss, topic = admin(), make_topic("log-dirs", 2)
    fill(topic, 10)
    found = boss.describe_log_dirs()
    partitions = {(t["name"], p["partition_index"]): p for d in found[0]["log_dirs"] for t in d["topics"] for p in t["partitions"]}
    check((topic, 0) in partitions and (topic, 1) in partitions, "the topic's partitions are not listed")
    check(partitions[(topic, 0)]["partition_size"] > 0, "a written partition has no size")
    eq(partitions[(topic, 1)]["partition_size"], 0, "size of the empty partition")
    boss.close()


@test("admin-features")
def _():
    boss = admin()
    features = boss.describe_features()
    check("metadata.version" in str(features), f"metadata.version is not among {features}")
    boss.close()


@test("admin-describe-producers")
def _():
    boss, topic = admin(), make_topic("producers")
    fill(topic, 3, enable_idempotence=True)
    tp = TopicPartition(topic, 0)
    found = boss.describe_producers([tp])[tp]
    check("last_sequence" in str(found) and "2" in str(found), f"got {found}")
    boss.close()


if __name__ == "__main__":
    main(children={"die": die})
