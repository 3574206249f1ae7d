"""Faults of a disk: it runs full, it has no inodes left, it cannot be written. And what tiers that mount have in common."""
import os, subprocess, time
import process, wire
from load import Broken, STORAGE_ERROR, demand, resume, said_nothing_worse, says


def mounted(kind, scratch, *options):
    """A small file system of its own below the directory."""
    at = scratch / "mounted"
    at.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(["size=24m", *options]), "tmpfs", at], check=True)
    else:
        disk = scratch / "disk"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, at], check=True)
    return at


def unmount(at):
    subprocess.run(["umount", at], check=True)


def full_disk(binary, scratch, load):
    at = mounted(load.dice.choice(["tmpfs", "ext4"]), scratch)
    filler = at / "filler"

    def fill(leave):
        with open(filler, "ab") as file:
            try:
                while (left := free(at)) > leave:
                    file.write(b"\0" * min(left - leave, 1 << 20))
                    file.flush()
            except OSError:
                pass

    return until_it_is_there_again(binary, scratch, load, at, lambda: fill(load.dice.randrange(0, 200_000)),
                                   lambda: filler.unlink(), "No space left on device")


def free(at):
    stat = os.statvfs(at)
    return stat.f_bavail * stat.f_frsize


def no_inodes(binary, scratch, load):
    at = mounted("tmpfs", scratch, "nr_inodes=400")
    many = at / "many"
    many.mkdir()

    def fill():
        leave = load.dice.randrange(0, 6)
        for number in range(400):
            if os.statvfs(at).f_favail <= leave:
                break
            (many / str(number)).touch()

    def clear():
        for file in many.iterdir():
            file.unlink()

    return until_it_is_there_again(binary, scratch, load, at, fill, clear, "No space left on device")


def until_it_is_there_again(binary, scratch, load, at, take, give_back, why):
    """Something runs out under load: reads go on, the error names the file, and writes go on when it is there again."""
    broker = process.Broker(binary, at / "data", process.SMALL_SEGMENTS)
    try:
        client = wire.Client(broker.port)
        load.create(client)
        load.some(client, load.dice.randint(5, 40))
        take()
        errors = until_refused(load, client)
        demand(errors <= {STORAGE_ERROR}, f"refused with {errors}")
        load.verify(client, commits=False)
        says(broker, why, str(at))
        give_back()
        start = time.monotonic()
        resume(load, client)
        seconds = time.monotonic() - start
        load.some(client, 10)
        load.verify(client)
        if load.dice.random() < 0.5:
            full_start(broker, load, take, give_back)
        else:
            broker.kill()
            broker.start()
        load.verify(wire.Client(broker.port))
        load.some(wire.Client(broker.port), 3)
        said_nothing_worse(broker)
        demand(broker.stop() == 0, "a stop on SIGTERM fails")
        return {"seconds_until_writes_went_on": seconds}
    finally:
        broker.close()
        unmount(at)


def until_refused(load, client):
    errors = set()
    for _ in range(20_000):
        error = load.produce(client, 20_000)
        if error:
            errors.add(error)
            if len(errors) > 1 or load.refused > 5:
                return errors
    raise Broken("nothing was refused")


def full_start(broker, load, take, give_back):
    """Killed, and started where nothing can be written: it serves, or says in a sentence why not."""
    broker.kill()
    take()
    try:
        broker.start()
        load.verify(wire.Client(broker.port), commits=False)
        broker.kill()
    except RuntimeError as error:
        demand("No space left on device" in str(error) or "does not serve" not in str(error), str(error))
        demand(broker.child.poll() not in (None, 101, -6), f"it ended with {broker.child.poll()}")
    give_back()
    broker.start()


def read_only(binary, scratch, load):
    """A start on what cannot be written ends with a sentence, and changes nothing."""
    at = mounted("ext4", scratch)
    broker = process.Broker(binary, at / "data", process.SMALL_SEGMENTS)
    try:
        client = wire.Client(broker.port)
        load.create(client)
        load.some(client, load.dice.randint(5, 30))
        client.close()
        broker.stop() if load.dice.random() < 0.5 else broker.kill()
        subprocess.run(["mount", "-o", "remount,ro", at], check=True)
        said = len(broker.said())
        try:
            broker.start()
            raise Broken("it starts where it cannot write")
        except RuntimeError:
            last = broker.said()[said:].strip().splitlines()
            demand(broker.child.poll() == 1, f"it ends with {broker.child.poll()}")
            demand(last and "Read-only file system" in last[-1] and str(at) in last[-1], f"it says {last[-1:]}")
        subprocess.run(["mount", "-o", "remount,rw", at], check=True)
        broker.start()
        load.verify(wire.Client(broker.port))
        said_nothing_worse(broker)
    finally:
        broker.close()
        unmount(at)
