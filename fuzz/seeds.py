#!/usr/bin/env python3
"""Fills fuzz/corpus/ from the golden files: whole frames, the batches inside them, stored records."""

import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"


def keep(target, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def batches(frame):
    """Where a magic 2 stands 16 bytes behind something that could be a batch's length."""
    for start in range(len(frame) - 61):
        length = int.from_bytes(frame[start + 8:start + 12], "big")
        if frame[start + 16] == 2 and 49 <= length <= len(frame) - start - 12:
            yield frame[start:start + 12 + length]


def pieces(*parts):
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def body_offset(frame):
    """Where the body of a request begins; the golden client id is always the same."""
    key, version = int.from_bytes(frame[0:2], "big"), int.from_bytes(frame[2:4], "big")
    length = int.from_bytes(frame[8:10], "big")
    return key, version, 10 + length + (1 if FLEXIBLE.get(key, 99) <= version else 0)


# From which version on the header has tagged fields.
FLEXIBLE = {0: 9, 1: 12}


def main():
    for path in sorted((ROOT / "tests" / "golden").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            exchange = json.loads(line)
            request = bytes.fromhex(exchange["request_hex"])
            stream = len(request).to_bytes(4, "big") + request
            keep("frame", b"\xff" + stream)
            key, version, at = body_offset(request)
            if key == 0 and version >= 3:
                keep("produce", bytes([version - 3]) + request[at:])
            if key == 1 and version >= 4:
                keep("fetch", bytes([version - 4]) + request[at:])
            for choice in range(0, 300, 7):
                if key not in (0, 1) and choice // 7 == len(line) % 43:
                    keep("request", choice.to_bytes(2, "big") + request[at:])
            for frame in (request, bytes.fromhex(exchange["response_hex"])):
                for batch in batches(frame):
                    keep("record_batch", b"\x00" + batch)
    group, transaction, metadata = (kinds(room) for room in ("group", "transaction", "metadata"))
    keys, values = {}, {}
    for line in (ROOT / "tests" / "golden" / "records.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, version, body = line.split("\t")
        body, version = bytes.fromhex(body), int(version)
        if name in metadata:
            keep("metadata_log", pieces(bytes([1, metadata[name], version]) + body))
        if name in group:
            keys[name[:-3]] = group[name].to_bytes(2, "big") + body
        if name in transaction:
            keep("transaction_records", transaction[name].to_bytes(2, "big") + body)
        if name.endswith("Value"):
            values.setdefault(name[:-5], []).append(version.to_bytes(2, "big") + body)
            if name.startswith("TransactionLog"):
                keep("transaction_records", version.to_bytes(2, "big") + body)
    for name, key in keys.items():
        for value in values.get(name, []) + [b""]:
            keep("group_records", pieces(key, value))


def kinds(room):
    """The numbers of the records of a room, by name."""
    text = (ROOT / "src" / "state" / room / "generated.rs").read_text()
    found = {}
    for name, kind in re.findall(r"impl (\w+Key) \{.*?KIND: i16 = (\d+);", text, re.S):
        found[name] = int(kind)
    for kind, name in re.findall(r"(\d+) => MetadataRecord::(\w+)\(", text):
        found[name + "Record"] = int(kind)
    return found


if __name__ == "__main__":
    main()
