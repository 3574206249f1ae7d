"""The compose files in files/, each with only `image:` changed, and what their `x-drop-in` blocks promise.

The files publish fixed ports, so one stack is up at a time: each test asks for its stack, the first one starts it, and the first
test of the next file takes it down. The last test of a file stops the broker, so its name sorts last in the file.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import time

import engine
from engine import FirstAnswer, answers, docker, logs, ready_lines_once, round_trip, started_at, stops_in_time, values
from stack import HERE, Stack
from suite import Skip, check, eq, fresh, main, test, until
from wire import Wire

TOPIC, BROKER = 2, 4
TIMEOUT = 90
stacks = {path.name[:2]: Stack(path) for path in sorted((HERE / "files").glob("*.yml"))}
# What one broker without authentication cannot serve, and what its one sentence has to speak of.
REFUSED = {"06": r"SASL", "08": r"broker|node|quorum|voters", "09": r"broker|node|quorum|voters|controller"}


# -- questions ----------------------------------------------------------------------------------------------------------------


def metadata(stack, topics=None, create=False):
    rows = None if topics is None else [{"Name": topic} for topic in topics]
    return Wire(stack.host).ask("Metadata", 5, Topics=rows, AllowAutoTopicCreation=create)


def partitions(stack, topic):
    found = metadata(stack, [topic])["Topics"][0]
    eq(found["ErrorCode"], 0, f"error of {topic}")
    return len(found["Partitions"])


def make_topic(stack):
    name = fresh("made")
    made = Wire(stack.host).ask("CreateTopics", 5, timeoutMs=10000, Topics=[
        {"Name": name, "NumPartitions": -1, "ReplicationFactor": -1}])["Topics"][0]
    eq(made["ErrorCode"], 0, "making a topic")
    return name


def config(stack, kind, name, key):
    answer = Wire(stack.host).ask("DescribeConfigs", 1, Resources=[
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": [key]}])["Results"][0]
    eq(answer["ErrorCode"], 0, f"configuration of {name}")
    return {c["Name"]: c["Value"] for c in answer["Configs"]}[key]


# -- what every served file has to do -----------------------------------------------------------------------------------------


def limit():
    """A second is promised; on a machine where others wait for the processor too a clock says little, which is told."""
    if os.getloadavg()[0] <= os.cpu_count():
        return 1.0
    print(f"# the machine is busy (load {os.getloadavg()[0]:.0f}): a first answer has ten seconds, not one", flush=True)
    return 10.0


def answers_at_once(stack):
    """The first answer comes within a second of the container's start, also where the file makes it wait for others."""
    first = FirstAnswer(stack.host)
    stack.up()
    took = first.since(started_at(stack.container(stack.brokers[0])))
    print(f"# {stack.number}: first answer {took * 1000:.0f} ms after the container's start", flush=True)
    check(took <= limit(), f"first answer {took:.2f} s after the container's start")


def serves_the_host(stack):
    stack.up()
    nodes = {f"{b['Host']}:{b['Port']}" for b in metadata(stack)["Brokers"]}
    eq(nodes, {stack.host}, "the addresses told to a client on the host")
    round_trip(stack.host, make_topic(stack))


def serves_the_network(stack):
    """Our tools in a container beside it, by the service's name."""
    stack.up()
    topic = make_topic(stack)
    script = (f"echo from the network | kafka-console-producer --bootstrap-server {stack.net} --topic {topic} && "
              f"kafka-console-consumer --bootstrap-server {stack.net} --topic {topic} --from-beginning --max-messages 1 "
              "--timeout-ms 10000")
    said = docker("run", "--rm", "--pull", "never", "--label", engine.LABEL, "--network", stack.network(), engine.IMAGE, "bash", "-c", script)
    check("from the network" in said.splitlines(), f"the consumer said {said!r}")


def becomes_healthy(stack):
    """By the file's own check, as often as the file asks."""
    stack.up()
    service = stack.brokers[0]
    bound = stack.expect.get("healthy_within_s", 60)
    until("healthy", lambda: stack.state(service)["Health"]["Status"] == "healthy", bound)
    good = [entry for entry in stack.state(service)["Health"]["Log"] if entry["ExitCode"] == 0]
    check(good, "reported healthy, and no check succeeded")


def keeps_its_volume(stack):
    stack.up()
    topic = make_topic(stack)
    round_trip(stack.host, topic)
    stack.down(volumes=False)
    stack.up()
    until("an answer", lambda: answers(stack.host))
    eq(len(values(stack.host, topic)), 5, "records after `down` and `up`")


def says_that_it_is_ready(stack):
    stack.up()
    ready_lines_once(stack.container(stack.brokers[0]))


def others_still_run(stack):
    stack.up()
    once = stack.expect.get("exits_zero", []) + (["seed"] if "seed" in stack.services else [])
    for service in stack.services:
        if service in once:
            eq(stack.ended(service), 0, f"exit code of {service}")
        else:
            eq(stack.state(service)["Status"], "running", service)


def stops(stack):
    stack.up()
    took = stops_in_time(stack.container(stack.brokers[0]))
    print(f"# {stack.number}: docker stop took {took:.2f} s", flush=True)
    stack.down()


# -- what the `expect` blocks say, by key ---------------------------------------------------------------------------------------


def nodes(stack, want):
    eq(len(metadata(stack)["Brokers"]), want, "brokers")


def node_id(stack, want):
    eq(metadata(stack)["Brokers"][0]["NodeId"], want, "the broker's id")


def default_partitions(stack, want):
    eq(partitions(stack, make_topic(stack)), want, "partitions of a topic made without a number")


def auto_create(stack, want):
    """A producer's first question makes the topic, or does not."""
    name = fresh("unknown")
    metadata(stack, [name], create=True)
    eq(any(t["Name"] == name for t in metadata(stack)["Topics"]), want, "the topic was made")


def topics(stack, want):
    for topic, count in want.items():
        eq(partitions(stack, topic), count, f"partitions of {topic}")


def topics_made_by_peers(stack, want):
    for topic in want:
        until(f"{topic} is made", lambda: any(t["Name"] == topic for t in metadata(stack)["Topics"]), 30)


def compacted(stack, want):
    for topic in want:
        until(f"{topic} is made", lambda: any(t["Name"] == topic for t in metadata(stack)["Topics"]), 30)
        eq(config(stack, TOPIC, topic, "cleanup.policy"), "compact", f"cleanup.policy of {topic}")


def topic_config(stack, want):
    for topic, settings in want.items():
        for key, value in settings.items():
            eq(config(stack, TOPIC, topic, key), value, f"{key} of {topic}")


def messages(stack, want):
    """The file's own seed: keys and values as its command line writes them."""
    for topic, count in want.items():
        found = values(stack.host, topic)
        eq(len(found), count, f"records in {topic}")
        eq(sorted(found), [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], f"records in {topic}")


EXPECT = {"nodes": nodes, "node_id": node_id, "broker_id": node_id, "default_partitions": default_partitions,
          "auto_create": auto_create, "topics": topics, "topics_made_by_peers": topics_made_by_peers, "compacted": compacted,
          "topic_config": topic_config, "messages": messages}
# Asked by the tests that every file has.
ELSEWHERE = {"healthy_within_s", "exits_zero"}


def holds(key):
    def ask(stack):
        stack.up()
        until("an answer", lambda: answers(stack.host))
        EXPECT[key](stack, stack.expect[key])
    return ask


# -- single files ---------------------------------------------------------------------------------------------------------------


def init_container_twice(stack):
    """`docker-compose up` on another day: the topics are there, and the container ends well all the same."""
    stack.up()
    stack.compose("run", "--rm", "-T", "topics")


def seed_reads_what_it_wrote(stack):
    stack.up()
    eq(stack.ended("seed"), 0, "exit code of seed")
    said = logs(stack.container("seed"))[0].splitlines()
    eq([line for line in said if "\t" in line], ["a\t1", "b\t2", "c\t3"], "what seed printed")


def what_consoles_ask(stack):
    """Web consoles read the settings of topics and brokers, all groups with their offsets, the sizes of logs, and the ACLs."""
    stack.up()
    round_trip(stack.host, make_topic(stack))
    peer = Wire(stack.host)
    check(config(stack, BROKER, "1", "log.retention.hours") is not None, "no settings of the broker")
    groups = [g["GroupId"] for g in peer.ask("ListGroups", 4)["Groups"]]
    check(groups, "no group is listed")
    found = peer.ask("DescribeGroups", 5, Groups=groups)["Groups"]
    eq({g["ErrorCode"] for g in found}, {0}, "errors of groups")
    offsets = peer.ask("OffsetFetch", 8, Groups=[{"GroupId": g, "Topics": None} for g in groups])["Groups"]
    check(any(g["Topics"] for g in offsets), "no committed offset is told")
    sizes = peer.ask("DescribeLogDirs", 2, Topics=None)["Results"]
    check(sum(p["PartitionSize"] for d in sizes for t in d["Topics"] for p in t["Partitions"]) > 0, "no log has a size")


def a_real_connect_worker(stack):
    """Kafka's own Connect worker, beside the containers, comes up and makes its three topics as it wants them."""
    jars = pathlib.Path(os.environ["MILENA_TOOLS"]) / "kafka-4.3.1"
    if not (jars / ".stamp").exists():
        raise Skip(f"{jars.name} is missing, run scripts/setup-clients.sh kafka-java")
    stack.up()
    name = fresh("connect")
    made = [f"{name}-{kind}" for kind in ("configs", "offsets", "status")]
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder) / "worker.properties"
        lines = [f"{kind}.storage.topic={topic}\n{kind}.storage.replication.factor=1"
                 for kind, topic in zip(("config", "offset", "status"), made)]
        converters = [f"{part}.converter=org.apache.kafka.connect.json.JsonConverter" for part in ("key", "value")]
        settings.write_text("\n".join([f"bootstrap.servers={stack.host}", f"group.id={name}", "listeners=http://127.0.0.1:0",
                                       "plugin.discovery=service_load", f"plugin.path={folder}", *converters, *lines]))
        worker = subprocess.Popen(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", f"{jars}/*",
                                   "org.apache.kafka.connect.cli.ConnectDistributed", settings],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            there = lambda: {t["Name"] for t in metadata(stack)["Topics"]}  # noqa: E731
            until("the worker's topics", lambda: set(made) <= there(), 50)
            eq([config(stack, TOPIC, topic, "cleanup.policy") for topic in made], ["compact"] * 3, "cleanup.policy")
            peer = Wire(stack.host)
            state = lambda: peer.ask("DescribeGroups", 5, Groups=[name])["Groups"][0]["GroupState"]  # noqa: E731
            until("the worker's group is stable", lambda: state() == "Stable", 30)
        finally:
            worker.kill()
            worker.wait()


def refused(stack):
    """Each of its brokers ends with 1, and with one sentence on standard error that says what is not there yet."""
    stack.take_over()
    stack.start("--no-deps", *stack.brokers)
    for service in stack.brokers:
        # With `restart:` the engine tries again, a little later each time: between two tries the code of the last one is told.
        ended = until(f"{service} ends", lambda: (s := stack.state(service))["Status"] in ("exited", "restarting") and [s], 20)
        eq(ended[0]["ExitCode"], 1, "exit code")
        out, err = (text.splitlines() for text in logs(stack.container(service)))
        # Each try says the same.
        said = {line.strip() for line in err if line.strip()}
        eq(len(said), 1, f"sentences of {service} on standard error ({sorted(said)})")
        sentence = said.pop()
        check(re.search(REFUSED[stack.number], sentence), f"{service} says {sentence!r}")
        check(not re.search("|".join(engine.READY), "\n".join(out)), "it said that it is ready")
    print(f"# {stack.number}: refused: {sentence}", flush=True)
    stack.down()


# -- the image itself -------------------------------------------------------------------------------------------------------------


def first_answer_of(image, times=11):
    """Medians: from the docker command, and from the container's start, to the first answer on the published port."""
    command, start = [], []
    for _ in range(times):
        begun = time.time()
        container = engine.run(image, options=["-p", "127.0.0.1:9092:9092"])
        try:
            at = FirstAnswer("127.0.0.1:9092")
            start.append(at.since(started_at(container)))
            command.append(at.at - begun)
        finally:
            engine.remove(container)
    return sorted(command)[times // 2], sorted(start)[times // 2]


def size(image):
    size = int(docker("image", "inspect", image, "--format", "{{.Size}}"))
    print(f"# {image}: {size / 1e6:.1f} MB", flush=True)
    check(size < 150e6, f"{size / 1e6:.1f} MB")


def first_answer(image):
    command, start = first_answer_of(image)
    print(f"# {image}: first answer {start * 1000:.0f} ms after the container's start, {command * 1000:.0f} ms after `docker run` "
          "(medians of 11)", flush=True)
    check(start <= limit(), f"{start:.2f} s")


def memory(image):
    """Ten seconds after the start, with nothing asked but the first question. Compose files set limits of 256 MB."""
    container = engine.run(image, options=["-p", "127.0.0.1::9092"])
    try:
        until("an answer", lambda: answers(f"127.0.0.1:{engine.port_of(container, 9092)}"))
        time.sleep(max(0.0, started_at(container) + 10 - time.time()))
        counted, resident = engine.memory_of(container)
        print(f"# {image}: {counted / 2**20:.1f} MiB in its cgroup, {resident / 2**20:.1f} MiB resident, 10 s after the start", flush=True)
        check(counted < 100 * 2**20, f"{counted / 2**20:.0f} MiB")
    finally:
        engine.remove(container)


def healthy_by_itself(image):
    """The small image has no shell; its health check is the broker's own binary."""
    container = engine.run(image)
    try:
        until("healthy", lambda: engine.inspect(container)["State"]["Health"]["Status"] == "healthy", 20)
        stops_in_time(container)
    finally:
        engine.remove(container)


def register_image(kind, image, name, act):
    @test(f"00-{kind}-{name}", TIMEOUT)
    def ask():
        if not docker("image", "ls", "-q", image).strip():
            raise Skip(f"{image} is not there: it takes a static binary (MILENA_STATIC_BIN)")
        act(image)


for kind, image in ("shell", engine.IMAGE), ("scratch", engine.IMAGE.split(":")[0] + ":scratch"):
    for name, act in ("size", size), ("first-answer", first_answer), ("memory", memory):
        register_image(kind, image, name, act)
    if kind == "scratch":
        register_image(kind, image, "healthy", healthy_by_itself)


def register(stack, name, act):
    # All the same: tests with longer times would be run first, and each stack be made more than once.
    test(f"{stack.number}-{name}", TIMEOUT)(lambda: act(stack))


for stack in stacks.values():
    unknown = set(stack.expect) - set(EXPECT) - ELSEWHERE
    if stack.number in REFUSED:
        register(stack, "refused", refused)
        continue
    assert not unknown, f"{stack.path.name} expects what nobody asks: {unknown}"
    register(stack, "answers-within-a-second", answers_at_once)
    register(stack, "serves-the-host", serves_the_host)
    if stack.net:
        register(stack, "serves-the-network", serves_the_network)
    for key in EXPECT:
        if key in stack.expect:
            register(stack, "expect-" + key, holds(key))
    if stack.number == "10":
        register(stack, "init-container-twice", init_container_twice)
    if stack.number == "11":
        register(stack, "seed-reads-what-it-wrote", seed_reads_what_it_wrote)
    if stack.number == "12":
        register(stack, "what-consoles-ask", what_consoles_ask)
        register(stack, "real-connect-worker", a_real_connect_worker)
    if "healthcheck" in stack.services[stack.brokers[0]]:
        register(stack, "becomes-healthy", becomes_healthy)
    register(stack, "others-still-run", others_still_run)
    if stack.say.get("persists"):
        register(stack, "keeps-its-volume", keeps_its_volume)
    register(stack, "ready-lines-once", says_that_it_is_ready)
    register(stack, "stops-in-time", stops)

main(workers=1)
