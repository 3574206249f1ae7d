#!/usr/bin/env bash
# Debezium's entry, and its commands by their own names, since this image has no entry of its own:
#   start | watch-topic [-a] [-k] [-m COUNT] TOPIC | create-topic [-p PARTITIONS] [-r REPLICAS] [-c POLICY] TOPIC | list-topics
# Anything else is run as it is.
set -e

name=$(basename "$0")
if [ "$name" != docker-entrypoint.sh ]; then set -- "$name" "$@"; fi

# The broker that commands ask: KAFKA_BROKER, the one of a linked container, or this container's own.
broker() {
  local linked
  linked=$(env | sed -n 's|^[A-Z0-9_]*PORT_9092_TCP=tcp://||p' | head -n 1)
  echo "${KAFKA_BROKER:-${linked:-localhost:9092}}"
}

watch_topic() {
  local option from=() count=() key=false
  OPTIND=1
  while getopts :akm: option; do
    case $option in
      a) from=(--from-beginning) ;;
      k) key=true ;;
      m) count=(--max-messages "$OPTARG") ;;
      *) usage ;;
    esac
  done
  shift $((OPTIND - 1))
  [ $# -eq 1 ] || usage
  echo "Contents of topic $1:"
  exec kafka-console-consumer --bootstrap-server "$(broker)" --topic "$1" --property print.key=$key "${from[@]}" "${count[@]}"
}

create_topic() {
  local option partitions=1 replicas=1 policy=delete
  OPTIND=1
  while getopts :p:r:c: option; do
    case $option in
      p) partitions=$OPTARG ;;
      r) replicas=$OPTARG ;;
      c) policy=$OPTARG ;;
      *) usage ;;
    esac
  done
  shift $((OPTIND - 1))
  [ $# -eq 1 ] || usage
  exec kafka-topics --bootstrap-server "$(broker)" --create --topic "$1" --partitions "$partitions" \
    --replication-factor "$replicas" --config "cleanup.policy=$policy"
}

usage() {
  echo "start | watch-topic [-a] [-k] [-m COUNT] TOPIC | create-topic [-p PARTITIONS] [-r REPLICAS] [-c POLICY] TOPIC | list-topics" >&2
  exit 1
}

case "${1:-start}" in
  start)
    . /opt/milena/hooks.sh
    speak debezium
    run_hooks
    exec /usr/local/bin/milena
    ;;
  watch-topic) shift && watch_topic "$@" ;;
  create-topic) shift && create_topic "$@" ;;
  list-topics) exec kafka-topics --bootstrap-server "$(broker)" --list ;;
  *) exec "$@" ;;
esac
