#!/usr/bin/env python3
"""Writes the files called generated.rs from the field tables in scripts/schemas/.

    scripts/generate.py              writes them into the tree this script stands in
    scripts/generate.py --into DIR   writes them under DIR instead (what tests/generated.rs compares)

Needs Python 3 and rustfmt, nothing else. A dotted path in a table is a field inside an array element or a struct;
what it is told about a field: type, versions, the versions in which it may be null, its tag and its default.
"""

import argparse
import pathlib
import subprocess

import records
import requests_table
from schema import read_schemas

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMAS = pathlib.Path(__file__).resolve().parent / "schemas"

GROUP = [
    "LegacyOffsetCommitKey", "LegacyOffsetCommitValue", "OffsetCommitKey", "OffsetCommitValue",
    "GroupMetadataKey", "GroupMetadataValue", "ConsumerGroup*", "ConsumerProtocolSubscription", "ConsumerProtocolAssignment",
]
# What `kind` metadata also holds but the metadata log does not: the records of tiered storage, with keys of their own.
NOT_CLUSTER_METADATA = ("RemoteLog", "RemotePartition")
METADATA_CONTROL = [
    "LeaderChangeMessage", "SnapshotHeaderRecord", "SnapshotFooterRecord", "KRaftVersionRecord", "VotersRecord",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=pathlib.Path, default=ROOT)
    into = parser.parse_args().into

    stored = read_schemas(SCHEMAS / "record-schemas.tsv")
    group = [s for s in stored if any(matches(s.name, pattern) for pattern in GROUP)]
    transaction = [s for s in stored if matches(s.name, "TransactionLog*")]
    metadata = [s for s in stored if s.kind == "metadata" and not s.name.startswith(NOT_CLUSTER_METADATA)]
    metadata.sort(key=lambda s: s.api_key)
    control = [s for s in stored if s.name in METADATA_CONTROL]
    messages = read_schemas(SCHEMAS / "message-schemas.tsv")
    asked = sorted((s for s in messages if s.kind == "request" and s.versions), key=lambda s: s.api_key)

    write(into / "src/state/group/generated.rs", records.coordinator_file(
        "What the group coordinator keeps in `__consumer_offsets`, and what members tell each other in the classic protocol.",
        group))
    write(into / "src/state/transaction/generated.rs", records.coordinator_file(
        "What the transaction coordinator keeps in `__transaction_state`.", transaction))
    write(into / "src/state/metadata/generated.rs", records.metadata_file(metadata, control))
    write(into / "src/net/schema/generated.rs", requests_table.file(asked))


def matches(name, pattern):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["rustfmt", "--edition", "2024", "--config", "max_width=120,use_small_heuristics=Max", "--emit", "stdout"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        failed = pathlib.Path(str(path) + ".rejected")
        failed.write_text(text)
        raise SystemExit(f"rustfmt refused {failed}:\n{done.stderr}")
    path.write_text(done.stdout)


if __name__ == "__main__":
    main()
