#!/usr/bin/env bash
# Runs client suites against a broker and compares them with what each suite promises.
#
#   compat-tests/run.sh <suite|all> [--against kafka|HOST:PORT] [--only PART]... [--keep-log FILE]
#
# Without --against it starts ${MILENA_BIN:-target/release/milena} on a free port with an empty directory, and stops it
# afterwards; `--against kafka` does the same with released Apache Kafka, which is how we know that a red line is ours.
# A test fails when it says `not ok`, or when expect.txt names it and it said nothing. What a suite's later.txt names may fail
# against milena, and must not pass: the list can only shrink. The last line counts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
suites=(example differential dump-log tools kafka-python kafka-python-2 confluent-python kcat aiokafka kafkajs franz-go kafka-java kafka-java-2 compose testcontainers)
against='' only=() keep='' chosen=()
while [ $# -gt 0 ]; do
  case $1 in
    --against) against=${2:?--against kafka or HOST:PORT}; shift 2;;
    --only) only+=("${2:?--only PART}"); shift 2;;
    --keep-log) keep=${2:?--keep-log FILE}; shift 2;;
    -h|--help) sed -n '2,9p' "$0" | cut -c3-; exit 0;;
    all) chosen+=("${suites[@]}"); shift;;
    *) [ -x "$here/$1/run.sh" ] || { echo "no suite $1 (one of: all ${suites[*]})" >&2; exit 2; }
       chosen+=("$1"); shift;;
  esac
done
[ ${#chosen[@]} -gt 0 ] || { echo "which suite? all, or of: ${suites[*]}" >&2; exit 2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/compat.XXXXXX")
broker='' log=$work/broker.log

stop_broker() {
  [ -n "$broker" ] || return 0
  local pid=$broker
  broker=''
  kill -TERM "$pid" 2> /dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$pid" 2> /dev/null || { wait "$pid" 2> /dev/null || true; return 0; }
    sleep 0.1
  done
  echo "# the broker did not stop within 10 s of SIGTERM, killing it" >&2
  kill -KILL "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
}

# What a reader of a failure wants first: the broker's warnings, then how it ended.
show_log() {
  [ -s "$log" ] || return 0
  echo "# warnings in the broker's log, then its last lines:"
  { { grep -E '\b(WARN|ERROR|FATAL)\b|panicked' "$log" || true; } | tail -n 15; tail -n "${1:-5}" "$log"; } | cut -c1-240 | sed 's/^/#   /'
}

finish() {
  stop_broker
  [ -z "$keep" ] || [ ! -f "$log" ] || cp "$log" "$keep"
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Two free neighbouring ports: the peer's controller takes the second.
free_port() {
  python3 - <<'P'
import socket
while True:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        try:
            two.bind(("127.0.0.1", port + 1))
        except (OSError, OverflowError):
            continue
        print(port)
        break
P
}

accepts() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

wait_for_port() {
  for _ in $(seq 600); do
    accepts "$1" && return 0
    kill -0 "$broker" 2> /dev/null || { echo "the broker ended before it listened" >&2; return 1; }
    sleep 0.1
  done
  echo "the broker did not listen on port $1 within 60 s" >&2
  return 1
}

case $against in
'')
  binary=${MILENA_BIN:-$root/target/release/milena}
  [ -x "$binary" ] || { echo "$binary is missing: cargo build --release, or set MILENA_BIN" >&2; exit 2; }
  port=$(free_port)
  NO_COLOR=1 "$binary" --override "listeners=PLAINTEXT://127.0.0.1:$port" --override "log.dirs=$work/data" \
    --override group.initial.rebalance.delay.ms=0 > "$log" 2>&1 &
  broker=$!
  title="milena on port $port"
  ;;
kafka)
  port=$(free_port)
  [ -e "${MILENA_TOOLS:-$root/.tools}/kafka-4.3.1/.stamp" ] || "$root/scripts/kafka-peer.sh" fetch >&2
  "$root/scripts/kafka-peer.sh" run --data "$work/data" --port "$port" > "$log" 2>&1 &
  broker=$!
  title="Apache Kafka 4.3.1 on port $port"
  ;;
*:*) title=$against;;
*) echo "--against takes kafka or HOST:PORT" >&2; exit 2;;
esac
# For a suite that needs a broker of its own beside this one.
case $title in milena*) export COMPAT_PEER=milena;; Apache*) export COMPAT_PEER=kafka;; *) export COMPAT_PEER='';; esac
if [ -n "$broker" ]; then
  wait_for_port "$port" || { show_log 30; exit 1; }
  against=127.0.0.1:$port
fi
export BOOTSTRAP_SERVERS=$against
echo "# against $title"

# Rewrites a suite's lines ($2) by what its later.txt ($1) says that milena does not serve yet.
judge() {
  awk -F '\t' '
    NR == FNR { reason[$1] = $2; next }
    { name = $0; sub(/^(ok|not ok|skip) /, "", name); sub(/:.*/, "", name) }
    !/^(ok|not ok|skip) / || !(name in reason) { print; next }
    /^ok / { print "not ok " name ": is listed in later.txt but passes; take it off the list"; next }
    { print "skip " name ": not yet: " reason[name] }
  ' "$1" "$2"
}

passed=0 failed=0 skipped=0 table=()
for suite in "${chosen[@]}"; do
  begun=$SECONDS
  out=$work/$suite.out
  expect=$here/$suite/expect.txt
  echo "# $suite"
  result=0
  "$here/$suite/run.sh" ${only[@]+"${only[@]}"} > "$out" 2> "$work/$suite.err" || result=$?
  if [ "$result" = 77 ]; then
    count=$(grep -c . "$expect" || true)
    echo "skipped $suite ($count tests): $(grep '^#' "$out" | head -1 | cut -c3-)"
    skipped=$((skipped + count))
    table+=("$suite|-|-|$count|-")
    continue
  fi
  # A suite with a failed test ends with 1: then its status says nothing that its lines do not say.
  if [ "$result" = 1 ] && grep -q '^not ok ' "$out"; then result=0; fi
  later=$here/$suite/later.txt
  if [ "$COMPAT_PEER" = milena ] && [ -s "$later" ]; then
    judge "$later" "$out" > "$out.judged"
    mv "$out.judged" "$out"
    unknown=$(cut -f 1 "$later" | sort | comm -23 - <(sort "$expect"))
    [ -z "$unknown" ] || echo "not ok $suite: later.txt names what expect.txt does not:" $unknown >> "$out"
  fi
  grep -E '^(not ok|skip|#) ' "$out" || true
  ok=$(grep -c '^ok ' "$out" || true)
  bad=$(grep -c '^not ok ' "$out" || true)
  skip=$(grep -c '^skip ' "$out" || true)
  if [ ${#only[@]} = 0 ]; then
    # What expect.txt names must have been reported; a suite that broke off shows here.
    while IFS= read -r name; do
      echo "not ok $name: expected, and not reported"
      bad=$((bad + 1))
    done < <(grep -E '^(ok|not ok|skip) ' "$out" | sed -E 's/^(ok|not ok|skip) ([^:]*).*/\2/' | sort -u \
      | comm -13 - <(sort -u "$expect"))
    unlisted=$(sed -n 's/^ok //p' "$out" | sort -u | comm -23 - <(sort -u "$expect"))
    [ -z "$unlisted" ] || echo "# passes, and could join expect.txt: $(echo "$unlisted" | tr '\n' ' ')"
  fi
  if [ "$result" != 0 ] && [ "$bad" = 0 ]; then
    echo "not ok $suite: its run.sh ended with status $result$([ "$result" != 124 ] || echo ' (out of time)')"
    bad=1
  fi
  if [ "$bad" != 0 ] && [ -s "$work/$suite.err" ]; then
    echo "# what $suite wrote to stderr, at its end:"
    tail -n 15 "$work/$suite.err" | cut -c1-300 | sed 's/^/#   /'
  fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
  table+=("$suite|$ok|$bad|$skip|$((SECONDS - begun))")
  if [ -n "$broker" ] && ! kill -0 "$broker" 2> /dev/null; then
    echo "not ok $suite: the broker ended while it ran"
    failed=$((failed + 1))
    broker=''
    break
  fi
done

[ "$failed" = 0 ] || show_log
echo
printf '%-18s %7s %7s %8s %8s\n' suite passed failed skipped seconds
for row in "${table[@]}"; do
  IFS='|' read -r name ok bad skip seconds <<< "$row"
  printf '%-18s %7s %7s %8s %8s\n' "$name" "$ok" "$bad" "$skip" "$seconds"
done
echo
echo "$passed passed, $failed failed, $skipped skipped"
# Nothing failed because nothing ran is no success.
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
