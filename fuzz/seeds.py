#!/usr/bin/env python3
"""Fills fuzz/corpus/ from the golden files: whole frames, the batches inside them, stored records."""

import hashlib
import json
import pathlib

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


def main():
    for path in sorted((ROOT / "tests" / "golden").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            exchange = json.loads(line)
            request = bytes.fromhex(exchange["request_hex"])
            keep("frame", request)
            for frame in (request, bytes.fromhex(exchange["response_hex"])):
                for batch in batches(frame):
                    keep("record_batch", b"\x00" + batch)
    for line in (ROOT / "tests" / "golden" / "records.tsv").read_text().splitlines():
        if not line.startswith("#"):
            _name, version, body = line.split("\t")
            for choice in range(2, 12):
                keep("stored_record", bytes([choice, 0, int(version)]) + bytes.fromhex(body))


if __name__ == "__main__":
    main()
