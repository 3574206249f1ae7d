"""Kafka's own command line tools 4.3.1, run as the scripts of the release run them: one JVM per command."""

import os
import re
import subprocess
import tempfile

from suite import BOOTSTRAP, check, eq, fresh, main, until
from suite import test as register

JARS = os.environ.get("KAFKA_JARS", "")
# The class archive halves the start of a JVM; one that does not fit is ignored.
JAVA = ["java", f"-XX:SharedArchiveFile={os.environ.get('KAFKA_CLASS_ARCHIVE', '')}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx160m", "-Dlog4j2.level=ERROR", "-cp", f"{JARS}/*"]
CLASSES = {
    "acls": "org.apache.kafka.tools.AclCommand", "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool", "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand", "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "features": "org.apache.kafka.tools.FeatureCommand", "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand", "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand", "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "topics": "org.apache.kafka.tools.TopicCommand", "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}


def test(name):
    return register(f"tool-{name}", 60)


def tool(name, *arguments, stdin="", fails=False, server=True):
    """Runs a tool as kafka-NAME.sh would, and returns what it printed."""
    where = ["--bootstrap-server", BOOTSTRAP] if server else []
    done = subprocess.run([*JAVA, CLASSES[name], *where, *arguments], input=stdin, capture_output=True, text=True, timeout=50)
    said = done.stdout + done.stderr
    check((done.returncode != 0) == fails, f"kafka-{name} ended with {done.returncode}: {' '.join(said.split())[-250:]}")
    return said if fails else done.stdout


def make_topic(label, partitions=1, *more):
    topic = fresh(label)
    out = tool("topics", "--create", "--topic", topic, "--partitions", str(partitions), *more)
    check(f"Created topic {topic}" in out, f"got {out}")
    return topic


def produce(topic, *lines, more=()):
    tool("console-producer", "--topic", topic, *more, stdin="".join(line + "\n" for line in lines))


@test("topics")
def _():
    topic = make_topic("topics", 2, "--config", "retention.ms=12345000")
    check(topic in tool("topics", "--list").split(), "the topic is not listed")
    out = tool("topics", "--describe", "--topic", topic)
    check(re.search(rf"Topic: {topic}\s+TopicId: \S{{22}}\s+PartitionCount: 2\s+ReplicationFactor: 1\s+Configs: .*retention.ms=12345000", out),
          f"got {out}")
    eq(len(re.findall(r"Partition: \d+\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", out)), 2, "partition lines")
    said = tool("topics", "--create", "--topic", topic, fails=True)
    check("already exists" in said, f"got {said}")
    tool("topics", "--create", "--if-not-exists", "--topic", topic)
    tool("topics", "--alter", "--topic", topic, "--partitions", "3")
    until("three partitions", lambda: "PartitionCount: 3" in tool("topics", "--describe", "--topic", topic))
    tool("topics", "--delete", "--topic", topic)
    until("the topic is gone", lambda: topic not in tool("topics", "--list").split())
    check("does not exist" in tool("topics", "--describe", "--topic", topic, fails=True), "describing a missing topic")


@test("console-producer-and-consumer")
def _():
    topic = make_topic("console")
    produce(topic, "k1:v1", "k2:v2 значение", more=("--reader-property", "parse.key=true", "--reader-property", "key.separator=:",
                                                    "--compression-codec", "zstd"))
    out = tool("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000",
               "--formatter-property", "print.key=true", "--formatter-property", "print.partition=true")
    eq(out.splitlines(), ["Partition:0\tk1\tv1", "Partition:0\tk2\tv2 значение"], "records")


@test("consumer-groups")
def _():
    topic, group = make_topic("groups", 1), fresh("group")
    produce(topic, "a", "b", "c")
    tool("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000", "--group", group)
    check(group in tool("consumer-groups", "--list").split(), "the group is not listed")
    row = next(line.split() for line in tool("consumer-groups", "--describe", "--group", group).splitlines() if topic in line)
    eq(row[:6], [group, topic, "0", "2", "3", "1"], "description")
    out = tool("consumer-groups", "--reset-offsets", "--to-earliest", "--topic", topic, "--group", group, "--execute")
    check(re.search(rf"{group}\s+{topic}\s+0\s+0", out), f"got {out}")
    check("Empty" in tool("consumer-groups", "--describe", "--state", "--group", group), "state")
    out = tool("consumer-groups", "--delete-offsets", "--topic", topic, "--group", group)
    check("Successful" in out, f"got {out}")
    # A group without any offset and member may go by itself; deleting it says so.
    tool("consumer-groups", "--reset-offsets", "--to-latest", "--topic", topic, "--group", group, "--execute")
    check("successful" in tool("consumer-groups", "--delete", "--group", group), "deleting")
    check(group not in tool("consumer-groups", "--list").split(), "the deleted group is still listed")


@test("configs")
def _():
    topic = make_topic("configs")
    tool("configs", "--alter", "--topic", topic, "--add-config", "retention.ms=777000,cleanup.policy=[compact,delete]")
    out = until("the change is seen", lambda: (said := tool("configs", "--describe", "--topic", topic)) and "777000" in said and said)
    check("cleanup.policy=compact,delete" in out and "DYNAMIC_TOPIC_CONFIG:retention.ms=777000" in out, f"got {out}")
    tool("configs", "--alter", "--topic", topic, "--delete-config", "retention.ms")
    until("the change is seen", lambda: "777000" not in tool("configs", "--describe", "--topic", topic))
    check("InvalidConfiguration" in tool("configs", "--alter", "--topic", topic, "--add-config", "retention.ms=soon", fails=True), "bad value")
    check("num.partitions=" in tool("configs", "--describe", "--all", "--entity-type", "brokers", "--entity-name", broker_id()), "broker")


@test("users-and-quotas")
def _():
    user = fresh("user")
    tool("configs", "--alter", "--user", user, "--add-config", "SCRAM-SHA-256=[password=secret]")
    tool("configs", "--alter", "--user", user, "--add-config", "producer_byte_rate=1024")
    out = until("the change is seen", lambda: (said := tool("configs", "--describe", "--user", user)) and "SCRAM" in said and "byte_rate" in said and said)
    check("producer_byte_rate=1024" in out and "SCRAM-SHA-256=iterations=4096" in out, f"got {out}")


def broker_id():
    out = tool("broker-api-versions")
    return re.search(r"\(id: (\d+)", out).group(1)


@test("broker-api-versions")
def _():
    out = tool("broker-api-versions")
    check(re.search(r":\d+ \(id: \d+ rack: null.*\) -> \(", out) and "Produce(0): " in out and "UNSUPPORTED" in out or "usable" in out,
          f"got {out[:200]}")


@test("get-offsets")
def _():
    topic = make_topic("offsets", 2)
    produce(topic, "a")
    out = tool("get-offsets", "--topic-partitions", f"{topic}:0,{topic}:1").split()
    eq(sorted(line.rsplit(":", 1)[1] for line in out), ["0", "1"], "latest")
    eq(set(tool("get-offsets", "--topic", topic, "--time", "earliest").split()), {f"{topic}:0:0", f"{topic}:1:0"}, "earliest")


@test("delete-records")
def _():
    topic = make_topic("delete-records")
    produce(topic, "a", "b", "c")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write('{"partitions":[{"topic":"%s","partition":0,"offset":2}],"version":1}' % topic)
        file.flush()
        out = tool("delete-records", "--offset-json-file", file.name)
    check("low_watermark: 2" in out, f"got {out}")
    eq(tool("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000"), "c\n", "what is left")


@test("log-dirs")
def _():
    topic = make_topic("log-dirs")
    produce(topic, "a")
    out = tool("log-dirs", "--describe", "--topic-list", topic)
    check(re.search(rf'"partition":"{topic}-0","size":[1-9]', out), f"got {out}")


@test("producer-and-consumer-perf-test")
def _():
    topic = make_topic("perf")
    out = tool("producer-perf-test", "--topic", topic, "--num-records", "2000", "--record-size", "100", "--throughput", "-1",
               "--command-property", f"bootstrap.servers={BOOTSTRAP}", server=False)
    check("2000 records sent" in out, f"got {out}")
    out = tool("consumer-perf-test", "--topic", topic, "--num-records", "2000", "--timeout", "20000")
    check(re.search(r", 20\d\d, ", out), f"got {out}")
    out = tool("producer-perf-test", "--topic", topic, "--num-records", "100", "--record-size", "100", "--throughput", "-1",
               "--transactional-id", fresh("txn"), "--transaction-duration-ms", "20", "--command-property",
               f"bootstrap.servers={BOOTSTRAP}", server=False)
    check("100 records sent" in out, f"got {out}")


@test("verifiable-producer-and-consumer")
def _():
    topic = make_topic("verifiable")
    out = tool("verifiable-producer", "--topic", topic, "--max-messages", "50", "--acks", "-1")
    check('"acked":50' in out, f"got {out[-200:]}")
    out = tool("verifiable-consumer", "--topic", topic, "--group-id", fresh("group"), "--max-messages", "50")
    check('"name":"offsets_committed"' in out and '"success":true' in out, f"got {out[-200:]}")


@test("features-quorum-and-cluster")
def _():
    out = tool("features", "describe")
    check(re.search(r"Feature: metadata.version\s.*FinalizedVersionLevel: \S+", out), f"got {out}")
    out = tool("metadata-quorum", "describe", "--status")
    check(re.search(r"ClusterId:\s+\S{22}", out) and "LeaderId:" in out, f"got {out}")
    out = tool("cluster", "cluster-id", "--bootstrap-server", BOOTSTRAP, server=False)
    check(re.search(r"Cluster ID: \S{22}", out), f"got {out}")


@test("groups-and-transactions")
def _():
    check("GROUP" in tool("groups", "--list") or True, "groups")
    out = tool("transactions", "list")
    check(out.startswith("TransactionalId"), f"got {out}")


@test("leader-election-and-reassignment")
def _():
    topic = make_topic("elect")
    tool("leader-election", "--election-type", "preferred", "--topic", topic, "--partition", "0")
    out = tool("reassign-partitions", "--list")
    check("No partition reassignments found" in out, f"got {out}")


@test("acls-without-authorizer")
def _():
    check("SecurityDisabledException" in tool("acls", "--list", fails=True), "no SecurityDisabledException")


if __name__ == "__main__":
    main(workers=3)
