import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's Java client, shortened to what the tests say over and over. Only calls that 2.8 and 4.x have in common. */
final class Client {
    private static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> all = new HashMap<>();
        all.put("bootstrap.servers", Harness.BOOTSTRAP);
        all.put("reconnect.backoff.ms", 20);
        all.put("retry.backoff.ms", 50);
        for (int i = 0; i < pairs.length; i += 2) {
            all.put((String) pairs[i], pairs[i + 1]);
        }
        return all;
    }

    static Admin admin() {
        return Admin.create(settings());
    }

    static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String group, Object... pairs) {
        Map<String, Object> all = settings("auto.offset.reset", "earliest", "enable.auto.commit", "false", "fetch.max.wait.ms", 100,
            "metadata.max.age.ms", 1000);
        boolean classic = true;
        for (int i = 0; i < pairs.length; i += 2) {
            classic &= !(pairs[i].equals("group.protocol") && pairs[i + 1].equals("consumer"));
        }
        if (group != null) {
            all.put("group.id", group);
            if (classic) {
                all.put("session.timeout.ms", Harness.SESSION_MS);
                all.put("heartbeat.interval.ms", 300);
            }
        }
        for (int i = 0; i < pairs.length; i += 2) {
            all.put((String) pairs[i], pairs[i + 1]);
        }
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static String topic(String label, int partitions, String... configs) throws Exception {
        String name = Harness.fresh(label);
        Map<String, String> entries = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) {
            entries.put(configs[i], configs[i + 1]);
        }
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(entries))).all().get();
            Map<TopicPartition, OffsetSpec> every = new HashMap<>();
            for (int p = 0; p < partitions; p++) {
                every.put(new TopicPartition(name, p), OffsetSpec.latest());
            }
            Harness.until("the topic serves", () -> {
                try {
                    return admin.listOffsets(every).all().get().size() == partitions;
                } catch (java.util.concurrent.ExecutionException notYet) {
                    return false;
                }
            });
        }
        return name;
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, java.nio.charset.StandardCharsets.UTF_8);
    }

    /** Produces the numbers from {@code start} on and returns their offsets. A first timestamp below zero means now. */
    static List<Long> fill(String topic, int partition, int start, int count, long timestamp, Object... pairs) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(pairs)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int n = start; n < start + count; n++) {
                Long time = timestamp < 0 ? null : Long.valueOf(timestamp + n - start);
                sent.add(producer.send(new ProducerRecord<>(topic, partition, time, null, bytes("" + n))));
            }
            producer.flush();
            List<Long> offsets = new ArrayList<>();
            for (Future<RecordMetadata> one : sent) {
                offsets.add(one.get().offset());
            }
            return offsets;
        }
    }

    static List<Long> fill(String topic, int partition, int count) throws Exception {
        return fill(topic, partition, 0, count, -1);
    }

    static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (records.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        Harness.eq(records.size(), count, "records read");
        return records;
    }

    static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int count, Object... pairs) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, pairs)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            return take(consumer, count);
        }
    }

    static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> text(record.value())).toList();
    }

    static List<Long> offsets(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(ConsumerRecord::offset).toList();
    }

    static List<Long> upTo(long from, long to) {
        return java.util.stream.LongStream.range(from, to).boxed().toList();
    }

    /** A group member polling on its own thread until told to leave. */
    static final class Member {
        final Set<Integer> assigned = new ConcurrentSkipListSet<>();
        final List<ConsumerRecord<byte[], byte[]>> records = new CopyOnWriteArrayList<>();
        volatile int revocations;
        volatile int lost;
        volatile Throwable error;
        private volatile boolean leaving;
        private final Thread thread;

        Member(String topic, String group, Object... pairs) {
            thread = new Thread(() -> {
                try (KafkaConsumer<byte[], byte[]> consumer = consumer(group, pairs)) {
                    consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                        @Override
                        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                            partitions.forEach(p -> assigned.add(p.partition()));
                        }

                        @Override
                        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                            revocations += partitions.size();
                            partitions.forEach(p -> assigned.remove(p.partition()));
                        }

                        @Override
                        public void onPartitionsLost(Collection<TopicPartition> partitions) {
                            lost += partitions.size();
                            partitions.forEach(p -> assigned.remove(p.partition()));
                        }
                    });
                    while (!leaving) {
                        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                    }
                } catch (Throwable cause) {
                    error = cause;
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        boolean has(int count) {
            return assigned.size() == count;
        }

        void leave() throws Exception {
            leaving = true;
            thread.join(15_000);
        }
    }

    static Set<Integer> union(Member one, Member two) {
        Set<Integer> both = new TreeSet<>(one.assigned);
        both.addAll(two.assigned);
        return both;
    }

    private Client() {}
}
