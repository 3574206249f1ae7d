#!/usr/bin/env bash
# Milena beside Apache Kafka 4.3.1 on this machine, by one command. Builds what is shipped, fetches Kafka's jars, starts both
# (Kafka with the flags of its own start script), lets them take turns under the same load of `milena bench`, and writes one
# table: medians, spread, ratio, budget, and how far the machine's own limits are.
#
#   scripts/bench.sh [--quick] [--rounds 5] [--only REGEX] [--scale 1] [--out DIR] [PART...]
#
#   PART    limits start matrix clients growth        (default: all but growth)
#   --quick the lines that tell most, in about ten minutes; --scale 4 moves a quarter of the bytes
#
# CPU of a broker (/proc/PID/stat) by GB or by request is what to trust on a machine with other work; throughput is not.
# Results: DIR/runs.jsonl (a line for each run), DIR/table.md (benches/lines.tsv says which figures, and their budgets).
# BENCH_BINARY=… measures a binary that is built already. Everything is on loopback; data lies below DIR and is removed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
rounds=5 only=. scale=1 out='' quick='' parts=()
# Becomes one of the brokers: bench.sh --become NAME DIR PORT [SETTING...]
if [ "${1:-}" = --become ]; then
  name=$2 data=$3 port=$4; shift 4
  settings=()
  for setting in "$@"; do settings+=(--override "$setting"); done
  case $name in
    kafka) exec scripts/kafka-peer.sh run --official --data "$data" --port "$port";;
    milena) settings+=(--override milena.durability=page-cache);;
  esac
  exec "$BENCH_BINARY" --override "listeners=PLAINTEXT://127.0.0.1:$port" --override "log.dirs=$data" "${settings[@]}"
fi
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 scale=4 rounds=3; shift;;
    --rounds) rounds=$2; shift 2;;
    --only) only=$2; shift 2;;
    --scale) scale=$2; shift 2;;
    --out) out=$2; shift 2;;
    limits|start|matrix|clients|growth) parts+=("$1"); shift;;
    *) sed -n 6,10p "$0"; exit 2;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(limits start matrix)
[ -n "$quick" ] || [ ${#parts[@]} -ne 3 ] || parts+=(clients)
out=${out:-target/bench/$(date +%Y%m%d-%H%M%S)}
mkdir -p "$out"; out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/data.XXXX")
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

if [ -z "${BENCH_BINARY:-}" ]; then
  say "building what is shipped"
  begun=$SECONDS
  cargo build --profile dist --quiet
  say "built in $((SECONDS - begun)) s"
  BENCH_BINARY=$root/target/dist/milena
fi
BENCH_BINARY=$(realpath "$BENCH_BINARY")
export BENCH_BINARY
milena=$BENCH_BINARY

# A port that nobody has, and the one behind it, which Kafka's controller takes; below those that clients get by chance.
free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 6000 * 2))
    if ! (: < "/dev/tcp/127.0.0.1/$port" || : < "/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; then
      echo "$port"; return
    fi
  done
  echo "no free port was found" >&2; return 1
}

# Starts a broker of that kind and adds it to the targets of the next runs.
targets=()
up() { # kind, settings...
  local kind=$1 port pid; shift
  port=$(free_port)
  scripts/bench.sh --become "$kind" "$work/$kind" "$port" "$@" > "$out/$kind.log" 2>&1 &
  pid=$!; pids+=("$pid")
  for _ in $(seq 300); do
    if timeout 20 "$milena" broker-api-versions --bootstrap-server "127.0.0.1:$port" > /dev/null 2>&1; then
      targets+=(--target "$kind=127.0.0.1:$port@$pid"); return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  echo "$kind does not answer:" >&2; tail -5 "$out/$kind.log" >&2; return 1
}

down() { # signal
  for pid in "${pids[@]}"; do kill "-$1" "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=() targets=()
}

# A line of the table. One that fails is told, and the others go on.
failed=()
run() { # label, command, flags
  local label=$1 command=$2; shift 2
  [[ $label =~ $only ]] || return 0
  say "$label"
  # Flags before `--` come first, so that a wrapped command keeps its own.
  timeout 1800 "$milena" bench "$command" ${targets[@]+"${targets[@]}"} --rounds "$rounds" --json "$out/runs.jsonl" \
    --label "$label" "$@" >> "$out/tables.txt" 2>> "$out/errors.txt" && return 0
  failed+=("$label"); say "FAILED $label: $(tail -1 "$out/errors.txt")"
}
# The same, left out of a quick look.
more() { [ -n "$quick" ] || run "$@"; }
megabytes() { echo "$(($1 / scale > 0 ? $1 / scale : 1))M"; }

# Its CPU is read in steps of 10 ms, so it is not scaled.
part_limits() { run limits limits --dir "$work" --bytes 512M; }

part_start() {
  local kind port round
  for round in $(seq "$rounds"); do
    for kind in $([ $((round % 2)) = 1 ] && echo kafka milena durable || echo durable milena kafka); do
      [[ "start-$kind" =~ $only ]] || [[ start =~ $only ]] || continue
      port=$(free_port)
      rm -rf "$work/$kind"
      [ "$kind" != kafka ] || scripts/kafka-peer.sh format --data "$work/kafka" --port "$port" >> "$out/kafka.log" 2>&1
      "$milena" bench start --target "$kind=127.0.0.1:$port" --json "$out/runs.jsonl" --label start -- \
        scripts/bench.sh --become "$kind" "$work/$kind" "$port" >> "$out/tables.txt" 2>> "$out/start.log" \
        || { failed+=("start $kind"); say "FAILED start $kind"; }
      rm -rf "$work/$kind"
    done
  done
}

part_matrix() {
  up kafka; up milena; up durable
  run idle idle --seconds 10
  say "warming"
  "$milena" bench produce "${targets[@]}" --bytes "$(megabytes 1024)" --warm 0 > /dev/null
  local warm; warm=$(megabytes 128)
  local -a produce=(produce --warm "$warm" --seconds 60)
  run  p-64k     "${produce[@]}" --bytes "$(megabytes 1024)"
  run  p-16k     "${produce[@]}" --bytes "$(megabytes 512)" --batch 16K
  more p-1m      "${produce[@]}" --bytes "$(megabytes 1024)" --batch 1000K --inflight 2
  more p-100b    "${produce[@]}" --bytes "$(megabytes 512)" --record 100
  more p-10k     "${produce[@]}" --bytes "$(megabytes 1024)" --record 10K
  run  p-all     "${produce[@]}" --bytes "$(megabytes 1024)" --acks all --inflight 32
  more p-16      "${produce[@]}" --bytes "$(megabytes 1024)" --partitions 16
  more p-256     "${produce[@]}" --bytes "$(megabytes 1024)" --partitions 256
  run  p-16x16k  "${produce[@]}" --bytes "$(megabytes 1024)" --batch 16K --partitions 16 --parts-per-request 16
  more p-8c      "${produce[@]}" --bytes "$(megabytes 1024)" --partitions 16 --conns 8
  more p-64c     "${produce[@]}" --bytes "$(megabytes 1024)" --partitions 64 --conns 64
  more p-lz4     "${produce[@]}" --bytes "$(megabytes 1024)" --compression lz4
  more p-zstd    "${produce[@]}" --bytes "$(megabytes 1024)" --compression zstd
  run  p-small   "${produce[@]}" --warm "$(megabytes 16)" --bytes "$(megabytes 32)" --record 100 --batch 200 --conns 8 --partitions 8
  run  f-hot     fetch --bytes "$(megabytes 1024)" --how discard
  more f-walk    fetch --bytes "$(megabytes 1024)" --partitions 16
  more f-256     fetch --bytes "$(megabytes 1024)" --batch 16K --partitions 256
  run  f-fan8    fetch --bytes "$(megabytes 256)" --consumers 8 --how discard
  more f-verify  fetch --bytes "$(megabytes 256)" --partitions 4 --how verify
  more f-cold    fetch --bytes "$(megabytes 512)" --evict "kafka=$work/kafka" --evict "milena=$work/milena" --evict "durable=$work/durable"
  run  l-1k      latency --rate 1000 --seconds 10 --consumers 1
  run  l-1k-all  latency --rate 1000 --seconds 10 --consumers 1 --acks all
  more l-20k     latency --rate 20000 --seconds 10 --conns 8 --partitions 8 --consumers 1
  say "ten quiet seconds"
  sleep 10
  rounds=1 run after idle --seconds 5
  down TERM
}

# As users see it: the client's own start is in the time, so MB_s is told by the clients themselves.
part_clients() {
  up kafka; up milena; up durable
  scripts/setup-clients.sh confluent-python kafka-java > /dev/null
  local count=$((500000 / scale)) tools=${MILENA_TOOLS:-$root/.tools}
  local gb; gb=$(awk "BEGIN{print $count * 1024 / 1e9}")
  local -a python=("$tools/clients/confluent-python/bin/python" scripts/bench_librdkafka.py)
  run rd-produce   wrap --gb "$gb" -- "${python[@]}" produce "{addr}" rd "$count" 1024
  run rd-consume   wrap --gb "$gb" -- "${python[@]}" consume "{addr}" rd "$count" 1024
  run java-produce wrap --gb "$gb" -- scripts/kafka-peer.sh tool org.apache.kafka.tools.ProducerPerformance --topic java \
    --num-records "$count" --record-size 1024 --throughput -1 \
    --producer-props "bootstrap.servers={addr}" acks=all batch.size=65536 linger.ms=5
  run java-consume wrap --gb "$gb" -- scripts/kafka-peer.sh tool org.apache.kafka.tools.ConsumerPerformance \
    --bootstrap-server "{addr}" --topic java --num-records "$count" --group "java-{round}"
  down TERM
}

# Milena alone: what grows. Each line on a broker that was just started.
alone() { # label, command, flags
  [[ $1 =~ $only ]] || return 0
  rm -rf "$work/milena"
  up milena || { failed+=("$1"); return 0; }
  run "$@"
  down TERM
}

part_growth() {
  local gigabytes=10 free
  free=$(df --output=avail -B1G "$work" | tail -1)
  [ "$free" -ge 40 ] && [ -z "$quick" ] || gigabytes=2
  alone g-partitions many --what partitions --count 10000
  alone g-conns      many --what conns --count 10000 --seconds 10
  alone g-busy       produce --warm 1M --bytes "$(megabytes 16)" --record 100 --batch 200 --conns 2000 --partitions 2000 --inflight 1
  alone g-burst      many --what burst --count 200
  alone g-members    many --what members --count 1000
  alone g-100x1000   many --what members --count 100 --partitions 1000
  alone g-groups     many --what members --count 3 --groups 1000
  after_kill g-restart 10000 "$gigabytes" --batch 16K --partitions 10000 --parts-per-request 100 --inflight 2
  # An index that is full after two entries closes its segment: a thousand of them for each partition.
  index_bytes=16 after_kill g-segments 46 1 --batch 11K --partitions 46 --parts-per-request 46
}

# Fills a topic, ends the broker with SIGKILL, and sees how long it takes until every partition answers.
after_kill() { # label, partitions, gigabytes, flags of produce
  local label=$1 partitions=$2 gigabytes=$3 port; shift 3
  [[ $label =~ $only ]] || return 0
  rm -rf "$work/milena"
  local -a settings=(${index_bytes:+"log.index.size.max.bytes=$index_bytes" "log.index.interval.bytes=0"})
  up milena ${settings[@]+"${settings[@]}"} || { failed+=("$label"); return 0; }
  say "$label: filling $partitions partitions with $gigabytes GB"
  "$milena" bench produce "${targets[@]}" --topic full --keep --warm 0 --bytes "${gigabytes}G" --seconds 600 "$@" >> "$out/tables.txt"
  down KILL
  say "$label: $(find "$work/milena" -name '*.log' | wc -l) segments, $(du -sh --apparent-size "$work/milena" | cut -f1)"
  port=$(free_port)
  "$milena" bench start --target "milena=127.0.0.1:$port" --json "$out/runs.jsonl" --label "$label" --expect "full:$partitions" -- \
    scripts/bench.sh --become milena "$work/milena" "$port" ${settings[@]+"${settings[@]}"} >> "$out/tables.txt" 2>> "$out/errors.txt" \
    || { failed+=("$label"); say "FAILED $label"; }
  rm -rf "$work/milena"
}

for part in "${parts[@]}"; do "part_$part"; done
{
  echo "$(date -u '+%Y-%m-%d %H:%M UTC'), $(uname -sr), $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), load average $(cut -d' ' -f1-3 /proc/loadavg), $rounds rounds, scale 1/$scale, milena $(git rev-parse --short HEAD 2>/dev/null || echo '?'), binary $(($(stat -c %s "$milena") / 1024)) KiB"
  echo
  python3 scripts/bench_table.py "$out/runs.jsonl"
} > "$out/table.md"
cat "$out/table.md"
[ ${#failed[@]} = 0 ] || { echo "not measured: ${failed[*]} ($out/errors.txt)" >&2; exit 1; }
