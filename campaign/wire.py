"""As much of Kafka's protocol as the tiers in Python speak: requests of the last versions without compact fields, and the
record batch. Knows nothing of the broker but what the protocol says."""
import socket, struct


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def batch(values, producer=(-1, -1), sequence=-1, timestamp=0):
    """An uncompressed batch of these values."""
    records = b""
    for index, value in enumerate(values):
        body = b"\0" + zigzag(0) + zigzag(index) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
        records += zigzag(len(body)) + body
    count = len(values)
    tail = struct.pack(">hiqqqhii", 0, count - 1, timestamp, timestamp, producer[0], producer[1], sequence, count) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def batches(data):
    """The whole batches in fetched or stored bytes: (base offset, producer id, base sequence, count, bytes)."""
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            return
        producer, _, sequence, count = struct.unpack_from(">qhii", data, at + 43)
        yield base, producer, sequence, count, data[at:at + 12 + length]
        at += 12 + length


def values(raw):
    """The values of one uncompressed batch."""
    found, at = [], 61
    while at < len(raw):
        length, at = varint(raw, at)
        end, at = at + length, at + 1
        for _ in range(2):
            _, at = varint(raw, at)
        key, at = varint(raw, at)
        at += max(key, 0)
        size, at = varint(raw, at)
        found.append(raw[at:at + size])
        at = end
    return found


def varint(raw, at):
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def is_whole(raw):
    return crc32c(raw[21:]) == struct.unpack_from(">I", raw, 17)[0]


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        return self.bytes(self.take("h")).decode()

    def bytes(self, length):
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at]

    def array(self, each):
        return [each(self) for _ in range(max(self.take("i"), 0))]


def frame(key, version, correlation, body):
    head = struct.pack(">hhi", key, version, correlation) + text("campaign")
    return struct.pack(">i", len(head) + len(body)) + head + body


# --- requests: (API key, version, body), and what reads the answer ---


def produce(topic, parts, timeout_ms=20000):
    """acks=all; `parts` are (partition, batch)."""
    body = struct.pack(">hhii", -1, -1, timeout_ms, 1) + text(topic) + struct.pack(">i", len(parts))
    for partition, raw in parts:
        body += struct.pack(">ii", partition, len(raw)) + raw
    return 0, 7, body


def produced(reader):
    """[(partition, error code, base offset)]"""
    topics = reader.array(lambda r: (r.text(), r.array(lambda r: r.take("ihqqq")[:3])))
    return [answer for _, answers in topics for answer in answers]


def fetch(topic, parts, max_wait_ms=100, max_bytes=4 << 20, part_bytes=1 << 20):
    """`parts` are (partition, offset)."""
    body = struct.pack(">iiiibii", -1, max_wait_ms, 1, max_bytes, 0, 0, -1)
    body += struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(parts))
    for partition, offset in parts:
        body += struct.pack(">iiqqi", partition, -1, offset, -1, part_bytes)
    return 1, 11, body + struct.pack(">i", 0) + text("")


def fetched(reader):
    """[(partition, error code, high watermark, bytes)]"""
    def part(r):
        partition, error, high = r.take("ihq")
        r.take("qq")
        r.array(lambda r: r.take("qq"))
        r.take("i")
        return partition, error, high, r.bytes(r.take("i"))

    reader.take("ihi")
    return [answer for _, answers in reader.array(lambda r: (r.text(), r.array(part))) for answer in answers]


def create_topic(name, partitions, configs=()):
    body = struct.pack(">i", 1) + text(name) + struct.pack(">ihi", partitions, 1, 0) + struct.pack(">i", len(configs))
    for key, value in configs:
        body += text(key) + text(value)
    return 19, 4, body + struct.pack(">ib", 20000, 0)


def created(reader):
    """The error code."""
    reader.take("i")
    return reader.array(lambda r: (r.text(), r.take("h"), r.bytes(r.take("h"))))[0][1]


def api_versions():
    return 18, 2, b""


def init_producer_id():
    return 22, 1, struct.pack(">hi", -1, 60000)


def identity(reader):
    """(producer id, epoch)"""
    _, error, producer, epoch = reader.take("ihqh")
    if error:
        raise RuntimeError(f"InitProducerId answers {error}")
    return producer, epoch


def list_offsets(topic, partition, timestamp):
    body = struct.pack(">ibi", -1, 0, 1) + text(topic) + struct.pack(">iiiq", 1, partition, -1, timestamp)
    return 2, 5, body


def listed_offset(reader):
    """(error code, offset)"""
    reader.take("i")
    answer = reader.array(lambda r: (r.text(), r.array(lambda r: r.take("ihqqi"))))[0][1][0]
    return answer[1], answer[3]


def find_coordinator(group):
    return 10, 2, text(group) + b"\0"


def coordinator(reader):
    """The error code."""
    return reader.take("ih")[1]


def commit_offsets(group, topic, offsets):
    """Without membership; `offsets` are (partition, offset)."""
    body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">h", -1)
    body += struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(offsets))
    for partition, offset in offsets:
        body += struct.pack(">iqi", partition, offset, -1) + text("")
    return 8, 7, body


def committed(reader):
    """The first error code that is not 0."""
    reader.take("i")
    topics = reader.array(lambda r: (r.text(), r.array(lambda r: r.take("ih"))))
    return next((error for _, answers in topics for _, error in answers if error), 0)


def fetch_offset(group, topic, partition):
    return 9, 5, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, partition)


def fetched_offset(reader):
    """(error code, offset)"""
    def part(r):
        _, offset, _ = r.take("iqi")
        r.bytes(r.take("h"))
        return r.take("h"), offset

    reader.take("i")
    topics = reader.array(lambda r: (r.text(), r.array(part)))
    return reader.take("h") or topics[0][1][0][0], topics[0][1][0][1]


class Client:
    """One connection, one request at a time."""

    def __init__(self, port, source="127.0.0.1", patience=30):
        self.socket = socket.create_connection(("127.0.0.1", port), patience, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def ask(self, request, read=lambda reader: None):
        self.correlation += 1
        self.socket.sendall(frame(request[0], request[1], self.correlation, request[2]))
        length = struct.unpack(">i", self.exactly(4))[0]
        reader = Reader(self.exactly(length))
        if reader.take("i") != self.correlation:
            raise RuntimeError("an answer to another request")
        return read(reader)

    def exactly(self, length):
        data = bytearray()
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("the broker hung up")
            data += piece
        return bytes(data)

    def close(self):
        self.socket.close()
