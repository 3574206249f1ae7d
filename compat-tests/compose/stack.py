"""One compose file on the engine: swapped, up, asked, down.

Only the values of `image:` are changed, and only where they name an image of a Kafka broker. The other images cannot be
pulled where there is no registry; then small stand-ins are made under their very names, so that nothing else of the file has to
change. What they do is in standin/stand-in.sh, and the suite says which ones it made.
"""

import pathlib
import re
import socket
import subprocess
import tempfile

import yaml

from engine import IMAGE, LABEL, docker, inspect
from suite import check, until

HERE = pathlib.Path(__file__).resolve().parent
KAFKA = re.compile(r"^(apache/kafka(-native)?|confluentinc/(cp-kafka|cp-server|confluent-local)|bitnami(legacy)?/kafka|"
                   r"wurstmeister/kafka|debezium/kafka)(:|$)")
ROLES = {"confluentinc/cp-zookeeper": "zookeeper", "wurstmeister/zookeeper": "zookeeper", "busybox": "command",
         "confluentinc/cp-schema-registry": "registry", "debezium/connect": "connect"}
SAYS = {"zookeeper": "listens on 2181", "registry": "makes _schemas with our tools", "command": "runs the file's command",
        "connect": "makes Connect's three topics with our tools", "idle": "waits"}
PROJECT = "milenacompat" + LABEL.rpartition("=")[2]


class Stack:
    """A compose file. `up` starts it once; whoever comes next takes down what the last one left."""

    current = None

    def __init__(self, path):
        self.path, self.text = path, path.read_text()
        self.file = yaml.safe_load(self.text)
        self.say = self.file["x-drop-in"]
        self.expect = self.say["expect"]
        self.services = self.file["services"]
        self.number = path.name[:2]
        # The brokers: what is swapped and does not only run a tool.
        self.brokers = [s for s in self.say["swap"] if "entrypoint" not in self.services[s] and "command" not in self.services[s]]
        self.host = str(self.say["host_bootstrap"])
        self.net = self.say.get("net_bootstrap")
        self.is_up = False

    def swapped(self):
        """The file's text with our image in place of Kafka's."""
        def swap(line):
            return line[1] + (IMAGE if KAFKA.match(line[2]) else line[2])
        text = re.sub(r"^(\s*image:\s*)(\S+)$", swap, self.text, flags=re.M)
        changed = [(a, b) for a, b in zip(self.text.splitlines(), text.splitlines(), strict=True) if a != b]
        check(changed and all("image:" in a and b.endswith(IMAGE) for a, b in changed), "more than image: was changed")
        return text

    def stand_ins(self):
        """Makes what is missing; returns what was made, as name -> role."""
        made = {}
        for name in {s["image"] for s in self.services.values() if not KAFKA.match(s["image"])}:
            role = ROLES.get(name.split(":")[0], "idle")
            if is_real(name):
                continue
            # The ones that use our tools are made of our image, the others of the base.
            base = IMAGE if role in ("registry", "connect") else "milena-base:local"
            docker("build", "-q", "-t", name, "--label", "milena.stand-in=" + role, "--build-arg", "BASE=" + base,
                   "--build-arg", "ROLE=" + role, HERE / "standin", timeout=120)
            made[name] = role
        return made

    def compose(self, *arguments, ok=True, timeout=150):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "docker-compose.yml"
            file.write_text(self.swapped())
            done = subprocess.run(["docker-compose", "--ansi", "never", "-p", PROJECT, "-f", file, *arguments],
                                  capture_output=True, text=True, timeout=timeout)
        if ok and done.returncode != 0:
            raise AssertionError(f"docker-compose {arguments[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done

    def take_over(self):
        """The files publish the same ports: whose turn it is takes down what is up."""
        if Stack.current is not self:
            if Stack.current is not None:
                Stack.current.down()
            Stack.current = self

    def up(self):
        self.take_over()
        if not self.is_up:
            self.is_up = True
            for name, role in sorted(self.stand_ins().items()):
                print(f"# {self.number}: {name} is a stand-in that {SAYS[role]}", flush=True)
            self.start()

    def start(self, *arguments):
        """
        Some files publish ports of the range that outgoing connections are numbered from. Another suite's connection may have
        one for a while: that is waited for, and whoever takes it between the look and the start is waited for once more.
        """
        for attempt in range(3):
            for port in self.published():
                until(f"port {port}, which the file publishes, is free", lambda port=port: is_free(port), 120)
            done = self.compose("up", "-d", *arguments, ok=attempt == 2)
            if done.returncode == 0:
                return
            check("address already in use" in done.stderr, f"docker-compose up: {done.stderr.strip()[-300:]}")
            print(f"# {self.number}: a port was taken while it started; once more", flush=True)
            self.compose("down", "-t", "0")

    def published(self):
        """The host's ports that the file names."""
        ports = (str(p).split("/")[0].split(":") for s in self.services.values() for p in s.get("ports", []))
        return sorted(int(p[-2]) for p in ports if len(p) > 1)

    def down(self, volumes=True):
        self.is_up = False
        self.compose("down", "-t", "0", *(["-v"] if volumes else []))
        if volumes:
            Stack.current = None

    def container(self, service):
        found = docker("ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={PROJECT}",
                       "--filter", f"label=com.docker.compose.service={service}").split()
        check(len(found) == 1, f"{service} has {len(found)} containers")
        return found[0]

    def state(self, service):
        return inspect(self.container(service))["State"]

    def ended(self, service, seconds=60):
        """Waits for the end of a container, and returns its exit code."""
        return until(f"{service} ends", lambda: (s := self.state(service))["Status"] == "exited" and [s["ExitCode"]], seconds)[0]

    def network(self):
        return PROJECT + "_default"


def is_free(port):
    """Nobody on this machine has the port, as docker wants it: for all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def is_real(image):
    """An image of that name is there, and it is none that we made: then the file gets the real thing."""
    label = docker("image", "inspect", image, "--format", '{{index .Config.Labels "milena.stand-in"}}', ok=False).strip()
    return bool(docker("image", "ls", "-q", image).strip()) and label in ("", "<no value>")
