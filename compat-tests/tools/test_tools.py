"""Runs the cases of cases.txt with our tools and compares what they say with what Apache Kafka's tools said (recorded/).

UPDATE=1 runs Kafka's tools instead, all in one JVM, and writes recorded/ and the table in README.md anew.
"""

import base64
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BINARY = os.environ["MILENA_BIN"]
SERVERS = os.environ["BOOTSTRAP_SERVERS"].split(",")[0]
UPDATE = os.environ.get("UPDATE") == "1"
PATIENCE = 30

CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
}


class Case:
    """One call of a tool. `#` lines tell about it, `<` is its input, `as` is what Kafka's tool is asked where a flag is gone,
    `keep`, `sort`, `numbers` and `code` say how the outputs are compared."""

    def __init__(self, name):
        self.name, self.input, self.as_line, self.keep, self.marks, self.line = name, "", None, None, set(), None

    def words(self, work, line=None):
        return [word.replace("BS", SERVERS).replace("DIR", str(work)) for word in shlex.split(line or self.line)]

    def recorded(self):
        return HERE / "recorded" / f"{self.name}.txt"


def read_cases():
    cases, case = [], None
    for line in (HERE / "cases.txt").read_text().splitlines():
        if line.startswith("["):
            case = Case(line.strip("[]"))
            cases.append(case)
        elif line.startswith("$ "):
            case.line = line[2:]
        elif line.startswith("as $ "):
            case.as_line = line[5:]
        elif line.startswith("< "):
            case.input += line[2:].replace("\\t", "\t") + "\n"
        elif line.startswith("keep "):
            case.keep = re.compile(line[5:])
        elif line and not line.startswith("#"):
            case.marks.add(line)
    return cases


def masked(case, status, said, work):
    """What is compared: the output without what differs from run to run, and the status."""
    host, _, port = SERVERS.rpartition(":")
    for found, mask in [
        (str(work), "DIR"),
        (SERVERS, "HOST:PORT"),
        (host + " " + port, "HOST PORT"),
    ]:
        said = said.replace(found, mask)
    said = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}", "DATE", said)
    said = re.sub(r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w-])", "ID", said)
    said = re.sub(r"\b1[5-9]\d{11}\b", "TIME", said)
    # A cluster with eligible leader replicas has this one as a setting of all topics, others have it as the default.
    said = re.sub(r"(Configs: |,)min\.insync\.replicas=1(,|$)", r"\1", said, flags=re.M).replace("Configs: ,", "Configs: ")
    said = re.sub(r"DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1, ", "", said)
    lines = [line for line in said.splitlines() if not re.match(r"\s+at |Caused by: |\s+\.\.\. ", line)]
    if case.keep:
        lines = [line for line in lines if case.keep.search(line)]
    if "sort" in case.marks:
        lines.sort()
    if "numbers" in case.marks:
        lines = [re.sub(r"NaN|\d+(\.\d+)?", "N", line) for line in lines]
    if "blanks" in case.marks:
        lines = [" ".join(line.split()) for line in lines]
    if "code" in case.marks:
        lines = []
    return f"exit {status}\n" + "".join(line + "\n" for line in lines)


def run_ours(case, work):
    done = subprocess.run([BINARY, *case.words(work)], input=case.input.encode(), capture_output=True, timeout=PATIENCE)
    return masked(case, done.returncode, done.stdout.decode(errors="replace"), work)


class KafkaTools:
    """Kafka's tools in one JVM."""

    def __init__(self):
        jars = f"{os.environ['MILENA_TOOLS']}/kafka-4.3.1/*"
        command = ["java", "-Djava.security.manager=allow", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
                   "-Dlog4j2.level=OFF", "-cp", jars, str(HERE / "RunTools.java")]
        self.jvm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def run(self, case, work):
        tool, *arguments = case.words(work, case.as_line)
        given = base64.b64encode(case.input.encode()).decode()
        self.jvm.stdin.write("\t".join([CLASSES[tool], given, *arguments]) + "\n")
        self.jvm.stdin.flush()
        status, said = self.jvm.stdout.readline().rstrip("\n").split("\t")
        return masked(case, status, base64.b64decode(said).decode(errors="replace"), work)

    def stop(self):
        self.jvm.stdin.close()
        self.jvm.wait(timeout=20)


def prepare(work):
    """The files that cases name."""
    (work / "client.properties").write_text("security.protocol=PLAINTEXT\nclient.id=compat\n")
    (work / "topic.properties").write_text("retention.ms=7777\n")
    (work / "payloads.txt").write_text("one\ntwo\nthree\n")
    (work / "offsets.json").write_text('{"partitions":[{"topic":"tool-records","partition":0,"offset":2}],"version":1}')
    (work / "partitions.json").write_text('{"partitions":[{"topic":"tool-a","partition":2}]}')
    (work / "offsets.csv").write_text("tool-groups,0,1\n")
    (work / "server.properties").write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:29999\n"
        "listeners=PLAINTEXT://127.0.0.1:29998,CONTROLLER://127.0.0.1:29999\ncontroller.listener.names=CONTROLLER\n"
        f"log.dirs={work}/formatted\n")
    segment = (HERE / "segment").read_bytes()
    (work / "00000000000000000000.log").write_bytes(segment)


def compare(case, work):
    if not case.recorded().exists():
        return f"not ok {case.name}: nothing is recorded, UPDATE=1 records it"
    try:
        ours = run_ours(case, work)
    except subprocess.TimeoutExpired:
        return f"not ok {case.name}: no end within {PATIENCE} s"
    theirs = case.recorded().read_text()
    if ours == theirs:
        return f"ok {case.name}"
    for number, (mine, other) in enumerate(zip(ours.splitlines() + ["<end>"], theirs.splitlines() + ["<end>"])):
        if mine != other:
            return f"not ok {case.name}: line {number}: {mine!r} where Kafka's tool says {other!r}"
    return f"not ok {case.name}: {ours!r} where Kafka's tool says {theirs!r}"


# What is timed: each tool doing its everyday work.
TIMED = [
    "kafka-topics --bootstrap-server BS --list",
    "kafka-topics --bootstrap-server BS --describe --topic tool-records",
    "kafka-console-consumer --bootstrap-server BS --topic tool-records --from-beginning --max-messages 1",
    "kafka-console-producer --bootstrap-server BS --topic tool-times",
    "kafka-consumer-groups --bootstrap-server BS --list",
    "kafka-consumer-groups --bootstrap-server BS --describe --group tool-group",
    "kafka-configs --bootstrap-server BS --describe --topic tool-records",
    "kafka-broker-api-versions --bootstrap-server BS",
    "kafka-get-offsets --bootstrap-server BS --topic tool-records",
    "kafka-log-dirs --bootstrap-server BS --describe",
    "kafka-cluster cluster-id --bootstrap-server BS",
    "kafka-groups --bootstrap-server BS --list",
    "kafka-storage random-uuid",
    "kafka-dump-log --files DIR/00000000000000000000.log",
    "cub kafka-ready -b BS 1 10",
]


def measure(work):
    medians = []
    for line in TIMED:
        words = [word.replace("BS", SERVERS).replace("DIR", str(work)) for word in line.split()]
        times, before = [], os.times()
        for _ in range(11):
            begun = time.perf_counter()
            done = subprocess.run([BINARY, *words], input=b"x\n", capture_output=True, timeout=PATIENCE)
            times.append((time.perf_counter() - begun) * 1000)
            if done.returncode != 0:
                print(f"not ok median-run-time: {line} ended with {done.returncode}")
                return
        after = os.times()
        used = (after.children_user + after.children_system - before.children_user - before.children_system) * 1000 / 11
        medians.append((statistics.median(times), used))
        print(f"# median of 11 runs {medians[-1][0]:6.1f} ms, {used:4.1f} ms of processor  {line.replace('BS', 'HOST:PORT')}")
    middle, used = (statistics.median(column) for column in zip(*medians))
    # On a machine with more work than processors the clock measures the others: then what the tool itself used counts.
    is_busy = os.getloadavg()[0] > os.cpu_count()
    if is_busy:
        print(f"# the machine is busy (load {os.getloadavg()[0]:.0f}): processor time decides, {used:.1f} ms")
    verdict = used if is_busy else middle
    print("ok median-run-time" if verdict <= 20 else f"not ok median-run-time: {verdict:.1f} ms, more than 20")


def coverage(cases):
    """The table of README.md: every flag that is used twice or more, and the cases that cover it."""
    rows = ["| tool | flag | files | covered by |", "| --- | --- | ---: | --- |"]
    covered = missing = 0
    for line in (HERE / "flags.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        tool, flag, count, reason = line.split("\t")
        uses = [case.name for case in cases if case.line and uses_flag(case.line, tool, flag)]
        if uses:
            covered += 1
        else:
            missing += 1
        where = ", ".join(uses[:3]) if uses else f"**not**: {reason or 'no case'}"
        rows.append(f"| {tool} | `{flag}` | {count} | {where} |")
    rows.append("")
    rows.append(f"{covered} of {covered + missing} flags are covered.")
    return "\n".join(rows)


def uses_flag(line, tool, flag):
    words = line.split()
    if words[:len(tool.split())] != tool.split():
        return False
    return flag in words


def check_table(cases):
    readme = HERE / "README.md"
    text = readme.read_text()
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    new = before + begin + coverage(cases) + "\n" + end + after
    if UPDATE:
        readme.write_text(new)
    print("ok coverage-table" if new == text or UPDATE else "not ok coverage-table: README.md is out of date, UPDATE=1 writes it")


def main():
    sys.stdout.reconfigure(line_buffering=True)
    only = sys.argv[1:]
    cases = read_cases()
    chosen = [case for case in cases if not only or any(part in case.name for part in only)]
    with tempfile.TemporaryDirectory(prefix="tools.") as name:
        work = Path(name)
        prepare(work)
        if UPDATE:
            (HERE / "recorded").mkdir(exist_ok=True)
            kafka = KafkaTools()
            for case in chosen:
                # What Kafka does not have is recorded from ours, and read by a person.
                run = kafka.run if case.line.split()[0] in CLASSES else run_ours
                case.recorded().write_text(run(case, work))
                print(f"ok {case.name}")
            kafka.stop()
        else:
            for case in chosen:
                print(compare(case, work))
            if not only:
                measure(work)
    if not only:
        check_table(cases)


main()
