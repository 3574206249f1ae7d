"""A load whose every promise is remembered: what was sent, what was acknowledged where, what was committed. Sequential, so
that an error is known to belong to the moment it came in."""
import random, struct, time
import wire

TOPIC, GROUP = "load", "readers"
STORAGE_ERROR = 56
# The coordinator may be read or written anew; the log of the metadata may be refused.
PASSING = {3, 5, 6, 14, 15, 16}


class Broken(Exception):
    """A promise was not kept."""


def demand(holds, story):
    if not holds:
        raise Broken(story)


class Load:
    def __init__(self, seed, partitions=3):
        self.dice, self.partitions = random.Random(seed), partitions
        self.sent, self.acked, self.next_value = {}, {}, 0
        # What a reader was shown, which is not taken back either.
        self.served = {}
        self.commit_acked, self.commit_sent = {}, {}
        self.refused = 0

    def create(self, client):
        error = client.ask(wire.create_topic(TOPIC, self.partitions), wire.created)
        demand(error == 0, f"CreateTopics answers {error}")
        self.until_passed(client, lambda: client.ask(wire.find_coordinator(GROUP), wire.coordinator))

    def until_passed(self, client, ask, patience=20):
        """Repeats a request that a broker may refuse for a moment."""
        end = time.monotonic() + patience
        while (error := ask()) in PASSING and time.monotonic() < end:
            time.sleep(0.02)
        demand(error == 0, f"answered {error}")

    def value(self, partition, size):
        number, self.next_value = self.next_value, self.next_value + 1
        raw = struct.pack(">iq", partition, number) + random.Random(number).randbytes(size)
        self.sent[number] = raw
        return raw

    def produce(self, client, most_bytes=20_000, partition=None):
        """One batch; the error code. A refused batch may be there or not."""
        partition = self.dice.randrange(self.partitions) if partition is None else partition
        values = self.some_values(partition, most_bytes)
        return self.send(client, partition, values, wire.batch(values))

    def some_values(self, partition, most_bytes=20_000):
        return [self.value(partition, self.dice.randrange(10, most_bytes)) for _ in range(self.dice.randint(1, 4))]

    def send(self, client, partition, values, raw):
        """The same with a batch of these values."""
        answers = client.ask(wire.produce(TOPIC, [(partition, raw)]), wire.produced)
        _, error, base = answers[0]
        if error:
            self.refused += 1
        else:
            for index, value in enumerate(values):
                self.acked[partition, base + index] = value
        return error

    def commit(self, client):
        """The error code."""
        partition = self.dice.randrange(self.partitions)
        offset = self.commit_sent[partition] = self.commit_sent.get(partition, 0) + self.dice.randint(1, 9)
        error = client.ask(wire.commit_offsets(GROUP, TOPIC, [(partition, offset)]), wire.committed)
        if not error:
            self.commit_acked[partition] = offset
        return error

    def some(self, client, batches):
        """Batches and commits that must all be taken."""
        for _ in range(batches):
            error = self.produce(client)
            demand(error == 0, f"a healthy broker answers {error}")
            if self.dice.random() < 0.3:
                error = self.commit(client)
                demand(error in PASSING | {0}, f"a commit is answered {error}")

    def verify(self, client, commits=True):
        """Everything acknowledged is there, whole, in its place; nothing else is that was not sent."""
        for partition in range(self.partitions):
            error, start = client.ask(wire.list_offsets(TOPIC, partition, -2), wire.listed_offset)
            demand((error, start) == (0, 0), f"{partition} begins at {start}, error {error}")
            self.verify_log(client, partition)
        if commits:
            self.verify_commits(client)

    def verify_log(self, client, partition):
        offset, seen = 0, set()
        while True:
            _, error, high, data = client.ask(wire.fetch(TOPIC, [(partition, offset)], 0), wire.fetched)[0]
            demand(error == 0, f"{partition}: a fetch from {offset} answers {error}")
            before = offset
            for base, _, _, count, raw in wire.batches(data):
                demand(wire.is_whole(raw), f"{partition}@{base}: a wrong checksum is served")
                demand(base == offset, f"{partition}: {base} where {offset} is due")
                for index, value in enumerate(wire.values(raw)):
                    self.verify_value(partition, base + index, value, seen)
                offset = base + count
            if offset == before:
                break
        demand(offset == high, f"{partition}: nothing is served at {offset}, the high watermark is {high}")
        for promised, what in (self.acked, "acknowledged"), (self.served, "served"):
            lost = [where for where in promised if where[0] == partition and where[1] >= offset]
            demand(not lost, f"{partition} ends at {offset}: {len(lost)} {what} records are lost, the first at {lost[:1]}")

    def verify_value(self, partition, offset, value, seen):
        where, number = struct.unpack_from(">iq", value)
        demand(where == partition and self.sent.get(number) == value, f"{partition}@{offset} was never sent")
        demand(number not in seen, f"{partition}@{offset}: record {number} is there twice")
        seen.add(number)
        acked = self.acked.get((partition, offset))
        demand(acked in (None, value), f"{partition}@{offset} is another record than was acknowledged")
        served = self.served.setdefault((partition, offset), value)
        demand(served == value, f"{partition}@{offset} is another record than was served")

    def verify_commits(self, client):
        self.until_passed(client, lambda: client.ask(wire.find_coordinator(GROUP), wire.coordinator))
        for partition, acked in self.commit_acked.items():
            def ask():
                error, self.found = client.ask(wire.fetch_offset(GROUP, TOPIC, partition), wire.fetched_offset)
                return error
            self.until_passed(client, ask)
            most = self.commit_sent[partition]
            demand(acked <= self.found <= most, f"{partition}: offset {self.found}, acknowledged {acked}, sent {most}")


def says(broker, *words):
    demand(all(word in broker.said() for word in words), f"the log of the broker does not say {' and '.join(words)}")


def said_nothing_worse(broker):
    demand("panicked at" not in broker.said(), f"a panic: {broker.said()[-300:]}")


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
