"""kafka-python 2.0.2: the release most old scripts carry. Old request versions, message sets probed with ApiVersions v0."""

import logging
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

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
    return KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **settings)


def make_topic(label, partitions=1, **configs):
    name = fresh(label)
    client = admin()
    client.create_topics([NewTopic(name, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()})])
    until("the topic has leaders", lambda: all(p["error_code"] == 0 and p["leader"] >= 0 for t in client.describe_topics([name])
                                               for p in t["partitions"] or [{"error_code": 3}]))
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


def take(client, count, seconds=20):
    records = []
    deadline = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < deadline:
        for batch in client.poll(timeout_ms=200).values():
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
        self.assigned, self.records = set(), []
        self._stop = threading.Event()
        self.client = consumer(group_id=group, **settings)
        self.client.subscribe([topic])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for batch in self.client.poll(timeout_ms=100).values():
                self.records.extend(batch)
            self.assigned = {tp.partition for tp in self.client.assignment()}
        self.client.close(autocommit=False)

    def leave(self):
        self._stop.set()
        self._thread.join(15)


def has(member, count):
    return lambda: len(member.assigned) == count


# -- produce and read back ------------------------------------------------------------------------------------------

def round_trip(codec, acks):
    topic = make_topic("round-trip")
    client = producer(compression_type=None if codec == "none" else codec, acks=acks if acks == "all" else int(acks), linger_ms=20)
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


@test("produce-auto-creates-topic")
def _():
    topic = fresh("auto-created")
    eq(fill(topic, 3), [0, 1, 2], "offsets")
    eq([r.value for r in read_all(topic, 3)], [b"0", b"1", b"2"], "values")


@test("produce-in-order-over-many-batches")
def _():
    topic = make_topic("ordered")
    client = producer(acks="all", batch_size=200, linger_ms=1, max_in_flight_requests_per_connection=1)
    sent = [client.send(topic, b"%06d" % n) for n in range(2000)]
    client.flush(20)
    eq([f.get(20).offset for f in sent], list(range(2000)), "offsets")
    client.close()
    eq([r.value for r in read_all(topic, 2000)], [b"%06d" % n for n in range(2000)], "values")


@test("produce-message-too-large")
def _():
    topic = make_topic("too-large", max_message_bytes="2000")
    client = producer(max_request_size=10_000_000)
    raises(errors.MessageSizeTooLargeError, lambda: client.send(topic, b"x" * 5000).get(20), "send")
    eq(client.send(topic, b"small").get(20).offset, 0, "offset after the refusal")
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


@test("consume-by-iterating")
def _():
    topic = make_topic("iterate")
    fill(topic, 10)
    client = consumer(topic, group_id=fresh("group"), consumer_timeout_ms=15_000)
    values = []
    for record in client:
        values.append(record.value)
        if len(values) == 10:
            break
    client.close(autocommit=False)
    eq(values, [b"%d" % n for n in range(10)], "values")


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


@test("consume-old-fetch-version")
def _():
    # The oldest fetch a broker still serves (v4), as this client sends it when told of Kafka 1.0.
    topic = make_topic("old-fetch")
    fill(topic, 5, api_version=(1, 0))
    eq([r.value for r in read_all(topic, 5, api_version=(1, 0))], [b"%d" % n for n in range(5)], "values")


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
    client.close()


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
    client.commit({tp: OffsetAndMetadata(42, "сказано: здесь")})
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
    boss = admin()
    eq(boss.list_consumer_group_offsets(group)[TopicPartition(topic, 0)].offset, 5, "committed")
    boss.close()


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
        client.poll(timeout_ms=100)
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


@test("group-round-robin", timeout=40)
def _():
    topic, group = make_topic("round-robin", 4), fresh("group")
    settings = {"partition_assignment_strategy": (RoundRobinPartitionAssignor,)}
    one = Member(topic, group, **settings)
    until("the first member has all", has(one, 4))
    two = Member(topic, group, **settings)
    until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
    eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
    two.leave()
    one.leave()


@test("group-pattern", timeout=40)
def _():
    mark, group = fresh("pattern"), fresh("group")
    fill(f"{mark}-a", 1)
    fill(f"{mark}-b", 1)
    client = consumer(group_id=group)
    client.subscribe(pattern=f"^{mark}-.*")
    eq({r.topic for r in take(client, 2)}, {f"{mark}-a", f"{mark}-b"}, "topics")
    client.close(autocommit=False)


@test("group-join-with-too-short-a-session")
def _():
    client = consumer(make_topic("short"), group_id=fresh("group"), session_timeout_ms=100, heartbeat_interval_ms=30,
                      max_poll_interval_ms=5000)
    raises(errors.InvalidSessionTimeoutError, lambda: client.poll(timeout_ms=5000), "poll")
    client.close(autocommit=False)


# -- admin ----------------------------------------------------------------------------------------------------------

@test("admin-create-list-describe-delete-topic")
def _():
    boss, topic = admin(), fresh("admin")
    boss.create_topics([NewTopic(topic, 3, 1)])
    until("the topic is listed", lambda: topic in boss.list_topics())
    found = boss.describe_topics([topic])[0]
    eq((found["topic"], len(found["partitions"]), found["is_internal"]), (topic, 3, False), "description")
    boss.delete_topics([topic])
    until("the topic is gone", lambda: topic not in boss.list_topics())
    boss.close()


@test("admin-create-topic-twice")
def _():
    boss, topic = admin(), make_topic("twice")
    raises(errors.TopicAlreadyExistsError, lambda: boss.create_topics([NewTopic(topic, 1, 1)]))
    raises(errors.TopicAlreadyExistsError, lambda: boss.create_topics([NewTopic(topic, 1, 1)], validate_only=True))
    boss.close()


@test("admin-create-topic-refusals")
def _():
    boss = admin()

    def create(*what, **more):
        return lambda: boss.create_topics([NewTopic(*what, **more)])
    raises(errors.InvalidTopicError, create("not a topic!", 1, 1), "invalid name")
    raises(errors.InvalidPartitionsError, create(fresh("t"), 0, 1), "no partitions")
    raises(errors.InvalidReplicationFactorError, create(fresh("t"), 1, 99), "too many replicas")
    raises(errors.InvalidConfigurationError, create(fresh("t"), 1, 1, topic_configs={"retention.ms": "soon"}), "bad value")
    boss.close()


@test("admin-create-topic-with-assignments")
def _():
    boss, topic = admin(), fresh("assigned")
    broker = boss.describe_cluster()["brokers"][0]["node_id"]
    boss.create_topics([NewTopic(topic, -1, -1, replica_assignments={0: [broker], 1: [broker]})])
    until("two partitions", lambda: len(boss.describe_topics([topic])[0]["partitions"]) == 2)
    boss.close()


@test("admin-describe-unknown-topic")
def _():
    boss, topic = admin(), fresh("unknown")
    # This client always allows creation, so the answer is 3 or, with the topic being made, 5 or 0.
    check(boss.describe_topics([topic])[0]["error_code"] in (0, 3, 5), "error code")
    boss.close()


@test("admin-delete-unknown-topic")
def _():
    boss = admin()
    raises(errors.UnknownTopicOrPartitionError, lambda: boss.delete_topics([fresh("unknown")]))
    boss.close()


def topic_configs(boss, topic):
    answer = boss.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])[0].to_object()
    eq([r["error_code"] for r in answer["resources"]], [0], "error codes")
    return {c["config_names"]: c for c in answer["resources"][0]["config_entries"]}


@test("admin-describe-configs")
def _():
    boss, topic = admin(), make_topic("configs", retention_ms="12345000")
    found = topic_configs(boss, topic)
    eq((found["retention.ms"]["config_value"], found["retention.ms"]["config_source"]), ("12345000", 1), "retention.ms")
    eq(found["cleanup.policy"]["config_value"], "delete", "cleanup.policy")
    broker = str(boss.describe_cluster()["brokers"][0]["node_id"])
    answer = boss.describe_configs([ConfigResource(ConfigResourceType.BROKER, broker)])[0].to_object()
    names = {c["config_names"] for c in answer["resources"][0]["config_entries"]}
    check({"num.partitions", "log.retention.ms", "message.max.bytes"} <= names, "broker settings are missing")
    boss.close()


@test("admin-alter-configs")
def _():
    # The old AlterConfigs: what is not named goes back to its default.
    boss, topic = admin(), make_topic("alter", retention_ms="1000000")
    boss.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "54321"})])
    until("the change is seen", lambda: topic_configs(boss, topic)["max.message.bytes"]["config_value"] == "54321")
    check(topic_configs(boss, topic)["retention.ms"]["config_source"] != 1, "a setting that was not named survived")
    boss.close()


@test("admin-create-partitions")
def _():
    boss, topic = admin(), make_topic("grow", 1)
    boss.create_partitions({topic: NewPartitions(3)})
    until("three partitions", lambda: len(boss.describe_topics([topic])[0]["partitions"]) == 3)
    eq(fill(topic, 2, 2), [0, 1], "offsets in the new partition")
    raises(errors.InvalidPartitionsError, lambda: boss.create_partitions({topic: NewPartitions(2)}), "fewer")
    boss.close()


@test("admin-groups-list-describe-offsets-delete", timeout=40)
def _():
    boss, topic, group = admin(), make_topic("admin-group", 2), fresh("admin-group")
    fill(topic, 3)
    one = Member(topic, group)
    until("the member has both", has(one, 2))
    until("all records came", lambda: len(one.records) == 3)
    check((group, "consumer") in boss.list_consumer_groups(), "the group is not listed")
    described = boss.describe_consumer_groups([group])[0]
    eq((described.state, described.protocol_type, described.protocol, len(described.members)), ("Stable", "consumer", "range", 1),
       "described")
    one.leave()
    until("the group is empty", lambda: boss.describe_consumer_groups([group])[0].state == "Empty")
    tp = TopicPartition(topic, 0)
    client = consumer(group_id=group)
    client.assign([tp])
    client.commit({tp: OffsetAndMetadata(2, "m")})
    client.close(autocommit=False)
    found = boss.list_consumer_group_offsets(group)
    eq((found[tp].offset, found[tp].metadata), (2, "m"), "listed offsets")
    eq(boss.delete_consumer_groups([group])[0][1], errors.NoError, "deleting the empty group")
    check((group, "consumer") not in boss.list_consumer_groups(), "the deleted group is still listed")
    eq(boss.delete_consumer_groups([group])[0][1], errors.GroupIdNotFoundError, "deleting it again")
    boss.close()


@test("admin-describe-unknown-group")
def _():
    boss, group = admin(), fresh("unknown-group")
    eq(boss.describe_consumer_groups([group])[0].state, "Dead", "state")
    boss.close()


@test("admin-describe-cluster")
def _():
    boss = admin()
    found = boss.describe_cluster()
    eq((len(found["brokers"]), found["brokers"][0]["port"]), (1, int(BOOTSTRAP.rsplit(":", 1)[1])), "brokers")
    check(found["cluster_id"], "no cluster id")
    boss.close()


if __name__ == "__main__":
    main(children={"die": die})
