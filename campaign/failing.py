"""Disks that fail under a running broker: writes and flushes that end with EIO, and a file system that turns read-only.

The disk that fails is `milena-campaign disk`: FUSE below a loop device. What ext4 makes of it depends on its journal. With one
it stops altogether, so everything is refused until it is mounted anew; without one only the file that was flushed hears of it,
and the others must go on (I25).
"""
import fcntl, os, signal, struct, subprocess, time
import process, wire
from load import Load, PASSING, STORAGE_ERROR, TOPIC, demand, resume, said_nothing_worse, says
from tiers import PROGRAM

DISK_MIB = 48
VICTIM, SPARE = 0, 1
# EXT4_IOC_SHUTDOWN, and its "no log flush".
SHUTDOWN, WITHOUT_LOG_FLUSH = 0x8004587D, 2


class Mount:
    """An ext4 file system on a device, mounted as often as it takes."""

    def __init__(self, device, scratch, has_journal):
        self.device, self.at = device, scratch / "mounted"
        self.at.mkdir()
        journal = ["-J", "size=4"] if has_journal else ["-O", "^has_journal"]
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *journal, device], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "errors=remount-ro", self.device, self.at], check=True)

    def again(self):
        self.close()
        self.mount()

    def close(self):
        subprocess.run(["umount", self.at], check=True)

    def cut(self, broker):
        """A power cut: what waits in memory, also in the page cache, is gone."""
        broker.child.send_signal(signal.SIGSTOP)
        os.waitpid(broker.child.pid, os.WUNTRACED)
        directory = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(directory, SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        os.close(directory)
        broker.kill()
        self.again()


class FailingDisk:
    """Fails when it is told to. Goes with its process."""

    def __init__(self):
        command = [PROGRAM, "disk", "--count", str(DISK_MIB)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.device = self.child.stdout.readline().strip()
        demand(self.device, "there is no disk")

    def order(self, words):
        """How many writes and flushes have failed so far."""
        self.child.stdin.write(words + "\n")
        self.child.stdin.flush()
        return int(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait(20)


def failed_flush(binary, scratch, load):
    has_journal, what = load.dice.random() < 0.5, load.dice.choice(["flushes fail", "writes fail"])
    disk = FailingDisk()
    mount = Mount(disk.device, scratch, has_journal)
    broker = process.Broker(binary, mount.at / "data", process.SMALL_SEGMENTS)
    try:
        begin(load, broker)
        failed = while_it_fails(load, broker, disk, what)
        is_there_again(load, broker, disk, failed, has_journal)
        broker.kill() if load.dice.random() < 0.7 else ended(broker)
        if has_journal or load.dice.random() < 0.3:
            mount.again()
        broker.start()
        survives_a_cut(load, broker, mount)
        # The producer never had an answer; now it gets one.
        demand(load.send(wire.Client(broker.port), VICTIM, *failed) == 0, "the retry is refused after the restart")
        goes_on(load, broker)
        return {"with_journal": int(has_journal), "failed_writes_and_flushes": disk.order("works")}
    finally:
        broker.close()
        mount.close()
        disk.close()


def begin(load, broker):
    client = wire.Client(broker.port)
    load.create(client)
    for partition in range(load.partitions):
        load.produce(client, partition=partition)
    load.some(client, load.dice.randint(5, 40))
    client.close()


def while_it_fails(load, broker, disk, what):
    """One partition is written to: nothing of it is acknowledged or shown, all that was there is read. The batch of an
    idempotent producer that had no answer."""
    client = wire.Client(broker.port)
    identity = client.ask(wire.init_producer_id(), wire.identity)
    values = load.some_values(VICTIM)
    failed = values, wire.batch(values, identity, 0)
    disk.order(what)
    error = load.send(client, VICTIM, *failed)
    demand(error == STORAGE_ERROR, f"while {what} a batch is answered {error}")
    stays_refused(load, client, failed)
    load.verify(client, commits=False)
    demand(disk.order(what) > 0, "nothing has failed")
    says(broker, "flush failed", str(broker.data / f"{TOPIC}-{VICTIM}"))
    return failed


def stays_refused(load, client, failed):
    """I17: neither what failed nor what comes after it is ever acknowledged, and readers see none of it."""
    for _ in range(3):
        for error in load.send(client, VICTIM, *failed), load.produce(client, partition=VICTIM):
            demand(error == STORAGE_ERROR, f"after a failed flush a batch is answered {error}")
    end = 1 + max(offset for partition, offset in load.acked if partition == VICTIM)
    error, shown = client.ask(wire.list_offsets(TOPIC, VICTIM, -1), wire.listed_offset)
    demand((error, shown) == (0, end), f"{end} is the end of what was acknowledged, {shown} is shown, error {error}")


def is_there_again(load, broker, disk, failed, has_journal):
    disk.order("works")
    client = wire.Client(broker.port)
    stays_refused(load, client, failed)
    others_go_on(load, client) if not has_journal else None
    load.verify(client, commits=False)
    demand(broker.child.poll() is None, f"the broker ended with {broker.child.poll()}")


def others_go_on(load, client):
    """I25."""
    for _ in range(5):
        error = load.produce(client, partition=SPARE)
        demand(error == 0, f"another partition is answered {error}")
    load.until_passed(client, lambda: load.commit(client))
    error = client.ask(wire.create_topic("later", 1), wire.created)
    demand(error == 0, f"CreateTopics answers {error}")


def ended(broker):
    """A stop on SIGTERM where not everything can be written: it says so, if it cannot."""
    status = broker.stop()
    demand(status in (0, 1), f"a stop ends with {status}")


def survives_a_cut(load, broker, mount):
    """What failed is not acknowledged, but it may be there. What a reader was shown of it after a start is not taken back: the
    broker must have looked at the disk, and not at pages that the kernel could not write and forgot to be dirty."""
    client = wire.Client(broker.port)
    load.verify(client)
    if load.dice.random() < 0.5:
        load.some(client, 5)
        load.verify(client)
    mount.cut(broker)
    broker.start()
    load.verify(wire.Client(broker.port))


def goes_on(load, broker):
    client = wire.Client(broker.port)
    resume(load, client)
    load.some(client, 10)
    load.verify(client)
    demand(broker.stop() == 0, "a stop on SIGTERM fails")
    broker.start()
    load.verify(wire.Client(broker.port))
    said_nothing_worse(broker)


def turns_read_only(binary, scratch, load):
    """As ext4 does it when it finds that something is wrong; Linux lets nobody else do it while files are open. It cannot be
    written before it is mounted anew."""
    disk = scratch / "disk"
    with open(disk, "wb") as file:
        file.truncate(DISK_MIB << 20)
    device = subprocess.run(["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True).stdout.strip()
    mount = Mount(device, scratch, load.dice.random() < 0.5)
    broker = process.Broker(binary, mount.at / "data", process.SMALL_SEGMENTS)
    try:
        begin(load, broker)
        # Between two requests: of an fdatasync that runs at that very moment ext4 of Linux 6.18 says that it went well, and
        # loses what it was for. A file and a loop of writes, without any broker, lose it as well, once in some thirty times.
        turn(device)
        cannot_be_written(load, broker)
        broker.kill() if load.dice.random() < 0.5 else ended(broker)
        if load.dice.random() < 0.5:
            does_not_start(broker, mount)
        mount.again()
        broker.start()
        load.verify(wire.Client(broker.port))
        goes_on(load, broker)
    finally:
        broker.close()
        mount.close()
        subprocess.run(["losetup", "--detach", device], check=True)


def turn(device):
    with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w") as trigger:
        trigger.write("campaign")


def cannot_be_written(load, broker):
    client = wire.Client(broker.port)
    for partition in range(load.partitions):
        error = load.produce(client, partition=partition)
        demand(error == STORAGE_ERROR, f"partition {partition} answers {error}")
    load.verify(client, commits=False)
    error = load.commit(client)
    demand(error in PASSING | {STORAGE_ERROR}, f"a commit is answered {error}")
    error = client.ask(wire.create_topic("later", 1), wire.created)
    demand(error != 0, "a topic is made where nothing can be written")
    load.verify(client, commits=False)
    says(broker, "Read-only file system", str(broker.data))
    before = broker.cpu_seconds()
    time.sleep(0.5)
    busy = broker.cpu_seconds() - before
    demand(busy < 0.25, f"where nothing can be written it takes {busy:.2f} s of processor in half a second")
    demand(broker.child.poll() is None, f"the broker ended with {broker.child.poll()}")


def does_not_start(broker, mount):
    """One sentence that names what cannot be written."""
    said = len(broker.said())
    try:
        broker.start()
    except RuntimeError:
        last = broker.said()[said:].strip().splitlines()
        demand(broker.child.poll() == 1, f"a start ends with {broker.child.poll()}")
        demand(last and "Read-only file system" in last[-1] and str(mount.at) in last[-1], f"a start says {last[-1:]}")
    else:
        demand(False, "it starts where it cannot write")
