#!/usr/bin/env bash
# Kills the release binary again and again under mixed load, in both durabilities, and proves from the outside that nothing
# acknowledged was lost, duplicated, reordered or changed (tests/kill_loop/main.rs says what is checked).
#
#   [KILLS=200] [SEED=n] [SECONDS_EACH=n] [MILENA_BIN=path] scripts/kill.sh [flush|page-cache]
#   KILLS=10 scripts/kill.sh --against kafka       the loop itself, tried on Apache Kafka
#
# SEED repeats the plan of the kills and the records. The last line of each mode has the figures; after a broken promise the
# data directory stays, and its place and the seed are printed.
set -euo pipefail
cd "$(dirname "$0")/.."
export KILLS=${KILLS:-200}
[ -z "${SECONDS_EACH:-}" ] || export KILL_SECONDS=$SECONDS_EACH
filter=kills_lose_nothing
while [ $# -gt 0 ]; do
  case $1 in
    flush) filter=wait_for_the_flush; shift;;
    page-cache) filter=wait_for_the_page_cache; shift;;
    --against) export AGAINST=${2:?kafka}; filter=wait_for_the_page_cache; shift 2;;
    *) echo "unknown word $1" >&2; exit 2;;
  esac
done
# One mode after the other: the two would only share the processor.
cargo test --release --quiet --test kill_loop -- "$filter" --nocapture --test-threads=1
