"""aiokafka 0.14: the asyncio client. Versions in the middle: Produce 7, Fetch 11, JoinGroup 5, no fetch sessions."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from suite import ACKS, BOOTSTRAP, CODECS, SESSION_MS, check, child, child_says, eq, fresh, kill, main, sample
from suite import test as register

for _name in ("aiokafka", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


# -- asyncio in the shared harness ----------------------------------------------------------------------------------

def test(name, timeout=30):
    return lambda function: register(name, timeout)(lambda: asyncio.run(function()))


async def until(what, question, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        answer = await answer if asyncio.iscoroutine(answer) else answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        await asyncio.sleep(0.05)


async def raises(kind, awaitable, what="call"):
    try:
        result = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{what}: returned {result!r}, want {kind}")


# -- the client, shortened ------------------------------------------------------------------------------------------

@asynccontextmanager
async def running(client):
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def admin():
    return running(AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP))


def producer(**settings):
    return running(AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings))


def new_consumer(*topics, **settings):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 300,
                "session_timeout_ms": SESSION_MS, "fetch_max_wait_ms": 100, "metadata_max_age_ms": 1000} | settings
    return AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **settings)


def consumer(*topics, **settings):
    return running(new_consumer(*topics, **settings))


async def make_topic(label, partitions=1, **configs):
    name = fresh(label)
    async with admin() as boss:
        await boss.create_topics([NewTopic(name, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()})])

        async def ready():
            found = (await boss.describe_topics([name]))[0]
            return len(found["partitions"]) == partitions and all(p["error_code"] == 0 for p in found["partitions"])
        await until("the topic has leaders", ready)
    return name


async def fill(topic, count, partition=0, start=0, timestamp=None, **settings):
    async with producer(**settings) as client:
        sent = [await client.send(topic, value=b"%d" % n, partition=partition,
                                  timestamp_ms=None if timestamp is None else timestamp + n) for n in range(start, start + count)]
        return [(await future).offset for future in sent]


async def take(client, count, seconds=20):
    records = []
    deadline = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < deadline:
        for batch in (await client.getmany(timeout_ms=200, max_records=count - len(records))).values():
            records.extend(batch)
    eq(len(records), count, "records read")
    return records


async def read_all(topic, count, partition=0, **settings):
    async with consumer(**settings) as client:
        client.assign([TopicPartition(topic, partition)])
        await client.seek_to_beginning()
        return await take(client, count)


class Member:
    """A group member with a task that keeps reading."""

    def __init__(self, topic, group, **settings):
        self.records, self.revocations = [], 0
        self.client = new_consumer(group_id=group, **settings)
        member = self

        class Listener(ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                member.revocations += bool(revoked)

            def on_partitions_assigned(self, assigned):
                pass

        self.client.subscribe([topic], listener=Listener())

    async def __aenter__(self):
        await self.client.start()
        self._task = asyncio.create_task(self._read())
        return self

    async def _read(self):
        while True:
            for batch in (await self.client.getmany(timeout_ms=100)).values():
                self.records.extend(batch)

    @property
    def assigned(self):
        return {tp.partition for tp in self.client.assignment()}

    async def leave(self):
        self._task.cancel()
        await self.client.stop()

    async def __aexit__(self, *_):
        await self.leave()


def has(member, count):
    return lambda: len(member.assigned) == count


# -- produce and read back ------------------------------------------------------------------------------------------

async def round_trip(codec, acks):
    topic = await make_topic("round-trip")
    records = sample()
    async with producer(compression_type=None if codec == "none" else codec, acks=acks if acks == "all" else int(acks),
                        linger_ms=20) as client:
        sent = [await client.send(topic, key=k, value=v, headers=h, timestamp_ms=t) for k, v, h, t in records]
        for future in sent:
            await future
        await client.flush()
    got = await read_all(topic, len(records))
    eq([(r.key, r.value, list(r.headers), r.timestamp) for r in got], records, "records")
    eq([r.offset for r in got], list(range(len(records))), "offsets")


for _codec in CODECS:
    for _acks in ACKS:
        test(f"produce-{_codec}-acks-{_acks}")(lambda codec=_codec, acks=_acks: round_trip(codec, acks))


@test("produce-metadata-tells-offset-and-timestamp")
async def _():
    topic = await make_topic("sent", 2)
    async with producer() as client:
        first = await client.send_and_wait(topic, b"a", partition=1, timestamp_ms=1234567)
        second = await client.send_and_wait(topic, b"b", partition=1)
    eq((first.topic, first.partition, first.offset, first.timestamp), (topic, 1, 0, 1234567), "record metadata")
    eq(second.offset, 1, "second offset")


@test("produce-log-append-time")
async def _():
    topic = await make_topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000) - 5000
    async with producer() as client:
        sent = await client.send_and_wait(topic, b"a", timestamp_ms=1000)
    record = (await read_all(topic, 1))[0]
    check(record.timestamp > before, f"timestamp {record.timestamp} is the producer's")
    eq((sent.timestamp, sent.timestamp_type), (record.timestamp, 1), "timestamp in the answer")


@test("produce-auto-creates-topic")
async def _():
    topic = fresh("auto-created")
    eq(await fill(topic, 3), [0, 1, 2], "offsets")
    eq([r.value for r in await read_all(topic, 3)], [b"0", b"1", b"2"], "values")


@test("produce-idempotent-in-order")
async def _():
    topic = await make_topic("idempotent")
    async with producer(enable_idempotence=True, max_batch_size=300) as client:
        sent = [await client.send(topic, b"%06d" % n) for n in range(1000)]
        eq([(await f).offset for f in sent], list(range(1000)), "offsets")
    eq([r.value for r in await read_all(topic, 1000)], [b"%06d" % n for n in range(1000)], "values")


@test("produce-built-batch")
async def _():
    topic = await make_topic("built")
    async with producer() as client:
        batch = client.create_batch()
        for n in range(10):
            batch.append(key=None, value=b"%d" % n, timestamp=None)
        sent = await (await client.send_batch(batch, topic, partition=0))
    eq(sent.offset, 0, "base offset")
    eq([r.value for r in await read_all(topic, 10)], [b"%d" % n for n in range(10)], "values")


@test("produce-message-too-large")
async def _():
    topic = await make_topic("too-large", max_message_bytes="2000")
    async with producer(max_request_size=10_000_000) as client:
        await raises(errors.MessageSizeTooLargeError, client.send_and_wait(topic, b"x" * 5000), "send")
        eq((await client.send_and_wait(topic, b"small")).offset, 0, "offset after the refusal")


@test("produce-null-key-to-compacted-topic-refused")
async def _():
    topic = await make_topic("compacted", cleanup_policy="compact")
    async with producer() as client:
        # Error 87 came after this client's table of errors: it knows only that the broker refused.
        await raises(errors.KafkaError, client.send_and_wait(topic, b"x"), "send")
        eq((await client.send_and_wait(topic, b"x", key=b"k")).offset, 0, "offset of a keyed record")


# -- read -----------------------------------------------------------------------------------------------------------

@test("consume-without-group")
async def _():
    topic = await make_topic("no-group", 3)
    for partition in range(3):
        await fill(topic, 10, partition)
    async with consumer() as client:
        client.assign([TopicPartition(topic, p) for p in range(3)])
        records = await take(client, 30)
    for partition in range(3):
        eq([r.value for r in records if r.partition == partition], [b"%d" % n for n in range(10)], f"partition {partition}")


@test("consume-by-iterating")
async def _():
    topic, values = await make_topic("iterate"), []
    await fill(topic, 10)
    async with consumer(topic, group_id=fresh("group")) as client:
        async for record in client:
            values.append(record.value)
            if len(values) == 10:
                break
    eq(values, [b"%d" % n for n in range(10)], "values")


@test("consume-from-the-middle-of-a-batch")
async def _():
    topic = await make_topic("middle")
    await fill(topic, 50, linger_ms=200, max_batch_size=100_000)
    async with consumer() as client:
        client.assign([TopicPartition(topic, 0)])
        client.seek(TopicPartition(topic, 0), 33)
        eq([r.offset for r in await take(client, 17)], list(range(33, 50)), "offsets")


@test("consume-latest-sees-only-new")
async def _():
    topic = await make_topic("latest")
    await fill(topic, 5)
    async with consumer(auto_offset_reset="latest") as client:
        client.assign([TopicPartition(topic, 0)])
        eq(await client.position(TopicPartition(topic, 0)), 5, "position")
        await fill(topic, 2, start=5)
        eq([r.value for r in await take(client, 2)], [b"5", b"6"], "values")


@test("consume-offset-out-of-range")
async def _():
    topic = await make_topic("out-of-range")
    await fill(topic, 5)
    tp = TopicPartition(topic, 0)
    async with consumer() as client:
        client.assign([tp])
        client.seek(tp, 1000)
        eq([r.offset for r in await take(client, 5)], list(range(5)), "offsets after the reset")
    async with consumer(auto_offset_reset="none") as client:
        client.assign([tp])
        client.seek(tp, 1000)
        await raises(errors.OffsetOutOfRangeError, client.getone(tp), "getone")


@test("consume-long-poll-wakes-on-append")
async def _():
    topic = await make_topic("long-poll")
    async with consumer(fetch_max_wait_ms=20_000) as client:
        client.assign([TopicPartition(topic, 0)])
        await client.seek_to_beginning()
        await client.getmany(timeout_ms=300)
        begun = time.monotonic()
        await fill(topic, 1)
        await take(client, 1)
        check(time.monotonic() - begun < 10, "the parked fetch was not woken by the append")


@test("offsets-beginning-and-end")
async def _():
    topic = await make_topic("ends", 2)
    await fill(topic, 7, 1)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    async with consumer() as client:
        eq(await client.beginning_offsets(both), {both[0]: 0, both[1]: 0}, "beginning")
        eq(await client.end_offsets(both), {both[0]: 0, both[1]: 7}, "end")


@test("offsets-for-times")
async def _():
    topic = await make_topic("times")
    start, tp = 1_600_000_000_000, TopicPartition(topic, 0)
    await fill(topic, 20, timestamp=start, linger_ms=50, compression_type="gzip")
    async with consumer() as client:
        for asked, offset in ((0, 0), (start, 0), (start + 7, 7), (start + 19, 19)):
            found = (await client.offsets_for_times({tp: asked}))[tp]
            eq((found.offset, found.timestamp), (offset, start + offset), f"offset for {asked}")
        eq((await client.offsets_for_times({tp: start + 20}))[tp], None, "offset past the end")


# -- groups ---------------------------------------------------------------------------------------------------------

@test("group-commit-and-resume")
async def _():
    topic, group = await make_topic("resume"), fresh("group")
    await fill(topic, 20)
    tp = TopicPartition(topic, 0)
    async with consumer(topic, group_id=group) as first:
        got = await take(first, 8)
        await first.commit({tp: OffsetAndMetadata(8, "сказано: здесь")})
        eq(await first.committed(tp), 8, "committed")
    async with consumer(topic, group_id=group) as second:
        rest = await take(second, 12)
    eq([r.offset for r in got + rest], list(range(20)), "offsets over both consumers")
    async with admin() as boss:
        found = (await boss.list_consumer_group_offsets(group))[tp]
        eq((found.offset, found.metadata), (8, "сказано: здесь"), "committed, by admin")


@test("group-auto-commit")
async def _():
    topic, group = await make_topic("auto-commit"), fresh("group")
    await fill(topic, 5)
    async with consumer(topic, group_id=group, enable_auto_commit=True) as client:
        await take(client, 5)
    async with consumer(group_id=group) as client:
        eq(await client.committed(TopicPartition(topic, 0)), 5, "committed")
        eq(await client.committed(TopicPartition(topic, 7)), None, "never committed")


@test("group-rebalance-join-and-leave", timeout=40)
async def _():
    topic, group = await make_topic("rebalance", 4), fresh("group")
    async with Member(topic, group) as one:
        await until("the first member has all", has(one, 4))
        async with Member(topic, group) as two:
            await until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
            eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
        begun = time.monotonic()
        await until("the first member has all again", has(one, 4))
        check(time.monotonic() - begun < SESSION_MS / 1000, "leaving took as long as a session")
        for partition in range(4):
            await fill(topic, 1, partition)
        await until("all records came", lambda: len(one.records) == 4)


def die(topic, group):
    async def live():
        async with Member(topic, group) as member:
            await until("the member joined", lambda: member.assigned)
            print("joined", flush=True)
            await asyncio.sleep(3600)
    asyncio.run(live())


@test("group-member-dies", timeout=50)
async def _():
    topic, group = await make_topic("dies", 4), fresh("group")
    victim = child("die", topic, group)
    await asyncio.to_thread(child_says, victim, "joined")
    async with Member(topic, group) as one:
        await until("both have half", has(one, 2))
        kill(victim)
        await until("the survivor has all", has(one, 4), 25)


@test("group-static-member-returns-without-rebalance", timeout=40)
async def _():
    topic, group = await make_topic("static", 4), fresh("group")
    settings = {"session_timeout_ms": 20_000}
    async with Member(topic, group, group_instance_id="one", **settings) as one:
        await until("the first member has all", has(one, 4))
        async with Member(topic, group, group_instance_id="two", **settings) as two:
            await until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
            before, held = one.revocations, two.assigned
        async with Member(topic, group, group_instance_id="two", **settings) as back:
            await until("the returned member has its half", has(back, 2))
            eq(back.assigned, held, "partitions of the returned member")
        eq(one.revocations, before, "revocations seen by the other member")


@test("group-sticky", timeout=40)
async def _():
    topic, group = await make_topic("sticky", 4), fresh("group")
    settings = {"partition_assignment_strategy": (StickyPartitionAssignor,)}
    async with Member(topic, group, **settings) as one:
        await until("the first member has all", has(one, 4))
        async with Member(topic, group, **settings) as two:
            await until("both have half", lambda: len(one.assigned) == 2 and len(two.assigned) == 2)
            eq(one.assigned | two.assigned, {0, 1, 2, 3}, "assigned together")
        await until("the first member has all again", has(one, 4))


@test("group-pattern", timeout=40)
async def _():
    mark = fresh("pattern")
    await fill(f"{mark}-a", 1)
    await fill(f"{mark}-b", 1)
    async with consumer(group_id=fresh("group")) as client:
        client.subscribe(pattern=f"^{mark}-.*")
        eq({r.topic for r in await take(client, 2)}, {f"{mark}-a", f"{mark}-b"}, "topics")


@test("group-new-partitions-are-picked-up", timeout=40)
async def _():
    topic, group = await make_topic("grow"), fresh("group")
    async with Member(topic, group) as one:
        await until("one partition", has(one, 1))
        async with admin() as boss:
            await boss.create_partitions({topic: NewPartitions(3)})
        await until("three partitions", has(one, 3))


# -- transactions ---------------------------------------------------------------------------------------------------

@test("transaction-commit-and-abort", timeout=40)
async def _():
    topic = await make_topic("transaction")
    async with producer(transactional_id=fresh("txn")) as client:
        for outcome in ("commit", "abort", "commit"):
            await client.begin_transaction()
            for n in range(3):
                await client.send_and_wait(topic, f"{outcome}-{n}".encode())
            await (client.commit_transaction() if outcome == "commit" else client.abort_transaction())
    committed = await read_all(topic, 6, isolation_level="read_committed")
    eq([r.value for r in committed], [b"commit-0", b"commit-1", b"commit-2"] * 2, "read committed")
    eq([r.offset for r in committed], [0, 1, 2, 8, 9, 10], "offsets beside markers and aborted records")
    eq(len(await read_all(topic, 9)), 9, "read uncommitted")


@test("transaction-with-offsets", timeout=40)
async def _():
    source, target, group = await make_topic("source"), await make_topic("target"), fresh("group")
    await fill(source, 5)
    tp = TopicPartition(source, 0)
    async with producer(transactional_id=fresh("txn")) as client, consumer(source, group_id=group) as reader:
        await take(reader, 5)
        await client.begin_transaction()
        await client.send_and_wait(target, b"aborted")
        await client.send_offsets_to_transaction({tp: 2}, group)
        await client.abort_transaction()
        eq(await reader.committed(tp), None, "committed after the abort")
        async with client.transaction():
            await client.send_and_wait(target, b"done")
            await client.send_offsets_to_transaction({tp: 5}, group)

        async def committed():
            return await reader.committed(tp) == 5
        await until("the offset is committed", committed)
    eq([r.value for r in await read_all(target, 1, isolation_level="read_committed")], [b"done"], "target")


@test("transaction-fences-the-older-producer", timeout=40)
async def _():
    topic, transactional_id = await make_topic("zombie"), fresh("txn")
    async with producer(transactional_id=transactional_id) as old:
        await old.begin_transaction()
        await old.send_and_wait(topic, b"old")
        async with producer(transactional_id=transactional_id) as new:
            await raises((errors.ProducerFenced, errors.KafkaError), old.send_and_wait(topic, b"zombie"), "send of the fenced")
            await new.begin_transaction()
            await new.send_and_wait(topic, b"new")
            await new.commit_transaction()
    eq([r.value for r in await read_all(topic, 1, isolation_level="read_committed")], [b"new"], "read committed")


# -- admin ----------------------------------------------------------------------------------------------------------

def topic_errors(answer):
    return [row[1] for row in answer.topic_errors]


@test("admin-create-list-describe-delete-topic")
async def _():
    topic = fresh("admin")
    async with admin() as boss:
        eq(topic_errors(await boss.create_topics([NewTopic(topic, 3, 1)])), [0], "error codes")

        async def listed():
            return topic in await boss.list_topics()
        await until("the topic is listed", listed)
        found = (await boss.describe_topics([topic]))[0]
        eq((found["topic"], len(found["partitions"]), found["is_internal"]), (topic, 3, False), "description")
        answer = await boss.delete_topics([topic])
        eq([row[1] for row in answer.topic_error_codes], [0], "error codes")

        async def gone():
            return not await listed()
        await until("the topic is gone", gone)


@test("admin-create-topic-refusals")
async def _():
    topic = await make_topic("twice")
    async with admin() as boss:
        for what, want in (((topic, 1, 1), 36), (("not a topic!", 1, 1), 17), ((fresh("t"), 0, 1), 37), ((fresh("t"), 1, 99), 38)):
            eq(topic_errors(await boss.create_topics([NewTopic(*what)])), [want], f"error for {what}")
        bad = NewTopic(fresh("t"), 1, 1, topic_configs={"retention.ms": "soon"})
        eq(topic_errors(await boss.create_topics([bad])), [40], "error for a bad value")
        eq(topic_errors(await boss.create_topics([NewTopic(topic, 1, 1)], validate_only=True)), [36], "error when only validating")
        eq([row[1] for row in (await boss.delete_topics([fresh("unknown")])).topic_error_codes], [3], "deleting an unknown topic")


async def topic_configs(boss, topic):
    answer = (await boss.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))[0].to_object()
    eq([r["error_code"] for r in answer["resources"]], [0], "error codes")
    return {c["config_names"]: c for c in answer["resources"][0]["config_entries"]}


@test("admin-configs-describe-and-alter")
async def _():
    topic = await make_topic("configs", retention_ms="12345000")
    async with admin() as boss:
        found = await topic_configs(boss, topic)
        eq((found["retention.ms"]["config_value"], found["retention.ms"]["config_source"]), ("12345000", 1), "retention.ms")
        await boss.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "54321"})])

        async def seen():
            return (await topic_configs(boss, topic))["max.message.bytes"]["config_value"] == "54321"
        await until("the change is seen", seen)
        check((await topic_configs(boss, topic))["retention.ms"]["config_source"] != 1, "a setting that was not named survived")


@test("admin-create-partitions")
async def _():
    topic = await make_topic("grow")
    async with admin() as boss:
        await boss.create_partitions({topic: NewPartitions(3)})

        async def grown():
            return len((await boss.describe_topics([topic]))[0]["partitions"]) == 3
        await until("three partitions", grown)
    eq(await fill(topic, 2, 2), [0, 1], "offsets in the new partition")


@test("admin-delete-records")
async def _():
    topic = await make_topic("delete-records")
    await fill(topic, 10)
    tp = TopicPartition(topic, 0)
    async with admin() as boss:
        eq(await boss.delete_records({tp: RecordsToDelete(before_offset=4)}), {tp: 4}, "low watermark")
    eq([r.offset for r in await read_all(topic, 6)], list(range(4, 10)), "offsets")


@test("admin-groups-list-and-describe", timeout=40)
async def _():
    topic, group = await make_topic("admin-group", 2), fresh("admin-group")
    async with admin() as boss:
        async with Member(topic, group) as one:
            await until("the member has both", has(one, 2))
            check((group, "consumer") in await boss.list_consumer_groups(), "the group is not listed")
            found = (await boss.describe_consumer_groups([group]))[0].to_object()["groups"][0]
            eq((found["state"], found["protocol_type"], len(found["members"])), ("Stable", "consumer", 1), "described")

        async def empty():
            return (await boss.describe_consumer_groups([group]))[0].to_object()["groups"][0]["state"] == "Empty"
        await until("the group is empty", empty)


@test("admin-describe-cluster")
async def _():
    async with admin() as boss:
        found = await boss.describe_cluster()
    eq([b["port"] for b in found["brokers"]], [int(BOOTSTRAP.rsplit(":", 1)[1])], "ports")
    check(found["cluster_id"], "no cluster id")


if __name__ == "__main__":
    main(workers=5, children={"die": die})
