#!/usr/bin/env python3
"""The campaign: runs tiers in slices until the time is over, and enters every run in the ledger.

A tier is a program with a seed that ends by printing one line of JSON (result, count, seed, figures). What a tier still owes
is its target less what the ledger has, so a campaign goes on where the last one stopped. scripts/campaign.sh is the way in.
"""
import argparse, datetime, json, os, pathlib, secrets, subprocess, sys, time
import tiers

TOP = pathlib.Path(__file__).resolve().parent.parent
LEDGER = TOP / "campaign" / "ledger.jsonl"


def main():
    orders = arguments()
    chosen = [tier for tier in tiers.ALL if not orders.only or tier.name in orders.only]
    if unknown := set(orders.only) - {tier.name for tier in tiers.ALL}:
        sys.exit(f"campaign: no tier is called {', '.join(sorted(unknown))}; --list tells what there is")
    if orders.enter:
        return enter_from(orders.enter)
    if orders.list:
        return show(chosen)
    build(chosen, orders)
    failed = ci(chosen) if orders.ci else long_run(chosen, orders)
    sys.exit(1 if failed else 0)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/campaign.sh", description="Attacks the broker and keeps a ledger.")
    parser.add_argument("--minutes", type=float, default=60, help="how long; the slice that is running then is finished")
    parser.add_argument("--only", action="append", default=[], metavar="TIER")
    parser.add_argument("--list", action="store_true", help="the tiers, what they owe, what this machine cannot run")
    parser.add_argument("--ci", action="store_true", help="the short tier; writes nothing into the ledger")
    parser.add_argument("--count", type=int, help="instead of what a slice takes")
    parser.add_argument("--seed", type=int, help="repeats a slice")
    parser.add_argument("--binary", type=pathlib.Path,
                        help="a release build put aside, with its version in FILE.version; nothing is built then")
    parser.add_argument("--enter", type=pathlib.Path, metavar="FILE", help="enters the result of a run started by hand")
    return parser.parse_args()


# --- the ledger ---


def entries():
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


def enter(result, version, seconds, began):
    line = {
        "tier": result["tier"], "count": result["count"], "unit": result["unit"], "result": result["result"],
        "seed": result.get("seed"), "version": version, "machine": machine(), "date": began, "seconds": round(seconds),
        "figures": result.get("figures", {}),
    }
    with LEDGER.open("a") as ledger:
        ledger.write(json.dumps(line) + "\n")
    subprocess.run([sys.executable, TOP / "campaign" / "page.py"], check=True)


def enter_from(file):
    """A run that was started by hand has its version and its beginning beside its result: see README.md."""
    result = json.loads(file.read_text())
    began = json.loads(file.with_suffix(".began").read_text())
    enter(result, began["version"], result.get("seconds", result["count"] * 60), began["date"])


def version(binary):
    if binary:
        return pathlib.Path(f"{binary}.version").read_text().strip()
    head = git("rev-parse", "--short=10", "HEAD")
    # The ledger and its page change with every run; they are no part of what is tried.
    dirty = git("status", "--porcelain", "--", ":!campaign/ledger.jsonl", ":!campaign/LEDGER.md")
    return head + ("+changes" if dirty else "")


def git(*words):
    return subprocess.run(["git", *words], cwd=TOP, capture_output=True, text=True, check=True).stdout.strip()


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))) >> 20
    return f"{os.cpu_count()} x {cpu}, {memory} GiB, Linux {os.uname().release.split('-')[0]}"


# --- running ---


def build(chosen, orders):
    if not orders.binary and any(tier.is_built for tier in chosen):
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=TOP, check=True)
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=TOP / "campaign", check=True)
    tiers.BINARY = (orders.binary or TOP / "target/release/milena").resolve()


def seed_in_ci(tier):
    """In CI a simulation says the same of the same code; new seeds are for the campaign, which may find something any day."""
    return 1 if tier.name in ("simulation", "zoo") else secrets.randbits(48)


def run(tier, count, seed):
    """One slice; its result, or a failed one that says why there is none."""
    print(f"campaign: {tier.name}: {count} {tier.unit}, seed {seed}", flush=True)
    process = subprocess.Popen(tier.command(count, seed), cwd=TOP, stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if line.startswith("{") else last
    status = process.wait()
    nothing = {"tier": tier.name, "count": 0, "unit": tier.unit, "seed": seed, "result": "failed"}
    try:
        result = {**nothing, **json.loads(last)}
    except ValueError:
        result = {**nothing, "figures": {"error": f"no result, exit status {status}"}}
    if status != 0:
        result["result"] = "failed"
    return result


def long_run(chosen, orders):
    end = time.monotonic() + orders.minutes * 60
    failed = []
    for tier in chosen:
        if reason := tier.cannot():
            print(f"campaign: {tier.name} cannot run here: {reason}")
            continue
        while time.monotonic() < end and tier.name not in failed:
            owed = tier.target - tier.done(entries())
            if owed <= 0 and not orders.only:
                break
            began, start = now(), time.monotonic()
            count = orders.count or tier.fitting((end - start) / 60)
            if not count or (tier.is_peak and count < tier.slice and not orders.count):
                break
            result = run(tier, count, orders.seed or secrets.randbits(48))
            enter(result, version(orders.binary), time.monotonic() - start, began)
            if result["result"] != "ok":
                failed.append(tier.name)
            if orders.count or orders.seed or tier.is_peak:
                break
    return failed


def ci(chosen):
    """Every tier that has a short form, once; what cannot run is counted."""
    failed, skipped, ran = [], [], 0
    for tier in chosen:
        if not tier.ci:
            continue
        if reason := tier.cannot():
            skipped.append(f"{tier.name} ({reason})")
            continue
        start = time.monotonic()
        ok = run(tier, tier.ci, seed_in_ci(tier))["result"] == "ok"
        ran += 1
        print(f"campaign: {tier.name}: {'ok' if ok else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
        failed += [] if ok else [tier.name]
    print(f"campaign: {ran} tiers ran, {len(failed)} failed, {len(skipped)} cannot run here")
    for line in skipped:
        print(f"campaign: not run: {line}")
    return failed


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def show(chosen):
    lines = entries()
    for tier in chosen:
        reason = tier.cannot()
        print(f"{tier.name:12} {tier.done(lines):>10.0f} of {tier.target:>10} {tier.unit:22} {tier.title}"
              + (f"   [cannot run here: {reason}]" if reason else ""))


if __name__ == "__main__":
    main()
