import static java.util.Map.entry;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

/** What both Java suites check: everything that the client of 2.8 can already do. */
abstract class CommonTests {
    /** The call has another name in newer clients. */
    abstract Map<String, TopicDescription> describe(Admin admin, Collection<String> topics) throws Exception;

    static TopicPartition tp(String topic) {
        return new TopicPartition(topic, 0);
    }

    static long end(Admin admin, String topic, OffsetSpec spec, IsolationLevel level) throws Exception {
        return admin.listOffsets(Map.of(tp(topic), spec), new ListOffsetsOptions(level)).partitionResult(tp(topic)).get().offset();
    }

    static Map<String, ConfigEntry> configs(Admin admin, ConfigResource.Type type, String name) throws Exception {
        ConfigResource resource = new ConfigResource(type, name);
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Map<String, ConfigEntry> all = new HashMap<>();
        config.entries().forEach(e -> all.put(e.name(), e));
        return all;
    }

    static List<ProducerRecord<byte[], byte[]>> sample(String topic) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        byte[] all = new byte[256];
        byte[] noise = new byte[10_000];
        for (int i = 0; i < 256; i++) {
            all[i] = (byte) i;
        }
        new Random().nextBytes(noise);
        Object[][] rows = {{"key", "value"}, {null, "no key", "h", "1"}, {"", "", "empty", ""}, {"tombstone", null, "null", null},
            {all, all, "bytes", all}, {"ключ", "värde 値", "имя", "值"}, {"repeated header", "v", "h", "1", "h", "2", "g", "3", "h", "1"},
            {"compressible", "milena ".repeat(3000)}, {"incompressible", noise}, {"k1", "v1"}, {"k2", "v2"}, {"k3", "v3"}};
        for (Object[] row : rows) {
            ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(topic, 0, 1_600_000_000_000L + records.size(), raw(row[0]), raw(row[1]));
            for (int i = 2; i < row.length; i += 2) {
                record.headers().add((String) row[i], raw(row[i + 1]));
            }
            records.add(record);
        }
        return records;
    }

    private static byte[] raw(Object value) {
        return value instanceof byte[] bytes ? bytes : Client.bytes((String) value);
    }

    private static String headers(Iterable<Header> headers) {
        StringBuilder all = new StringBuilder();
        headers.forEach(h -> all.append(h.key()).append('=').append(Arrays.toString(h.value())).append(';'));
        return all.toString();
    }

    void register(String main) {
        records();
        reading();
        groups(main);
        transactions();
        topics();
        administration();
    }

    private void records() {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                Harness.test("produce-" + codec + "-acks-" + acks, () -> {
                    String topic = Client.topic("round-trip", 1);
                    List<ProducerRecord<byte[], byte[]>> sent = sample(topic);
                    try (var producer = Client.producer("compression.type", codec, "acks", acks, "linger.ms", 20,
                        "enable.idempotence", acks.equals("all"))) {
                        sent.forEach(producer::send);
                    }
                    List<ConsumerRecord<byte[], byte[]>> got = Client.readAll(topic, sent.size());
                    for (int i = 0; i < sent.size(); i++) {
                        Harness.check(Arrays.equals(got.get(i).key(), sent.get(i).key()), "key of record " + i);
                        Harness.check(Arrays.equals(got.get(i).value(), sent.get(i).value()), "value of record " + i);
                        Harness.eq(got.get(i).timestamp(), sent.get(i).timestamp(), "timestamp of record " + i);
                        Harness.eq(headers(got.get(i).headers()), headers(sent.get(i).headers()), "headers of record " + i);
                    }
                    Harness.eq(Client.offsets(got), Client.upTo(0, sent.size()), "offsets");
                });
            }
        }

        Harness.test("produce-metadata-tells-offset-and-timestamp", () -> {
            String topic = Client.topic("sent", 2);
            try (var producer = Client.producer()) {
                RecordMetadata first = producer.send(new ProducerRecord<>(topic, 1, 1234567L, null, Client.bytes("a"))).get();
                RecordMetadata second = producer.send(new ProducerRecord<>(topic, 1, null, null, Client.bytes("b"))).get();
                Harness.eq(List.of(first.partition(), first.offset(), first.timestamp(), second.offset()), List.of(1, 0L, 1234567L, 1L),
                    "metadata");
            }
        });

        Harness.test("produce-log-append-time", () -> {
            String topic = Client.topic("append-time", 1, "message.timestamp.type", "LogAppendTime");
            long before = System.currentTimeMillis() - 5000;
            RecordMetadata sent;
            try (var producer = Client.producer()) {
                sent = producer.send(new ProducerRecord<>(topic, 0, 1000L, null, Client.bytes("a"))).get();
            }
            ConsumerRecord<byte[], byte[]> got = Client.readAll(topic, 1).get(0);
            Harness.eq(got.timestampType(), TimestampType.LOG_APPEND_TIME, "timestamp type");
            Harness.check(got.timestamp() > before, "the timestamp is the producer's");
            Harness.eq(sent.timestamp(), got.timestamp(), "timestamp in the answer");
        });

        Harness.test("produce-auto-creates-topic", () -> {
            String topic = Harness.fresh("auto-created");
            Harness.eq(Client.fill(topic, 0, 3), Client.upTo(0, 3), "offsets");
            Harness.eq(Client.values(Client.readAll(topic, 3)), List.of("0", "1", "2"), "values");
        });

        Harness.test("produce-idempotent-in-order", () -> {
            String topic = Client.topic("idempotent", 1);
            Harness.eq(Client.fill(topic, 0, 0, 3000, -1, "enable.idempotence", true, "acks", "all", "batch.size", 500),
                Client.upTo(0, 3000), "offsets");
            List<String> values = Client.values(Client.readAll(topic, 3000));
            for (int n = 0; n < 3000; n++) {
                Harness.eq(values.get(n), "" + n, "value at offset " + n);
            }
        });

        Harness.test("produce-keys-keep-their-partition", () -> {
            String topic = Client.topic("keyed", 4);
            Map<String, Set<Integer>> where = new HashMap<>();
            try (var producer = Client.producer()) {
                for (int n = 0; n < 60; n++) {
                    String key = "key-" + n % 6;
                    RecordMetadata sent = producer.send(new ProducerRecord<>(topic, Client.bytes(key), Client.bytes("v"))).get();
                    where.computeIfAbsent(key, k -> new HashSet<>()).add(sent.partition());
                }
            }
            Harness.check(where.values().stream().allMatch(partitions -> partitions.size() == 1), "a key moved: " + where);
        });

        Harness.test("produce-message-too-large", () -> {
            String topic = Client.topic("too-large", 1, "max.message.bytes", "2000");
            try (var producer = Client.producer("max.request.size", 10_000_000)) {
                Harness.raises(RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>(topic, new byte[5000])).get(), "send");
                Harness.eq(producer.send(new ProducerRecord<>(topic, new byte[5])).get().offset(), 0L, "offset after the refusal");
            }
        });

        Harness.test("produce-invalid-topic-name", () -> {
            try (var producer = Client.producer("max.block.ms", 5000)) {
                Harness.raises(InvalidTopicException.class, () -> producer.send(new ProducerRecord<>("not a topic!", new byte[5])).get(),
                    "send");
            }
        });

        Harness.test("produce-null-key-to-compacted-topic-refused", () -> {
            String topic = Client.topic("compacted", 1, "cleanup.policy", "compact");
            try (var producer = Client.producer()) {
                Harness.raises(KafkaException.class, () -> producer.send(new ProducerRecord<>(topic, new byte[5])).get(), "send");
                producer.send(new ProducerRecord<>(topic, new byte[1], new byte[5])).get();
            }
        });
    }

    private void reading() {
        Harness.test("consume-without-group", () -> {
            String topic = Client.topic("no-group", 3);
            List<TopicPartition> all = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1), new TopicPartition(topic, 2));
            for (int p = 0; p < 3; p++) {
                Client.fill(topic, p, 10);
            }
            try (var consumer = Client.consumer(null)) {
                consumer.assign(all);
                consumer.seekToBeginning(all);
                List<ConsumerRecord<byte[], byte[]>> records = Client.take(consumer, 30);
                for (int p = 0; p < 3; p++) {
                    int partition = p;
                    Harness.eq(Client.offsets(records.stream().filter(r -> r.partition() == partition).toList()), Client.upTo(0, 10),
                        "partition " + p);
                }
            }
        });

        Harness.test("consume-from-the-middle-of-a-batch", () -> {
            String topic = Client.topic("middle", 1);
            Client.fill(topic, 0, 0, 50, -1, "linger.ms", 200, "compression.type", "zstd");
            try (var consumer = Client.consumer(null)) {
                consumer.assign(List.of(tp(topic)));
                consumer.seek(tp(topic), 33);
                Harness.eq(Client.offsets(Client.take(consumer, 17)), Client.upTo(33, 50), "offsets");
                consumer.pause(List.of(tp(topic)));
                Harness.eq(consumer.poll(Duration.ofMillis(50)).count(), 0, "records while paused");
                consumer.resume(List.of(tp(topic)));
                consumer.seek(tp(topic), 48);
                Harness.eq(Client.offsets(Client.take(consumer, 2)), Client.upTo(48, 50), "offsets after the seek");
            }
        });

        Harness.test("consume-latest-sees-only-new", () -> {
            String topic = Client.topic("latest", 1);
            Client.fill(topic, 0, 5);
            try (var consumer = Client.consumer(null, "auto.offset.reset", "latest")) {
                consumer.assign(List.of(tp(topic)));
                Harness.eq(consumer.position(tp(topic)), 5L, "position");
                Client.fill(topic, 0, 5, 2, -1);
                Harness.eq(Client.values(Client.take(consumer, 2)), List.of("5", "6"), "values");
            }
        });

        Harness.test("consume-offset-out-of-range", () -> {
            String topic = Client.topic("out-of-range", 1);
            Client.fill(topic, 0, 5);
            try (var consumer = Client.consumer(null)) {
                consumer.assign(List.of(tp(topic)));
                consumer.seek(tp(topic), 1000);
                Harness.eq(Client.offsets(Client.take(consumer, 5)), Client.upTo(0, 5), "offsets after the reset");
            }
            try (var consumer = Client.consumer(null, "auto.offset.reset", "none")) {
                consumer.assign(List.of(tp(topic)));
                Harness.raises(NoOffsetForPartitionException.class, () -> consumer.poll(Duration.ofSeconds(5)), "poll without a position");
                consumer.seek(tp(topic), 1000);
                Harness.raises(OffsetOutOfRangeException.class, () -> {
                    for (int i = 0; i < 20; i++) {
                        consumer.poll(Duration.ofMillis(500));
                    }
                }, "poll out of range");
            }
        });

        Harness.test("consume-long-poll-wakes-on-append", () -> {
            String topic = Client.topic("long-poll", 1);
            try (var consumer = Client.consumer(null, "fetch.max.wait.ms", 9000)) {
                consumer.assign(List.of(tp(topic)));
                consumer.poll(Duration.ofMillis(400));
                long begun = System.nanoTime();
                Client.fill(topic, 0, 1);
                Client.take(consumer, 1);
                Harness.check(System.nanoTime() - begun < 5_000_000_000L, "the parked fetch was not woken by the append");
            }
        });

        Harness.test("consume-fetch-sessions-follow-many-partitions", () -> {
            String topic = Client.topic("session", 8);
            List<TopicPartition> all = new ArrayList<>();
            for (int p = 0; p < 8; p++) {
                all.add(new TopicPartition(topic, p));
            }
            try (var consumer = Client.consumer(null)) {
                consumer.assign(all);
                consumer.seekToBeginning(all);
                for (int turn = 0; turn < 4; turn++) {
                    for (int p = turn % 2; p < 8; p += 2) {
                        Client.fill(topic, p, 2);
                    }
                    Client.take(consumer, 8);
                    // Leaving partitions out and taking them in again is what an incremental session has to follow.
                    consumer.assign(turn % 2 == 0 ? all.subList(1, 8) : all);
                    if (turn % 2 == 0) {
                        Client.fill(topic, 7, 1);
                        Client.take(consumer, 1);
                        consumer.assign(all);
                        consumer.seekToEnd(List.of(all.get(0)));
                        consumer.position(all.get(0));
                    }
                }
            }
        });

        Harness.test("consume-partitions-of-unknown-topic", () -> {
            String topic = Harness.fresh("unknown");
            try (var consumer = Client.consumer(null, "allow.auto.create.topics", "false"); Admin admin = Client.admin()) {
                List<?> found = consumer.partitionsFor(topic);
                Harness.check(found == null || found.isEmpty(), "partitions of an unknown topic: " + found);
                Harness.check(!consumer.listTopics().containsKey(topic), "the topic is listed");
                Harness.check(!admin.listTopics().names().get().contains(topic), "asking created the topic");
            }
        });

        Harness.test("offsets-beginning-and-end", () -> {
            String topic = Client.topic("ends", 2);
            TopicPartition one = new TopicPartition(topic, 1);
            Client.fill(topic, 1, 7);
            try (var consumer = Client.consumer(null)) {
                Harness.eq(consumer.beginningOffsets(List.of(tp(topic), one)), Map.of(tp(topic), 0L, one, 0L), "beginning");
                Harness.eq(consumer.endOffsets(List.of(tp(topic), one)), Map.of(tp(topic), 0L, one, 7L), "end");
            }
        });

        Harness.test("offsets-for-times", () -> {
            String topic = Client.topic("times", 1);
            long start = 1_600_000_000_000L;
            Client.fill(topic, 0, 0, 20, start, "linger.ms", 100, "compression.type", "gzip");
            try (var consumer = Client.consumer(null)) {
                for (long[] pair : new long[][] {{0, 0}, {start, 0}, {start + 7, 7}, {start + 19, 19}}) {
                    var found = consumer.offsetsForTimes(Map.of(tp(topic), pair[0])).get(tp(topic));
                    Harness.eq(List.of(found.offset(), found.timestamp()), List.of(pair[1], start + pair[1]), "offset for " + pair[0]);
                }
                Harness.eq(consumer.offsetsForTimes(Map.of(tp(topic), start + 20)).get(tp(topic)), null, "offset past the end");
            }
        });
    }

    private void groups(String main) {
        Harness.test("group-commit-and-resume", () -> {
            String topic = Client.topic("resume", 1);
            String group = Harness.fresh("group");
            Client.fill(topic, 0, 20);
            try (var first = Client.consumer(group, "max.poll.records", 8)) {
                first.subscribe(List.of(topic));
                Harness.eq(Client.offsets(Client.take(first, 8)), Client.upTo(0, 8), "first consumer");
                first.commitSync(Map.of(tp(topic), new OffsetAndMetadata(8, "сказано: здесь")));
                OffsetAndMetadata found = first.committed(Set.of(tp(topic))).get(tp(topic));
                Harness.eq(List.of(found.offset(), found.metadata()), List.of(8L, "сказано: здесь"), "committed");
            }
            try (var second = Client.consumer(group)) {
                second.subscribe(List.of(topic));
                Harness.eq(Client.offsets(Client.take(second, 12)), Client.upTo(8, 20), "second consumer");
            }
        });

        Harness.test("group-auto-commit-on-close", () -> {
            String topic = Client.topic("auto-commit", 1);
            String group = Harness.fresh("group");
            Client.fill(topic, 0, 5);
            try (var consumer = Client.consumer(group, "enable.auto.commit", "true")) {
                consumer.subscribe(List.of(topic));
                Client.take(consumer, 5);
            }
            try (Admin admin = Client.admin()) {
                Harness.eq(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp(topic)).offset(), 5L, "committed");
            }
        });

        Harness.slow("group-rebalance-join-and-leave", 40, () -> rebalance("org.apache.kafka.clients.consumer.RangeAssignor"));
        Harness.slow("group-cooperative-sticky", 40, () -> rebalance("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
        Harness.slow("group-sticky", 40, () -> rebalance("org.apache.kafka.clients.consumer.StickyAssignor"));

        Harness.slow("group-member-dies", 50, () -> {
            String topic = Client.topic("dies", 4);
            String group = Harness.fresh("group");
            Process victim = Harness.child(main, topic, group);
            Client.Member one = new Client.Member(topic, group);
            Harness.until("both have half", () -> one.has(2));
            victim.destroyForcibly();
            Harness.until(25, "the survivor has all", () -> one.has(4));
            one.leave();
        });

        Harness.slow("group-static-member-returns-without-rebalance", 40, () -> {
            String topic = Client.topic("static", 4);
            String group = Harness.fresh("group");
            Object[] first = {"group.instance.id", "one", "session.timeout.ms", 20_000};
            Object[] second = {"group.instance.id", "two", "session.timeout.ms", 20_000};
            Client.Member one = new Client.Member(topic, group, first);
            Harness.until("the first member has all", () -> one.has(4));
            Client.Member two = new Client.Member(topic, group, second);
            Harness.until("both have half", () -> one.has(2) && two.has(2));
            int before = one.revocations;
            Set<Integer> held = new TreeSet<>(two.assigned);
            two.leave();
            Client.Member back = new Client.Member(topic, group, second);
            Harness.until("the returned member has its half", () -> back.assigned.equals(held));
            Harness.eq(one.revocations, before, "revocations seen by the other member");
            one.leave();
            back.leave();
            try (Admin admin = Client.admin()) {
                admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
                    List.of(new MemberToRemove("one"), new MemberToRemove("two")))).all().get();
                Harness.until("the group is empty", () -> state(admin, group).equals("Empty"));
            }
        });

        Harness.slow("group-static-member-fences-its-double", 40, () -> {
            String topic = Client.topic("fenced", 1);
            String group = Harness.fresh("group");
            Object[] same = {"group.instance.id", "same", "session.timeout.ms", 20_000};
            Client.Member one = new Client.Member(topic, group, same);
            Harness.until("the first has it", () -> one.has(1));
            Client.Member two = new Client.Member(topic, group, same);
            Harness.until("the first is fenced", () -> one.error != null);
            Harness.check(one.error instanceof FencedInstanceIdException, "got " + one.error);
            Harness.until("the second has it", () -> two.has(1));
            two.leave();
        });

        Harness.slow("group-pattern", 40, () -> {
            String mark = Harness.fresh("pattern");
            Client.fill(mark + "-a", 0, 1);
            Client.fill(mark + "-b", 0, 1);
            try (var consumer = Client.consumer(Harness.fresh("group"))) {
                consumer.subscribe(Pattern.compile(mark + "-.*"));
                Set<String> topics = new TreeSet<>();
                Client.take(consumer, 2).forEach(r -> topics.add(r.topic()));
                Harness.eq(topics, Set.of(mark + "-a", mark + "-b"), "topics");
            }
        });

        Harness.test("group-join-with-too-short-a-session", () -> {
            try (var consumer = Client.consumer(Harness.fresh("group"), "session.timeout.ms", 500, "heartbeat.interval.ms", 100)) {
                consumer.subscribe(List.of(Client.topic("short", 1)));
                Harness.raises(InvalidSessionTimeoutException.class, () -> {
                    for (int i = 0; i < 20; i++) {
                        consumer.poll(Duration.ofMillis(500));
                    }
                }, "poll");
            }
        });

        Harness.slow("group-new-partitions-are-picked-up", 40, () -> {
            String topic = Client.topic("grow", 1);
            Client.Member one = new Client.Member(topic, Harness.fresh("group"));
            Harness.until("one partition", () -> one.has(1));
            try (Admin admin = Client.admin()) {
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            }
            Harness.until("three partitions", () -> one.has(3));
            one.leave();
        });
    }

    private static void rebalance(String assignor) throws Exception {
        String topic = Client.topic("rebalance", 4);
        String group = Harness.fresh("group");
        Client.Member one = new Client.Member(topic, group, "partition.assignment.strategy", assignor);
        Harness.until("the first member has all", () -> one.has(4));
        Client.Member two = new Client.Member(topic, group, "partition.assignment.strategy", assignor);
        Harness.until("both have half", () -> one.has(2) && two.has(2));
        Harness.eq(Client.union(one, two), Set.of(0, 1, 2, 3), "assigned together");
        if (assignor.contains("Cooperative")) {
            Harness.eq(List.of(one.revocations, one.lost), List.of(2, 0), "partitions revoked from and lost by the first");
        }
        long begun = System.nanoTime();
        two.leave();
        Harness.until("the first member has all again", () -> one.has(4));
        Harness.check(System.nanoTime() - begun < Harness.SESSION_MS * 1_000_000L, "leaving took as long as a session");
        for (int p = 0; p < 4; p++) {
            Client.fill(topic, p, 1);
        }
        Harness.until("all records came", () -> one.records.size() == 4);
        one.leave();
    }

    /** The part of the process that is to be killed. */
    static void die(String topic, String group) throws Exception {
        Client.Member member = new Client.Member(topic, group);
        Harness.until("joined", () -> !member.assigned.isEmpty());
        System.out.println("joined");
        Thread.sleep(3_600_000);
    }

    private void transactions() {
        Harness.slow("transaction-commit-and-abort", 40, () -> {
            String topic = Client.topic("transaction", 1);
            try (var producer = Client.producer("transactional.id", Harness.fresh("txn"))) {
                producer.initTransactions();
                for (String outcome : List.of("commit", "abort", "commit")) {
                    producer.beginTransaction();
                    for (int n = 0; n < 3; n++) {
                        producer.send(new ProducerRecord<>(topic, Client.bytes(outcome + "-" + n))).get();
                    }
                    if (outcome.equals("commit")) {
                        producer.commitTransaction();
                    } else {
                        producer.abortTransaction();
                    }
                }
            }
            List<ConsumerRecord<byte[], byte[]>> committed = Client.readAll(topic, 6, "isolation.level", "read_committed");
            Harness.eq(Client.values(committed), List.of("commit-0", "commit-1", "commit-2", "commit-0", "commit-1", "commit-2"), "values");
            Harness.eq(Client.offsets(committed), List.of(0L, 1L, 2L, 8L, 9L, 10L), "offsets beside markers and aborted records");
            Harness.eq(Client.readAll(topic, 9).size(), 9, "read uncommitted");
        });

        Harness.slow("transaction-open-hides-records", 40, () -> {
            String topic = Client.topic("open", 1);
            try (var producer = Client.producer("transactional.id", Harness.fresh("txn")); Admin admin = Client.admin()) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, Client.bytes("hidden"))).get();
                Harness.eq(end(admin, topic, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED), 0L, "last stable offset while open");
                Harness.eq(end(admin, topic, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED), 1L, "high watermark while open");
                producer.commitTransaction();
                Harness.until("the transaction is seen", () -> end(admin, topic, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED) == 2L);
            }
        });

        Harness.slow("transaction-with-offsets", 40, () -> {
            String source = Client.topic("source", 1);
            String target = Client.topic("target", 1);
            String group = Harness.fresh("group");
            Client.fill(source, 0, 5);
            try (var reader = Client.consumer(group); var producer = Client.producer("transactional.id", Harness.fresh("txn"))) {
                reader.subscribe(List.of(source));
                Client.take(reader, 5);
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(target, Client.bytes("aborted")));
                producer.sendOffsetsToTransaction(Map.of(tp(source), new OffsetAndMetadata(2)), reader.groupMetadata());
                producer.abortTransaction();
                Harness.eq(reader.committed(Set.of(tp(source))).get(tp(source)), null, "committed after the abort");
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(target, Client.bytes("done")));
                producer.sendOffsetsToTransaction(Map.of(tp(source), new OffsetAndMetadata(5)), reader.groupMetadata());
                producer.commitTransaction();
                Harness.eq(reader.committed(Set.of(tp(source))).get(tp(source)).offset(), 5L, "committed");
            }
            Harness.eq(Client.values(Client.readAll(target, 1, "isolation.level", "read_committed")), List.of("done"), "target");
        });

        Harness.slow("transaction-fences-the-older-producer", 40, () -> {
            String topic = Client.topic("zombie", 1);
            String id = Harness.fresh("txn");
            try (var old = Client.producer("transactional.id", id); var young = Client.producer("transactional.id", id)) {
                old.initTransactions();
                old.beginTransaction();
                old.send(new ProducerRecord<>(topic, Client.bytes("old"))).get();
                young.initTransactions();
                Harness.raises(KafkaException.class, () -> {
                    old.send(new ProducerRecord<>(topic, Client.bytes("zombie"))).get();
                    old.commitTransaction();
                }, "the older producer");
                young.beginTransaction();
                young.send(new ProducerRecord<>(topic, Client.bytes("new"))).get();
                young.commitTransaction();
                old.close(Duration.ZERO);
            }
            Harness.eq(Client.values(Client.readAll(topic, 1, "isolation.level", "read_committed")), List.of("new"), "read committed");
        });

        Harness.slow("transaction-timeout-aborts", 50, () -> {
            String topic = Client.topic("expires", 1);
            try (var producer = Client.producer("transactional.id", Harness.fresh("txn"), "transaction.timeout.ms", 1000); Admin admin = Client.admin()) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, Client.bytes("x"))).get();
                Harness.until(30, "the broker aborted the transaction",
                    () -> end(admin, topic, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED) == 2L);
                Harness.raises(KafkaException.class, () -> {
                    producer.send(new ProducerRecord<>(topic, Client.bytes("late"))).get();
                    producer.commitTransaction();
                }, "commit after the timeout");
                producer.close(Duration.ZERO);
            }
        });
    }

    private void topics() {
        Harness.test("admin-create-list-describe-delete-topic", () -> {
            String topic = Harness.fresh("admin");
            try (Admin admin = Client.admin()) {
                CreateTopicsResult created = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "12345000"))));
                Harness.eq(List.of(created.numPartitions(topic).get(), created.replicationFactor(topic).get()), List.of(3, 1), "answer");
                Harness.eq(created.config(topic).get().get("retention.ms").value(), "12345000", "config in the answer");
                Harness.until("the topic is listed", () -> admin.listTopics().names().get().contains(topic));
                TopicDescription found = describe(admin, List.of(topic)).get(topic);
                Harness.eq(List.of(found.partitions().size(), found.isInternal()), List.of(3, false), "description");
                Harness.eq(List.of(found.partitions().get(2).isr().size(), found.partitions().get(2).replicas().size()), List.of(1, 1), "replicas");
                admin.deleteTopics(List.of(topic)).all().get();
                Harness.until("the topic is gone", () -> !admin.listTopics().names().get().contains(topic));
            }
        });

        Harness.test("admin-create-topic-refusals", () -> {
            String topic = Client.topic("twice", 1);
            try (Admin admin = Client.admin()) {
                Harness.raises(TopicExistsException.class, () -> create(admin, new NewTopic(topic, 1, (short) 1)), "twice");
                Harness.raises(TopicExistsException.class, () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)),
                    new CreateTopicsOptions().validateOnly(true)).all().get(), "twice, when only validating");
                Harness.raises(InvalidTopicException.class, () -> create(admin, new NewTopic("not a topic!", 1, (short) 1)), "invalid name");
                Harness.raises(InvalidPartitionsException.class, () -> create(admin, new NewTopic(Harness.fresh("t"), 0, (short) 1)), "no partitions");
                Harness.raises(InvalidReplicationFactorException.class, () -> create(admin, new NewTopic(Harness.fresh("t"), 1, (short) 99)), "too many replicas");
                Harness.raises(InvalidConfigurationException.class,
                    () -> create(admin, new NewTopic(Harness.fresh("t"), 1, (short) 1).configs(Map.of("retention.ms", "soon"))), "bad value");
                Harness.raises(InvalidConfigurationException.class,
                    () -> create(admin, new NewTopic(Harness.fresh("t"), 1, (short) 1).configs(Map.of("no.such.config", "1"))), "unknown config");
                create(admin, new NewTopic(Harness.fresh("defaults"), java.util.Optional.empty(), java.util.Optional.empty()));
                int broker = admin.describeCluster().controller().get().id();
                create(admin, new NewTopic(Harness.fresh("assigned"), Map.of(0, List.of(broker), 1, List.of(broker))));
            }
        });

        Harness.test("admin-unknown-topic", () -> {
            String topic = Harness.fresh("unknown");
            try (Admin admin = Client.admin()) {
                Harness.raises(UnknownTopicOrPartitionException.class, () -> describe(admin, List.of(topic)), "describe");
                Harness.raises(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic)).all().get(), "delete");
                Harness.raises(UnknownTopicOrPartitionException.class, () -> configs(admin, ConfigResource.Type.TOPIC, topic), "describe configs");
                Harness.check(!admin.listTopics().names().get().contains(topic), "asking created the topic");
            }
        });

        Harness.test("admin-create-partitions", () -> {
            String topic = Client.topic("grow", 1);
            try (Admin admin = Client.admin()) {
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
                Harness.until("three partitions", () -> describe(admin, List.of(topic)).get(topic).partitions().size() == 3);
                Harness.eq(Client.fill(topic, 2, 2), Client.upTo(0, 2), "offsets in the new partition");
                Harness.raises(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get(), "fewer");
            }
        });

        Harness.test("admin-delete-records", () -> {
            String topic = Client.topic("delete-records", 1);
            Client.fill(topic, 0, 10);
            try (Admin admin = Client.admin()) {
                Harness.eq(admin.deleteRecords(Map.of(tp(topic), RecordsToDelete.beforeOffset(4))).lowWatermarks().get(tp(topic)).get().lowWatermark(), 4L, "low watermark");
                Harness.eq(end(admin, topic, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED), 4L, "earliest");
                Harness.eq(Client.offsets(Client.readAll(topic, 6)), Client.upTo(4, 10), "offsets");
                Harness.eq(admin.deleteRecords(Map.of(tp(topic), RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(tp(topic)).get().lowWatermark(), 10L, "after deleting all");
                Harness.raises(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                    () -> admin.deleteRecords(Map.of(tp(topic), RecordsToDelete.beforeOffset(11))).all().get(), "past the end");
            }
        });
    }

    private static void create(Admin admin, NewTopic topic) throws Exception {
        admin.createTopics(List.of(topic)).all().get();
    }

    static String state(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).state().toString();
    }

    private void administration() {
        Harness.test("admin-configs-describe", () -> {
            String topic = Client.topic("configs", 1, "retention.ms", "12345000");
            try (Admin admin = Client.admin()) {
                Map<String, ConfigEntry> found = configs(admin, ConfigResource.Type.TOPIC, topic);
                Harness.eq(List.of(found.get("retention.ms").value(), found.get("retention.ms").source()),
                    List.of("12345000", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG), "retention.ms");
                Harness.eq(List.of(found.get("cleanup.policy").value(), found.get("cleanup.policy").isDefault()), List.of("delete", true), "cleanup.policy");
                String broker = "" + admin.describeCluster().controller().get().id();
                Map<String, ConfigEntry> settings = configs(admin, ConfigResource.Type.BROKER, broker);
                for (String name : List.of("log.retention.ms", "num.partitions", "auto.create.topics.enable", "message.max.bytes",
                    "default.replication.factor", "min.insync.replicas")) {
                    Harness.check(settings.containsKey(name), "broker setting " + name + " is not described");
                }
            }
        });

        Harness.test("admin-configs-alter-incrementally", () -> {
            String topic = Client.topic("alter", 1, "retention.ms", "1000000");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            try (Admin admin = Client.admin()) {
                for (var step : List.of(entry(AlterConfigOp.OpType.SET, new ConfigEntry("max.message.bytes", "54321")),
                    entry(AlterConfigOp.OpType.APPEND, new ConfigEntry("cleanup.policy", "compact")),
                    entry(AlterConfigOp.OpType.SUBTRACT, new ConfigEntry("cleanup.policy", "delete")))) {
                    admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(step.getValue(), step.getKey())))).all().get();
                }
                Harness.until("the changes are seen", () -> {
                    Map<String, ConfigEntry> found = configs(admin, ConfigResource.Type.TOPIC, topic);
                    return List.of(found.get("max.message.bytes").value(), found.get("cleanup.policy").value(), found.get("retention.ms").value())
                        .equals(List.of("54321", "compact", "1000000"));
                });
                admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("max.message.bytes", ""), AlterConfigOp.OpType.DELETE)))).all().get();
                Harness.until("the deleted setting is back at its default", () -> configs(admin, ConfigResource.Type.TOPIC, topic).get("max.message.bytes").isDefault());
                Harness.raises(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(resource,
                    List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET)))).all().get(), "bad value");
            }
        });

        Harness.test("admin-configs-of-broker-alter", () -> {
            try (Admin admin = Client.admin()) {
                String broker = "" + admin.describeCluster().controller().get().id();
                ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, broker);
                admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.backoff.ms", "14000"), AlterConfigOp.OpType.SET)))).all().get();
                Harness.until("the change is seen", () -> configs(admin, ConfigResource.Type.BROKER, broker).get("log.cleaner.backoff.ms").value().equals("14000"));
                admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.backoff.ms", ""), AlterConfigOp.OpType.DELETE)))).all().get();
                Harness.until("the change is undone", () -> configs(admin, ConfigResource.Type.BROKER, broker).get("log.cleaner.backoff.ms").value().equals("15000"));
            }
        });

        Harness.slow("admin-groups-list-describe-offsets-delete", 40, () -> {
            String topic = Client.topic("admin-group", 2);
            String group = Harness.fresh("admin-group");
            TopicPartition other = new TopicPartition(topic, 1);
            Client.Member one = new Client.Member(topic, group, "client.id", "the-client");
            Harness.until("the member has both", () -> one.has(2));
            try (Admin admin = Client.admin()) {
                Harness.check(admin.listConsumerGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)), "the group is not listed");
                Harness.until("the group is stable", () -> state(admin, group).equals("Stable"));
                ConsumerGroupDescription found = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                Harness.eq(List.of(found.partitionAssignor(), found.members().size(), found.members().iterator().next().clientId()),
                    List.of("range", 1, "the-client"), "described");
                Harness.eq(found.members().iterator().next().assignment().topicPartitions(), Set.of(tp(topic), other), "assignment");
                Harness.raises(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get(), "deleting a group with members");
                one.leave();
                Harness.until("the group is empty", () -> state(admin, group).equals("Empty"));
                admin.alterConsumerGroupOffsets(group, Map.of(tp(topic), new OffsetAndMetadata(2, "m"), other, new OffsetAndMetadata(0))).all().get();
                Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
                Harness.eq(List.of(offsets.size(), offsets.get(tp(topic)).offset(), offsets.get(tp(topic)).metadata()), List.of(2, 2L, "m"), "offsets");
                admin.deleteConsumerGroupOffsets(group, Set.of(tp(topic))).all().get();
                Harness.eq(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().keySet(), Set.of(other), "offsets left");
                admin.deleteConsumerGroups(List.of(group)).all().get();
                Harness.check(admin.listConsumerGroups().all().get().stream().noneMatch(g -> g.groupId().equals(group)), "the deleted group is still listed");
                Harness.raises(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get(), "deleting it again");
            }
        });

        Harness.test("admin-describe-cluster", () -> {
            try (Admin admin = Client.admin()) {
                var found = admin.describeCluster();
                Harness.eq(found.nodes().get().stream().map(n -> n.port()).toList(), List.of(Integer.parseInt(Harness.BOOTSTRAP.replaceAll(".*:", ""))), "ports");
                Harness.check(!found.clusterId().get().isEmpty(), "no cluster id");
            }
        });

        Harness.test("admin-log-dirs", () -> {
            String topic = Client.topic("log-dirs", 2);
            Client.fill(topic, 0, 10);
            try (Admin admin = Client.admin()) {
                int broker = admin.describeCluster().controller().get().id();
                Map<TopicPartition, Long> sizes = new HashMap<>();
                admin.describeLogDirs(List.of(broker)).allDescriptions().get().get(broker).values()
                    .forEach(dir -> dir.replicaInfos().forEach((p, info) -> sizes.put(p, info.size())));
                Harness.check(sizes.getOrDefault(tp(topic), 0L) > 0, "a written partition has no size");
                Harness.eq(sizes.get(new TopicPartition(topic, 1)), 0L, "size of the empty partition");
            }
        });

        Harness.test("admin-acls-without-authorizer", () -> {
            try (Admin admin = Client.admin()) {
                Harness.raises(SecurityDisabledException.class, () -> admin.describeAcls(AclBindingFilter.ANY).values().get(), "describe");
            }
        });

        Harness.test("admin-elect-leaders-and-reassignments", () -> {
            String topic = Client.topic("elect", 1);
            try (Admin admin = Client.admin()) {
                var elected = admin.electLeaders(ElectionType.PREFERRED, Set.of(tp(topic))).partitions().get().get(tp(topic));
                Harness.check(elected.isPresent() && elected.get() instanceof ElectionNotNeededException, "got " + elected);
                Harness.eq(admin.listPartitionReassignments(Set.of(tp(topic))).reassignments().get(), Map.of(), "reassignments");
            }
        });
    }
}
