"""The Kafka protocol without a client: requests from plain dicts, answers as plain dicts, by the field tables in
`scripts/schemas`. For asking what no client would ask.

    peer = Wire("localhost:9092")
    answer = peer.ask("FindCoordinator", 4, KeyType=0, CoordinatorKeys=["g"])

Fields that are not named get their default from the table. `ask` returns None when the broker hangs up instead.
"""

import pathlib
import socket
import struct
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import schema as tables  # noqa: E402

NUMBERS = {"bool": "?", "int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q",
           "float64": "d"}
SCHEMAS = {s.name: s for s in tables.read_schemas(ROOT / "scripts" / "schemas" / "message-schemas.tsv")}
NIL = uuid.UUID(int=0)


def has(span, version):
    return span is not None and span[0] <= version <= span[1]


class Wire:
    """One connection."""

    def __init__(self, address, timeout=20):
        host, port = address.rsplit(":", 1)
        self.address, self.timeout, self.number = (host, int(port)), timeout, 0
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(self.address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, api, version, **fields):
        self.send(api, version, **fields)
        return self.answer(api, version)

    def send(self, api, version, **fields):
        self.send_body(api, version, encode(SCHEMAS[api + "Request"], version, fields))

    def send_body(self, api, version, body):
        self.number += 1
        request = SCHEMAS[api + "Request"]
        head = struct.pack(">hhih", request.api_key, version, self.number, 4) + b"test"
        if has(request.flexible, version):
            head += b"\0"
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)

    def answer(self, api, version):
        frame = self.frame()
        if frame is None:
            self.socket.close()
            self.connect()
            return None
        response = SCHEMAS[api + "Response"]
        reader = Reader(frame)
        number = reader.number("i")
        assert number == self.number, f"an answer to request {number}, not {self.number}"
        if has(response.flexible, version) and api != "ApiVersions":
            reader.tags()
        return decode(response, version, reader)

    def frame(self):
        try:
            head = self.read(4)
            return head and self.read(struct.unpack(">i", head)[0])
        except ConnectionError:
            return None

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                return None
            data += more
        return data


# -- writing ------------------------------------------------------------------------------------------------------------------


def encode(schema, version, values):
    return struct_bytes(schema.fields, version, has(schema.flexible, version), values, schema.name)


def struct_bytes(fields, version, flexible, values, where):
    unknown = set(values) - {field.name for field in fields}
    assert not unknown, f"{where} has no {unknown}"
    out, tagged = b"", []
    for field in fields:
        if not has(field.versions, version):
            continue
        value = values[field.name] if field.name in values else default(field, version)
        if field.tag is None:
            out += value_bytes(field, version, flexible, value)
        elif field.name in values:
            tagged.append((field.tag, value_bytes(field, version, flexible, value)))
    if flexible:
        out += varint(len(tagged)) + b"".join(varint(tag) + varint(len(b)) + b for tag, b in sorted(tagged))
    return out


def default(field, version):
    if field.is_array:
        return None if field.default == "null" else []
    if field.type == "uuid":
        return NIL
    if field.type in NUMBERS:
        text = field.default or "0"
        return text.lower() == "true" if field.type == "bool" else float(text) if field.type == "float64" else int(text, 0)
    if field.type in tables.BLOBS:
        if field.default == "null":
            return None if has(field.nullable, version) else ""
        return field.default if field.type == "string" else b""
    return None if field.default == "null" else {}


def value_bytes(field, version, flexible, value):
    if not field.is_array:
        return one_bytes(field, version, flexible, value)
    if value is None:
        return varint(0) if flexible else struct.pack(">i", -1)
    head = varint(len(value) + 1) if flexible else struct.pack(">i", len(value))
    return head + b"".join(one_bytes(field, version, flexible, item) for item in value)


def one_bytes(field, version, flexible, value):
    if field.type in NUMBERS:
        return struct.pack(">" + NUMBERS[field.type], value)
    if field.type == "uuid":
        return value.bytes
    if field.is_struct:
        if has(field.nullable, version) and not field.is_array:
            return b"\xff" if value is None else b"\1" + struct_bytes(field.fields, version, flexible, value, field.name)
        return struct_bytes(field.fields, version, flexible, value, field.name)
    data = value.encode() if isinstance(value, str) else value
    short = field.type == "string"
    if data is None:
        return varint(0) if flexible else struct.pack(">h" if short else ">i", -1)
    return (varint(len(data) + 1) if flexible else struct.pack(">h" if short else ">i", len(data))) + data


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


# -- reading ------------------------------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert 0 <= count <= len(self.data) - self.at, "the answer is cut short"
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def tags(self):
        return {self.varint(): self.take(self.varint()) for _ in range(self.varint())}


def decode(schema, version, reader):
    value = read_struct(schema.fields, version, has(schema.flexible, version), reader)
    assert reader.at == len(reader.data), f"{len(reader.data) - reader.at} bytes behind the answer"
    return value


def read_struct(fields, version, flexible, reader):
    there = [field for field in fields if has(field.versions, version)]
    value = {field.name: read_value(field, version, flexible, reader) for field in there if field.tag is None}
    tagged = reader.tags() if flexible else {}
    for field in there:
        if field.tag in tagged:
            value[field.name] = read_value(field, version, flexible, Reader(tagged[field.tag]))
    return value


def read_value(field, version, flexible, reader):
    if not field.is_array:
        return read_one(field, version, flexible, reader)
    count = reader.varint() - 1 if flexible else reader.number("i")
    return None if count < 0 else [read_one(field, version, flexible, reader) for _ in range(count)]


def read_one(field, version, flexible, reader):
    if field.type in NUMBERS:
        return reader.number(NUMBERS[field.type])
    if field.type == "uuid":
        return uuid.UUID(bytes=reader.take(16))
    if field.is_struct:
        # In an array it is the array that may be null.
        if has(field.nullable, version) and not field.is_array and reader.number("b") < 0:
            return None
        return read_struct(field.fields, version, flexible, reader)
    short = field.type == "string"
    count = reader.varint() - 1 if flexible else reader.number("h" if short else "i")
    if count < 0:
        return None
    data = reader.take(count)
    return data.decode() if short else data


# -- record batches -----------------------------------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


TABLE = [_entry(n) for n in range(256)]


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def record(value, key=None, offset_delta=0, time_delta=0):
    part = lambda data: zigzag(-1) if data is None else zigzag(len(data)) + data  # noqa: E731
    body = b"\0" + zigzag(time_delta) + zigzag(offset_delta) + part(key) + part(value) + zigzag(0)
    return zigzag(len(body)) + body


def batch(*values, key=None, producer=(-1, -1, -1), attributes=0, magic=2, time=1_600_000_000_000, count=None,
          last_delta=None, base_offset=0, payload=None, crc=None):
    """A record batch of these values, as wrong as asked for."""
    if payload is None:
        payload = b"".join(record(value, key, n, n) for n, value in enumerate(values))
    number = len(values) if count is None else count
    last = number - 1 if last_delta is None else last_delta
    body = struct.pack(">hiqqqhii", attributes, last, time, time + max(0, len(values) - 1), *producer, number) + payload
    checksum = crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", base_offset, len(body) + 9, 0, magic, checksum) + body
