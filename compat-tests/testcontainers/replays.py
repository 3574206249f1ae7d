"""What testcontainers libraries do to a container, step by step: the environment they set, the command that waits, the script they
put in once the host's port is known, and the line they wait for. Taken from the libraries' sources as facts; the versions are in
README.md. A library changes nothing of this for our image, so neither do we.
"""

from dataclasses import dataclass, field

RUNNING = r"Transitioning from RECOVERY to RUNNING"
STARTED_ZK = r"\[KafkaServer id=\d+\] started"
STARTED_KRAFT = r"Kafka Server started"
CLUSTER = "4L6g3nShT-eMCtK--X86sw"

# What all of them set, on whatever ports.
SINGLE = {
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
}
TWO = {"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "KAFKA_BROKER_ID": "1"}
ROLES = {"KAFKA_PROCESS_ROLES": "broker,controller", "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER"}


def listeners(plaintext, broker, controller=None, host="0.0.0.0"):
    text = f"PLAINTEXT://{host}:{plaintext},BROKER://{host}:{broker}"
    return {"KAFKA_LISTENERS": text + (f",CONTROLLER://{host}:{controller}" if controller else "")}


def kraft(controller, **more):
    return ROLES | {"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                    "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{controller}"} | more


def zookeeper(folder=""):
    """Lines that start the ZooKeeper of a cp-kafka image in the background."""
    file = folder + "zookeeper.properties"
    return (f"echo 'clientPort=2181' > {file}\n"
            f"echo 'dataDir=/var/lib/zookeeper/data' >> {file}\n"
            f"echo 'dataLogDir=/var/lib/zookeeper/log' >> {file}\n"
            f"zookeeper-server-start {file} &\n")


def waits_for(script, then=None):
    return f"while [ ! -f {script} ]; do sleep 0.1; done; {then or script}"


NO_CHECKS = "echo '' > /etc/confluent/docker/ensure\n"
NO_ZOOKEEPER = "sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure\n"


def formats(cluster):
    return f"echo 'kafka-storage format --ignore-formatted -t {cluster} -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure\n"


@dataclass
class Replay:
    """`script` is a text with {host_port}, {hostname} and {ip}; None: the container needs none."""

    port: int
    environment: dict
    command: list
    script: str | None = None
    path: str = "/tmp/testcontainers_start.sh"
    ready: str = RUNNING
    entrypoint: str | None = None
    mode: int = 0o777
    # Written by a shell in the container instead of copied by the engine, as the user of the image.
    by_exec: bool = False
    # A command run in the container once `ready` was said, and the line that must follow.
    then: list = field(default_factory=list)
    then_ready: str = ""


def export(text):
    return f"export KAFKA_ADVERTISED_LISTENERS={text}\n"


def java(run):
    return Replay(9092, SINGLE | kraft(9094) | listeners(9092, 9093, 9094, host="") | {"KAFKA_NODE_ID": "1", "CLUSTER_ID": CLUSTER},
                  ["sh", "-c", waits_for("/tmp/testcontainers_start.sh")],
                  "#!/bin/bash\n" + export("PLAINTEXT://localhost:{host_port},BROKER://{hostname}:9093") + run + " \n")


JAVA_LEGACY = SINGLE | TWO | listeners(9093, 9092) | {"KAFKA_ADVERTISED_LISTENERS": "BROKER://localhost:9092"}
JAVA_LEGACY_ADVERTISED = export("PLAINTEXT://localhost:{host_port},BROKER://{hostname}:9092")
PYTHON = SINGLE | TWO | listeners(9093, 9092)
PYTHON_RUN = (export("PLAINTEXT://localhost:{host_port},BROKER://$(hostname -i):9092") +
              ". /etc/confluent/docker/bash-config\n/etc/confluent/docker/configure\n/etc/confluent/docker/launch\n")
DOTNET = SINGLE | TWO | listeners(9092, 9093)
# The comma at the end is the library's: a list of further listeners that is empty.
DOTNET_ADVERTISED = export("PLAINTEXT://127.0.0.1:{host_port},BROKER://{ip}:9093,")
DOTNET_WAIT = [waits_for("/testcontainers.sh")]

REPLAYS = {
    "java-apache": java("/etc/kafka/docker/run"),
    "java-confluent": java("/etc/confluent/docker/run"),
    "java-legacy-zookeeper": Replay(
        9093, JAVA_LEGACY | {"KAFKA_ZOOKEEPER_CONNECT": "localhost:2181"}, ["-c", waits_for("/tmp/testcontainers_start.sh")],
        "#!/bin/bash\n" + JAVA_LEGACY_ADVERTISED + zookeeper("/tmp/") + NO_CHECKS + "/etc/confluent/docker/run \n",
        ready=STARTED_ZK, entrypoint="sh"),
    "java-legacy-kraft": Replay(
        9093, JAVA_LEGACY | kraft(9094, KAFKA_NODE_ID="1", CLUSTER_ID=CLUSTER) | listeners(9093, 9092, 9094),
        ["-c", waits_for("/tmp/testcontainers_start.sh")],
        "#!/bin/bash\n" + JAVA_LEGACY_ADVERTISED + NO_ZOOKEEPER + formats(f'"{CLUSTER}"') + NO_CHECKS + "/etc/confluent/docker/run \n",
        entrypoint="sh"),
    # 1.15 and before: no script; the advertised addresses are corrected in the running broker.
    "java-2020-dynamic": Replay(
        9093, JAVA_LEGACY | {"KAFKA_ZOOKEEPER_CONNECT": "localhost:2181"},
        ["sh", "-c", "#!/bin/bash\n" + zookeeper() + NO_CHECKS + "/etc/confluent/docker/run \n"], ready=STARTED_ZK,
        then=["kafka-configs", "--alter", "--bootstrap-server", "BROKER://{hostname}:9092", "--entity-type", "brokers",
              "--entity-name", "1", "--add-config",
              "advertised.listeners=[PLAINTEXT://localhost:{host_port},BROKER://{hostname}:9092]"]),
    "go": Replay(
        9093, SINGLE | kraft(9094, KAFKA_NODE_ID="1", KAFKA_BROKER_ID="1") | listeners(9093, 9092, 9094) |
        {"KAFKA_REST_BOOTSTRAP_SERVERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094"},
        ["-c", waits_for("/usr/sbin/testcontainers_start.sh", "bash /usr/sbin/testcontainers_start.sh")],
        "#!/bin/bash\nsource /etc/confluent/docker/bash-config\n" +
        'export KAFKA_ADVERTISED_LISTENERS="PLAINTEXT://localhost:{host_port},BROKER://{hostname}:9092"\n'
        "echo Starting Kafka KRaft mode\n" + NO_ZOOKEEPER + formats('"$(kafka-storage random-uuid)"') + NO_CHECKS +
        "/etc/confluent/docker/configure\n/etc/confluent/docker/launch",
        path="/usr/sbin/testcontainers_start.sh", entrypoint="sh", mode=0o755),
    "node-zookeeper": Replay(
        9093, JAVA_LEGACY | {"KAFKA_ZOOKEEPER_CONNECT": "localhost:2181", "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE": "false"},
        ["-c", "echo 'Waiting for script...'; " + waits_for("/tmp/testcontainers_start.sh")],
        "#!/bin/bash\n" + export("BROKER://{hostname}:9092,PLAINTEXT://localhost:{host_port}") + NO_CHECKS + zookeeper() +
        "/etc/confluent/docker/run \n", ready=STARTED_ZK, entrypoint="sh"),
    "node-kraft": Replay(
        9093, JAVA_LEGACY | kraft(9094, KAFKA_NODE_ID="1", CLUSTER_ID=CLUSTER) | listeners(9093, 9092, 9094),
        ["-c", "echo 'Waiting for script...'; " + waits_for("/tmp/testcontainers_start.sh")],
        "#!/bin/bash\n" + export("BROKER://{hostname}:9092,PLAINTEXT://localhost:{host_port}") + "/etc/confluent/docker/run \n",
        entrypoint="sh"),
    "python-zookeeper": Replay(
        9093, PYTHON, ["sh", "-c", waits_for("/tc-start.sh", "sh /tc-start.sh")],
        "#!/bin/bash\n" + zookeeper() + "export KAFKA_ZOOKEEPER_CONNECT='localhost:2181'\n" + PYTHON_RUN,
        path="/tc-start.sh", ready=STARTED_ZK, mode=0o644),
    "python-kraft": Replay(
        9093, PYTHON | kraft(9094, KAFKA_NODE_ID="1", CLUSTER_ID="MkU3OEVBNTcwNTJENDM2Qk") | listeners(9093, 9092, 9094),
        ["sh", "-c", waits_for("/tc-start.sh", "sh /tc-start.sh")],
        "#!/bin/bash\n" + NO_ZOOKEEPER + formats("MkU3OEVBNTcwNTJENDM2Qk") + PYTHON_RUN,
        path="/tc-start.sh", ready=STARTED_KRAFT, mode=0o644),
    "dotnet-zookeeper": Replay(
        9092, DOTNET | {"KAFKA_ZOOKEEPER_CONNECT": "localhost:2181"}, ["-c", *DOTNET_WAIT],
        "#!/bin/bash\n" + zookeeper() + DOTNET_ADVERTISED + NO_CHECKS + "exec /etc/confluent/docker/run\n",
        path="/testcontainers.sh", ready=STARTED_ZK, entrypoint="/bin/sh", mode=0o755),
    "dotnet-kraft": Replay(
        9092, DOTNET | kraft(9094, KAFKA_NODE_ID="1", CLUSTER_ID=CLUSTER) | listeners(9092, 9093, 9094), ["-c", *DOTNET_WAIT],
        "#!/bin/bash\n" + DOTNET_ADVERTISED + "exec /etc/confluent/docker/run\n",
        path="/testcontainers.sh", entrypoint="/bin/sh", mode=0o755),
    "dotnet-apache": Replay(
        9092, DOTNET | kraft(9094, KAFKA_NODE_ID="1", CLUSTER_ID=CLUSTER) | listeners(9092, 9093, 9094), ["-c", *DOTNET_WAIT],
        "#!/bin/bash\n" + DOTNET_ADVERTISED + "exec /etc/kafka/docker/run\n",
        path="/testcontainers.sh", entrypoint="/bin/sh", mode=0o755),
    "rust-apache": Replay(
        9092, kraft(9094, CLUSTER_ID="5L6g3nShT-eMCtK--X86sw", KAFKA_BROKER_ID="1") | listeners(9092, 9093, 9094) |
        {"KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
         "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9092,BROKER://localhost:9092"},
        ["-c", waits_for("/opt/kafka/testcontainers_start.sh",
                         "chmod 755 /opt/kafka/testcontainers_start.sh && /opt/kafka/testcontainers_start.sh")],
        "#!/usr/bin/env bash\n" + export("PLAINTEXT://127.0.0.1:{host_port},BROKER://localhost:9093") + "/etc/kafka/docker/run \n",
        path="/opt/kafka/testcontainers_start.sh", ready=STARTED_KRAFT, entrypoint="bash", by_exec=True),
    "rust-confluent": Replay(
        9093, TWO | listeners(9093, 9092) | {
            "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_ZOOKEEPER_CONNECT": "localhost:2181",
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9093,BROKER://localhost:9092"},
        ["/bin/bash", "-c", "\n" + zookeeper() + ". /etc/confluent/docker/bash-config &&\n"
         "/etc/confluent/docker/configure &&\n/etc/confluent/docker/launch"], ready="Creating new log file",
        then=["kafka-configs", "--alter", "--bootstrap-server", "0.0.0.0:9092", "--entity-type", "brokers", "--entity-name", "1",
              "--add-config", "advertised.listeners=[PLAINTEXT://127.0.0.1:{host_port},BROKER://localhost:9092]"],
        then_ready="Checking need to trigger auto leader balancing"),
}
