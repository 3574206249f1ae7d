"""The tiers of the campaign in the order of their worth: what each is, how much of it is wanted, how it is run."""
import os, pathlib, shutil
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
    is_built: bool = True

    def cannot(self):
        """Why this machine cannot run the tier; None if it can."""
        return next((reason for need in self.needs if (reason := NEEDS[need]())), None)

    def fitting(self, minutes):
        """As many as fit into that time, in whole hundredths of a slice, and none if that is too little to be a run."""
        share = min(1.0, minutes / self.minutes) if minutes > 0 else 0
        return int(self.slice * share) if share >= 0.2 else 0


def program(tier, count_flag="--count"):
    """A subcommand of campaign/src."""
    def command(count, seed):
        return [PROGRAM, tier, "--binary", BINARY, count_flag, str(count), "--seed", str(seed)]
    return command


def soak(count, seed):
    return [PROGRAM, "soak", "--binary", BINARY, "--seconds", str(count * 60), "--seed", str(seed)]


NEEDS = {
    "root": lambda: None if os.geteuid() == 0 else "not root",
    "loop": lambda: None if os.path.exists("/dev/loop-control") else "no loop devices",
    "fuse": lambda: None if os.path.exists("/dev/fuse") else "no FUSE",
    "xfs": lambda: None if shutil.which("mkfs.xfs") else "no mkfs.xfs (scripts/setup-campaign.sh)",
    "ext4": lambda: None if shutil.which("mkfs.ext4") else "no mkfs.ext4 (scripts/setup-campaign.sh)",
}

ALL = [
    Tier("kills", "SIGKILL under mixed load: nothing lost, duplicated or reordered", 1000, "kills", 100, 3,
         program("kills"), ci=26),
    Tier("cuts-ext4", "power cuts on ext4, answers wait for the flush: nothing lost", 300, "power cuts", 50, 1,
         program("cuts-ext4"), ci=3, needs=("root", "loop", "ext4")),
    Tier("cuts-xfs", "power cuts on xfs, answers wait for the flush: nothing lost", 300, "power cuts", 50, 1,
         program("cuts-xfs"), ci=2, needs=("root", "loop", "xfs")),
    Tier("soak", "memory, descriptors and threads stay flat for two hours, nothing is lost", 120, "minutes", 120, 120.5, soak),
]
