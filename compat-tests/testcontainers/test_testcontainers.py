"""Testcontainers: each library's start procedure replayed against our image, then the libraries themselves.

A replay ends ready (the line that the library waits for), and at that moment a client produces and reads back; a line said too
early would show as a refused connection. The modules run in their own languages (node/, java/, go/, and here for Python): each
starts our image by its own means, prints the address it would give to a test, and waits for the end of its input.
"""

import io
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import time

import engine
from engine import docker, inspect, logs, round_trip
from replays import REPLAYS
from suite import Skip, check, eq, main, test, until

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = pathlib.Path(os.environ["MILENA_TOOLS"])
# The libraries read versions out of tags, and refuse names they do not know: our image under names of its own.
NAME = "milena-compat/"


def tagged(name):
    docker("tag", engine.IMAGE, NAME + name)
    return NAME + name


# -- replays ------------------------------------------------------------------------------------------------------------------


def put(container, path, text, mode):
    """As the libraries do it: an archive, unpacked by the engine as root."""
    data, archive = text.encode(), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
        tar.addfile(entry, io.BytesIO(data))
    docker("cp", "-", f"{container}:/", give=archive.getvalue())


def said(container, line):
    """Waits until a container has said a line; if it ends first, that is told with its last words."""
    def look():
        text = "".join(logs(container))
        state = inspect(container)["State"]
        check(state["Running"] or re.search(line, text),
              f"it ended with {state['ExitCode']}: {' | '.join(text.strip().splitlines()[-3:])[-220:]}")
        return re.search(line, text)
    until(f"the line {line!r}", look, 15)


def replay(what):
    options = ["-p", f"127.0.0.1::{what.port}"]
    for key, value in what.environment.items():
        options += ["-e", f"{key}={value}"]
    if what.entrypoint:
        options += ["--entrypoint", what.entrypoint]
    container = engine.run(engine.IMAGE, *what.command, options=options)
    try:
        facts = inspect(container)
        known = {"host_port": engine.port_of(container, what.port), "hostname": facts["Config"]["Hostname"],
                 "ip": facts["NetworkSettings"]["IPAddress"]}
        fill = lambda text: re.sub(r"\{(\w+)\}", lambda m: str(known[m[1]]), text)  # noqa: E731
        if what.script and what.by_exec:
            docker("exec", container, "sh", "-c", f"echo '{fill(what.script)}' > {what.path}")
        elif what.script:
            put(container, what.path, fill(what.script), what.mode)
        begun = time.monotonic()
        said(container, what.ready)
        ready = time.monotonic() - begun
        if what.then:
            docker("exec", container, *map(fill, what.then))
        if what.then_ready:
            said(container, what.then_ready)
        round_trip(f"127.0.0.1:{known['host_port']}")
        engine.ready_lines_once(container)
        return ready
    finally:
        engine.remove(container)


for name, what in REPLAYS.items():
    test("replay-" + name, timeout=45)(lambda what=what: replay(what))


@test("replay-service-container-of-ci", timeout=45)
def service_container():
    """GitHub Actions and GitLab: no command, no script; an environment, and a health check from outside the image."""
    options = ["-p", "127.0.0.1::9092", "--health-cmd", "kafka-topics.sh --bootstrap-server localhost:9092 --list",
               "--health-interval", "1s", "--health-retries", "10"]
    for pair in ["KAFKA_CFG_NODE_ID=0", "KAFKA_CFG_PROCESS_ROLES=controller,broker", "KAFKA_CFG_CONTROLLER_LISTENER_NAMES=CONTROLLER",
                 "KAFKA_CFG_LISTENERS=PLAINTEXT://:9092,CONTROLLER://:9093", "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS=0@localhost:9093",
                 "KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"]:
        options += ["-e", pair]
    container = engine.run(engine.IMAGE, options=options)
    try:
        until("healthy", lambda: inspect(container)["State"]["Health"]["Status"] == "healthy", 20)
        peer = engine.Wire(f"127.0.0.1:{engine.port_of(container, 9092)}")
        eq(len(peer.ask("Metadata", 5, Topics=None)["Brokers"]), 1, "brokers")
    finally:
        engine.remove(container)


# -- the libraries themselves ---------------------------------------------------------------------------------------------------


def module(command, folder=None):
    """Runs a library's program: it prints `bootstrap HOST:PORT`, and ends when its input does.

    Ryuk, which sweeps up after the libraries, is an image that cannot be pulled; run.sh sweeps instead. The host is told because
    a machine that is itself a container is asked for it with another image."""
    quiet = os.environ | {"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_CHECKS_DISABLE": "true",
                          "TESTCONTAINERS_HOST_OVERRIDE": "localhost"}
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, cwd=folder, env=quiet) as program:
        try:
            address = None
            for line in program.stdout:
                if line.startswith("bootstrap "):
                    address = line.split()[1].rpartition("/")[2]
                    break
            if address is None:
                raise AssertionError("it did not start the image: " + program.stderr.read().strip()[-250:])
            round_trip(address.replace("localhost", "127.0.0.1"))
            program.stdin.close()
            eq(program.wait(20), 0, "its exit code")
        finally:
            program.kill()


def needs(name):
    folder = TOOLS / "clients" / name
    if not (folder / ".stamp").exists():
        raise Skip(f"{folder.name} is missing, run scripts/setup-clients.sh {name}")
    return folder


# Library, case: what the program is told to make, and the name it gets for our image.
PYTHON = {"zookeeper": "cp-kafka:7.6.0", "kraft": "cp-kafka:7.6.0"}
NODE = {"zookeeper": "cp-kafka:7.4.0", "kraft": "cp-kafka:8.0.0", "kraft-old": "cp-kafka:7.2.2"}
JAVA = {"apache": "kafka-native:3.8.0", "confluent": "cp-kafka:7.4.0", "legacy": "cp-kafka:6.2.1", "legacy-kraft": "cp-kafka:7.3.0"}
GO = {"kraft": "confluent-local:7.5.0"}


def python_module(case, image):
    needs("testcontainers")
    module([sys.executable, HERE / "start.py", case, tagged(image)])


def node_module(case, image):
    module(["node", needs("testcontainers-node") / "start.js", case, tagged(image)])


def java_module(case, image):
    jars = needs("testcontainers-java")
    module(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}:{jars}/*", "Start", case, tagged(image)])


def go_module(case, image):
    module([needs("testcontainers-go") / "suite", case, tagged(image)])


for language, start, cases in [("python", python_module, PYTHON), ("node", node_module, NODE), ("java", java_module, JAVA),
                               ("go", go_module, GO)]:
    for case, image in cases.items():
        test(f"module-{language}-{case}", timeout=60)(lambda start=start, case=case, image=image: start(case, image))

if __name__ == "__main__":
    main(workers=2)
