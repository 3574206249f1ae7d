#!/usr/bin/env bash
# Fuzzes everything that takes bytes or events from outside (fuzz/README.md), with the stable compiler.
#
#   scripts/fuzz.sh [--seconds N] [--only TARGET] [--touched [COMMIT]] [--json FILE] [--build|--built [DIR]] [--shrink]
#
#   --seconds N       for each target (default 15)
#   --only TARGET     this target; may be given several times
#   --touched COMMIT  only targets whose sources differ from that commit (default: the last one)
#   --json FILE       adds a line per target: executions, crashes, dearest input, coverage
#   --build           builds and stops
#   --built DIR       takes what was built before, from there or where it was built
#   --shrink          keeps of what was found the smallest inputs that reach everything, in fuzz/corpus
#
# What is found on the way lies in fuzz/target/found and is used by the next run; what crashes, in fuzz/artifacts. Ends with
# status 1 when something crashed.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=15 json= build= built= shrink= base=
only=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?how many}; shift 2;;
    --only) only+=("${2:?which target}"); shift 2;;
    --touched)
      base=HEAD~1; shift
      if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then base=$1; shift; fi;;
    --json) json=${2:?which file}; shift 2;;
    --build) build=1; shift;;
    --built)
      built=1; shift
      if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then built=$1; shift; fi;;
    --shrink) shrink=1; shift;;
    *) echo "unknown word $1" >&2; exit 2;;
  esac
done

host=$(rustc -vV | sed -n 's/^host: //p')
out=fuzz/target/$host/release
# What cargo-fuzz asks of a nightly compiler, less the sanitizers: coverage of every edge and of what is compared. Named by target,
# so that build scripts and macros are built as usual.
variable=CARGO_TARGET_$(echo "$host" | tr a-z- A-Z_)_RUSTFLAGS
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
[ -n "$built" ] || env "$variable=$coverage" cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml --target "$host"
# What is built may be run long after the tree has gone on.
[ -n "$built" ] || git describe --always --dirty > "$out/commit"
[ -z "$build" ] || exit 0
[ "${built:-1}" = 1 ] || out=$built

# The targets by the file their bodies stand in, and the sources these are about.
rooms() {
  case $1 in
    wire) echo src/net/frame.rs src/net/schema.rs src/net/schema src/record;;
    batches) echo src/record;;
    log_files|checkpoints) echo src/storage src/record;;
    metadata) echo src/state/metadata src/wire.rs;;
    coordinator) echo src/state/group src/state/transaction src/wire.rs;;
    settings) echo src/config src/types.rs;;
    *) echo "fuzz/targets/mod.rs lists $1, which scripts/fuzz.sh does not know" >&2; exit 2;;
  esac
}
list=$(sed -n '/^targets! {/,/^}/p' fuzz/targets/mod.rs | grep -oE '[a-z_0-9]+::[a-z_0-9]+')
targets=()
for pair in $list; do
  room=${pair%%::*} name=${pair##*::}
  if [ ${#only[@]} -gt 0 ] && ! printf '%s\n' "${only[@]}" | grep -qx "$name"; then continue; fi
  # shellcheck disable=SC2046
  if [ -n "$base" ] && git diff --quiet "$base" -- fuzz/targets/$room.rs $(rooms "$room"); then continue; fi
  targets+=("$name")
done
[ ${#targets[@]} -gt 0 ] || { echo "no target is touched"; exit 0; }

figure() { sed -n "s/^stat::$2: *//p" "$1" | tail -1; }
failed=0
printf '%-20s %12s %9s %8s %14s %9s\n' target executions per/s crashes "peak bytes" coverage
for name in "${targets[@]}"; do
  found=fuzz/target/found/$name artifacts=fuzz/artifacts/$name log=fuzz/target/$name.log
  mkdir -p "$found" "$artifacts" "fuzz/corpus/$name"
  if [ -n "$shrink" ]; then
    rm -rf "$found.small"; mkdir "$found.small"
    "$out/$name" -merge=1 -max_len=2048 "$found.small" "fuzz/corpus/$name" "$found" >"$log" 2>&1
    # A handful of inputs that reach most is worth keeping; the rest is found again in seconds.
    rm -f "fuzz/corpus/$name"/*
    find "$found.small" -type f -printf '%s %p\n' | sort -n | head -${SHRINK_TO:-300} | cut -d' ' -f2- | xargs cp -t "fuzz/corpus/$name"
    printf '%-20s %5d inputs kept\n' "$name" "$(ls "fuzz/corpus/$name" | wc -l)"
    continue
  fi
  crashes=0
  "$out/$name" "$found" "fuzz/corpus/$name" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1 || crashes=1
  executions=$(figure "$log" number_of_executed_units) peak=$(figure "$log" peak_allocation_bytes)
  covered=$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)
  printf '%-20s %12s %9s %8s %14s %9s\n' "$name" "${executions:-0}" "$(figure "$log" average_exec_per_sec)" "$crashes" \
    "${peak:--}" "${covered:-0}"
  if [ "$crashes" = 1 ]; then
    failed=1
    { grep -E 'panicked at|SUMMARY|Test unit written|bytes for an input' -A1 "$log" || tail -5 "$log"; } | sed 's/^/    /' >&2
  fi
  if [ -n "$json" ]; then
    printf '{"kind":"fuzz","target":"%s","seconds":%s,"executions":%s,"crashes":%s,"peak_allocation_bytes":%s,"coverage":%s,"commit":"%s","at":"%s"}\n' \
      "$name" "$seconds" "${executions:-0}" "$crashes" "${peak:-0}" "${covered:-0}" \
      "$(cat "$out/commit")" "$(date -u +%FT%TZ)" >>"$json"
  fi
done
exit $failed
