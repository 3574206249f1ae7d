"""What makes a broker write every kind of file: each function is one part, and returns what must be found later.

Every part uses topics of its own. Values are numbered ASCII, so that the dump tool prints them as they are.
"""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from kafka.admin import ConfigResource, ConfigResourceType

from suite import CODECS, eq, until
from wire import Wire

START = 1_700_000_000_000


class Workload:
    def __init__(self, address):
        self.address = address
        # What was written: (topic, partition) to a list of (key, value), by offset; None where a control record stands.
        self.written = {}
        # What the group `joined` has committed for grouped-1.
        self.committed = 3

    def admin(self):
        return KafkaAdminClient(bootstrap_servers=self.address)

    def producer(self, **settings):
        return KafkaProducer(bootstrap_servers=self.address, **settings)

    def make_topic(self, name, partitions=1, **configs):
        admin = self.admin()
        admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1,
                                    "configs": {k.replace("_", "."): v for k, v in configs.items()}}},
                            wait_for_metadata=True)
        admin.close()

    def fill(self, topic, count, partition=0, size=0, step_ms=1, label="v", flush_every=None, **settings):
        """Writes numbered records, and remembers them."""
        log = self.written.setdefault((topic, partition), [])
        client = self.producer(**settings)
        futures = []
        for number in range(count):
            key = b"k%d" % (number % 7) if number % 3 else None
            value = (b"%s-%06d-" % (label.encode(), number)).ljust(size, b"x")
            futures.append(client.send(topic, key=key, value=value, partition=partition, headers=[("h", b"%d" % number)],
                                       timestamp_ms=START + (len(log) + len(futures)) * step_ms))
            if flush_every and number % flush_every == flush_every - 1:
                client.flush(20)
        client.flush(30)
        for number, future in enumerate(futures):
            eq(future.get(20).offset, len(log), "offset")
            key = b"k%d" % (number % 7) if number % 3 else None
            log.append((key, (b"%s-%06d-" % (label.encode(), number)).ljust(size, b"x")))
        client.close()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def codecs(self):
        """Every codec, from an idempotent producer and from one that is not."""
        self.make_topic("codecs", 2)
        for partition in (0, 1):
            for codec in CODECS:
                self.fill("codecs", 40, partition, label=codec, flush_every=10, enable_idempotence=partition == 0,
                          compression_type=None if codec == "none" else codec, linger_ms=20)

    def large_segments(self):
        """Segments that are full: of the smallest size that Kafka allows, with several entries in each index."""
        self.make_topic("full", 1, segment_bytes="1048576")
        self.fill("full", 3500, size=1000, linger_ms=5)

    def many_segments(self):
        """Segments that end because of their records' times; also a topic whose broker sets the time."""
        self.make_topic("timed", 1, segment_ms="60000")
        self.fill("timed", 12, step_ms=20_000, flush_every=1)
        self.make_topic("appended", 1, message_timestamp_type="LogAppendTime")
        self.fill("appended", 30, flush_every=10)

    def deleted_records(self):
        self.make_topic("trimmed", 1)
        self.fill("trimmed", 20, flush_every=5)
        admin = self.admin()
        admin.delete_records({TopicPartition("trimmed", 0): 7})
        admin.close()

    def transactions(self):
        """A committed and an aborted transaction, and one with offsets; the aborted one lands in a .txnindex."""
        self.make_topic("transacted", 1)
        log = self.written[("transacted", 0)] = []
        client = self.producer(transactional_id="dump", acks="all")
        client.init_transactions()
        for number, ends in enumerate(("commit", "abort", "commit", "abort")):
            client.begin_transaction()
            for record in range(3):
                value = b"%s-%06d" % (ends.encode(), 3 * number + record)
                client.send("transacted", value=value, partition=0)
                log.append((None, value))
            client.flush(20)
            if number == 2:
                position = {TopicPartition("transacted", 0): OffsetAndMetadata(4, "in a transaction", -1)}
                client.send_offsets_to_transaction(position, "transacted-group")
            client.commit_transaction() if ends == "commit" else client.abort_transaction()
            log.append(None)
        client.close()

    def groups(self):
        """Members that join, commit and leave; offsets without members; a group that is deleted."""
        self.make_topic("grouped", 4)
        for partition in range(4):
            self.fill("grouped", 3, partition)
        for group, instance in (("joined", None), ("static", "instance-1"), ("doomed", None)):
            consumer = KafkaConsumer("grouped", bootstrap_servers=self.address, group_id=group, auto_offset_reset="earliest",
                                     enable_auto_commit=False, group_instance_id=instance)
            seen = []

            def poll():
                # Long enough for all of the join: kafka-python 3.0.12 forgets an assignment that comes after a poll's time.
                seen.extend(record for batch in consumer.poll(timeout_ms=2000).values() for record in batch)
                return len(seen) >= 12

            until(f"group {group} has read everything", poll, 30)
            consumer.commit()
            consumer.close(autocommit=False)
        alone = KafkaConsumer(bootstrap_servers=self.address, group_id="alone", enable_auto_commit=False)
        alone.assign([TopicPartition("grouped", 0)])
        alone.commit({TopicPartition("grouped", 0): OffsetAndMetadata(2, "сказано: здесь", -1)})
        alone.close(autocommit=False)
        admin = self.admin()
        admin.delete_groups(["doomed"])
        until("the group is gone", lambda: "doomed" not in str(admin.list_groups()))
        admin.close()

    def administration(self):
        """Topics made, grown, configured and deleted: the records of cluster metadata."""
        self.make_topic("grown", 1, retention_ms="86400000", cleanup_policy="compact")
        self.make_topic("deleted", 3)
        self.fill("deleted", 5)
        del self.written[("deleted", 0)]
        admin = self.admin()
        admin.create_partitions({"grown": 3})
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "grown", configs={"max.message.bytes": "500000"})])
        admin.delete_topics(["deleted"])
        until("the topic is gone", lambda: "deleted" not in admin.list_topics())
        admin.close()
        self.quota(("user", "dumped"), ("client-id", None), value=1048576.0)
        self.quota(("client-id", "dumped"), value=2048.0)
        self.quota(("client-id", "dumped"), value=None)

    def quota(self, *entity, value):
        """Sets a quota, or takes it away; kafka-python has no call for it."""
        op = dict(Key="producer_byte_rate", Value=value or 0.0, Remove=value is None)
        entry = dict(Entity=[dict(EntityType=kind, EntityName=name) for kind, name in entity], Ops=[op])
        answer = Wire(self.address).ask("AlterClientQuotas", 1, Entries=[entry])
        eq([one["ErrorCode"] for one in answer["Entries"]], [0], "a quota")

    def compaction(self, cleaned):
        """A compacted topic whose closed segments were cleaned; `cleaned` says when that has happened."""
        self.make_topic("compacted", 1, cleanup_policy="compact", segment_ms="60000", min_cleanable_dirty_ratio="0.01")
        client = self.producer()
        for number in range(40):
            client.send("compacted", key=b"k%d" % (number % 4), value=b"v-%06d" % number, partition=0,
                        timestamp_ms=START + number * 20_000)
            client.flush(20)
        client.send("compacted", key=b"k1", value=None, partition=0, timestamp_ms=START + 40 * 20_000)
        client.flush(20)
        client.close()
        until("the log was cleaned", cleaned, 40)

    def after_restart(self):
        """A little more in the logs that a restart opened again."""
        for codec in ("none", "zstd"):
            self.fill("codecs", 10, label="again", compression_type=None if codec == "none" else codec)
        self.fill("full", 20, size=1000, label="again")
        consumer = KafkaConsumer(bootstrap_servers=self.address, group_id="joined", enable_auto_commit=False)
        position = TopicPartition("grouped", 1)
        eq(consumer.committed(position), self.committed, "the offset committed before the broker ended")
        self.committed -= 1
        consumer.assign([position])
        consumer.commit({position: OffsetAndMetadata(self.committed, "back", -1)})
        consumer.close(autocommit=False)
