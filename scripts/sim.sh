#!/usr/bin/env bash
# Simulates the whole broker from seeds: src/testing/sim/. One JSON line per seed on standard output, the sums of all and how
# often each fault occurred on the other; ends with 1 and the failing seed at the first broken promise.
#   scripts/sim.sh [--seeds A..B] [--seconds SIMULATED] [--wall SECONDS] [--json FILE] [--go-on]
# Built as a release is, with overflow checks; SIMULATE names a program that was built before and put aside.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${SIMULATE:-}" ] || SIMULATE=$(cargo build --release --features testing --test simulate --message-format=json 2>/dev/null |
    grep -o '"executable":"[^"]*simulate[^"]*"' | tail -1 | cut -d'"' -f4)
[ -x "$SIMULATE" ] || { echo "sim: the simulation does not build" >&2; exit 2; }
exec "$SIMULATE" "$@"
