#!/usr/bin/env python3
"""Makes src/config/generated.rs, the catalogue of settings, and docs/settings.md, the same for people, from the tables in
scripts/schemas/.

    scripts/generate_config.py           writes the files
    scripts/generate_config.py --check   exits 1 when a file is not what the tables say

Kafka's names, types, defaults and validators are in {broker,topic,group}-configs.tsv; what Milena does with each
setting, and what it means in our words, in config-meanings.tsv; settings that Kafka's definitions lack in
other-configs.tsv. A setting without a meaning, or a meaning without a setting, is an error.
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "scripts" / "schemas"
TARGET = ROOT / "src" / "config" / "generated.rs"
PAGE = ROOT / "docs" / "settings.md"
UPDATE = {"read-only": "ReadOnly", "per-broker": "PerBroker", "cluster-wide": "ClusterWide"}


def table(name):
    lines = [line.rstrip("\n") for line in open(TABLES / name, encoding="utf-8") if not line.startswith("#")]
    reasons = dict(line[1:].split("\t") for line in lines if line.startswith("@"))
    head, *rows = [line.split("\t") for line in lines if not line.startswith("@")]
    for row in rows:
        assert len(row) == len(head), f"{name}: {row}"
    return reasons, [dict(zip(head, row)) for row in rows]


def text(value):
    return json.dumps(value, ensure_ascii=False)


def number(value):
    return f"{float(value)!r}"


def choices(value):
    return "&[" + ", ".join(text(word.strip()) for word in value.strip("[]").split(",") if word.strip()) + "]"


def validator(valid):
    if valid == "":
        return "Valid::Any"
    if valid == "non-empty string":
        return "Valid::NonEmpty"
    if valid == "[1,...,9] or -1":
        return "Valid::GzipLevel"
    if valid.startswith("[partitionId]"):
        return "Valid::ThrottledReplicas"
    if valid.startswith("[latest, earliest, by_duration"):
        return "Valid::OffsetReset"
    if valid.startswith("list"):
        return f"Valid::ListOf({choices(valid[4:].strip())})"
    if valid.startswith("(case insensitive) "):
        return f"Valid::OneOfIgnoringCase({choices(valid.removeprefix('(case insensitive) '))})"
    at_least = re.fullmatch(r"\[([-0-9.]+),\.\.\.\]", valid)
    if at_least:
        return f"Valid::AtLeast({number(at_least[1])})"
    between = re.fullmatch(r"\[([-0-9.]+),\.\.\.,([-0-9.]+)\]", valid)
    if between:
        return f"Valid::Between({number(between[1])}, {number(between[2])})"
    assert valid.startswith("["), valid
    return f"Valid::OneOf({choices(valid)})"


def fate(word, reasons):
    kind, _, reason = word.partition(" ")
    if kind == "honoured":
        return "Fate::Honoured"
    return f"Fate::{kind.capitalize()}({text(reasons[reason.removeprefix('@')])})"


def optional(value):
    if value in ("null", "(required)"):
        return "None"
    return f"Some({text(value)})"


def setting(row, meaning, reasons):
    kafka = optional(row["default"])
    default = optional(meaning["default"]) if meaning.get("default") else kafka
    synonyms = ", ".join(text(name) for name in row.get("synonyms", "").split(",") if name)
    # Only topic and group settings are changed on their resource; for brokers the table says who may.
    update = UPDATE[row.get("update", "cluster-wide")]
    internal = row.get("internal") == "yes" or row["name"].startswith("internal.")
    return (
        f"    Setting {{ name: {text(row['name'])}, kind: Kind::{row['type'].capitalize()}, default: {default}, "
        f"kafka_default: {kafka}, importance: Importance::{row['importance'].capitalize()}, update: Update::{update}, "
        f"internal: {str(internal).lower()}, valid: {validator(row['valid'])}, synonyms: &[{synonyms}], "
        f"fate: {fate(meaning['fate'], reasons)}, doc: {text(meaning['doc'])} }},"
    )


def generate():
    reasons, meanings = table("config-meanings.tsv")
    by_name = {(row["scope"], row["name"]): row for row in meanings}
    assert len(by_name) == len(meanings), "a setting is explained twice"
    out = [
        "//! Every setting as data. Made by `scripts/generate_config.py` from the tables in `scripts/schemas/`; not edited by",
        "//! hand.",
        "",
        "use super::catalog::{Fate, Importance, Kind, Setting, Update, Valid};",
    ]

    def put(name, rows):
        assert rows == sorted(rows, key=lambda pair: pair[0]["name"]), f"{name} is not sorted"
        out.append("")
        out.append("#[rustfmt::skip]")
        out.append(f"pub(super) static {name}: [Setting; {len(rows)}] = [")
        out.extend(setting(row, meaning, reasons) for row, meaning in rows)
        out.append("];")

    for scope in ("broker", "topic", "group"):
        _, rows = table(f"{scope}-configs.tsv")
        put(scope.upper(), [(row, by_name.pop((scope, row["name"]))) for row in rows])
    assert not by_name, f"explained, but not a setting: {sorted(by_name)}"
    _, others = table("other-configs.tsv")
    others.sort(key=lambda row: row["name"])
    ours = [row for row in others if row["name"].startswith("milena.")]
    former = [row for row in others if not row["name"].startswith("milena.")]
    put("MILENA", [(row, {"fate": row["fate"], "doc": row["doc"]}) for row in ours])
    put("FORMER", [(row, {"fate": row["fate"], "doc": row["doc"]}) for row in former])
    return "\n".join(out) + "\n"


PAGE_HEAD = """# Settings

Made by `scripts/generate_config.py`; not edited by hand. Names are Kafka's; `milena config --all` shows the values of a
broker and where each comes from: defaults, `--config server.properties`, the environment, `--override`. In the environment
`log.retention.ms` is `KAFKA_LOG_RETENTION_MS`, or `KAFKA_CFG_LOG_RETENTION_MS`, or a file named by
`KAFKA_CFG_LOG_RETENTION_MS_FILE`. A setting is honoured, accepted without effect (the start says so once), or refused.
"""


def page():
    reasons, meanings = table("config-meanings.tsv")
    _, others = table("other-configs.tsv")
    rows = {}
    for scope in ("broker", "topic", "group"):
        _, settings = table(f"{scope}-configs.tsv")
        rows.update({(scope, row["name"]): row for row in settings})
    everything = [(row["scope"], row, rows[row["scope"], row["name"]]) for row in meanings]
    everything += [("broker", row, row) for row in others]
    out = [PAGE_HEAD]

    def default(row, setting):
        value = row.get("default") or setting["default"]
        return "" if value in ("null", "(required)", "") else f"`{value}`"

    for scope, title in (("broker", "A broker"), ("topic", "A topic"), ("group", "A group")):
        honoured = [(row, setting) for own, row, setting in everything if own == scope and row["fate"] == "honoured"]
        if honoured:
            out += [f"## {title}: honoured\n", "| name | default | meaning |", "|---|---|---|"]
            out += [f"| `{row['name']}` | {default(row, setting)} | {row['doc']} |" for row, setting in sorted(honoured, key=lambda pair: pair[0]["name"])]
            out.append("")
    for kind, title in (("refused", "Refused"), ("ignored", "Accepted without effect")):
        out.append(f"## {title}\n")
        for key, reason in reasons.items():
            names = [row["name"] for _, row, _ in everything if row["fate"] == f"{kind} @{key}"]
            if names:
                out.append(f"- {reason}: " + ", ".join(f"`{name}`" for name in sorted(set(names))))
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


if __name__ == "__main__":
    made = {TARGET: generate(), PAGE: page()}
    for path, content in made.items():
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            sys.exit(f"{path.relative_to(ROOT)} is not what the tables say; run scripts/generate_config.py")
