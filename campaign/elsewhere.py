#!/usr/bin/env python3
"""Tiers that have a program elsewhere in the project: runs it, and tells its figures as a campaign wants them.

    elsewhere.py simulation|fuzzing|zoo|damage|history --binary PATH --count N --seed N
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
SIMULATED_SECONDS = 600
ZOO = 17


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    orders = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        count, unit, ok, figures = TIERS[orders.tier](orders, pathlib.Path(scratch) / "lines")
    print(json.dumps({"tier": orders.tier, "seed": orders.seed, "count": count, "unit": unit,
                      "result": "ok" if ok and count else "failed", "figures": figures}), flush=True)
    sys.exit(0 if ok and count else 1)


def run(*command, **environment):
    return subprocess.run([str(word) for word in command], cwd=TOP, env={**os.environ, **environment},
                          stdout=subprocess.PIPE, text=True)


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def simulation(orders, file):
    """`count` simulated hours, ten simulated minutes a seed."""
    first = orders.seed % (1 << 40)
    seeds = f"{first}..{first + orders.count * 3600 // SIMULATED_SECONDS}"
    # A simulation that was put aside with the binary, at the same version.
    aside = pathlib.Path(orders.binary).with_name("simulate")
    ended = run("scripts/sim.sh", "--seeds", seeds, "--seconds", SIMULATED_SECONDS, "--json", file, "--go-on",
                **({"SIMULATE": str(aside)} if aside.exists() else {}))
    found = lines(file.read_text()) if file.exists() else []
    hours = sum(line["simulated_seconds"] for line in found) / 3600
    broken = [line["seed"] for line in found if line["violation"]]
    totals = {}
    for line in found:
        for name, number in line["counts"].items():
            totals[name] = totals.get(name, 0) + number
    return round(hours, 2), "simulated hours", ended.returncode == 0 and not broken, {
        "seeds": len(found), "open_seeds": broken[:20], **totals}


def fuzzing(orders, file):
    """`count` seconds for each target; what counts is the executions."""
    ended = run("scripts/fuzz.sh", "--seconds", orders.count, "--json", file)
    found = lines(file.read_text()) if file.exists() else []
    return sum(line["executions"] for line in found), "executions", ended.returncode == 0, {
        "targets": len(found), "crashes": sum(line["crashes"] for line in found),
        "largest_allocation_bytes": max((line["peak_allocation_bytes"] for line in found), default=0)}


def zoo(orders, file):
    """All of them, or fewer, others every day."""
    some = ["--some", orders.count] if orders.count < ZOO else []
    ended = run("scripts/zoo.sh", "--json", file, *some, FIRST_SEED=str(orders.seed % (1 << 40)))
    found = lines(file.read_text()) if file.exists() else []
    caught = [line["seconds"] for line in found if line["caught"]]
    return len(caught), "bugs caught", ended.returncode == 0 and len(caught) == len(found), {
        "bugs": len(found), "median_seconds": statistics.median(caught) if caught else None,
        "missed": [line["bug"] for line in found if not line["caught"]],
        "caught_by": {line["bug"]: f'{line["by"]}: {line["found"][:90]}' for line in found if line["caught"]}}


def damage(orders, _):
    return as_told(run("scripts/damage.sh", DAMAGES=str(orders.count), SEED=str(orders.seed)), "damaged files")


def history(orders, _):
    """Real clients on a broker that is killed, and the judge over all that they saw; an odd seed in page-cache mode. A run in
    which nothing was killed has not tried it."""
    at = TOP / "campaign/checker"
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=at, check=True)
    durability = "page-cache" if orders.seed % 2 else "flush"
    count, unit, ok, figures = as_told(
        run(at / "target/release/record-history", "--binary", orders.binary, "--count", orders.count, "--seed", orders.seed,
            "--durability", durability, "--kill-every-ms", 700), "record events")
    return count, unit, ok and figures["kills"] > 0, figures


def as_told(ended, unit):
    """These end with a line of the campaign's own kind."""
    result = (lines(ended.stdout) or [{"count": 0, "result": "failed", "figures": {}}])[-1]
    return result["count"], unit, ended.returncode == 0 and result["result"] == "ok", result["figures"]


TIERS = {"simulation": simulation, "fuzzing": fuzzing, "zoo": zoo, "damage": damage, "history": history}


if __name__ == "__main__":
    main()
