#!/usr/bin/env python3
"""Makes a table in Markdown of the runs of scripts/bench.sh: medians with spread, the median of the ratios of each round,
the budget, and how many times the machine's own limit a figure is.

    bench_table.py RUNS.jsonl       benches/lines.tsv says which figures are shown, and what they may be
"""
import json
import pathlib
import statistics
import sys
from collections import defaultdict

LINES = pathlib.Path(__file__).parent.parent / "benches" / "lines.tsv"


def short(value):
    """Three digits that matter."""
    digits = 0 if abs(value) >= 100 or value == 0 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def spread(values):
    if not values:
        return "–"
    if len(values) == 1:
        return short(values[0])
    return f"{short(statistics.median(values))} [{short(min(values))}..{short(max(values))}]"


def read(path):
    """Runs by label and target, in the order in which they were made."""
    runs = defaultdict(lambda: defaultdict(list))
    for line in path.read_text().splitlines():
        run = json.loads(line)
        runs[run["label"]][run["target"]].append(run)
    return runs


def lines():
    for line in LINES.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def verdict(budget, ours, ratios):
    """
    `1.2`: at most that. `1.2/3.1`: or at most such a part of what Kafka takes in the same run, since machines differ.
    `>=2*kafka`: the median of the ratios to Kafka is at least that.
    """
    if budget == "-" or not ours:
        return ""
    if budget.startswith(">="):
        factor = float(budget[2:].removesuffix("kafka").rstrip("*") or 1)
        return "–" if not ratios else "met" if statistics.median(ratios) >= factor else "**not met**"
    if statistics.median(ours) <= float(budget.split("/")[0]):
        return "met"
    part = part_of_kafka(budget)
    return "met as a ratio" if part and ratios and statistics.median(ratios) <= part else "**not met**"


def part_of_kafka(budget):
    """What part of Kafka's figure the budget is."""
    return float(budget.split("/")[0]) / float(budget.split("/")[1]) if "/" in budget else None


def limit(expression, runs):
    """A sum of figures of `milena bench limits`."""
    measured = runs["limits"]["machine"]
    if expression == "-" or not measured:
        return None
    value = lambda name: statistics.median([run[name] for run in measured])
    return sum(value(name) for name in expression.split("+"))


def main():
    runs = read(pathlib.Path(sys.argv[1]))
    print("| what | budget | Milena | Milena, every acknowledgement flushed | Apache Kafka | Milena : Kafka | | × the machine |")
    print("|---|---|---|---|---|---|---|---|")
    for label, figure, judged, budget, ceiling, what in lines():
        of = lambda target: [run[figure] for run in runs[label][target] if figure in run]
        kafka, ours = of("kafka"), of(judged)
        if not of("milena") and not of("durable"):
            continue
        ratios = [one / other for one, other in zip(ours, kafka) if other]
        floor = limit(ceiling, runs)
        part = part_of_kafka(budget)
        shown = budget.split("/")[0].replace(">=", "≥ ").replace("*", " × ").replace("kafka", "Kafka")
        cells = [
            what,
            shown if budget == "-" or budget.startswith(">=") else f"≤ {shown}",
            spread(of("milena")),
            spread(of("durable")),
            spread(kafka),
            (short(statistics.median(ratios)) if ratios else "–") + (f" (≤ {short(part)})" if part and ratios else ""),
            verdict(budget, ours, ratios),
            f"{statistics.median(ours) / floor:.2f}" if floor and ours else "",
        ]
        print("| " + " | ".join(cells) + " |")
    for run in runs["limits"]["machine"][-1:]:
        print("\nThe machine itself: " + ", ".join(
            f"{name} {spread([each[name] for each in runs['limits']['machine']])}"
            for name in run if name not in ("cmd", "label", "target", "round")) + ".")


main()
