#!/usr/bin/env bash
# Checks the images against a Docker engine: docker/check.sh [--tag milena] [NAME]...
#
# Every check prints `ok name` or `not ok name`, with what was seen; NAMEs run those alone. Without an engine nothing can run:
# then the checks are counted and the reason is printed. Containers, volumes and directories of a run are removed at its end.
set -uo pipefail
cd "$(dirname "$0")/.."

tag=milena
if [ "${1:-}" = --tag ]; then tag=$2 && shift 2; fi
image=$tag:latest scratch=$tag:scratch
readiness='Transitioning from RECOVERY to RUNNING|Kafka Server started|\[KafkaServer id=[0-9]+\] started'

work=$(mktemp -d)
label=milena.check=$$
trap 'clean; rm -rf "$work"' EXIT
clean() {
  local ids
  ids=$(docker ps -aq --filter "label=$label" 2>/dev/null) && [ -z "$ids" ] || docker rm -fv $ids >/dev/null 2>&1
  ids=$(docker volume ls -q --filter "label=$label" 2>/dev/null) && [ -z "$ids" ] || docker volume rm $ids >/dev/null 2>&1
}

# ---- what checks are made of ------------------------------------------------------------------------------------------

# Starts a container in the background; its id is in $container.
start() { container=$(docker run -d --label "$label" "$@") || fail "docker run $*"; }

fail() { echo "$*" >>"$work/why"; return 1; }

logs() { docker logs "$container" 2>&1; }

# Waits up to 20 s until the broker of $container has said that it is ready.
ready() {
  local i
  for i in $(seq 200); do
    if docker logs "$container" 2>/dev/null | grep -q 'KafkaServer id='; then return 0; fi
    if [ "$(state)" != true ]; then break; fi
    sleep 0.1
  done
  fail "not ready: $(logs | tail -5)"
}

state() { docker inspect "$container" --format '{{.State.Running}}'; }
status() { docker wait "$container"; }
inside() { docker exec "$container" "$@"; }

# equal WHAT SEEN EXPECTED
equal() { [ "$2" = "$3" ] || fail "$1 is '$2', expected '$3'"; }
has() { grep -qE -- "$2" <<<"$1" || fail "'$2' is not in: $1"; }

# The file of identity lies where the data is.
data_lies_in() { inside test -f "$1/meta.properties" || fail "no data in $1: $(inside find / -name meta.properties -not -path '/proc/*' 2>/dev/null)"; }

runs_as() { equal "the user of the broker" "$(inside sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' /proc/1/status)" "$1"; }

# How many partitions a topic gets that says nothing: what num.partitions is.
partitions() {
  inside kafka-topics --bootstrap-server localhost:9092 --create --topic "p$1" >/dev/null 2>&1
  equal "num.partitions" "$(inside kafka-topics --bootstrap-server localhost:9092 --describe --topic "p$1" | grep -c 'Partition: ')" "$1"
}

volume() { docker volume create --label "$label" >"$work/volume" && cat "$work/volume"; }

# ends_with_sentence STATUS PATTERN ARGUMENT...: the container ends by itself, with one sentence on stderr and nothing else.
ends_with_sentence() {
  local code=$1 pattern=$2
  shift 2
  start "$@" && equal "the exit code" "$(timeout 20 docker wait "$container")" "$code" &&
    equal "stdout" "$(docker logs "$container" 2>/dev/null)" "" &&
    equal "lines on stderr" "$(logs | wc -l)" 1 && has "$(logs)" "$pattern"
}

stops_within_10s() {
  local signal=$1 code=$2 begin=$SECONDS
  docker kill --signal "$signal" "$container" >/dev/null
  equal "the exit code after SIG$signal" "$(timeout 15 docker wait "$container")" "$code" &&
    { [ $((SECONDS - begin)) -lt 10 ] || fail "it took $((SECONDS - begin)) s"; }
}

# ---- the checks -------------------------------------------------------------------------------------------------------

check_files_are_where_people_type_them() {
  local paths=(/etc/kafka/docker/run /etc/kafka/docker/configure /etc/kafka/docker/launch /etc/confluent/docker/run
    /etc/confluent/docker/configure /etc/confluent/docker/ensure /etc/confluent/docker/launch
    /opt/bitnami/scripts/kafka/entrypoint.sh /opt/bitnami/scripts/kafka/run.sh /opt/bitnami/scripts/kafka/setup.sh
    /entrypoint.sh /run.sh /docker-entrypoint.sh /usr/bin/start-kafka.sh /usr/bin/zookeeper-server-start
    /usr/bin/kafka-server-start /opt/kafka/bin/kafka-server-stop.sh /bin/kafka-topics)
  local files=(/etc/confluent/docker/bash-config /opt/kafka/config/server.properties /opt/kafka/config/kraft/server.properties
    /opt/kafka/config/producer.properties /opt/bitnami/kafka/config/consumer.properties)
  docker run --rm "$image" bash -c '
    for path in "$@"; do [ -x "$path" ] || [ "${path%.properties}" != "$path" ] || [ "${path%-config}" != "$path" ] || echo "no $path"; done
    for path in "$@"; do [ -f "$path" ] || echo "no file $path"; done
    for tool in bash sh nc sed grep awk cut seq timeout hostname sleep; do command -v $tool >/dev/null || echo "no $tool"; done
    hostname -i >/dev/null || echo "no address"
    [ "$(id -u appuser):$(id -g appuser)" = 1000:1000 ] || echo "appuser: $(id appuser)"
    [ "$(id -u kafka)" = 1001 ] || echo "kafka: $(id kafka)"' - "${paths[@]}" "${files[@]}" >"$work/missing" 2>&1
  equal "what is missing" "$(cat "$work/missing")" ""
}

check_tools_have_both_names_in_all_directories() {
  docker run --rm "$image" bash -c '
    for dir in /usr/bin /opt/kafka/bin /opt/bitnami/kafka/bin /kafka/bin; do
      for tool in $(milena tools | sed -n "s/^\(kafka-[a-z-]*\) .*/\1/p"); do
        for name in $tool $tool.sh; do
          "$dir/$name" --version >/dev/null 2>&1 </dev/null || [ "$tool" = kafka-run-class ] || echo "$dir/$name"
        done
      done
    done' >"$work/missing" 2>&1
  equal "tools that do not run" "$(cat "$work/missing")" ""
}

check_starts_from_nothing_and_says_so_once() {
  start "$image" && ready || return
  local line
  for line in 'Transitioning from RECOVERY to RUNNING' 'Kafka Server started' '\[KafkaServer id=1\] started (kafka.server.KafkaServer)'; do
    equal "lines with $line" "$(docker logs "$container" 2>/dev/null | grep -c "$line")" 1 || return
  done
  equal "the cluster's id is kept" "$(inside kafka-cluster cluster-id --bootstrap-server localhost:9092 | wc -l)" 1 &&
    inside nc -z localhost 9092 && inside nc -vz -w 1 localhost 9092 && inside bash -c '</dev/tcp/localhost/9092' &&
    inside milena health && runs_as 1000
}

check_readiness_is_said_at_any_log_level() {
  start -e KAFKA_LOG4J_ROOT_LOGLEVEL=ERROR "$image" && ready &&
    equal "readiness lines" "$(docker logs "$container" 2>/dev/null | grep -cE "$readiness")" 3
}

check_every_start_script_starts() {
  local script name
  for script in /etc/kafka/docker/run /etc/confluent/docker/run start-kafka.sh '/docker-entrypoint.sh start' start /run.sh \
    /entrypoint.sh '/opt/bitnami/scripts/kafka/entrypoint.sh /opt/bitnami/scripts/kafka/run.sh' \
    'kafka-server-start.sh /opt/kafka/config/server.properties' \
    'kafka-run-class.sh kafka.Kafka /opt/kafka/config/kraft/server.properties'; do
    start "$image" $script && ready || { fail "$script"; return 1; }
    equal "readiness lines of $script" "$(docker logs "$container" 2>/dev/null | grep -cE "$readiness")" 3 || return
    stops_within_10s TERM 143 || { fail "$script"; return 1; }
  done
}

check_arguments_are_settings() {
  local run
  for run in /etc/kafka/docker/run /etc/confluent/docker/run; do
    start "$image" $run KAFKA_NUM_PARTITIONS=3 && ready && partitions 3 || return
  done
}

check_other_commands_are_run_as_they_are() {
  equal "echo" "$(docker run --rm "$image" echo hi)" hi &&
    equal "with an entry" "$(docker run --rm --entrypoint /entrypoint.sh "$image" bash -c 'echo hi')" hi &&
    has "$(docker run --rm "$image" kafka-topics.sh --version)" '^4\.' &&
    has "$(docker run --rm "$image" kafka-run-class.sh kafka.tools.StorageTool random-uuid)" '^[A-Za-z0-9_-]{22}$'
}

check_debeziums_commands() {
  start -e NODE_ID=1 -e NODE_ROLE=combined -e CLUSTER_ID=oh-sxaDRTcyAr6pFRbXyzA "$image" && ready || return
  inside create-topic -p 2 -c compact orders >/dev/null || fail create-topic || return
  equal "topics" "$(inside list-topics)" orders || return
  has "$(inside bin/kafka-topics.sh --bootstrap-server localhost:9092 --describe --topic orders)" 'cleanup.policy=compact' || return
  docker exec "$container" bash -c 'echo k:v | kafka-console-producer --bootstrap-server localhost:9092 --topic orders --property parse.key=true --property key.separator=:' >/dev/null 2>&1
  has "$(inside timeout 20 watch-topic -a -k -m 1 orders 2>/dev/null)" '^k[[:space:]]v$'
}

check_data_lies_on_the_volume_that_is_mounted() {
  local pair
  for pair in /var/lib/kafka/data=/var/lib/kafka/data /var/lib/kafka=/var/lib/kafka/data /bitnami/kafka=/bitnami/kafka/data \
    /bitnami=/bitnami/kafka/data /bitnami/kafka/data=/bitnami/kafka/data /kafka/data=/kafka/data/1 /kafka=/kafka/kafka-logs \
    /tmp/kraft-combined-logs=/tmp/kraft-combined-logs /tmp/kafka-logs=/tmp/kafka-logs; do
    start -v "$(volume):${pair%%=*}" "$image" && ready && data_lies_in "${pair#*=}" && runs_as 1000 || { fail "$pair"; return 1; }
    mkdir -p "$work/bind$RANDOM" && start -v "$(ls -td "$work"/bind* | head -1):${pair%%=*}" "$image" && ready &&
      data_lies_in "${pair#*=}" && runs_as 1000 || { fail "bound: $pair"; return 1; }
  done
}

check_log_dirs_wins_over_volumes() {
  start -e KAFKA_LOG_DIRS=/srv/here/data -v "$(volume):/bitnami/kafka" "$image" && ready && data_lies_in /srv/here/data && runs_as 1000
}

check_any_user() {
  local user
  for user in 12345 12345:12345 1001:0 1000 appuser kafka 0; do
    start --user "$user" "$image" && ready || { fail "user $user"; return 1; }
  done
  start --cap-drop ALL "$image" && ready && has "$(logs)" 'user 1000 \(|so the broker runs as root' || { fail "without capabilities"; return 1; }
  start --user 1001:0 -v "$(volume):/bitnami/kafka" -e KAFKA_CFG_NODE_ID=0 "$image" && ready && data_lies_in /bitnami/kafka/data
}

check_foreign_directories() {
  mkdir "$work/of-1001" "$work/of-root" && chown 1001:0 "$work/of-1001" && chmod 755 "$work/of-1001" "$work/of-root"
  start -v "$work/of-1001:/bitnami/kafka" "$image" && ready && data_lies_in /bitnami/kafka/data &&
    equal "the owner of what is not ours" "$(stat -c %u "$work/of-1001")" 1001 || return
  ends_with_sentence 1 "/var/lib/kafka/data" --user 12345:12345 -v "$work/of-root:/var/lib/kafka/data" "$image"
}

# A group of Kubernetes (fsGroup) is how a container gets at a volume that others share.
check_groups_that_were_given_stay() {
  mkdir "$work/shared-by-group" && chown 0:2000 "$work/shared-by-group" && chmod 2770 "$work/shared-by-group"
  start --group-add 2000 --group-add 3000 -v "$work/shared-by-group:/bitnami/kafka/data" "$image" && ready && runs_as 1000 &&
    equal "the groups of the broker" "$(inside sed -n 's/^Groups:\t//p' /proc/1/status | xargs)" "2000 3000" &&
    equal "the group of the volume" "$(stat -c %u:%g "$work/shared-by-group")" 1000:2000 &&
    data_lies_in /bitnami/kafka/data || return
  start "$image" && ready && equal "groups where none were given" "$(inside sed -n 's/^Groups:\t//p' /proc/1/status | xargs)" ""
}

check_read_only_root() {
  start --read-only "$image" && ready && runs_as 1000 || { fail "alone"; return 1; }
  start --read-only --tmpfs /tmp "$image" && ready && data_lies_in /var/lib/kafka/data || { fail "with /tmp"; return 1; }
  start --read-only --tmpfs /var/lib/kafka/data --user 12345 "$image" && ready || { fail "on tmpfs"; return 1; }
  start --read-only -v "$(volume):/bitnami/kafka" -e KAFKA_CFG_NODE_ID=0 "$image" /run.sh && ready && data_lies_in /bitnami/kafka/data ||
    { fail bitnami; return 1; }
  start --read-only --user 1000 "$image" /etc/confluent/docker/run && ready || { fail confluent; return 1; }
  ends_with_sentence 1 /srv/data --read-only -e KAFKA_LOG_DIRS=/srv/data "$image"
}

check_a_volume_is_kept_by_the_next_container() {
  local data user
  data=$(volume)
  for user in 1000 0 12345 0; do
    # Who is neither root nor the owner may not: that is said, and root makes it right again.
    if [ "$user" = 12345 ]; then
      ends_with_sentence 1 . --user 12345:12345 -v "$data:/var/lib/kafka/data" "$image" || return
      continue
    fi
    start --user "$user" -v "$data:/var/lib/kafka/data" "$image" && ready || return
    inside kafka-topics --bootstrap-server localhost:9092 --create --if-not-exists --topic kept --partitions 3 >/dev/null
    inside kafka-cluster cluster-id --bootstrap-server localhost:9092 >"$work/id.$user"
    stops_within_10s TERM 143 || return
  done
  equal "the cluster" "$(cat "$work/id.0")" "$(cat "$work/id.1000")" &&
    start -v "$data:/var/lib/kafka/data" -e CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qk "$image" && ready &&
    equal "topics" "$(inside kafka-topics --bootstrap-server localhost:9092 --list)" kept &&
    equal "the cluster" "$(inside kafka-cluster cluster-id --bootstrap-server localhost:9092)" "$(cat "$work/id.0")"
}

check_data_of_apache_kafka_is_left_untouched() {
  local dir=$work/apache before
  mkdir -p "$dir/__cluster_metadata-0" "$dir/a-0"
  printf 'version=1\nnode.id=1\ncluster.id=x\n' >"$dir/meta.properties"
  echo x >"$dir/a-0/00000000000000000000.log"
  echo '{}' >"$dir/__cluster_metadata-0/quorum-state"
  : >"$dir/bootstrap.checkpoint"
  chown -R 1001:0 "$dir"
  before=$(find "$dir" -printf '%p %u %g %m %s %T@\n' | sort)
  ends_with_sentence 1 'holds data of Apache Kafka' -v "$dir:/var/lib/kafka/data" "$image" || return
  # In the image of Bitnami it lies one deeper.
  mkdir "$work/bitnami" && mv "$dir" "$work/bitnami/data" && before=${before//$dir/$work/bitnami/data}
  ends_with_sentence 1 'holds data of Apache Kafka' -v "$work/bitnami:/bitnami/kafka" "$image" || return
  equal "the directory" "$(find "$work/bitnami/data" -printf '%p %u %g %m %s %T@\n' | sort)" "$before"
}

check_signals() {
  local run
  for run in '' /etc/confluent/docker/run /run.sh; do
    start "$image" $run && ready && stops_within_10s TERM 143 || return
    start "$image" $run && ready && stops_within_10s INT 130 || return
  done
}

check_a_bad_setting_is_one_sentence() {
  ends_with_sentence 1 KAFKA_NUM_PARTITIONS -e KAFKA_NUM_PARTITIONS=many "$image" &&
    ends_with_sentence 1 KAFKA_NUM_PARTITIONS -e KAFKA_NUM_PARTITIONS=many "$image" /etc/confluent/docker/run &&
    ends_with_sentence 1 'is a directory' -v "$work/no-such-file:/mnt/shared/config/server.properties" "$image"
}

check_settings_files() {
  printf 'num.partitions=2\nauto.create.topics.enable=false\n' >"$work/server.properties"
  chmod 644 "$work/server.properties"
  local at
  for at in /mnt/shared/config /opt/kafka/config /opt/bitnami/kafka/config /kafka/config; do
    start -v "$work/server.properties:$at/server.properties:ro" "$image" && ready && partitions 2 || { fail "$at"; return 1; }
  done
  start -v "$work/server.properties:/mnt/shared/config/server.properties" -e KAFKA_NUM_PARTITIONS=3 "$image" && ready &&
    partitions 3 || { fail "the environment wins"; return 1; }
  start -v "$work/server.properties:/bitnami/kafka/config/server.properties" -e KAFKA_CFG_NUM_PARTITIONS=3 "$image" && ready &&
    partitions 2 && has "$(logs)" 'KAFKA_ variables have no effect' || { fail "Bitnami's file stands alone"; return 1; }
  chmod 666 "$work/server.properties"
  start -v "$work/server.properties:/mnt/shared/config/server.properties" "$image" && ready && partitions 2 || fail "writable by all"
}

check_confluents_file_says_what_was_understood() {
  start -e KAFKA_NUM_PARTITIONS=3 "$image" sh -c '/etc/confluent/docker/configure && exec sleep 60' && sleep 1 &&
    has "$(inside cat /etc/kafka/kafka.properties)" '^num.partitions=3$' && has "$(inside cat /etc/kafka/kafka.properties)" '^log.dirs=/'
}

check_init_scripts_run_once() {
  mkdir "$work/init" && echo 'echo hello from init' >"$work/init/a.sh" && chmod 755 "$work/init"
  start -v "$work/init:/docker-entrypoint-initdb.d" -v "$(volume):/bitnami/kafka" -e CUSTOM_INIT_SCRIPT='echo hello from custom' "$image" &&
    ready && docker restart "$container" >/dev/null && sleep 1 && ready &&
    equal "runs of the script" "$(logs | grep -c 'hello from init')" 1 &&
    equal "runs of CUSTOM_INIT_SCRIPT" "$(logs | grep -c 'hello from custom')" 2 || return
  echo 'exit 3' >"$work/init/a.sh"
  start -v "$work/init:/docker-entrypoint-initdb.d" "$image" && [ "$(timeout 20 docker wait "$container")" != 0 ] || fail "a failed script"
}

check_topics_of_the_environment() {
  start -e KAFKA_CREATE_TOPICS=a:2:1,b:1:1:compact -e KAFKA_ADVERTISED_HOST_NAME=localhost "$image" && ready && sleep 1 &&
    equal "topics" "$(inside kafka-topics.sh --zookeeper localhost:2181 --list 2>/dev/null | tr '\n' ' ')" 'a b '
}

check_a_tool_waits_for_the_broker() {
  start "$image" bash -c 'sleep 2; exec /etc/kafka/docker/run' &&
    inside kafka-topics --bootstrap-server localhost:9092 --list >/dev/null 2>&1 || fail "kafka-topics gave up"
}

check_scratch() {
  start "$scratch" && ready && runs_as_scratch || return
  local i health=
  for i in $(seq 150); do
    health=$(docker inspect "$container" --format '{{.State.Health.Status}}')
    if [ "$health" = healthy ]; then break; fi
    sleep 0.1
  done
  equal "health" "$health" healthy && inside /milena kafka-topics --bootstrap-server localhost:9092 --list >/dev/null &&
    inside /milena health localhost:9092 && ! inside /milena health localhost:9 2>/dev/null &&
    stops_within_10s TERM 143 || return
  start --read-only -e KAFKA_NUM_PARTITIONS=4 "$scratch" && ready &&
    inside /milena kafka-topics --bootstrap-server localhost:9092 --create --topic a >/dev/null &&
    equal "partitions" "$(inside /milena kafka-topics --bootstrap-server localhost:9092 --describe --topic a | grep -c 'Partition: ')" 4 &&
    start --user 12345 "$scratch" && ready && ends_with_sentence 1 KAFKA_NUM_PARTITIONS -e KAFKA_NUM_PARTITIONS=many "$scratch" || return
  # Names are resolved without the files of a C library.
  start -e KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://nowhere.invalid:9092 "$scratch" && ready
}
runs_as_scratch() { equal "the user of the broker" "$(docker top "$container" -o pid,uid | awk 'END{print $2}')" 1000; }

# ---- running them -----------------------------------------------------------------------------------------------------

checks=("$@")
if [ ${#checks[@]} -eq 0 ]; then mapfile -t checks < <(sed -n 's/^check_\([a-z_0-9]*\)().*/\1/p' docker/check.sh); fi
if ! docker info >/dev/null 2>&1; then
  echo "not run: ${#checks[@]} checks, as no Docker engine answers"
  exit 0
fi
docker image inspect "$image" >/dev/null 2>&1 || { echo "there is no image $image; docker/build.sh builds it" >&2; exit 1; }

passed=0 failed=0 skipped=0
for name in "${checks[@]}"; do
  if [ "$name" = scratch ] && ! docker image inspect "$scratch" >/dev/null 2>&1; then
    echo "not run: $name, as there is no image $scratch"
    skipped=$((skipped + 1))
    continue
  fi
  : >"$work/why"
  if "check_$name" && [ ! -s "$work/why" ]; then
    echo "ok $name" && passed=$((passed + 1))
  else
    echo "not ok $name" && sed 's/^/  /' "$work/why" && failed=$((failed + 1))
  fi
  clean
done
echo "$passed passed, $failed failed, $skipped not run"
[ $failed -eq 0 ]
