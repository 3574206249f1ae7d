#!/usr/bin/env bash
# Runs one node of released Apache Kafka 4.3.1 on loopback: the peer that says what a suite must see.
#
#   scripts/kafka-peer.sh fetch                                      the jars, by their Maven coordinates
#   scripts/kafka-peer.sh run --data DIR [--port 29092] [--set K=V]  formats DIR if it is empty, then becomes the broker
#   scripts/kafka-peer.sh format --data DIR [--port 29092]           formats DIR only
#   scripts/kafka-peer.sh tool CLASS [ARG...]                        becomes one of Kafka's command line tools
#
# The broker is this script's own process (exec), so its pid is the one to stop. The controller listens on port + 1.
# With --official it runs with the flags of Kafka's own start script, for measurements; else with less of everything.
# Internal topics get one replica, and groups start without the initial rebalance delay, to spare every suite 3 s.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${MILENA_TOOLS:-$root/.tools}
jars=$tools/kafka-4.3.1
command=${1:?fetch, run, format or tool}
shift

fetch() { "$root/scripts/setup-clients.sh" kafka-java; }

# Short-lived JVMs start about a third faster with one compiler tier and the serial collector.
small_java() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx192m -Xshare:auto -cp "$jars/*" "$@"; }

write_settings() {
  cat > "$data/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$data/log
num.partitions=1
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
P
  for setting in ${settings[@]+"${settings[@]}"}; do echo "$setting" >> "$data/server.properties"; done
  cat > "$data/log4j2.xml" <<'P'
<Configuration><Appenders><Console name="out"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
<Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers></Configuration>
P
}

case $command in
fetch) fetch;;
run|format)
  port=29092 data='' settings=() official=''
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=$2; shift 2;;
      --port) port=$2; shift 2;;
      --official) official=1; shift;;
      --set) settings+=("$2"); shift 2;;
      *) echo "unknown flag $1" >&2; exit 2;;
    esac
  done
  : "${data:?--data DIR}"
  [ -d "$jars" ] || fetch >&2
  mkdir -p "$data"
  data=$(cd "$data" && pwd)
  write_settings
  if [ ! -f "$data/log/meta.properties" ]; then
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AA' | tr -d '=')
    small_java -Dlog4j2.level=WARN kafka.tools.StorageTool format --cluster-id "$cluster" \
      --config "$data/server.properties" >&2
  fi
  [ "$command" = run ] || exit 0
  if [ -n "$official" ]; then
    exec java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
      -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true \
      -Dlog4j2.configurationFile="$data/log4j2.xml" -cp "$jars/*" kafka.Kafka "$data/server.properties"
  fi
  exec java -Xmx512m -Xms256m -server -XX:+UseSerialGC -Djava.awt.headless=true \
    -Dlog4j2.configurationFile="$data/log4j2.xml" -cp "$jars/*" kafka.Kafka "$data/server.properties"
  ;;
tool)
  [ -d "$jars" ] || fetch >&2
  exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -cp "$jars/*" -Dlog4j2.level=WARN "$@"
  ;;
*) echo "unknown command $command" >&2; exit 2;;
esac
