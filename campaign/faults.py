#!/usr/bin/env python3
"""Faults of a real kernel, one after the other against a real broker: a full disk, no inodes, a disk that cannot be written,
no descriptors, pauses, a memory limit, a clock that jumps.

    faults.py TIER --binary PATH --count CYCLES --seed N

Those that mount run in a mount namespace of their own.
"""
import argparse, json, os, pathlib, random, signal, subprocess, sys, threading, time
import process, wire
from load import Broken, Load, PASSING, STORAGE_ERROR, demand

SMALL_SEGMENTS = ["log.segment.bytes=1048576", "offsets.topic.num.partitions=1"]
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    orders = parser.parse_args()
    figures = {"acked_records": 0, "refused_batches": 0, "problems": []}
    done = 0
    for cycle in range(orders.count):
        load = Load(orders.seed + cycle)
        with process.Scratch() as scratch:
            try:
                notes = TIERS[orders.tier](orders.binary, scratch, load)
                for name, number in (notes or {}).items():
                    figures[name] = round(figures.get(name, 0) + number, 1)
                done += 1
            except (Broken, RuntimeError, OSError) as error:
                figures["problems"].append(f"cycle {cycle}, seed {orders.seed + cycle}: {error!r}"[:400])
                print(f"{orders.tier}: {figures['problems'][-1]}", file=sys.stderr, flush=True)
        figures["acked_records"] += len(load.acked)
        figures["refused_batches"] += load.refused
    result = "ok" if done == orders.count else "failed"
    print(json.dumps({"tier": orders.tier, "seed": orders.seed, "count": done, "unit": UNITS[orders.tier],
                      "result": result, "figures": figures}), flush=True)
    sys.exit(0 if result == "ok" else 1)


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


def says(broker, *words):
    demand(all(word in broker.said() for word in words), f"the log of the broker does not say {' and '.join(words)}")


def said_nothing_worse(broker):
    demand("panicked at" not in broker.said(), f"a panic: {broker.said()[-300:]}")


# --- the disk ---


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
    broker = process.Broker(binary, at / "data", SMALL_SEGMENTS)
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


def resume(load, client, patience=15):
    """Writes to every partition are taken again, without a restart."""
    end = time.monotonic() + patience
    good = 0
    while good < 10:
        good = good + 1 if load.produce(client) == 0 else 0
        demand(time.monotonic() < end, f"no write is taken {patience} s after there is room again")
        if not good:
            time.sleep(0.02)
    load.until_passed(client, lambda: 0 if load.commit(client) == 0 else 15)


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
    broker = process.Broker(binary, at / "data", SMALL_SEGMENTS)
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


# --- the process ---


def descriptors(binary, scratch, load):
    """As many connections as there are descriptors: who is there is served, who comes later is served when others have gone."""
    broker = process.Broker(binary, scratch / "data", SMALL_SEGMENTS, descriptors=load.dice.randrange(150, 400))
    crowd = []
    try:
        client = wire.Client(broker.port)
        load.create(client)
        load.some(client, 20)
        for _ in range(600):
            crowd.append(wire.Client(broker.port, patience=0.5))
            try:
                crowd[-1].ask(wire.api_versions())
            except (OSError, ConnectionError):
                break
        else:
            raise Broken("600 connections fit")
        before = broker.cpu_seconds()
        time.sleep(1)
        busy = broker.cpu_seconds() - before
        demand(busy < 0.5, f"without descriptors it takes {busy:.1f} s of processor in a second")
        errors = {load.produce(client, 20_000) for _ in range(60)}
        demand(errors <= {0, STORAGE_ERROR}, f"answered {errors}")
        load.verify(client, commits=False)
        for guest in crowd:
            guest.close()
        resume(load, client)
        late = wire.Client(broker.port)
        load.some(late, 10)
        load.verify(late)
        said_nothing_worse(broker)
        broker.kill()
        broker.start()
        load.verify(wire.Client(broker.port))
        return {"connections": len(crowd)}
    finally:
        broker.close()


def pause(binary, scratch, load):
    """SIGSTOP under load, for up to longer than a session lasts."""
    broker = process.Broker(binary, scratch / "data", SMALL_SEGMENTS)
    try:
        client = wire.Client(broker.port)
        load.create(client)
        seconds = load.dice.choice([0.05, 0.3, 1, 3, 8])
        for _ in range(3):
            timer = threading.Timer(load.dice.random() * 0.1, broker.child.send_signal, [signal.SIGSTOP])
            awake = threading.Timer(seconds / 3 + 0.1, broker.child.send_signal, [signal.SIGCONT])
            timer.start()
            awake.start()
            while awake.is_alive():
                load.some(client, 1)
            timer.join()
        load.some(client, 5)
        load.verify(client)
        said_nothing_worse(broker)
        return {"seconds_stopped": seconds}
    finally:
        broker.child.send_signal(signal.SIGCONT)
        broker.close()


def memory(binary, scratch, load):
    """A memory cgroup too small for what comes: killed by the kernel or not, nothing acknowledged is lost."""
    broker = process.Broker(binary, scratch / "data", SMALL_SEGMENTS, memory=load.dice.randrange(5, 14))
    try:
        client = wire.Client(broker.port)
        load.create(client)
        load.some(client, 20)
        threads = [threading.Thread(target=flood, args=(broker.port,)) for _ in range(24)]
        for thread in threads:
            thread.start()
        killed = 0
        try:
            while any(thread.is_alive() for thread in threads) and broker.child.poll() is None:
                error = load.produce(client)
                demand(error in PASSING | {0, STORAGE_ERROR}, f"answered {error}")
        except (OSError, ConnectionError):
            killed = int(broker.child.wait(20) == -signal.SIGKILL)
            demand(killed, f"it ended with {broker.child.poll()}")
        for thread in threads:
            thread.join()
        if not killed:
            broker.kill()
        broker.group.limit(1 << 30)
        broker.start()
        load.verify(wire.Client(broker.port))
        load.some(wire.Client(broker.port), 3)
        said_nothing_worse(broker)
        return {"killed_by_the_kernel": killed}
    finally:
        broker.close()


def flood(port):
    """A client that sends what is large, and does not mind how it is answered."""
    try:
        client = wire.Client(port, patience=10)
        big = wire.batch([b"x" * 900_000])
        for _ in range(8):
            client.ask(wire.produce("flood", [(0, big)]), wire.produced)
    except (OSError, ConnectionError):
        pass


def clocks(binary, scratch, load):
    """The wall clock jumps by up to two days in either direction, at starts and in between, with kills."""
    now = scratch / "now"

    def jump():
        # Replaced whole: the library reads it at any time.
        (scratch / "next").write_text(f"{load.dice.randrange(-172_800, 172_800):+d}\n")
        (scratch / "next").rename(now)

    jump()
    environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1",
                   "DONT_FAKE_MONOTONIC": "1"}
    broker = process.Broker(binary, scratch / "data", SMALL_SEGMENTS, environment=environment)
    try:
        load.create(wire.Client(broker.port))
        for _ in range(4):
            client = wire.Client(broker.port)
            load.some(client, load.dice.randint(2, 15))
            jump()
            load.some(client, load.dice.randint(2, 15))
            load.verify(client)
            jump()
            broker.kill() if load.dice.random() < 0.6 else demand(broker.stop() == 0, "a stop fails")
            broker.start()
        load.verify(wire.Client(broker.port))
        said_nothing_worse(broker)
        return {"jumps": 9}
    finally:
        broker.close()


TIERS = {"full-disk": full_disk, "inodes": no_inodes, "read-only": read_only, "descriptors": descriptors,
         "pause": pause, "memory": memory, "clocks": clocks}
UNITS = {"full-disk": "full disks", "inodes": "times without inodes", "read-only": "read-only starts",
         "descriptors": "times without descriptors", "pause": "pauses", "memory": "memory limits", "clocks": "clock runs"}


if __name__ == "__main__":
    main()
