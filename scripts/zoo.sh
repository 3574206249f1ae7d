#!/usr/bin/env bash
# The bug zoo: builds the broker's tests with the bugs of src/testing/zoo.rs, lets each out in turn, and says which check
# catches it and how long that took. Ends with 1 if one is not caught.
#   scripts/zoo.sh [--json FILE] [--wall SECONDS] [n...]
# A check is "sim" (seeds of the simulation) or a filter for the unit tests; those of a bug are tried in order, each for at
# most --wall seconds (120). A crash of the check counts as caught, a check that runs out of time does not.
set -euo pipefail
cd "$(dirname "$0")/.."
json=/dev/null wall=120 chosen=()
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=$2; shift 2 ;;
        --wall) wall=$2; shift 2 ;;
        *) chosen+=("$1"); shift ;;
    esac
done

declare -A checks=(
    [1]="sim" [2]="sim" [3]="sim storage::tests::crash_images" [4]="sim" [5]="i10_" [6]="sim"
    [7]="sim storage::tests::producers" [8]="storage::tests::producers sim" [9]="storage::tests::producers"
    [15]="state::group" [16]="state::group" [17]="state::group" [18]="sim" [19]="storage::tests::compaction"
    [20]="storage::tests::compaction" [25]="net::schema" [26]="record::"
)
[ ${#chosen[@]} -gt 0 ] || chosen=(1 2 3 4 5 6 7 8 9 15 16 17 18 19 20 25 26)

built=$(cargo test --features zoo,testing --lib --test simulate --no-run --message-format=json 2>/dev/null |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
units=$(grep '/milena-' <<<"$built" | tail -1)
simulate=$(grep '/simulate-' <<<"$built" | tail -1)
[ -n "$units" ] && [ -n "$simulate" ] || { echo "zoo: the tests do not build" >&2; exit 2; }

# Runs one check with a bug at large; 0 if it fails, which is what it should.
catches() {
    local bug=$1 check=$2 code=0
    if [ "$check" = sim ]; then
        MILENA_BUG=$bug timeout $((wall + 60)) "$simulate" --seeds 0..1000 --seconds 40 --wall "$wall" >/dev/null 2>&1 || code=$?
    else
        MILENA_BUG=$bug timeout "$wall" "$units" --quiet "$check" >/dev/null 2>&1 || code=$?
    fi
    [ "$code" -ne 0 ] && [ "$code" -ne 124 ]
}

missed=0
for bug in "${chosen[@]}"; do
    start=$(date +%s.%N) caught=
    for check in ${checks[$bug]}; do
        if catches "$bug" "$check"; then
            caught=$check
            break
        fi
    done
    took=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    if [ -n "$caught" ]; then
        echo "caught $bug in $took s by $caught"
    else
        echo "NOT caught: $bug ($took s)"
        missed=1
    fi
    echo "{\"bug\":$bug,\"caught\":$([ -n "$caught" ] && echo true || echo false),\"seconds\":$took,\"by\":\"$caught\"}" >>"$json"
done
exit $missed
