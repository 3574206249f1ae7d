#!/usr/bin/env python3
"""Faults of a real kernel, one after the other against a real broker: those of disks.py and failing.py, and here no
descriptors, pauses, a memory limit, a clock that jumps.

    faults.py TIER --binary PATH --count CYCLES --seed N

Those that mount run in a mount namespace of their own.
"""
import argparse, json, signal, subprocess, sys, threading, time
import disks, failing, process, wire
from load import Broken, Load, PASSING, STORAGE_ERROR, demand, resume, said_nothing_worse

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
            except (Broken, RuntimeError, OSError, subprocess.SubprocessError) as error:
                figures["problems"].append(f"cycle {cycle}, seed {orders.seed + cycle}: {error!r}"[:400])
                print(f"{orders.tier}: {figures['problems'][-1]}", file=sys.stderr, flush=True)
        figures["acked_records"] += len(load.acked)
        figures["refused_batches"] += load.refused
    result = "ok" if done == orders.count else "failed"
    print(json.dumps({"tier": orders.tier, "seed": orders.seed, "count": done, "unit": UNITS[orders.tier],
                      "result": result, "figures": figures}), flush=True)
    sys.exit(0 if result == "ok" else 1)


def descriptors(binary, scratch, load):
    """As many connections as there are descriptors: who is there is served, who comes later is served when others have gone."""
    broker = process.Broker(binary, scratch / "data", process.SMALL_SEGMENTS, descriptors=load.dice.randrange(150, 400))
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
    broker = process.Broker(binary, scratch / "data", process.SMALL_SEGMENTS)
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
    broker = process.Broker(binary, scratch / "data", process.SMALL_SEGMENTS, memory=load.dice.randrange(5, 14))
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
    broker = process.Broker(binary, scratch / "data", process.SMALL_SEGMENTS, environment=environment)
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


TIERS = {"full-disk": disks.full_disk, "inodes": disks.no_inodes, "read-only": disks.read_only,
         "failed-flush": failing.failed_flush, "turns-read-only": failing.turns_read_only,
         "descriptors": descriptors, "pause": pause, "memory": memory, "clocks": clocks}
UNITS = {"full-disk": "full disks", "inodes": "times without inodes", "read-only": "read-only starts",
         "failed-flush": "failed flushes", "turns-read-only": "disks that turned read-only",
         "descriptors": "times without descriptors", "pause": "pauses", "memory": "memory limits", "clocks": "clock runs"}


if __name__ == "__main__":
    main()
