#!/usr/bin/env bash
# Simulates the whole broker from seeds: src/testing/sim/. One JSON line per seed on standard output; ends with 1 and the
# failing seed at the first broken promise.
#   scripts/sim.sh [--seeds A..B] [--seconds SIMULATED] [--wall SECONDS] [--json FILE] [--go-on]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --features testing --test simulate
built=$(cargo build --release --features testing --test simulate --message-format=json 2>/dev/null |
    grep -o '"executable":"[^"]*simulate[^"]*"' | tail -1 | cut -d'"' -f4)
exec "$built" "$@"
