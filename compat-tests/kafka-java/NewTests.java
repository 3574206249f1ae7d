import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;

/** What only the newest Java client can do: the new group protocol, topic ids, features, newer admin calls. */
final class NewTests {
    private static final Object[] NEW = {"group.protocol", "consumer"};

    static void register() {
        Harness.test("group-commit-and-resume-kip848", () -> {
            String topic = Client.topic("resume", 1);
            String group = Harness.fresh("group");
            Client.fill(topic, 0, 20);
            try (var first = Client.consumer(group, "group.protocol", "consumer", "max.poll.records", 8)) {
                first.subscribe(List.of(topic));
                Harness.eq(Client.offsets(Client.take(first, 8)), Client.upTo(0, 8), "first consumer");
                first.commitSync(Map.of(CommonTests.tp(topic), new OffsetAndMetadata(8)));
            }
            try (var second = Client.consumer(group, NEW)) {
                second.subscribe(List.of(topic));
                Harness.eq(Client.offsets(Client.take(second, 12)), Client.upTo(8, 20), "second consumer");
            }
        });

        Harness.slow("group-rebalance-join-and-leave-kip848", 40, () -> {
            String topic = Client.topic("rebalance", 4);
            String group = Harness.fresh("group");
            Client.Member one = new Client.Member(topic, group, NEW);
            Harness.until("the first member has all", () -> one.has(4));
            Client.Member two = new Client.Member(topic, group, NEW);
            Harness.until(25, "both have half", () -> one.has(2) && two.has(2));
            Harness.eq(Client.union(one, two), Set.of(0, 1, 2, 3), "assigned together");
            Harness.eq(List.of(one.revocations, one.lost), List.of(2, 0), "partitions revoked from and lost by the first");
            try (Admin admin = Client.admin()) {
                var found = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                Harness.eq(List.of(found.type(), found.groupState(), found.members().size(), found.partitionAssignor()),
                    List.of(GroupType.CONSUMER, GroupState.STABLE, 2, "uniform"), "described");
                Harness.check(admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream()
                    .anyMatch(g -> g.groupId().equals(group) && g.type().equals(java.util.Optional.of(GroupType.CONSUMER))), "not listed as a consumer group");
            }
            two.leave();
            Harness.until("the first member has all again", () -> one.has(4));
            one.leave();
        });

        Harness.slow("group-static-member-returns-kip848", 40, () -> {
            String topic = Client.topic("static", 4);
            String group = Harness.fresh("group");
            Client.Member one = new Client.Member(topic, group, "group.protocol", "consumer", "group.instance.id", "one");
            Harness.until("the first member has all", () -> one.has(4));
            Client.Member two = new Client.Member(topic, group, "group.protocol", "consumer", "group.instance.id", "two");
            Harness.until(25, "both have half", () -> one.has(2) && two.has(2));
            Set<Integer> held = Set.copyOf(two.assigned);
            two.leave();
            Client.Member back = new Client.Member(topic, group, "group.protocol", "consumer", "group.instance.id", "two");
            Harness.until("the returned member has its half", () -> back.assigned.equals(held));
            one.leave();
            back.leave();
        });

        Harness.slow("group-server-side-pattern-kip848", 40, () -> {
            String mark = Harness.fresh("pattern");
            Client.fill(mark + "-a", 0, 1);
            Client.fill(mark + "-b", 0, 1);
            try (var consumer = Client.consumer(Harness.fresh("group"), NEW)) {
                consumer.subscribe(new SubscriptionPattern(mark + "-.*"));
                Harness.eq(Client.take(consumer, 2).stream().map(r -> r.topic()).sorted().toList(), List.of(mark + "-a", mark + "-b"), "topics");
            }
        });

        Harness.slow("group-moves-from-classic-to-kip848", 40, () -> {
            String topic = Client.topic("upgrade", 2);
            String group = Harness.fresh("group");
            Client.fill(topic, 0, 4);
            try (var old = Client.consumer(group)) {
                old.subscribe(List.of(topic));
                Client.take(old, 4);
                old.commitSync();
            }
            Client.fill(topic, 0, 4, 1, -1);
            try (var young = Client.consumer(group, NEW)) {
                young.subscribe(List.of(topic));
                Harness.eq(Client.offsets(Client.take(young, 1)), List.of(4L), "offset after the upgrade");
            }
        });

        Harness.slow("transaction-with-offsets-kip848", 40, () -> {
            String source = Client.topic("source", 1);
            String group = Harness.fresh("group");
            Client.fill(source, 0, 5);
            try (var reader = Client.consumer(group, NEW); var producer = Client.producer("transactional.id", Harness.fresh("txn"))) {
                reader.subscribe(List.of(source));
                Client.take(reader, 5);
                producer.initTransactions();
                producer.beginTransaction();
                producer.sendOffsetsToTransaction(Map.of(CommonTests.tp(source), new OffsetAndMetadata(5)), reader.groupMetadata());
                producer.commitTransaction();
                Harness.eq(reader.committed(Set.of(CommonTests.tp(source))).get(CommonTests.tp(source)).offset(), 5L, "committed");
            }
        });

        Harness.test("produce-invalid-record-names-the-record", () -> {
            String topic = Client.topic("compacted", 1, "cleanup.policy", "compact");
            try (var producer = Client.producer()) {
                Harness.raises(InvalidRecordException.class, () -> producer.send(new ProducerRecord<>(topic, new byte[5])).get(), "send");
            }
        });

        Harness.test("offsets-max-timestamp-and-local", () -> {
            String topic = Client.topic("specs", 1);
            for (long timestamp : new long[] {5000, 9000, 7000}) {
                Client.fill(topic, 0, 0, 1, timestamp);
            }
            try (Admin admin = Client.admin()) {
                var max = admin.listOffsets(Map.of(CommonTests.tp(topic), OffsetSpec.maxTimestamp())).partitionResult(CommonTests.tp(topic)).get();
                Harness.eq(List.of(max.offset(), max.timestamp()), List.of(1L, 9000L), "max timestamp");
                Harness.eq(CommonTests.end(admin, topic, OffsetSpec.earliestLocal(), IsolationLevel.READ_UNCOMMITTED), 0L, "earliest local");
                Harness.eq(CommonTests.end(admin, topic, OffsetSpec.forTimestamp(6000), IsolationLevel.READ_UNCOMMITTED), 1L, "by time");
            }
        });

        Harness.test("admin-topic-ids", () -> {
            String topic = Client.topic("ids", 1);
            try (Admin admin = Client.admin()) {
                Uuid id = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
                Harness.check(!id.equals(Uuid.ZERO_UUID), "no topic id");
                Harness.eq(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).name(), topic, "name by id");
                Harness.raises(UnknownTopicIdException.class, () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).allTopicIds().get(), "unknown id");
                admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
                Harness.until("the topic is gone", () -> !admin.listTopics().names().get().contains(topic));
            }
        });

        Harness.test("admin-features", () -> {
            try (Admin admin = Client.admin()) {
                FeatureMetadata found = admin.describeFeatures().featureMetadata().get();
                for (String name : List.of("metadata.version", "group.version", "transaction.version")) {
                    Harness.check(found.finalizedFeatures().containsKey(name), name + " is not finalized: " + found.finalizedFeatures());
                }
            }
        });

        Harness.slow("admin-transactions-and-producers", 40, () -> {
            String topic = Client.topic("producers", 1);
            String id = Harness.fresh("txn");
            try (var producer = Client.producer("transactional.id", id); Admin admin = Client.admin()) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, Client.bytes("x"))).get();
                var active = admin.describeProducers(List.of(CommonTests.tp(topic))).partitionResult(CommonTests.tp(topic)).get().activeProducers();
                Harness.eq(active.size(), 1, "active producers");
                Harness.eq(active.get(0).currentTransactionStartOffset().getAsLong(), 0L, "start of the transaction");
                Harness.check(admin.listTransactions().all().get().stream().anyMatch(t -> t.transactionalId().equals(id)), "not listed");
                var found = admin.describeTransactions(List.of(id)).description(id).get();
                Harness.eq(List.of(found.state().toString(), found.topicPartitions()), List.of("Ongoing", Set.of(CommonTests.tp(topic))), "described");
                admin.fenceProducers(List.of(id)).all().get();
                Harness.raises(KafkaException.class, producer::commitTransaction, "commit of the fenced producer");
                producer.close(Duration.ZERO);
            }
        });

        Harness.test("admin-scram-and-quotas", () -> {
            String user = Harness.fresh("user");
            try (Admin admin = Client.admin()) {
                admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), "secret"))).all().get();
                Harness.until("the credential is there", () -> {
                    try {
                        return admin.describeUserScramCredentials(List.of(user)).all().get().get(user).credentialInfos().get(0).iterations() == 4096;
                    } catch (java.util.concurrent.ExecutionException notYet) {
                        return false;
                    }
                });
                ClientQuotaEntity entity = new ClientQuotaEntity(Map.of("user", user));
                admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", 1e6))))).all().get();
                ClientQuotaFilter filter = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity("user", user)));
                Harness.until("the quota is there", () -> admin.describeClientQuotas(filter).entities().get().equals(Map.of(entity, Map.of("consumer_byte_rate", 1e6))));
            }
        });

        Harness.slow("quota-slows-a-producer-and-a-consumer-down", 60, () -> {
            String topic = Client.topic("slow", 1);
            String id = Harness.fresh("slow");
            ClientQuotaEntity entity = new ClientQuotaEntity(Map.of("client-id", id));
            try (Admin admin = Client.admin()) {
                // 100,000 bytes in each of ten seconds, or eleven, may come at once; some more do.
                var rates = List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e5), new ClientQuotaAlteration.Op("consumer_byte_rate", 1e5));
                admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, rates))).all().get();
                ClientQuotaFilter filter = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity("client-id", id)));
                Harness.until("the quotas are there", () -> admin.describeClientQuotas(filter).entities().get().containsKey(entity));
            }
            int count = 1200;
            try (var producer = Client.producer("client.id", id, "linger.ms", 5)) {
                for (int i = 0; i < count; i++) {
                    producer.send(new ProducerRecord<>(topic, new byte[1000]));
                }
                producer.flush();
                Harness.check(most(producer.metrics(), "produce-throttle-time-max") > 0, "the producer was never told to wait");
            }
            try (var consumer = Client.consumer(null, "client.id", id, "max.partition.fetch.bytes", 200_000)) {
                consumer.assign(List.of(CommonTests.tp(topic)));
                consumer.seekToBeginning(List.of(CommonTests.tp(topic)));
                Harness.eq(Client.offsets(Client.take(consumer, count)), Client.upTo(0, count), "records read");
                Harness.check(most(consumer.metrics(), "fetch-throttle-time-max") > 0, "the consumer was never told to wait");
            }
        });

        Harness.test("admin-quorum", () -> {
            try (Admin admin = Client.admin()) {
                var found = admin.describeMetadataQuorum().quorumInfo().get();
                Harness.eq(found.voters().size(), 1, "voters");
                Harness.eq(found.leaderId(), found.voters().get(0).replicaId(), "leader");
            }
        });
    }

    private static double most(Map<MetricName, ? extends Metric> metrics, String name) {
        return metrics.entrySet().stream().filter(each -> each.getKey().name().equals(name))
            .mapToDouble(each -> (Double) each.getValue().metricValue()).filter(Double::isFinite).max().orElse(0);
    }

    private NewTests() {}
}
