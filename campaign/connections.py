#!/usr/bin/env python3
"""Many clients at once: so many idle connections within 400 MiB, and 4,000 producers with 3 consumers in 768 MiB.

    connections.py idle      --binary PATH --count 20000 --seed N
    connections.py producers --binary PATH --count 4000 --seed N [--seconds 60]
"""
import argparse, asyncio, json, random, struct, sys, time
import process, wire

IDLE_LIMIT_MIB = 400
PRODUCERS_LIMIT_MIB = 768
PARTITIONS = 100
# Ports of one address are fewer than the connections.
CONNECTIONS_OF_AN_ADDRESS = 5000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tier", choices=["idle", "producers"])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60)
    orders = parser.parse_args()
    process.raise_own_descriptors()
    # A machine that gives a process 20,000 descriptors and no more leaves so many for connections.
    orders.count = min(orders.count, process.most_descriptors() - 100)
    with process.Scratch() as scratch:
        result = idle(orders, scratch) if orders.tier == "idle" else asyncio.run(producers(orders, scratch))
    print(json.dumps({"tier": orders.tier, "seed": orders.seed, **result}), flush=True)
    sys.exit(0 if result["result"] == "ok" else 1)


def source(number):
    return f"127.0.1.{1 + number // CONNECTIONS_OF_AN_ADDRESS}"


def idle(orders, scratch):
    """Every connection asks for the versions once, as each client does, and stays."""
    broker = process.Broker(orders.binary, scratch / "data")
    clients, problems = [], []
    try:
        before, files = broker.status("VmRSS"), broker.open_files()
        start = time.monotonic()
        for number in range(orders.count):
            clients.append(wire.Client(broker.port, source(number)))
            clients[-1].ask(wire.api_versions())
        seconds = time.monotonic() - start
        # Nothing is due to happen now: whatever is still built up is built up.
        time.sleep(5)
        resident, cpu = broker.status("VmRSS"), broker.cpu_seconds()
        time.sleep(5)
        idle_cpu = broker.cpu_seconds() - cpu
        open_files = broker.open_files()
        if open_files < orders.count:
            problems.append(f"only {open_files} descriptors are open")
        random.Random(orders.seed).shuffle(clients)
        for client in clients[:500]:
            client.ask(wire.api_versions())
        writes(broker)
        for client in clients:
            client.close()
        after = wait_for_few_files(broker, files + 10)
        if after > files + 10:
            problems.append(f"{after} descriptors are open after all connections ended")
        mib = resident / 1024
        if mib > IDLE_LIMIT_MIB:
            problems.append(f"{mib:.0f} MiB resident")
        return {"count": orders.count, "unit": "idle connections", "result": "failed" if problems else "ok", "figures": {
            "resident_mib": round(mib, 1), "limit_mib": IDLE_LIMIT_MIB, "resident_before_mib": round(before / 1024, 1),
            "most_descriptors": process.most_descriptors(),
            "bytes_of_a_connection": round((resident - before) * 1024 / orders.count),
            "resident_after_mib": round(broker.status("VmRSS") / 1024, 1),
            "connects_per_second": round(orders.count / seconds), "idle_cpu_percent": round(idle_cpu * 20, 1),
            "problems": problems}}
    finally:
        broker.close()


def writes(broker):
    client = wire.Client(broker.port)
    assert client.ask(wire.create_topic("beside", 1), wire.created) == 0
    (_, error, base), = client.ask(wire.produce("beside", [(0, wire.batch([b"x"]))]), wire.produced)
    assert (error, base) == (0, 0), (error, base)
    client.close()


def wait_for_few_files(broker, few, patience=20):
    end = time.monotonic() + patience
    while broker.open_files() > few and time.monotonic() < end:
        time.sleep(0.1)
    return broker.open_files()


class Link:
    """A connection within the event loop."""

    async def open(self, port, address):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), limit=1 << 24)
        self.correlation = 0
        return self

    async def ask(self, request, read):
        self.correlation += 1
        self.writer.write(wire.frame(request[0], request[1], self.correlation, request[2]))
        length = struct.unpack(">i", await self.reader.readexactly(4))[0]
        reader = wire.Reader(await self.reader.readexactly(length))
        assert reader.take("i") == self.correlation
        return read(reader)


class Crowd:
    """Idempotent producers, and consumers that read everything: who was acknowledged what, and what was read."""

    def __init__(self, orders, port):
        self.orders, self.port = orders, port
        self.acked, self.read, self.problems = {}, {}, []
        self.times = []
        self.over = False

    async def producer(self, number):
        dice = random.Random(self.orders.seed * 1_000_003 + number)
        link = await Link().open(self.port, source(number))
        identity = await link.ask(wire.init_producer_id(), wire.identity)
        partition, sequence, value = number % PARTITIONS, 0, bytes(dice.randbytes(100))
        # Every producer sends once in five seconds, spread over them.
        await asyncio.sleep(dice.random() * 5)
        while not self.over:
            count = dice.randint(1, 10)
            raw = wire.batch([value] * count, identity, sequence)
            start = time.monotonic()
            (_, error, base), = await link.ask(wire.produce("many", [(partition, raw)]), wire.produced)
            self.times.append(time.monotonic() - start)
            if error:
                self.problems.append(f"producer {number} is answered {error}")
                return
            self.acked[identity[0], sequence] = (partition, base, count)
            sequence += count
            await asyncio.sleep(max(0, start + 5 - time.monotonic()))

    async def consumer(self, number):
        link = await Link().open(self.port, "127.0.0.1")
        next_offset = dict.fromkeys(range(PARTITIONS), 0)
        read = {}
        while True:
            answers = await link.ask(wire.fetch("many", list(next_offset.items()), 500), wire.fetched)
            moved = False
            for partition, error, _, data in answers:
                if error:
                    self.problems.append(f"consumer {number} is answered {error}")
                    return
                for base, producer, sequence, count, _ in wire.batches(data):
                    if base != next_offset[partition]:
                        self.problems.append(f"{partition}: offset {base} where {next_offset[partition]} is due")
                        return
                    read[producer, sequence] = (partition, base, count)
                    next_offset[partition] = base + count
                    moved = True
            if self.over and not moved:
                self.read[number] = read
                return


async def producers(orders, scratch):
    broker = process.Broker(orders.binary, scratch / "data", memory=PRODUCERS_LIMIT_MIB)
    try:
        client = wire.Client(broker.port)
        assert client.ask(wire.create_topic("many", PARTITIONS), wire.created) == 0
        crowd = Crowd(orders, broker.port)
        start = time.monotonic()
        consumers = [asyncio.create_task(crowd.consumer(number)) for number in range(3)]
        writers = [asyncio.create_task(crowd.producer(number)) for number in range(orders.count)]
        await asyncio.sleep(orders.seconds)
        crowd.over = True
        for outcome in await asyncio.gather(*writers, *consumers, return_exceptions=True):
            if isinstance(outcome, BaseException):
                crowd.problems.append(repr(outcome))
        return conclude(orders, broker, crowd, time.monotonic() - start)
    finally:
        broker.close()


def conclude(orders, broker, crowd, seconds):
    for number in range(3):
        read = crowd.read.get(number, {})
        wrong = [who for who, where in crowd.acked.items() if read.get(who) != where]
        if wrong:
            crowd.problems.append(f"consumer {number} did not read {len(wrong)} of {len(crowd.acked)} acknowledged batches")
    ended = broker.child.poll()
    if ended is not None:
        crowd.problems.append(f"the broker ended with {ended}")
    if broker.group.oom_kills():
        crowd.problems.append("killed for its memory")
    times = sorted(crowd.times) or [0]
    return {"count": orders.count, "unit": "producers", "result": "failed" if crowd.problems or not crowd.acked else "ok",
            "figures": {
                "consumers": 3, "partitions": PARTITIONS, "limit_mib": PRODUCERS_LIMIT_MIB, "seconds": round(seconds),
                "acked_records": sum(count for _, _, count in crowd.acked.values()), "acked_batches": len(crowd.acked),
                "most_resident_mib": round(broker.status("VmHWM") / 1024, 1),
                "charged_with_page_cache_mib": round(broker.group.read("max_usage_in_bytes") / (1 << 20), 1),
                "ack_p50_ms": round(times[len(times) // 2] * 1e3, 1), "ack_p99_ms": round(times[len(times) * 99 // 100] * 1e3, 1),
                "problems": crowd.problems[:5]}}


if __name__ == "__main__":
    main()
