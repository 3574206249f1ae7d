#!/usr/bin/env python3
"""Makes campaign/LEDGER.md from campaign/ledger.jsonl: totals for each tier beside what is wanted, and the runs."""
import json, pathlib
import tiers

HERE = pathlib.Path(__file__).resolve().parent
HEAD = """# The ledger

What `scripts/campaign.sh` did to the broker so far. Made from `ledger.jsonl` by `page.py`; every line there is one real run,
failed ones too. A failed run counts for nothing here but is told below.

| tier | wanted | done | runs | failed | |
|---|---:|---:|---:|---:|---|
"""


def main():
    lines = [json.loads(line) for line in (HERE / "ledger.jsonl").read_text().splitlines()]
    (HERE / "LEDGER.md").write_text(HEAD + "".join(map(lambda tier: total(tier, lines), tiers.ALL)) + runs(lines))


def total(tier, lines):
    own = [line for line in lines if line["tier"] == tier.name]
    failed = sum(line["result"] != "ok" for line in own)
    return f"| {tier.name} | {tier.target:,} {tier.unit} | {tier.done(own):,.0f} | {len(own)} | {failed} | {tier.title} |\n"


def runs(lines):
    text = "\n## Runs\n\n| date | tier | count | seed | version | s | result | figures |\n|---|---|---:|---:|---|---:|---|---|\n"
    for line in lines:
        text += (f"| {line['date'][:16]} | {line['tier']} | {line['count']:,.0f} | {line['seed']} | {line['version']} "
                 f"| {line['seconds']} | {line['result']} | {figures(line['figures'])} |\n")
    machines = sorted({line["machine"] for line in lines})
    return text + "\nMachines: " + "; ".join(machines) + ".\n"


def figures(values):
    def tell(value):
        if isinstance(value, dict):
            return "(" + figures(value) + ")"
        if isinstance(value, float):
            return f"{value:,.2f}"
        if isinstance(value, list):
            return " / ".join(map(tell, value[:3])) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
        return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/")
    return ", ".join(f"{name.replace('_', ' ')} {tell(value)}" for name, value in values.items() if value not in ([], None))


if __name__ == "__main__":
    main()
