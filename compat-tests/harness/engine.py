"""What the suites that run our image share: the docker command, containers that are removed again, and questions to brokers.

Everything a test starts carries the label LABEL, by which the suite's run.sh sweeps up what a test could not remove.
"""

import json
import os
import re
import subprocess
import threading
import time
from datetime import datetime

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from suite import check, fresh, until
from wire import Wire

IMAGE = os.environ.get("MILENA_IMAGE", "milena:latest")
LABEL = "milena.compat=" + os.environ.get("COMPAT_RUN", str(os.getpid()))
# What people's scripts and libraries wait for: each exactly once, whatever the mode.
READY = [r"Transitioning from RECOVERY to RUNNING", r"\[KafkaRaftServer nodeId=\d+\] Kafka Server started",
         r"\[KafkaServer id=\d+\] started \(kafka\.server\.KafkaServer\)"]


def docker(*arguments, ok=True, timeout=60, give=None, binary=False):
    """Runs docker and returns its standard output; a failure is told with what it wrote."""
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, timeout=timeout, input=give)
    if ok and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise AssertionError(f"docker {' '.join(map(str, arguments))[:120]}: {said[-300:]}")
    return done.stdout if binary else done.stdout.decode(errors="replace")


def inspect(container):
    return json.loads(docker("inspect", container))[0]


def logs(container):
    """Both streams of a container, as (stdout, stderr)."""
    done = subprocess.run(["docker", "logs", container], capture_output=True, timeout=30)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run(image, *command, options=(), **more):
    """Starts a container and returns its id."""
    return docker("run", "-d", "--pull", "never", "--label", LABEL, *options, image, *command, **more).strip()


def remove(container):
    docker("rm", "-fv", container, ok=False)


def port_of(container, port):
    """The host's port behind which the container's port is."""
    return int(docker("port", container, f"{port}/tcp").splitlines()[0].rsplit(":", 1)[1])


def started_at(container):
    """When the engine started it, in seconds since 1970. The engine writes nanoseconds, Python reads microseconds."""
    text = inspect(container)["State"]["StartedAt"]
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", text)).timestamp()


def answers(address, timeout=1.0):
    """Whether a broker answers ApiVersions there. Docker's proxy accepts before anybody listens, so accepting says nothing."""
    try:
        peer = Wire(address, timeout)
        try:
            return peer.ask("ApiVersions", 0) is not None
        finally:
            peer.socket.close()
    except (OSError, AssertionError, TypeError):
        return False


class FirstAnswer(threading.Thread):
    """Asks an address again and again and keeps when the first answer came."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.at, self.given_up = address, None, False
        self.start()

    def run(self):
        while self.at is None and not self.given_up:
            if answers(self.address):
                self.at = time.time()
            else:
                time.sleep(0.005)

    def since(self, begun, seconds=10):
        """How long after `begun` (in seconds since 1970) it came; waits for it no longer than `seconds` from now."""
        self.join(seconds)
        self.given_up = True
        check(self.at is not None, f"no broker answers at {self.address}")
        return self.at - begun


def round_trip(bootstrap, topic=None, count=5):
    """A client that knows only `bootstrap` produces, and reads back what it wrote, in a group."""
    topic = topic or fresh("trip")
    sent = [b"%d" % n for n in range(count)]
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for value in sent:
        producer.send(topic, value).get(15)
    producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=fresh("group"), auto_offset_reset="earliest",
                             enable_auto_commit=False)
    got = []
    deadline = time.monotonic() + 20
    while len(got) < count and time.monotonic() < deadline:
        got += [r.value for batch in consumer.poll(500).values() for r in batch]
    consumer.commit()
    consumer.close()
    check(sorted(got) == sent, f"of {count} records {len(got)} came back through {bootstrap}")
    return topic


def values(bootstrap, topic):
    """Everything that stands in a topic, as (key, value)."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    found = []
    deadline = time.monotonic() + 15
    while any(consumer.position(p) < ends[p] for p in partitions) and time.monotonic() < deadline:
        found += [(r.key, r.value) for batch in consumer.poll(300).values() for r in batch]
    consumer.close()
    return found


def ready_lines_once(container):
    """The broker said that it is ready, on standard output, exactly once in each wording."""
    out = until("the ready lines", lambda: (o := logs(container)[0]) and all(re.search(r, o) for r in READY) and o, 10)
    for line in READY:
        found = len(re.findall(line, out))
        check(found == 1, f"{line!r} stands {found} times in the output")


def stops_in_time(container, seconds=10):
    """`docker stop` ends it by itself: 137 would be the engine's SIGKILL after its ten seconds."""
    begun = time.monotonic()
    docker("stop", "-t", seconds, container, timeout=seconds + 20)
    took = time.monotonic() - begun
    code = inspect(container)["State"]["ExitCode"]
    check(code != 137 and took < seconds, f"took {took:.1f} s, exit code {code}")
    return took


def memory_of(container):
    """(what the cgroup counts, what is resident) in bytes."""
    root = inspect(container)["State"]["Pid"]
    total = None
    for line in open(f"/proc/{root}/cgroup"):
        number, controllers, path = line.strip().split(":", 2)
        for file in (f"/sys/fs/cgroup{path}/memory.current", f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"):
            if (number == "0" or controllers == "memory") and os.path.exists(file):
                total = int(open(file).read())
    resident = sum(int(line.split()[1]) * 1024 for pid in docker("top", container, "-eo", "pid").split()[1:]
                   for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
    return total, resident
