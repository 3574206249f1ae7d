"""confluent-kafka 2.16, that is librdkafka: the C client under Python, .NET, Go, PHP, Ruby and Rust bindings."""

import threading
import time
import warnings

from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Consumer,
                             ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, IsolationLevel, KafkaError,
                             KafkaException, Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions,
                                   NewTopic, OffsetSpec, ResourceType)

from suite import (ACKS, BOOTSTRAP, CODECS, SESSION_MS, check, child, child_says, eq, fresh, kill, main, raises, sample, test,
                   until)

warnings.simplefilter("ignore", DeprecationWarning)  # alter_configs is old on purpose
PROTOCOLS = ["classic", "consumer"]
QUIET = {"bootstrap.servers": BOOTSTRAP, "log_level": 0, "error_cb": lambda error: None,
         "topic.metadata.refresh.fast.interval.ms": 50, "retry.backoff.ms": 50}


# -- the client, shortened ------------------------------------------------------------------------------------------

def dots(settings):
    return {key.replace("_", "."): value for key, value in settings.items()}


ADMIN, ONE_AT_A_TIME = [], threading.Lock()


def admin():
    # One for all, also when several tests ask first: an admin client that is collected cancels what it was asked.
    with ONE_AT_A_TIME:
        if not ADMIN:
            ADMIN.append(AdminClient(QUIET))
    return ADMIN[0]


def result(futures):
    """The value of the only future, or its error."""
    (future,) = futures.values()
    return future.result(20)


def code(act, *codes, what="call"):
    error = raises(KafkaException, act, what).args[0]
    check(error.code() in codes, f"{what}: got {error.name()}: {error.str()}")
    return error


def producer(**settings):
    return Producer(QUIET | {"linger.ms": 5} | dots(settings))


def consumer(group=None, **settings):
    base = {"group.id": group or fresh("no-group"), "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 1000}
    if settings.get("group_protocol") != "consumer":
        base |= {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 300}
    return Consumer(QUIET | base | dots(settings))


def make_topic(label, partitions=1, **configs):
    name = fresh(label)
    boss = admin()
    result(boss.create_topics([NewTopic(name, partitions, 1, config=dots(configs))]))
    until("the topic has leaders", lambda: len(found := boss.list_topics(name, timeout=10).topics[name].partitions) == partitions
          and all(p.leader >= 0 for p in found.values()))
    return name


def send(client, topic, records):
    """Produces (value, partition, …) dictionaries and returns the delivered messages in order."""
    delivered, failed = [], []

    def report(error, message):
        failed.append(error) if error else delivered.append(message)
    for record in records:
        client.produce(topic, on_delivery=report, **record)
        client.poll(0)
    left = client.flush(20)
    if failed:
        raise KafkaException(failed[0])
    eq(left, 0, "messages left in the queue")
    return delivered


def fill(topic, count, partition=0, start=0, timestamp=None, **settings):
    records = [{"value": b"%d" % n, "partition": partition} | ({} if timestamp is None else {"timestamp": timestamp + n})
               for n in range(start, start + count)]
    return [m.offset() for m in send(producer(**settings), topic, records)]


def take(client, count, seconds=20):
    messages = []
    deadline = time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        for message in client.consume(count - len(messages), timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            messages.append(message)
    eq(len(messages), count, "records read")
    return messages


def read_all(topic, count, partition=0, **settings):
    client = consumer(**settings)
    client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    messages = take(client, count)
    client.close()
    return messages


class Member:
    """A group member that is polled by whoever waits for it."""

    def __init__(self, topic, group, **settings):
        self.messages, self.revocations, self.lost, self.error = [], 0, 0, None
        self.client = consumer(group, **settings)
        self.client.subscribe([topic], on_revoke=self._revoked, on_lost=self._lost)

    def _revoked(self, client, partitions):
        self.revocations += bool(partitions)

    def _lost(self, client, partitions):
        self.lost += 1

    def poll(self):
        for message in self.client.consume(100, timeout=0.05):
            if message.error():
                self.error = message.error()
            else:
                self.messages.append(message)

    @property
    def assigned(self):
        return {p.partition for p in self.client.assignment()}

    def leave(self):
        self.client.close()


def settle(what, question, *members, seconds=20):
    def ask():
        for member in members:
            member.poll()
        return question()
    return until(what, ask, seconds)


# -- produce and read back ------------------------------------------------------------------------------------------

def round_trip(codec, acks):
    topic = make_topic("round-trip")
    records = sample()
    send(producer(compression_type=codec, acks=acks), topic,
         [{"key": k, "value": v, "headers": h, "timestamp": t} for k, v, h, t in records])
    got = read_all(topic, len(records))
    eq([(m.key(), m.value(), m.headers() or [], m.timestamp()) for m in got],
       [(k, v, h, (TIMESTAMP_CREATE_TIME, t)) for k, v, h, t in records], "records")
    eq([m.offset() for m in got], list(range(len(records))), "offsets")


for _codec in CODECS:
    for _acks in ACKS:
        test(f"produce-{_codec}-acks-{_acks}")(lambda codec=_codec, acks=_acks: round_trip(codec, acks))


@test("produce-delivery-report")
def _():
    topic = make_topic("sent", 2)
    first, second = send(producer(), topic, [{"value": b"a", "partition": 1, "timestamp": 1234567}, {"value": b"b", "partition": 1}])
    eq((first.topic(), first.partition(), first.offset(), first.timestamp()[1]), (topic, 1, 0, 1234567), "first report")
    eq(second.offset(), 1, "second offset")


@test("produce-null-header-value")
def _():
    topic = make_topic("null-header")
    send(producer(), topic, [{"value": b"v", "headers": [("null", None), ("empty", b"")]}])
    eq(read_all(topic, 1)[0].headers(), [("null", None), ("empty", b"")], "headers")


@test("produce-log-append-time")
def _():
    topic = make_topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000) - 5000
    send(producer(), topic, [{"value": b"a", "timestamp": 1000}])
    kind, timestamp = read_all(topic, 1)[0].timestamp()
    eq(kind, TIMESTAMP_LOG_APPEND_TIME, "timestamp type")
    check(timestamp > before, f"timestamp {timestamp} is the producer's")


@test("produce-auto-creates-topic")
def _():
    topic = fresh("auto-created")
    eq(fill(topic, 3), [0, 1, 2], "offsets")
    eq([m.value() for m in read_all(topic, 3)], [b"0", b"1", b"2"], "values")


@test("produce-idempotent-in-order")
def _():
    topic = make_topic("idempotent")
    sent = send(producer(enable_idempotence=True, batch_num_messages=20, linger_ms=1), topic,
                [{"value": b"%06d" % n} for n in range(2000)])
    eq([m.offset() for m in sent], list(range(2000)), "offsets")
    eq([m.value() for m in read_all(topic, 2000)], [b"%06d" % n for n in range(2000)], "values")


@test("produce-keys-keep-their-partition")
def _():
    topic = make_topic("keyed", 4)
    where = {}
    for message in send(producer(), topic, [{"key": b"key-%d" % (n % 6), "value": b"v"} for n in range(60)]):
        where.setdefault(message.key(), set()).add(message.partition())
    check(all(len(partitions) == 1 for partitions in where.values()), f"a key moved: {where}")


@test("produce-message-too-large")
def _():
    topic = make_topic("too-large", max_message_bytes="2000")
    client = producer(message_max_bytes=10_000_000)
    code(lambda: send(client, topic, [{"value": b"x" * 5000}]), KafkaError.MSG_SIZE_TOO_LARGE, what="send")
    eq(send(client, topic, [{"value": b"small"}])[0].offset(), 0, "offset after the refusal")


@test("produce-one-megabyte")
def _():
    topic = make_topic("big", max_message_bytes="5000000")
    value = bytes(range(256)) * 8192
    send(producer(message_max_bytes=4_000_000), topic, [{"value": value}])
    eq(read_all(topic, 1)[0].value() == value, True, "the large value came back")


@test("produce-invalid-topic-name")
def _():
    code(lambda: send(producer(message_timeout_ms=8000), "not a topic!", [{"value": b"x"}]), KafkaError.TOPIC_EXCEPTION,
         KafkaError._UNKNOWN_TOPIC, what="send")


@test("produce-null-key-to-compacted-topic-refused")
def _():
    topic = make_topic("compacted", cleanup_policy="compact")
    code(lambda: send(producer(), topic, [{"value": b"x"}]), KafkaError.INVALID_RECORD, what="send")
    eq(send(producer(), topic, [{"value": b"x", "key": b"k"}])[0].offset(), 0, "offset of a keyed record")


@test("produce-unknown-partition")
def _():
    topic = make_topic("one-partition")
    code(lambda: send(producer(message_timeout_ms=8000), topic, [{"value": b"x", "partition": 7}]),
         KafkaError._UNKNOWN_PARTITION, what="send")


# -- read -----------------------------------------------------------------------------------------------------------

@test("consume-without-group")
def _():
    topic = make_topic("no-group", 3)
    for partition in range(3):
        fill(topic, 10, partition)
    client = consumer()
    client.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(3)])
    messages = take(client, 30)
    client.close()
    for partition in range(3):
        eq([m.value() for m in messages if m.partition() == partition], [b"%d" % n for n in range(10)], f"partition {partition}")


@test("consume-from-the-middle-of-a-batch")
def _():
    topic = make_topic("middle")
    fill(topic, 50, linger_ms=300)
    client = consumer()
    client.assign([TopicPartition(topic, 0, 33)])
    eq([m.offset() for m in take(client, 17)], list(range(33, 50)), "offsets")
    client.seek(TopicPartition(topic, 0, 10))
    eq(take(client, 1)[0].offset(), 10, "offset after the seek")
    client.close()


@test("consume-latest-sees-only-new")
def _():
    topic = make_topic("latest")
    fill(topic, 5)
    client = consumer(enable_partition_eof=True)
    client.assign([TopicPartition(topic, 0, OFFSET_END)])
    end = until("the end is reached", lambda: client.poll(0.2))
    eq((end.error().code(), end.offset()), (KafkaError._PARTITION_EOF, 5), "end of partition")
    fill(topic, 2, start=5)
    eq([m.value() for m in take(client, 2)], [b"5", b"6"], "values")
    client.close()


@test("consume-offset-out-of-range")
def _():
    topic = make_topic("out-of-range")
    fill(topic, 5)
    client = consumer()
    client.assign([TopicPartition(topic, 0, 1000)])
    eq([m.offset() for m in take(client, 5)], list(range(5)), "offsets after the reset")
    client.close()
    strict = consumer(auto_offset_reset="error")
    strict.assign([TopicPartition(topic, 0, 1000)])
    message = until("the error came", lambda: strict.poll(0.2))
    check(message.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE), f"got {message.error()}")
    strict.close()


@test("consume-long-poll-wakes-on-append")
def _():
    topic = make_topic("long-poll")
    client = consumer(fetch_wait_max_ms=20_000, socket_timeout_ms=60_000)
    client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    client.poll(0.5)
    begun = time.monotonic()
    fill(topic, 1)
    take(client, 1)
    check(time.monotonic() - begun < 10, "the parked fetch was not woken by the append")
    client.close()


@test("consume-unknown-topic")
def _():
    topic = fresh("unknown")
    client = consumer()
    client.subscribe([topic])
    message = until("the error came", lambda: client.poll(0.2))
    eq(message.error().code(), KafkaError.UNKNOWN_TOPIC_OR_PART, "error")
    client.close()
    check(topic not in admin().list_topics(timeout=10).topics, "subscribing created the topic")


@test("consume-small-fetches-of-a-large-partition")
def _():
    topic = make_topic("small-fetches")
    send(producer(), topic, [{"value": b"x" * 20_000} for _ in range(30)])
    eq([m.offset() for m in read_all(topic, 30, max_partition_fetch_bytes=1000, fetch_max_bytes=1_000_000)], list(range(30)), "offsets")


@test("offsets-beginning-and-end")
def _():
    topic = make_topic("ends", 2)
    fill(topic, 7, 1)
    client = consumer()
    eq(client.get_watermark_offsets(TopicPartition(topic, 0), timeout=10), (0, 0), "empty partition")
    eq(client.get_watermark_offsets(TopicPartition(topic, 1), timeout=10), (0, 7), "filled partition")
    client.close()


@test("offsets-for-times")
def _():
    topic = make_topic("times")
    start = 1_600_000_000_000
    fill(topic, 20, timestamp=start, linger_ms=100, compression_type="lz4")
    client = consumer()

    def ask(timestamp):
        return client.offsets_for_times([TopicPartition(topic, 0, timestamp)], timeout=10)[0].offset
    eq([ask(t) for t in (0, start, start + 7, start + 19)], [0, 0, 7, 19], "offsets")
    eq(ask(start + 20), -1, "offset past the end")
    client.assign([TopicPartition(topic, 0, ask(start + 12))])
    eq(take(client, 8)[0].value(), b"12", "first value after the seek")
    client.close()


@test("offsets-listed-by-admin")
def _():
    topic = make_topic("list-offsets")
    send(producer(), topic, [{"value": b"x", "timestamp": t} for t in (5000, 9000, 7000)])
    tp = TopicPartition(topic, 0)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 3), (OffsetSpec.max_timestamp(), 1),
                         (OffsetSpec.for_timestamp(6000), 1)):
        eq(result(admin().list_offsets({tp: spec})).offset, offset, f"offset for {spec}")


# -- groups, in both protocols --------------------------------------------------------------------------------------

def in_both_protocols(name, timeout=40):
    def register(function):
        for protocol in PROTOCOLS:
            suffix = "" if protocol == "classic" else "-kip848"
            test(f"{name}{suffix}", timeout)(lambda protocol=protocol: function(protocol))
        return function
    return register


@in_both_protocols("group-commit-and-resume")
def _(protocol):
    topic, group = make_topic("resume"), fresh("group")
    fill(topic, 20)
    first = consumer(group, group_protocol=protocol)
    first.subscribe([topic])
    got = take(first, 8)
    first.commit(offsets=[TopicPartition(topic, 0, 8)], asynchronous=False)
    eq(first.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, 8, "committed")
    first.close()
    second = consumer(group, group_protocol=protocol)
    second.subscribe([topic])
    rest = take(second, 12)
    second.close()
    eq([m.offset() for m in got + rest], list(range(20)), "offsets over both consumers")


@in_both_protocols("group-auto-commit-on-close")
def _(protocol):
    topic, group = make_topic("auto-commit"), fresh("group")
    fill(topic, 5)
    client = consumer(group, group_protocol=protocol, enable_auto_commit=True)
    client.subscribe([topic])
    take(client, 5)
    client.close()
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    eq(result(admin().list_consumer_group_offsets([asked])).topic_partitions[0].offset, 5, "committed")


@in_both_protocols("group-rebalance-join-and-leave")
def _(protocol):
    topic, group = make_topic("rebalance", 4), fresh("group")
    one = Member(topic, group, group_protocol=protocol)
    settle("the first member has all", lambda: len(one.assigned) == 4, one)
    two = Member(topic, group, group_protocol=protocol)
    settle("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2, one, two)
    eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
    two.leave()
    settle("the first member has all again", lambda: len(one.assigned) == 4, one)
    for partition in range(4):
        fill(topic, 1, partition)
    settle("all records came", lambda: len(one.messages) == 4, one)
    one.leave()


def die(topic, group):
    member = Member(topic, group)
    while not member.assigned:
        member.poll()
    print("joined", flush=True)
    while True:
        member.poll()


@test("group-member-dies", timeout=50)
def _():
    topic, group = make_topic("dies", 4), fresh("group")
    victim = child("die", topic, group)
    child_says(victim, "joined")
    one = Member(topic, group)
    settle("both have half", lambda: len(one.assigned) == 2, one)
    kill(victim)
    settle("the survivor has all", lambda: len(one.assigned) == 4, one, seconds=25)
    one.leave()


@test("group-static-member-returns-without-rebalance", timeout=40)
def _():
    topic, group = make_topic("static", 4), fresh("group")
    settings = {"session_timeout_ms": 20_000}
    one = Member(topic, group, group_instance_id="one", **settings)
    settle("the first member has all", lambda: len(one.assigned) == 4, one)
    two = Member(topic, group, group_instance_id="two", **settings)
    settle("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2, one, two)
    before, held = one.revocations, two.assigned
    two.leave()
    back = Member(topic, group, group_instance_id="two", **settings)
    settle("the returned member has its half", lambda: back.assigned == held, one, back)
    eq(one.revocations, before, "revocations seen by the other member")
    one.leave()
    back.leave()


@test("group-static-member-returns-kip848", timeout=40)
def _():
    topic, group = make_topic("static", 4), fresh("group")
    one = Member(topic, group, group_instance_id="one", group_protocol="consumer")
    two = Member(topic, group, group_instance_id="two", group_protocol="consumer")
    settle("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2, one, two)
    held = two.assigned
    two.leave()
    back = Member(topic, group, group_instance_id="two", group_protocol="consumer")
    settle("the returned member has its half", lambda: back.assigned == held, one, back)
    one.leave()
    back.leave()


@test("group-static-member-fences-its-double", timeout=40)
def _():
    topic, group = make_topic("fenced"), fresh("group")
    one = Member(topic, group, group_instance_id="same", session_timeout_ms=20_000)
    settle("the first has it", lambda: len(one.assigned) == 1, one)
    two = Member(topic, group, group_instance_id="same", session_timeout_ms=20_000)
    settle("the first is fenced", lambda: one.error, one, two)
    check(one.error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL), f"got {one.error}")
    settle("the second has it", lambda: len(two.assigned) == 1, two)
    two.leave()


@test("group-cooperative-sticky", timeout=40)
def _():
    topic, group = make_topic("cooperative", 4), fresh("group")
    settings = {"partition_assignment_strategy": "cooperative-sticky"}
    one = Member(topic, group, **settings)
    settle("the first member has all", lambda: len(one.assigned) == 4, one)
    two = Member(topic, group, **settings)
    settle("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2, one, two)
    eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
    two.leave()
    settle("the first member has all again", lambda: len(one.assigned) == 4, one)
    eq((one.lost, two.lost), (0, 0), "partitions lost")
    one.leave()


@test("group-server-side-assignors-kip848", timeout=40)
def _():
    for assignor in ("range", "uniform"):
        topic, group = make_topic(assignor, 3), fresh("group")
        one = Member(topic, group, group_protocol="consumer", group_remote_assignor=assignor)
        settle(f"{assignor} gives all", lambda: len(one.assigned) == 3, one)
        found = result(admin().describe_consumer_groups([group]))
        eq((found.partition_assignor, found.type), (assignor, ConsumerGroupType.CONSUMER), "described")
        one.leave()


@in_both_protocols("group-pattern")
def _(protocol):
    mark, group = fresh("pattern"), fresh("group")
    fill(f"{mark}-a", 1)
    fill(f"{mark}-b", 1)
    client = consumer(group, group_protocol=protocol)
    client.subscribe([f"^{mark}-.*"])
    eq({m.topic() for m in take(client, 2)}, {f"{mark}-a", f"{mark}-b"}, "topics")
    client.close()


@test("group-commit-metadata-round-trip")
def _():
    topic, group = make_topic("commit-metadata"), fresh("group")
    client = consumer(group)
    offset = TopicPartition(topic, 0, 42, "сказано: здесь")
    client.commit(offsets=[offset], asynchronous=False)
    found = client.committed([TopicPartition(topic, 0)], timeout=10)[0]
    eq((found.offset, found.metadata), (42, "сказано: здесь"), "committed")
    client.close()


@test("group-new-partitions-are-picked-up", timeout=40)
def _():
    topic, group = make_topic("grow"), fresh("group")
    one = Member(topic, group)
    settle("one partition", lambda: one.assigned == {0}, one)
    result(admin().create_partitions([NewPartitions(topic, 3)]))
    settle("three partitions", lambda: one.assigned == {0, 1, 2}, one)
    one.leave()


# -- transactions ---------------------------------------------------------------------------------------------------

@test("transaction-commit-and-abort", timeout=40)
def _():
    topic = make_topic("transaction")
    client = producer(transactional_id=fresh("txn"))
    client.init_transactions(20)
    for outcome in ("commit", "abort", "commit"):
        client.begin_transaction()
        send(client, topic, [{"value": f"{outcome}-{n}".encode()} for n in range(3)])
        client.commit_transaction(20) if outcome == "commit" else client.abort_transaction(20)
    committed = read_all(topic, 6, isolation_level="read_committed")
    eq([m.value() for m in committed], [b"commit-0", b"commit-1", b"commit-2"] * 2, "read committed")
    eq([m.offset() for m in committed], [0, 1, 2, 8, 9, 10], "offsets beside markers and aborted records")
    eq(len(read_all(topic, 9, isolation_level="read_uncommitted")), 9, "read uncommitted")


@test("transaction-open-hides-records", timeout=40)
def _():
    topic = make_topic("open")
    client = producer(transactional_id=fresh("txn"))
    client.init_transactions(20)
    client.begin_transaction()
    send(client, topic, [{"value": b"hidden"}])
    boss = admin()

    def end(level):
        return result(boss.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()}, isolation_level=level)).offset
    eq(end(IsolationLevel.READ_COMMITTED), 0, "last stable offset while open")
    eq(end(IsolationLevel.READ_UNCOMMITTED), 1, "high watermark while open")
    client.commit_transaction(20)
    until("the transaction is seen", lambda: end(IsolationLevel.READ_COMMITTED) == 2)


@test("transaction-with-offsets", timeout=40)
def _():
    source, target, group = make_topic("source"), make_topic("target"), fresh("group")
    fill(source, 5)
    reader = consumer(group)
    reader.subscribe([source])
    take(reader, 5)
    client = producer(transactional_id=fresh("txn"))
    client.init_transactions(20)

    def committed():
        return reader.committed([TopicPartition(source, 0)], timeout=10)[0].offset
    for offset, finish in ((2, client.abort_transaction), (5, client.commit_transaction)):
        client.begin_transaction()
        client.produce(target, b"done %d" % offset)
        client.send_offsets_to_transaction([TopicPartition(source, 0, offset)], reader.consumer_group_metadata(), 20)
        finish(20)
        if offset == 2:
            check(committed() < 0, "the aborted offset is committed")
    until("the offset is committed", lambda: committed() == 5)
    reader.close()
    eq([m.value() for m in read_all(target, 1, isolation_level="read_committed")], [b"done 5"], "target")


@test("transaction-fences-the-older-producer", timeout=40)
def _():
    topic, transactional_id = make_topic("zombie"), fresh("txn")
    old = producer(transactional_id=transactional_id)
    old.init_transactions(20)
    old.begin_transaction()
    send(old, topic, [{"value": b"old"}])
    new = producer(transactional_id=transactional_id)
    new.init_transactions(20)

    def zombie():
        old.produce(topic, b"zombie")
        old.commit_transaction(20)
    error = raises(KafkaException, zombie, "commit of the fenced producer").args[0]
    check(error.fatal() and error.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH),
          f"got {error.name()}")
    new.begin_transaction()
    send(new, topic, [{"value": b"new"}])
    new.commit_transaction(20)
    eq([m.value() for m in read_all(topic, 1, isolation_level="read_committed")], [b"new"], "read committed")


@test("transaction-timeout-too-long")
def _():
    client = producer(transactional_id=fresh("txn"), transaction_timeout_ms=2_000_000_000)
    code(lambda: client.init_transactions(20), KafkaError.INVALID_TRANSACTION_TIMEOUT, what="init")


# -- admin ----------------------------------------------------------------------------------------------------------

@test("admin-create-list-describe-delete-topic")
def _():
    boss, topic = admin(), fresh("admin")
    result(boss.create_topics([NewTopic(topic, 3, 1)]))
    until("the topic is listed", lambda: topic in boss.list_topics(timeout=10).topics)
    found = result(boss.describe_topics(TopicCollection([topic])))
    eq((found.name, len(found.partitions), found.is_internal), (topic, 3, False), "description")
    eq([(len(p.replicas), len(p.isr)) for p in found.partitions], [(1, 1)] * 3, "replicas")
    result(boss.delete_topics([topic]))
    until("the topic is gone", lambda: topic not in boss.list_topics(timeout=10).topics)


@test("admin-create-topic-twice")
def _():
    boss, topic = admin(), make_topic("twice")
    code(lambda: result(boss.create_topics([NewTopic(topic, 1, 1)])), KafkaError.TOPIC_ALREADY_EXISTS)
    code(lambda: result(boss.create_topics([NewTopic(topic, 1, 1)], validate_only=True)), KafkaError.TOPIC_ALREADY_EXISTS)


@test("admin-create-topic-refusals")
def _():
    boss = admin()

    def create(*what, **more):
        return lambda: result(boss.create_topics([NewTopic(*what, **more)]))
    code(create("not a topic!", 1, 1), KafkaError.TOPIC_EXCEPTION, what="invalid name")
    code(create(fresh("t"), 1, 99), KafkaError.INVALID_REPLICATION_FACTOR, what="too many replicas")
    code(create(fresh("t"), 1, 1, config={"no.such.config": "1"}), KafkaError.INVALID_CONFIG, what="unknown config")
    code(create(fresh("t"), 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG, what="bad value")


@test("admin-create-topic-with-assignments")
def _():
    boss, topic = admin(), fresh("assigned")
    broker = result({0: boss.describe_cluster()}).controller.id
    result(boss.create_topics([NewTopic(topic, 2, replica_assignment=[[broker], [broker]])]))
    until("two partitions", lambda: topic in (found := boss.list_topics(timeout=10).topics) and len(found[topic].partitions) == 2)
    code(lambda: result(boss.create_topics([NewTopic(fresh("t"), 1, replica_assignment=[[999]])])),
         KafkaError.INVALID_REPLICA_ASSIGNMENT, what="unknown broker")


@test("admin-create-topic-default-partitions")
def _():
    boss, topic = admin(), fresh("defaults")
    result(boss.create_topics([NewTopic(topic)]))
    until("a partition", lambda: topic in (found := boss.list_topics(timeout=10).topics) and len(found[topic].partitions) >= 1)


@test("admin-describe-unknown-topic")
def _():
    boss, topic = admin(), fresh("unknown")
    code(lambda: result(boss.describe_topics(TopicCollection([topic]))), KafkaError.UNKNOWN_TOPIC_OR_PART)
    check(topic not in boss.list_topics(timeout=10).topics, "describing created the topic")


@test("admin-delete-unknown-topic")
def _():
    code(lambda: result(admin().delete_topics([fresh("unknown")])), KafkaError.UNKNOWN_TOPIC_OR_PART)


def configs(topic):
    return result(admin().describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))


@test("admin-describe-configs")
def _():
    topic = make_topic("configs", retention_ms="12345000")
    found = configs(topic)
    eq((found["retention.ms"].value, found["retention.ms"].source), ("12345000", ConfigSource.DYNAMIC_TOPIC_CONFIG.value),
       "retention.ms")
    eq((found["cleanup.policy"].value, found["cleanup.policy"].is_default), ("delete", True), "cleanup.policy")
    check(found["retention.ms"].synonyms, "no synonyms")
    broker = str(result({0: admin().describe_cluster()}).controller.id)
    settings = result(admin().describe_configs([ConfigResource(ResourceType.BROKER, broker)]))
    for name in ("log.retention.ms", "num.partitions", "auto.create.topics.enable", "message.max.bytes", "advertised.listeners"):
        check(name in settings, f"broker setting {name} is not described")
    check(settings["advertised.listeners"].is_read_only, "advertised.listeners is not read-only")


@test("admin-describe-configs-of-unknown-topic")
def _():
    code(lambda: configs(fresh("unknown")), KafkaError.UNKNOWN_TOPIC_OR_PART)


@test("admin-alter-configs-incremental")
def _():
    boss, topic = admin(), make_topic("alter", retention_ms="1000000")

    def alter(name, operation, value):
        entry = ConfigEntry(name, value, incremental_operation=operation)
        return result(boss.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]))
    # The broker learns of a change a moment after its controller has confirmed it.
    def seen(name, value):
        until(f"{name} is {value}", lambda: configs(topic)[name].value == value)
    alter("max.message.bytes", AlterConfigOpType.SET, "54321")
    seen("max.message.bytes", "54321")
    eq(configs(topic)["retention.ms"].value, "1000000", "the one not named")
    alter("cleanup.policy", AlterConfigOpType.APPEND, "compact")
    seen("cleanup.policy", "delete,compact")
    alter("cleanup.policy", AlterConfigOpType.SUBTRACT, "delete")
    seen("cleanup.policy", "compact")
    alter("max.message.bytes", AlterConfigOpType.DELETE, None)
    until("the deleted setting is back at its default", lambda: configs(topic)["max.message.bytes"].is_default)
    code(lambda: alter("retention.ms", AlterConfigOpType.SET, "soon"), KafkaError.INVALID_CONFIG, what="bad value")


@test("admin-alter-configs-old-replaces-all")
def _():
    topic = make_topic("alter-old", retention_ms="1000000")
    result(admin().alter_configs([ConfigResource(ResourceType.TOPIC, topic, set_config={"max.message.bytes": "54321"})]))
    until("the change is seen", lambda: configs(topic)["max.message.bytes"].value == "54321")
    check(configs(topic)["retention.ms"].is_default, "a setting that was not named survived")


@test("admin-create-partitions")
def _():
    boss, topic = admin(), make_topic("grow")
    result(boss.create_partitions([NewPartitions(topic, 3)]))
    until("three partitions", lambda: len(boss.list_topics(topic, timeout=10).topics[topic].partitions) == 3)
    eq(fill(topic, 2, 2), [0, 1], "offsets in the new partition")
    code(lambda: result(boss.create_partitions([NewPartitions(topic, 2)])), KafkaError.INVALID_PARTITIONS, what="fewer")


@test("admin-delete-records")
def _():
    boss, topic = admin(), make_topic("delete-records")
    fill(topic, 10)
    eq(result(boss.delete_records([TopicPartition(topic, 0, 4)])).low_watermark, 4, "low watermark")
    eq([m.offset() for m in read_all(topic, 6)], list(range(4, 10)), "offsets")
    eq(result(boss.delete_records([TopicPartition(topic, 0, OFFSET_END)])).low_watermark, 10, "after deleting all")
    code(lambda: result(boss.delete_records([TopicPartition(topic, 0, 11)])), KafkaError.OFFSET_OUT_OF_RANGE, what="past the end")


@in_both_protocols("admin-groups-list-describe-offsets-delete")
def _(protocol):
    boss, topic, group = admin(), make_topic("admin-group", 2), fresh("admin-group")
    one = Member(topic, group, group_protocol=protocol, client_id="the-client")
    settle("the member has both", lambda: len(one.assigned) == 2, one)
    kind = ConsumerGroupType.CLASSIC if protocol == "classic" else ConsumerGroupType.CONSUMER

    def listed(**filters):
        return {g.group_id: g for g in boss.list_consumer_groups(**filters).result(20).valid}
    eq((listed()[group].state, listed()[group].type), (ConsumerGroupState.STABLE, kind), "listed")
    check(group in listed(states={ConsumerGroupState.STABLE}), "not among the stable")
    check(group not in listed(states={ConsumerGroupState.EMPTY}), "among the empty")
    check(group in listed(types={kind}), "not among its type")
    found = result(boss.describe_consumer_groups([group]))
    eq((found.state, found.type, len(found.members)), (ConsumerGroupState.STABLE, kind, 1), "described")
    member = found.members[0]
    eq((member.client_id, {(p.topic, p.partition) for p in member.assignment.topic_partitions}),
       ("the-client", {(topic, 0), (topic, 1)}), "member")
    code(lambda: result(boss.delete_consumer_groups([group])), KafkaError.NON_EMPTY_GROUP, what="deleting a group with members")
    one.leave()
    until("the group is empty", lambda: result(boss.describe_consumer_groups([group])).state == ConsumerGroupState.EMPTY)
    changed = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 2), TopicPartition(topic, 1, 0)])
    result(boss.alter_consumer_group_offsets([changed]))
    offsets = result(boss.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).topic_partitions
    eq({p.partition: p.offset for p in offsets}, {0: 2, 1: 0}, "listed offsets")
    result(boss.delete_consumer_groups([group]))
    check(group not in listed(), "the deleted group is still listed")
    code(lambda: result(boss.delete_consumer_groups([group])), KafkaError.GROUP_ID_NOT_FOUND, what="deleting it again")


@test("admin-describe-unknown-group")
def _():
    group = fresh("unknown-group")
    try:
        found = result(admin().describe_consumer_groups([group]))
    except KafkaException as error:
        eq(error.args[0].code(), KafkaError.GROUP_ID_NOT_FOUND, "error")
    else:
        eq(found.state, ConsumerGroupState.DEAD, "state")


@test("admin-describe-cluster")
def _():
    found = result({0: admin().describe_cluster()})
    eq([n.port for n in found.nodes], [int(BOOTSTRAP.rsplit(":", 1)[1])], "ports")
    check(found.cluster_id and found.controller.id == found.nodes[0].id, f"got {found.cluster_id}, {found.controller}")
    eq(admin().list_topics(timeout=10).cluster_id, found.cluster_id, "cluster id in metadata")


@test("admin-acls-without-authorizer")
def _():
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType
    binding = AclBinding(ResourceType.TOPIC, fresh("t"), ResourcePatternType.LITERAL, "User:a", "*", AclOperation.READ,
                         AclPermissionType.ALLOW)
    code(lambda: result(admin().create_acls([binding])), KafkaError.SECURITY_DISABLED, what="create")


@test("admin-scram-credentials")
def _():
    from confluent_kafka.admin import (ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion,
                                       UserScramCredentialUpsertion)
    boss, user = admin(), fresh("user")
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    result(boss.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, b"secret")]))

    def described():
        return boss.describe_user_scram_credentials([user])[user].result(20).scram_credential_infos[0]
    found = until("the credential is there", lambda: _or_none(described))
    eq((found.mechanism, found.iterations), (ScramMechanism.SCRAM_SHA_256, 4096), "credential")
    result(boss.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)]))
    until("the credential is gone", lambda: _or_none(described) is None)


def _or_none(act):
    try:
        return act()
    except KafkaException as error:
        eq(error.args[0].code(), KafkaError.RESOURCE_NOT_FOUND, "error")
        return None


@test("admin-elect-leaders")
def _():
    from confluent_kafka import ElectionType
    topic = make_topic("elect")
    found = admin().elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, 0)]).result(20)
    eq(next(iter(found.values())).code(), KafkaError.ELECTION_NOT_NEEDED, "error")


if __name__ == "__main__":
    main(children={"die": die})
