"""kcat 1.7.1 over librdkafka 2.0.2: what shell scripts and health checks use, and a librdkafka of 2022."""

import json
import os
import subprocess
import tempfile
import threading
import time

from suite import ACKS, BOOTSTRAP, CODECS, SESSION_MS, check, eq, fresh, main, test, until

KCAT = os.environ["KCAT"]
GROUP = ["-X", f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=300", "-X", "auto.offset.reset=earliest",
         "-X", "fetch.wait.max.ms=100"]


def kcat(*arguments, stdin=b"", fails=False, seconds=20):
    done = subprocess.run([KCAT, "-b", BOOTSTRAP, *arguments], input=stdin, capture_output=True, timeout=seconds)
    check((done.returncode != 0) == fails, f"kcat ended with {done.returncode}: {done.stderr.decode()[-300:]}")
    return (done.stdout + done.stderr if fails else done.stdout).decode()


def make_topic(label, count=1):
    """Creates a topic (by producing, all that kcat can) and waits until it has its leader."""
    topic = fresh(label)
    kcat("-P", "-t", topic, stdin=b"".join(b"%d\n" % n for n in range(count)))
    return topic


def read(topic, *arguments, form="%o %s\n"):
    """What a finite read from the beginning prints, line by line."""
    return kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form, *arguments).splitlines()


class Member:
    """A balanced consumer in a process of its own; collects what it prints."""

    def __init__(self, group, topic, *arguments):
        self.process = subprocess.Popen([KCAT, "-b", BOOTSTRAP, "-G", group, *GROUP, *arguments, "-u", "-f", "%p:%o:%s\n", topic],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.said = [], []
        threading.Thread(target=lambda: self.lines.extend(line.strip() for line in self.process.stdout), daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stderr:
            self.said.append(line.strip())

    @property
    def assigned(self):
        """Partitions in the last «assigned» notice; none after a «revoked» one."""
        for line in reversed(self.said):
            if "rebalanced" in line and "assigned:" in line:
                return line.split("assigned:")[1].count("[")
            if "rebalanced" in line and "revoked" in line:
                return 0
        return 0

    def leave(self):
        self.process.terminate()
        self.process.wait(10)

    def die(self):
        self.process.kill()
        self.process.wait(10)


# -- produce and read back ------------------------------------------------------------------------------------------

def round_trip(codec, acks):
    topic = fresh("round-trip")
    lines = [f"k{n}\tvalue {n} значение {'milena ' * (n % 7 * 50)}".encode() for n in range(50)]
    kcat("-P", "-t", topic, "-z", codec, "-X", f"acks={acks}", "-K", "\t", stdin=b"\n".join(lines) + b"\n")
    got = []

    def all_there():
        got[:] = kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k\t%s\n").encode().split(b"\n")[:-1]
        return len(got) >= len(lines)
    until("all records are there", all_there)  # acks=0 tells nothing, so ask until they are
    eq(got, lines, "records")


for _codec in CODECS:
    for _acks in ACKS:
        test(f"produce-{_codec}-acks-{_acks}")(lambda codec=_codec, acks=_acks: round_trip(codec, acks))


@test("produce-exact-bytes-from-file")
def _():
    topic, value = fresh("bytes"), bytes(range(256)) * 400
    with tempfile.NamedTemporaryFile() as file:
        file.write(value)
        file.flush()
        kcat("-P", "-t", topic, "-k", "the key", "-X", "compression.codec=lz4", file.name)
    done = subprocess.run([KCAT, "-b", BOOTSTRAP, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-D", ""], capture_output=True,
                          timeout=20)
    eq(done.stdout == value, True, "the file came back")


@test("produce-headers-null-values-and-timestamps")
def _():
    topic, before = fresh("headers"), int(time.time() * 1000)
    kcat("-P", "-t", topic, "-H", "h=1", "-H", "h=2", "-H", "empty=", "-K", ":", "-Z", stdin=b"key:\n:value\n")
    records = [json.loads(line) for line in kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J").splitlines()]
    eq([(r["key"], r["payload"]) for r in records], [("key", None), (None, "value")], "keys and values")
    eq(records[0]["headers"], ["h", "1", "h", "2", "empty", ""], "headers")
    eq(records[0]["tstype"], "create", "timestamp type")
    check(before <= records[0]["ts"] <= int(time.time() * 1000), "timestamp is not the time of sending")


@test("produce-idempotent-in-order")
def _():
    topic = fresh("idempotent")
    lines = b"".join(b"%06d\n" % n for n in range(5000))
    kcat("-P", "-t", topic, "-X", "enable.idempotence=true", "-X", "batch.num.messages=50", "-X", "linger.ms=1", stdin=lines)
    eq(read(topic), [f"{n} {n:06d}" for n in range(5000)], "records")


@test("produce-message-too-large")
def _():
    out = kcat("-P", "-t", make_topic("too-large"), "-X", "message.max.bytes=20000000", stdin=b"x" * 3_000_000 + b"\n", fails=True)
    check("Message size too large" in out, f"got {out[-200:]}")


@test("produce-invalid-topic-name")
def _():
    out = kcat("-P", "-t", "not a topic!", "-X", "message.timeout.ms=5000", stdin=b"x\n", fails=True)
    check("Invalid topic" in out or "timed out" in out or "Unknown" in out, f"got {out[-200:]}")


@test("transaction")
def _():
    topic = fresh("transaction")
    kcat("-P", "-t", topic, "-X", f"transactional.id={fresh('txn')}", stdin=b"a\nb\nc\n")
    eq(read(topic, "-X", "isolation.level=read_committed"), ["0 a", "1 b", "2 c"], "records")


# -- read -----------------------------------------------------------------------------------------------------------

@test("consume-offsets-absolute-and-relative")
def _():
    topic = make_topic("offsets", 10)

    def from_offset(offset, *more):
        return kcat("-C", "-t", topic, "-p", "0", "-o", offset, "-e", "-q", "-f", "%o ", *more).split()
    eq(from_offset("7"), ["7", "8", "9"], "from 7")
    eq(from_offset("-2"), ["8", "9"], "the last two")
    eq(from_offset("beginning", "-c", "3"), ["0", "1", "2"], "the first three")
    eq(from_offset("end"), [], "from the end")


@test("consume-by-timestamp")
def _():
    topic = make_topic("times", 3)
    stamps = [int(line) for line in read(topic, form="%T\n")]
    between = max(stamps) + 1
    until("the clock moved on", lambda: time.time() * 1000 > between + 1)
    kcat("-P", "-t", topic, stdin=b"late\n")
    eq(kcat("-C", "-t", topic, "-o", f"s@{between}", "-e", "-q", "-f", "%o %s\n"), "3 late\n", "from a time")
    eq(kcat("-C", "-t", topic, "-o", "s@0", "-o", f"e@{between}", "-e", "-q", "-f", "%o\n"), "0\n1\n2\n", "up to a time")


@test("query-offsets")
def _():
    topic = make_topic("query", 5)

    def ask(when):
        return kcat("-Q", "-t", f"{topic}:0:{when}").split()[-1]
    eq((ask(0), ask(-1), ask(-2), ask(int(time.time() * 1000) + 60_000)), ("0", "5", "0", "-1"), "offsets")


@test("consume-unknown-topic")
def _():
    topic = fresh("unknown")
    out = kcat("-C", "-t", topic, "-e", "-q", fails=True)
    check("Unknown topic or partition" in out, f"got {out[-200:]}")


# -- groups ---------------------------------------------------------------------------------------------------------

@test("group-commit-and-resume")
def _():
    topic, group = make_topic("resume", 10), fresh("group")
    eq(kcat("-G", group, *GROUP, "-c", "4", "-q", "-f", "%o ", topic).split(), ["0", "1", "2", "3"], "first consumer")
    eq(kcat("-G", group, *GROUP, "-c", "6", "-q", "-f", "%o ", topic).split(), ["4", "5", "6", "7", "8", "9"], "second consumer")


def three_partitions(label):
    # kcat cannot create more than one partition, so three topics of one stand in.
    mark = fresh(label)
    for letter in "abc":
        kcat("-P", "-t", f"{mark}-{letter}", stdin=b"x\n")
    return f"^{mark}-.*"


def balance(label, *settings):
    pattern, group = three_partitions(label), fresh("group")
    settings = ("-X", "topic.metadata.refresh.interval.ms=500", *settings)
    one = Member(group, pattern, *settings)
    until("the first member has all", lambda: one.assigned == 3)
    two = Member(group, pattern, *settings)
    until("both have some", lambda: one.assigned + two.assigned == 3 and one.assigned and two.assigned)
    return one, two


@test("group-rebalance-join-and-leave", timeout=40)
def _():
    one, two = balance("rebalance", "-X", "partition.assignment.strategy=roundrobin")
    begun = time.monotonic()
    two.leave()
    until("the first member has all again", lambda: one.assigned == 3)
    check(time.monotonic() - begun < SESSION_MS / 1000, "leaving took as long as a session")
    until("all records came", lambda: len(one.lines) >= 3)
    one.leave()


@test("group-member-dies", timeout=50)
def _():
    one, two = balance("dies", "-X", "partition.assignment.strategy=roundrobin")
    two.die()
    until("the survivor has all", lambda: one.assigned == 3, 25)
    one.leave()


# -- admin ----------------------------------------------------------------------------------------------------------

@test("metadata-lists-broker-and-topics")
def _():
    topic = make_topic("listed")
    found = json.loads(kcat("-L", "-J"))
    eq([b["name"].rsplit(":", 1)[1] for b in found["brokers"]], [BOOTSTRAP.rsplit(":", 1)[1]], "ports")
    topics = {t["topic"]: t for t in found["topics"]}
    eq(len(topics[topic]["partitions"]), 1, "partitions")
    eq(found["controllerid"], found["brokers"][0]["id"], "controller")


@test("metadata-of-unknown-topic")
def _():
    topic = fresh("unknown")
    found = json.loads(kcat("-L", "-J", "-t", topic))["topics"][0]
    check("Unknown topic" in found.get("error", "") or found["partitions"] or "Leader not available" in found.get("error", ""),
          f"got {found}")


if __name__ == "__main__":
    main(workers=5)
