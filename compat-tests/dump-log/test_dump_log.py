"""Kafka's own DumpLogSegments, and the classes its broker reads small files with, over every file that the broker wrote.

A broker of its own gets a workload that makes it write every kind of file, and is stopped; it is started again, used, and
killed; started once more and stopped. After each end all files are dumped. Whatever the tool prints must be understood here:
an unknown line, a line on stderr, or an unknown file is a failure, since the tool reports faults in prose and exits with 0.
"""

import collections
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys

import suite
from suite import check, eq, main, test, until
from workload import Workload

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JARS = pathlib.Path(os.environ["MILENA_TOOLS"]) / "kafka-4.3.1"
PEER = os.environ.get("COMPAT_PEER") or "milena"
MILENA = pathlib.Path(os.environ.get("MILENA_BIN") or ROOT / "target/release/milena")
SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "log.cleaner.backoff.ms": "200",
    # A cleaner of Kafka's waits this long before its first look.
    "log.initial.task.delay.ms": "500",
    # The records carry times of 2023, and none of them is to be deleted for its age.
    "log.retention.ms": "-1",
}
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dlog4j2.level=WARN", "-cp", f"{JARS}/*"]

# Made and removed by run.sh.
work = pathlib.Path(os.environ["DUMP_LOG_WORK"])


# -- a broker -------------------------------------------------------------------------------------------------------

def free_port():
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class Broker:
    """A broker on a directory that stays. Kafka keeps its logs one level deeper, beside its settings."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.data = work / "data" / "log" if PEER == "kafka" else work / "data"
        if PEER == "kafka":
            flags = [part for item in SETTINGS.items() for part in ("--set", "=".join(item))]
            self.command = [ROOT / "scripts/kafka-peer.sh", "run", "--data", work / "data", "--port", str(self.port), *flags]
        else:
            every = SETTINGS | {"listeners": f"PLAINTEXT://{self.address}", "log.dirs": str(self.data)}
            flags = [part for item in every.items() for part in ("--override", "=".join(item))]
            self.command = [MILENA, *flags]
        self.start()

    def start(self):
        with open(work / "broker.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        until("the broker listens", self.listens, 60)

    def listens(self):
        check(self.process.poll() is None, f"the broker ended: {(work / 'broker.log').read_text()[-300:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def serves(self, api_key):
        """Whether the broker lists that API, asked as ApiVersions version 0."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
            answer = connection.makefile("rb")
            (length,) = struct.unpack(">i", answer.read(4))
            body = answer.read(length)
        (count,) = struct.unpack_from(">i", body, 6)
        return api_key in [struct.unpack_from(">h", body, 10 + 6 * row)[0] for row in range(count)]

    def end(self, how):
        self.process.send_signal(how)
        status = self.process.wait(30)
        if how == signal.SIGTERM:
            # A JVM that was asked to end says 143.
            check(status in (0, 143), f"the broker ended with {status}")


# -- Kafka's tool ---------------------------------------------------------------------------------------------------

def dump(files, *flags):
    """What the tool prints about each of these files: its path, to its lines."""
    if not files:
        return {}
    command = [*JAVA, "org.apache.kafka.tools.DumpLogSegments", *flags, "--files", ",".join(map(str, files))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    sections, lines = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("Dumping "):
            lines = sections.setdefault(pathlib.Path(line.removeprefix("Dumping ")), [])
        else:
            check(lines is not None, f"the tool says {line!r}")
            lines.append(line)
    eq((done.returncode, complaints(done.stderr)), (0, []), "the tool's status and complaints")
    eq(sorted(sections), sorted(files), "the files that were dumped")
    return sections


# Logs that compaction has thinned, or may have.
SPARSE = ("compacted", "__consumer_offsets", "__transaction_state", "grown")


def complaints(text):
    """What the tool says on stderr, but for what it says about Kafka's own logs too: it expects each segment to go on from
    offset -1, and it does not know which logs are compacted. That offsets are dense is checked below."""
    left, path = [], None
    for line in text.splitlines():
        if line.startswith("Non-consecutive offsets in "):
            path = pathlib.Path(line.removeprefix("Non-consecutive offsets in "))
        elif not (path and re.fullmatch(r"  -1 is followed by \d+", line)
                  or path and path.parent.name.startswith(SPARSE) and re.fullmatch(r"  \d+ is followed by \d+", line)):
            left.append(line)
    return left


BATCH = re.compile(
    r"baseOffset: (?P<base>\d+) lastOffset: (?P<last>\d+) count: (?P<count>\d+) baseSequence: (?P<sequence>-?\d+) "
    r"lastSequence: (?P<last_sequence>-?\d+) producerId: (?P<producer>-?\d+) producerEpoch: (?P<producer_epoch>-?\d+) "
    r"partitionLeaderEpoch: (?P<epoch>\d+) isTransactional: (?P<transactional>true|false) isControl: (?P<control>true|false) "
    r"deleteHorizonMs: (?P<horizon>OptionalLong(?:\.empty|\[\d+\])) position: (?P<position>\d+) "
    r"(?P<time_type>CreateTime|LogAppendTime): (?P<time>-?\d+) size: (?P<size>\d+) magic: 2 "
    r"compresscodec: (?P<codec>none|gzip|snappy|lz4|zstd) crc: \d+ isvalid: true")
RECORD = re.compile(
    r"\| offset: (?P<offset>\d+) (?:CreateTime|LogAppendTime): -?\d+ keySize: (?P<key_size>-?\d+) "
    r"valueSize: (?P<value_size>-?\d+) sequence: -?\d+ headerKeys: \[(?P<headers>[^]]*)\](?P<rest>.*)")
PAYLOAD = re.compile(r"(?: key: (?P<key>.*?))?(?: payload: (?P<payload>.*))?")
CONTROL = re.compile(r" (?:endTxnMarker: (?:COMMIT|ABORT) coordinatorEpoch: \d+"
                     r"|(?:LeaderChange|SnapshotHeader|SnapshotFooter|KRaftVersion|KRaftVoters):? \{.*\})")
INDEX_ENTRY = re.compile(r"offset: (\d+) position: (\d+)")
TIME_ENTRY = re.compile(r"timestamp: (\d+) offset: (\d+)")
ABORTED = re.compile(r"version: 0 producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)")
PRODUCER = re.compile(
    r"producerId: (\d+) producerEpoch: (\d+) coordinatorEpoch: (-?\d+) currentTxnFirstOffset: OptionalLong(\.empty|\[\d+\]) "
    r"lastTimestamp: (-?\d+) (?:firstSequence: (-?\d+) lastSequence: (-?\d+) lastOffset: (-?\d+) offsetDelta: (-?\d+) "
    r"timestamp: (-?\d+))?")

Batch = collections.namedtuple("Batch", "base last count position size time control transactional codec producer records")


def parse(pattern, line, path):
    found = pattern.fullmatch(line)
    check(found, f"{path}: the tool says {line!r}")
    return found


def batches(path, lines, clean):
    """The batches of one .log, checked one by one: whole, behind one another, with as many records as they say."""
    base = int(path.stem)
    eq(lines[:1], [f"Log starting offset: {base}"], f"{path}: first line")
    found, position = [], 0
    for line in lines[1:]:
        if not line.startswith("|"):
            batch = parse(BATCH, line, path)
            number = {name: int(batch[name]) for name in ("base", "last", "count", "position", "size", "time", "producer")}
            eq(number["position"], position, f"{path}: position of the batch at offset {number['base']}")
            position += number["size"]
            found.append(Batch(**number, control=batch["control"] == "true", transactional=batch["transactional"] == "true",
                               codec=batch["codec"], records=[]))
        else:
            found[-1].records.append(parse(RECORD, line, path))
    for batch in found:
        where = f"{path}: the batch at offset {batch.base}"
        eq(len(batch.records), batch.count, f"{where}: records")
        offsets = [int(record["offset"]) for record in batch.records]
        eq(offsets, sorted(set(offsets)), f"{where}: offsets")
        check(all(batch.base <= offset <= batch.last for offset in offsets), f"{where}: {offsets} outside of it")
        for record in batch.records:
            parse(CONTROL if batch.control else PAYLOAD, record["rest"], where)
    if clean:
        eq(position, path.stat().st_size, f"{path}: bytes in batches and bytes in the file")
    return found


# -- a directory ----------------------------------------------------------------------------------------------------

KNOWN = re.compile(r"\d{20}\.(log|index|timeindex|txnindex|snapshot)(\.deleted)?|\d{20}-\d{10}\.checkpoint"
                   r"|leader-epoch-checkpoint|segment-checkpoint|partition\.metadata|quorum-state")
KNOWN_ABOVE = re.compile(r"meta\.properties|bootstrap\.checkpoint|\.lock|\.kafka_cleanshutdown"
                         r"|(recovery-point|log-start|replication|cleaner)-offset-checkpoint")
FLAGS = {"__consumer_offsets": "--offsets-decoder", "__transaction_state": "--transaction-log-decoder",
         "__cluster_metadata": "--cluster-metadata-decoder"}


class Dumped:
    """All that the tool says about one directory, taken once and asked by several tests."""

    def __init__(self, data, name, clean):
        # A copy, since the next broker changes the directory.
        self.data, self.clean = work / name, clean
        subprocess.run(["cp", "-a", "--sparse=always", data, self.data], check=True)
        self.files = sorted(path for path in self.data.rglob("*") if path.is_file())
        self.errors = {}
        self.logs = self.attempt("logs", self.read_logs) or {}
        self.indexes = self.attempt("indexes", self.read_indexes) or {}
        self.sanity = self.attempt("sanity", self.read_sanity) or {}
        self.small = self.attempt("small files", self.read_small) or {}

    def attempt(self, what, read):
        try:
            return read()
        except Exception as error:
            self.errors[what] = error

    def need(self, what):
        if what in self.errors:
            error = self.errors[what]
            raise AssertionError(f"{what}: {type(error).__name__}: {error}")

    def of_kind(self, *kinds):
        """Files of these kinds that are not on their way out."""
        found = [path for path in self.files if path.suffix in kinds and not path.parent.name.endswith("-delete")]
        if not self.clean:
            # A kill leaves the indexes of the last segment as they were: longer than what is in them.
            open_indexes = {max(path.parent.glob("*.log")).with_suffix(kind) for path in found for kind in (".index", ".timeindex")
                            if list(path.parent.glob("*.log"))}
            found = [path for path in found if path not in open_indexes]
        return found

    def read_logs(self):
        """(topic, partition) to its segments: the path and the batches of each."""
        logs = collections.defaultdict(list)
        by_flag = collections.defaultdict(list)
        for path in self.of_kind(".log", ".checkpoint"):
            flag = FLAGS.get(path.parent.name.rsplit("-", 1)[0])
            flag = FLAGS["__cluster_metadata"] if path.suffix == ".checkpoint" else flag
            by_flag[flag].append(path)
        for flag, paths in by_flag.items():
            for path, lines in sorted(dump(paths, flag or "--print-data-log").items()):
                if path.suffix == ".checkpoint":
                    self.check_snapshot(path, lines)
                else:
                    topic, partition = path.parent.name.rsplit("-", 1)
                    logs[(topic, int(partition))].append((path, batches(path, lines, self.clean)))
        return dict(logs)

    def check_snapshot(self, path, lines):
        head = r"KRaft bootstrap snapshot|Snapshot end offset: \d+, epoch: \d+"
        check(re.fullmatch(head, lines[0]), f"{path}: the tool says {lines[0]!r}")
        for line in lines[1:]:
            parse(BATCH if not line.startswith("|") else RECORD, line, path)

    def read_indexes(self):
        return dump(self.of_kind(".index", ".timeindex", ".txnindex", ".snapshot"))

    def read_sanity(self):
        return dump(self.of_kind(".index", ".timeindex"), "--index-sanity-check")

    def read_small(self):
        """A small file's path below the directory, to what Kafka's classes read in it."""
        done = subprocess.run([*JAVA, HERE / "ReadFiles.java", self.data], capture_output=True, text=True, timeout=60)
        eq((done.returncode, done.stderr), (0, ""), "status and complaints of Kafka's classes")
        facts = collections.defaultdict(list)
        for line in done.stdout.splitlines():
            name, fact = line.split("\t")
            facts[name].append(fact)
        return dict(facts)


dumps = {}  # the directory after: stop, kill, stop again
parts = {}  # each part of the workload, and what went wrong with it
workload = None


ADD_PARTITIONS_TO_TXN = 24


def skip(word, reason):
    """Reports the tests with that word in their names as skipped."""
    for name in [name for name, _, _ in suite._tests if word in name]:
        print(f"skip {name}: {reason}", flush=True)
    suite._tests[:] = [entry for entry in suite._tests if word not in entry[0]]


def part(name, act, *arguments):
    try:
        act(*arguments)
        parts[name] = None
    except BaseException as error:
        parts[name] = error


def prepare():
    """Runs the workload and takes the three dumps. What fails here is told by the tests that need it."""
    global workload
    broker = Broker()
    try:
        workload = Workload(broker.address)
        for name in ("codecs", "large_segments", "many_segments", "deleted_records", "groups", "administration"):
            part(name, getattr(workload, name))
        if broker.serves(ADD_PARTITIONS_TO_TXN):
            part("transactions", workload.transactions)
        else:
            skip("transaction", "the broker does not serve transactions")
        part("compaction", workload.compaction, lambda: was_cleaned(broker.data))
        broker.end(signal.SIGTERM)
        dumps["stop"] = Dumped(broker.data, "stop", clean=True)
        broker.start()
        part("after-restart", workload.after_restart)
        broker.end(signal.SIGKILL)
        dumps["kill"] = Dumped(broker.data, "kill", clean=False)
        broker.start()
        part("after-kill", workload.after_restart)
        broker.end(signal.SIGTERM)
        dumps["stop-again"] = Dumped(broker.data, "stop-again", clean=True)
    finally:
        broker.process.kill()


def was_cleaned(data):
    path = data / "cleaner-offset-checkpoint"
    return path.exists() and any(line.startswith("compacted 0 ") for line in path.read_text().splitlines())


# -- the tests ------------------------------------------------------------------------------------------------------

def workload_test(name):
    @test(f"workload-{name.replace('_', '-')}", 60)
    def _():
        check(name in parts, "the workload did not come to it")
        if parts[name]:
            raise parts[name]


def each_dump(name):
    """Registers a test for each of the three dumps."""

    def register(function):
        for when in ("stop", "kill", "stop-again"):
            @test(f"{name}-after-{when}", 60)
            def _(when=when):
                check(when in dumps, "the workload did not come to it")
                function(dumps[when])

    return register


for name in ("codecs", "large_segments", "many_segments", "deleted_records", "groups", "administration", "transactions",
             "compaction", "after-restart", "after-kill"):
    workload_test(name)


@each_dump("every-file-is-of-a-known-kind")
def _(dumped):
    for path in dumped.files:
        pattern = KNOWN_ABOVE if path.parent == dumped.data else KNOWN
        check(pattern.fullmatch(path.name), f"{path.relative_to(dumped.data)} is of no kind that Kafka knows")


@each_dump("logs-are-whole-and-dense")
def _(dumped):
    """Every batch is valid, and offsets go on without a gap, over segments too; only compaction leaves gaps."""
    dumped.need("logs")
    check(len(dumped.logs) > 10, f"only {len(dumped.logs)} logs were dumped")
    for (topic, partition), segments in dumped.logs.items():
        sparse = topic in SPARSE
        expected = None
        for path, found in segments:
            base = int(path.stem)
            if expected is not None and not sparse:
                eq(base, expected, f"{path}: the segment begins where the one before ended")
            expected = base
            for batch in found:
                check(batch.base >= expected, f"{path}: offset {batch.base} stands behind {expected}")
                if not sparse:
                    eq(batch.base, expected, f"{path}: next offset")
                    eq(batch.count, batch.last - batch.base + 1, f"{path}: records of the batch at {batch.base}")
                expected = batch.last + 1


@each_dump("records-are-what-was-sent")
def _(dumped):
    dumped.need("logs")
    for (topic, partition), records in workload.written.items():
        if parts.get("transactions") and topic == "transacted":
            continue
        read = {}
        for path, found in dumped.logs[(topic, partition)]:
            for batch in found:
                for record in batch.records:
                    if batch.control:
                        read[int(record["offset"])] = None
                    else:
                        text = PAYLOAD.fullmatch(record["rest"])
                        key = text["key"].encode() if text["key"] is not None else None
                        read[int(record["offset"])] = (key, text["payload"].encode())
        # The workload goes on after the first dump; what was there then must still be there.
        for offset, record in sorted(read.items()):
            eq(record, records[offset], f"{topic}-{partition} offset {offset}")
        if dumped is dumps.get("stop-again"):
            eq(len(read), len(records), f"{topic}-{partition}: records")
        check(read, f"{topic}-{partition} holds nothing")


@test("all-codecs-are-there-as-sent", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("logs")
    for partition in (0, 1):
        found = {batch.codec for _, segment in dumped.logs[("codecs", partition)] for batch in segment}
        eq(found, {"none", "gzip", "snappy", "lz4", "zstd"}, f"codecs in codecs-{partition}")


@test("segments-were-rolled", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("logs")
    for topic, least in (("full", 4), ("timed", 3)):
        found = len(dumped.logs[(topic, 0)])
        check(found >= least, f"{topic} has {found} segments")
    for path, _ in dumped.logs[("full", 0)]:
        check(path.stat().st_size <= 1048576, f"{path} is larger than a segment may be")


@each_dump("offset-indexes-lead-to-batches")
def _(dumped):
    """The tool compares each entry with the log and prints what does not fit; here: entries grow, and there are some."""
    dumped.need("indexes")
    seen = 0
    for path, lines in dumped.indexes.items():
        if path.suffix == ".index":
            if lines == [f"{path} is empty."]:
                continue
            entries = [tuple(map(int, parse(INDEX_ENTRY, line, path).groups())) for line in lines]
            eq(entries, sorted(set(entries)), f"{path}: entries")
            eq(len({position for _, position in entries}), len(entries), f"{path}: positions")
            if path.with_suffix(".log").stat().st_size > 100_000:
                check(len(entries) > 5, f"{path} has {len(entries)} entries for 100 kB")
            seen += len(entries)
    check(seen > 100, f"only {seen} entries in all")


@each_dump("time-indexes-grow")
def _(dumped):
    dumped.need("indexes")
    seen = 0
    for path, lines in dumped.indexes.items():
        if path.suffix == ".timeindex":
            entries = [tuple(map(int, parse(TIME_ENTRY, line, path).groups())) for line in lines]
            eq(entries, sorted(set(entries)), f"{path}: entries")
            seen += len(entries)
    check(seen > 20, f"only {seen} entries in all")


@test("time-indexes-end-with-the-latest-record", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("logs")
    dumped.need("indexes")
    for segments in dumped.logs.values():
        for path, found in segments:
            lines = dumped.indexes.get(path.with_suffix(".timeindex"))
            latest = max((batch.time for batch in found), default=-1)
            if lines and latest >= 0:
                eq(int(parse(TIME_ENTRY, lines[-1], path)[1]), latest, f"{path.with_suffix('.timeindex')}: last time")


@each_dump("indexes-pass-kafkas-sanity-check")
def _(dumped):
    dumped.need("sanity")
    check(dumped.sanity, "no index was looked at")
    for path, lines in dumped.sanity.items():
        check(lines in ([f"{path} passed sanity check."], [f"{path} is empty."]), f"{path}: the tool says {lines}")


@each_dump("producer-snapshots-are-read")
def _(dumped):
    dumped.need("indexes")
    producers = 0
    for path, lines in dumped.indexes.items():
        if path.suffix == ".snapshot":
            producers += len([parse(PRODUCER, line, path) for line in lines])
    check(producers > 0, "no snapshot holds a producer")


@test("producer-snapshot-of-a-stopped-broker-knows-the-last-batches", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("logs")
    dumped.need("indexes")
    segments = dumped.logs[("codecs", 0)]
    last_batch = segments[-1][1][-1]
    path = segments[-1][0].with_name(f"{last_batch.last + 1:020}.snapshot")
    check(path in dumped.indexes, f"{path.name} is missing: a stop writes the producers at the log's end")
    found = {int(parse(PRODUCER, line, path)[1]): line for line in dumped.indexes[path]}
    wanted = {batch.producer for _, segment in segments for batch in segment if batch.producer >= 0}
    eq(set(found), wanted, f"{path}: producers")
    entry = parse(PRODUCER, found[last_batch.producer], path)
    eq(int(entry[8]), last_batch.last, f"{path}: last offset of the last producer")


@test("aborted-transactions-are-indexed", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("indexes")
    found = [tuple(map(int, parse(ABORTED, line, path).groups()[1:])) for path, lines in sorted(dumped.indexes.items())
             if path.suffix == ".txnindex" and path.parent.name == "transacted-0" for line in lines]
    eq(found, [(4, 7, 8), (12, 15, 16)], "first offset, last offset, last stable offset of the aborted transactions")


def payloads(dumped, topic):
    dumped.need("logs")
    return [record["rest"] for (name, _), segments in dumped.logs.items() if name == topic
            for _, found in segments for batch in found if not batch.control for record in batch.records]


@each_dump("group-records-are-read")
def _(dumped):
    """Kafka's decoder names each record; one that it does not know it prints as unknown."""
    found = payloads(dumped, "__consumer_offsets")
    strange = [line for line in found if not re.fullmatch(r' key: \{"type":"\d+",.*\} payload: (\{"version":"\d+",.*\}|<DELETE>)', line)]
    eq(strange, [], "records that Kafka's decoder does not know")
    every = "\n".join(found)
    for wanted in ('"type":"1","data":{"group":"joined","topic":"grouped","partition":3}',
                   '"type":"2","data":{"group":"joined"}', '"metadata":"сказано: здесь"', '"groupInstanceId":"instance-1"',
                   '"group":"doomed"}} payload: <DELETE>'):
        check(wanted in every, f"no record with {wanted}")


@each_dump("transaction-records-are-read")
def _(dumped):
    if parts.get("transactions"):
        raise parts["transactions"]
    found = payloads(dumped, "__transaction_state")
    strange = [line for line in found if not re.fullmatch(r' key: \{"type":"0",.*\} payload: (\{"version":"\d+",.*\}|<DELETE>)', line)]
    eq(strange, [], "records that Kafka's decoder does not know")
    check(any('"transactionalId":"dump"' in line for line in found), "no record of the transactional id")


@each_dump("metadata-records-are-read")
def _(dumped):
    found = payloads(dumped, "__cluster_metadata")
    strange = [line for line in found if not re.fullmatch(r' payload: \{"type":"[A-Z_]+_RECORD","version":\d+,"data":\{.*\}\}', line)]
    eq(strange, [], "records that Kafka's decoder does not know")
    every = "\n".join(found)
    for wanted in ("TOPIC_RECORD", "PARTITION_RECORD", "CONFIG_RECORD", "REMOVE_TOPIC_RECORD", "REGISTER_BROKER_RECORD",
                   "FEATURE_LEVEL_RECORD", "PRODUCER_IDS_RECORD", "CLIENT_QUOTA_RECORD", '"entityName":"dumped"', '"name":"grown"', '"retention.ms"'):
        check(wanted in every, f"no record with {wanted}")


@each_dump("small-files-are-read-by-kafkas-classes")
def _(dumped):
    dumped.need("small files")
    refused = {name: facts for name, facts in dumped.small.items() if any(fact.startswith("refused") for fact in facts)}
    eq(refused, {}, "files that Kafka refuses")
    check(re.fullmatch(r"1 \S{22} \d+ \S{22}", dumped.small["meta.properties"][0]), f"meta.properties: {dumped.small['meta.properties']}")
    eq(".kafka_cleanshutdown" in dumped.small, dumped.clean, "the marker of a clean stop is there")
    ids = {}
    for line in payloads(dumped, "__cluster_metadata"):
        found = re.search(r'"type":"TOPIC_RECORD","version":0,"data":\{"name":"([^"]+)","topicId":"([^"]+)"', line)
        if found:
            ids[found[1]] = found[2]
    for name, facts in dumped.small.items():
        if re.fullmatch(r"(?!__cluster_metadata).*-\d+/partition\.metadata", name):
            topic = name.split("/")[0].rsplit("-", 1)[0]
            eq(facts, [f"0 {ids[topic]}"], name)


@test("checkpoints-agree-with-the-logs-after-stop", 60)
def _():
    dumped = dumps["stop"]
    dumped.need("logs")
    dumped.need("small files")

    def checkpoint(name):
        facts = dumped.small.get(name)
        check(facts, f"{name} is missing")
        # TopicPartition prints as topic-partition.
        return {fact.split()[0]: int(fact.split()[1]) for fact in facts if " " in fact}

    recovered, starts = checkpoint("recovery-point-offset-checkpoint"), checkpoint("log-start-offset-checkpoint")
    for (topic, partition), segments in dumped.logs.items():
        ends = [batch.last + 1 for _, found in segments for batch in found]
        if ends and topic != "__cluster_metadata":
            eq(recovered.get(f"{topic}-{partition}"), ends[-1], f"recovery point of {topic}-{partition}")
        epochs = dumped.small.get(f"{topic}-{partition}/leader-epoch-checkpoint", [])
        if ends:
            check(epochs, f"{topic}-{partition} has no leader epoch")
    eq(starts.get("trimmed-0"), 7, "log start of trimmed-0, whose records were deleted below 7")


@test("compaction-leaves-the-last-value-of-each-key", 60)
def _():
    if parts.get("compaction"):
        raise parts["compaction"]
    dumped = dumps["stop-again"]
    dumped.need("logs")
    last = {}
    count = 0
    for _, found in dumped.logs[("compacted", 0)]:
        for batch in found:
            for record in batch.records:
                text = PAYLOAD.fullmatch(record["rest"])
                last[text["key"]] = (int(record["offset"]), text["payload"])
                count += 1
    check(count < 41, "nothing was removed")
    for key, offset in (("k0", 36), ("k2", 38), ("k3", 39)):
        eq(last.get(key), (offset, f"v-{offset:06}"), f"last record of {key}")


if __name__ == "__main__":
    if sys.argv[1:] != ["--list"]:
        try:
            prepare()
        except BaseException as error:
            print(f"# the workload broke off: {type(error).__name__}: {error}", flush=True)
    main(workers=1)
