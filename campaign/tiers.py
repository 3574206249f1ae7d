"""The tiers of the campaign in the order of their worth: what each is, how much of it is wanted, how it is run."""
import os, pathlib, shutil, sys
from dataclasses import dataclass
from typing import Callable

BINARY = pathlib.Path("target/release/milena")
PROGRAM = pathlib.Path(__file__).resolve().parent / "target/release/milena-campaign"


@dataclass
class Tier:
    name: str
    title: str
    # How many are wanted in the ledger, of what, and how many a slice takes that lasts some minutes.
    target: int
    unit: str
    slice: int
    # Minutes of one slice, to know whether another fits.
    minutes: float
    command: Callable[[int, int], list]
    # In CI's short run; 0: not there.
    ci: int = 0
    needs: tuple = ()
    # The most of one run counts, not the sum.
    is_peak: bool = False
    is_built: bool = True

    def cannot(self):
        """Why this machine cannot run the tier; None if it can."""
        return next((reason for need in self.needs if (reason := NEEDS[need]())), None)

    def done(self, entries):
        """How much of it the ledger has, failed runs aside."""
        counts = [line["count"] for line in entries if line["tier"] == self.name and line["result"] == "ok"]
        return (max(counts, default=0) if self.is_peak else sum(counts))

    def fitting(self, minutes):
        """As many as fit into that time, in whole hundredths of a slice, and none if that is too little to be a run."""
        share = min(1.0, minutes / self.minutes) if minutes > 0 else 0
        return int(self.slice * share) if share >= 0.2 else 0


def program(tier):
    """A subcommand of campaign/src."""
    return lambda count, seed: [PROGRAM, tier, "--binary", BINARY, "--count", str(count), "--seed", str(seed)]


def script(name, tier):
    """A tier of a Python script beside this file."""
    at = pathlib.Path(__file__).resolve().parent / name
    return lambda count, seed: [sys.executable, at, tier, "--binary", BINARY, "--count", str(count), "--seed", str(seed)]


def elsewhere(tier):
    """A program of its own, told in the campaign's words by elsewhere.py."""
    return script("elsewhere.py", tier)


def fault(tier):
    """A tier of faults.py, in a mount namespace of its own."""
    command = script("faults.py", tier)
    return lambda count, seed: ["unshare", "--mount", "--propagation", "private", *command(count, seed)]


def soak(count, seed):
    return [PROGRAM, "soak", "--binary", BINARY, "--seconds", str(count * 60), "--seed", str(seed)]


def kafka_jars():
    """Where scripts/kafka-peer.sh looks for them."""
    return pathlib.Path(os.environ.get("MILENA_TOOLS", ".tools")) / "kafka-4.3.1"


NEEDS = {
    "damage": lambda: None if os.path.exists("scripts/damage.sh") else "no scripts/damage.sh",
    "zoo": lambda: None if os.path.exists("scripts/zoo.sh") else "no scripts/zoo.sh",
    "kafka": lambda: None if kafka_jars().is_dir() else "no Apache Kafka (scripts/kafka-peer.sh fetch)",
    "root": lambda: None if os.geteuid() == 0 else "not root",
    "loop": lambda: None if os.path.exists("/dev/loop-control") else "no loop devices",
    "fuse": lambda: None if os.path.exists("/dev/fuse") else "no FUSE",
    "cgroup": lambda: None if os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK) else "no memory cgroup (version 1)",
    "faketime": lambda: None if os.path.exists("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
    else "no libfaketime (scripts/setup-campaign.sh)",
    "xfs": lambda: None if shutil.which("mkfs.xfs") else "no mkfs.xfs (scripts/setup-campaign.sh)",
    "trigger": lambda: None if os.access("/sys/fs/ext4", os.W_OK) else "no /sys/fs/ext4 to write to",
    "ext4": lambda: None if shutil.which("mkfs.ext4") else "no mkfs.ext4 (scripts/setup-campaign.sh)",
}

ALL = [
    Tier("kills", "SIGKILL under mixed load: nothing lost, duplicated or reordered", 1000, "kills", 100, 3,
         program("kills"), ci=26),
    Tier("cuts-ext4", "power cuts on ext4, answers wait for the flush: nothing lost", 300, "power cuts", 50, 1,
         program("cuts-ext4"), ci=3, needs=("root", "loop", "ext4")),
    Tier("cuts-xfs", "power cuts on xfs, answers wait for the flush: nothing lost", 300, "power cuts", 50, 1,
         program("cuts-xfs"), ci=2, needs=("root", "loop", "xfs")),
    Tier("images", "crash images at block level recover what was promised", 10_000, "crash images", 800, 5,
         program("images"), ci=60, needs=("root", "loop", "fuse", "ext4")),
    *(Tier(f"loss-{whom}", f"what a power cut costs {who}", 30, "power cuts", 30, minutes, program(f"loss-{whom}"), ci=ci,
           needs=("root", "loop", "ext4", *more))
      # Kafka takes a minute for one, and what it loses proves nothing of this broker: not in CI.
      for whom, who, minutes, ci, more in (("kafka", "Apache Kafka with its defaults", 8, 0, ("kafka",)),
                                           ("page-cache", "where answers do not wait for the flush, as in Kafka", 2, 1, ()),
                                           ("flush", "where they do: nothing", 2, 1, ()))),
    Tier("full-disk", "a full disk: reads go on, the error names the file, writes go on when there is room", 100,
         "full disks", 20, 2, fault("full-disk"), ci=2, needs=("root", "loop", "ext4")),
    Tier("inodes", "no inodes: the same", 100, "times without inodes", 20, 2, fault("inodes"), ci=1, needs=("root",)),
    Tier("read-only", "a start on what cannot be written says so, and changes nothing", 20, "read-only starts", 10, 1,
         fault("read-only"), ci=1, needs=("root", "loop", "ext4")),
    Tier("failed-flush", "writes or flushes fail with EIO: never acknowledged later, reads go on, nothing lost", 50,
         "failed flushes", 10, 1, fault("failed-flush"), ci=2, needs=("root", "loop", "fuse", "ext4")),
    Tier("turns-read-only", "the file system turns read-only: reads go on, writes are refused, nothing lost", 50,
         "disks that turned read-only", 10, 1, fault("turns-read-only"), ci=2, needs=("root", "loop", "ext4", "trigger")),
    Tier("descriptors", "no descriptors: those who are connected are served, the others later", 20,
         "times without descriptors", 10, 1, fault("descriptors"), ci=1, needs=("root",)),
    Tier("pause", "SIGSTOP under load: nothing lost", 50, "pauses", 10, 2, fault("pause"), ci=1),
    Tier("memory", "a memory limit that is too small: killed or not, nothing lost", 50, "memory limits", 10, 2,
         fault("memory"), ci=1, needs=("root", "cgroup")),
    Tier("clocks", "the wall clock jumps by up to two days: nothing lost", 50, "clock runs", 10, 2, fault("clocks"), ci=1,
         needs=("faketime",)),
    Tier("damage", "damaged files: nothing wrong is served, no panic, each is reported", 10_000, "damaged files", 1000, 8,
         elsewhere("damage"), needs=("damage",)),
    Tier("history", "histories of real clients on a broker that is killed: no forbidden anomaly", 10_000_000,
         "record events", 2_000_000, 5, elsewhere("history")),
    Tier("simulation", "the whole broker on a simulated disk, clock and network: no open seed", 500, "simulated hours", 20, 6,
         elsewhere("simulation"), ci=3, is_built=False),
    Tier("zoo", "bugs let out in the real code are caught", 17, "bugs caught", 17, 20, elsewhere("zoo"), needs=("zoo",),
         ci=3, is_peak=True, is_built=False),
    Tier("fuzzing", "nothing that takes bytes crashes or takes 64 MiB", 100_000_000, "executions", 30, 12,
         elsewhere("fuzzing"), is_built=False),
    Tier("producers", "4,000 producers and 3 consumers inside a 768 MiB limit", 4000, "producers", 4000, 2.5,
         script("connections.py", "producers"), needs=("root", "cgroup"), is_peak=True),
    Tier("idle", "20,000 idle connections within 400 MiB", 20_000, "idle connections", 20_000, 3,
         script("connections.py", "idle"), is_peak=True),
    Tier("soak", "memory, descriptors and threads stay flat for two hours, nothing is lost", 120, "minutes", 120, 120.5, soak,
         is_peak=True),
]
