#!/usr/bin/env bash
# Counts the instructions and allocations of the hot pieces and compares them with benches/counts.tsv; fails when one has
# grown by more than a twentieth. UPDATE=1 records what was counted.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v valgrind > /dev/null; then
  echo "bench-counts: 0 pieces counted: valgrind is not installed"; exit 0
fi
if [ "$(uname -m)" != x86_64 ]; then
  echo "bench-counts: 0 pieces counted: the recorded counts are of x86_64, this is $(uname -m)"; exit 0
fi
# Only the counted run is bounded: a build takes what it takes.
cargo bench --quiet --bench counts --no-run
exec timeout "${BENCH_COUNTS_SECONDS:-300}" cargo bench --quiet --bench counts
