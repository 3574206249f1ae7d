#!/usr/bin/env bash
# The bug zoo: lets each bug of src/testing/zoo.rs out in turn and says which check catches it, how long that took, and what it
# found. First every check runs without a bug and must be content. Ends with 1 if a bug is not caught, or not for its reason.
#   scripts/zoo.sh [--json FILE] [--wall SECONDS] [--some N] [n...]
# --some N takes N of them, others every day. A check is "sim" (seeds of the simulation) or a filter for the unit tests; those
# of a bug are tried in order, each for at most --wall seconds (120). A check that runs out of time has caught nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(1 2 3 4 5 6 7 8 9 15 16 17 18 19 20 25 26)
json=/dev/null wall=120 chosen=()
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=$(realpath -m "$2"); shift 2 ;;
        --wall) wall=$2; shift 2 ;;
        --some)
            # A step that shares no factor with the number of bugs meets all of them.
            for i in $(seq "$2"); do chosen+=("${all[$((($(date +%s) / 86400 * 7 + i * 5) % ${#all[@]}))]}"); done
            shift 2 ;;
        *) chosen+=("$1"); shift ;;
    esac
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${all[@]}")

# Which checks are tried, and what the finding must name: the promise, or the test that keeps it.
declare -A checks=(
    [1]="sim" [2]="sim" [3]="sim" [4]="sim" [5]="i10_" [6]="sim" [7]="sim storage::tests::producers" [8]="i33_ sim" [9]="i32_"
    [15]="i61_" [16]="state::group::tests" [17]="i68_" [18]="sim" [19]="i81_" [20]="i84_" [25]="s3_" [26]="s6_"
)
# A log that lacks what was flushed may show as such, or as a broker or a member that gets no further on it (I112).
lost="I(1|2|6|7|22|112)"
declare -A reasons=(
    [1]="$lost" [2]="$lost" [3]="$lost" [4]="$lost|I17" [5]="::i10_" [6]="$lost" [7]="I30|I33|producers" [8]="::i33_|I30|I33"
    [9]="::i32_" [15]="::i61_" [16]="state::group::tests" [17]="::i68_" [18]="I6[1238]" [19]="::i81_" [20]="::i80_to_i84_|::i84_"
    [25]="::s3_" [26]="::s6_"
)

executable() { grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | tail -1; }
# Programs that were built before and put aside may be named.
simulate=${SIMULATE:-$(cargo build --release --features testing --test simulate --message-format=json 2>/dev/null | executable)}
units=${UNITS:-$(cargo test --lib --no-run --message-format=json 2>/dev/null | executable)}
[ -x "$simulate" ] && [ -x "$units" ] || { echo "zoo: the tests do not build" >&2; exit 2; }

told=$(mktemp)
trap 'rm -f "$told"' EXIT

# Runs one check, with a bug at large or without; its status. Seeds differ from one run to the next unless FIRST_SEED says.
first=${FIRST_SEED:-$(($(date +%s) * 1000))}
run_check() {
    if [ "$1" = sim ]; then
        timeout $((wall + 60)) "$simulate" --seeds "$first..$((first + 1000))" --seconds 40 --wall "${2:-$wall}"
    else
        timeout "$wall" "$units" --quiet "$1"
    fi >"$told" 2>&1
}

# What a check that failed says of it, in one line.
finding() {
    grep -oE "breaks a promise: .*|^---- .* stdout ----|panicked at .*|I[0-9]+[^ ]*: .*" "$told" | head -2 | tr '\n\t"\\' '   /' | cut -c1-200
}

needed=$(for bug in "${chosen[@]}"; do echo "${checks[$bug]}" | tr ' ' '\n'; done | sort -u)
for check in $needed; do
    run_check "$check" 20 || { echo "zoo: $check fails without a bug: $(finding)" >&2; cat "$told" >&2; exit 1; }
    echo "content without a bug: $check"
done

missed=0
for bug in "${chosen[@]}"; do
    start=$(date +%s.%N) caught= what=
    for check in ${checks[$bug]}; do
        code=0
        MILENA_BUG=$bug run_check "$check" || code=$?
        what=$(finding)
        if [ "$code" -ne 0 ] && [ "$code" -ne 124 ] && grep -qE "${reasons[$bug]}" <<<"$what"; then
            caught=$check
            break
        fi
    done
    took=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    if [ -n "$caught" ]; then
        echo "caught $bug in $took s by $caught: $what"
    else
        echo "NOT caught: $bug ($took s): $what"
        missed=1
    fi
    echo "{\"bug\":$bug,\"caught\":$([ -n "$caught" ] && echo true || echo false),\"seconds\":$took,\"by\":\"$caught\",\"found\":\"$what\"}" >>"$json"
done
exit $missed
