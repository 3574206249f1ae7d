"""A broker as a process seen from outside: settings, limits, a memory cgroup, what the kernel says of it."""
import os, pathlib, random, resource, shutil, signal, socket, subprocess, tempfile, time
import wire

CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")
SMALL_SEGMENTS = ["log.segment.bytes=1048576", "offsets.topic.num.partitions=1"]


def free_port():
    """Not one of those that the kernel gives to outgoing connections, which may even connect to themselves."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Broker:
    """Runs until closed. `memory` limits it in MiB, `descriptors` is its limit of open files."""

    def __init__(self, binary, data, settings=(), memory=None, descriptors=None, environment=None):
        self.binary, self.data, self.settings = binary, pathlib.Path(data), settings
        self.descriptors, self.environment = descriptors, environment
        self.group = Cgroup(memory) if memory else None
        self.words = tempfile.NamedTemporaryFile(prefix="campaign-broker", suffix=".out")
        self.start()

    def start(self, patience=30):
        self.port = free_port()
        command = [str(self.binary), "--override", f"listeners=PLAINTEXT://127.0.0.1:{self.port}",
                   "--override", f"log.dirs={self.data}"]
        for setting in self.settings:
            command += ["--override", setting]
        out = open(self.words.name, "ab")
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=self.prepare,
                                      env={**os.environ, **(self.environment or {})})
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise RuntimeError(f"the broker ended with {self.child.returncode}: {self.said()[-400:]}")
            try:
                # It listens before it has looked at its files: only an answer says that it serves.
                client = wire.Client(self.port)
                client.ask(wire.api_versions())
                return client.close()
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("the broker does not serve in time")

    def prepare(self):
        if self.group:
            self.group.join(os.getpid())
        if self.descriptors and self.descriptors <= most_descriptors():
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def said(self):
        return pathlib.Path(self.words.name).read_text(errors="replace")

    def status(self, field):
        for line in open(f"/proc/{self.child.pid}/status"):
            if line.startswith(field + ":"):
                return int(line.split()[1])
        return 0

    def open_files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def cpu_seconds(self):
        fields = open(f"/proc/{self.child.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self, patience=30):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(patience)

    def close(self):
        self.kill()
        if self.group:
            self.group.close()
        self.words.close()


class Cgroup:
    """A memory cgroup (version 1) of its own."""

    def __init__(self, mebibytes):
        self.at = CGROUPS / f"campaign-{os.getpid()}-{time.monotonic_ns()}"
        self.at.mkdir()
        self.limit(mebibytes << 20)

    def limit(self, number):
        (self.at / "memory.limit_in_bytes").write_text(str(number))

    def join(self, pid):
        (self.at / "cgroup.procs").write_text(str(pid))

    def read(self, name):
        return int((self.at / f"memory.{name}").read_text())

    def oom_kills(self):
        lines = (self.at / "memory.oom_control").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def close(self):
        for _ in range(100):
            try:
                return self.at.rmdir()
            except OSError:
                time.sleep(0.02)


def most_descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def raise_own_descriptors():
    """As far as the machine lets a process without CAP_SYS_RESOURCE; the broker inherits it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_descriptors(), most_descriptors()))


class Scratch:
    """A directory that goes with the run."""

    def __enter__(self):
        self.at = pathlib.Path(tempfile.mkdtemp(prefix="campaign"))
        return self.at

    def __exit__(self, *_):
        shutil.rmtree(self.at, ignore_errors=True)
