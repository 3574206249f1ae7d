#!/bin/bash
# What a compose file's companions do to the broker, and nothing else of them.
#
#   zookeeper   listens on 2181 and says nothing
#   registry    makes its compacted topic as a schema registry does at its start, writes a record and reads it back
#   connect     makes the three topics of a Connect worker with the names of its environment
#   command     runs what the file says, as a base image would
#   idle        waits
trap 'exit 0' TERM INT
compacted() {
  kafka-topics --bootstrap-server "$1" --create --if-not-exists --topic "$2" --partitions "$3" --replication-factor 1 \
    --config cleanup.policy=compact
}
case $STAND_IN in
  command) exec "$@";;
  zookeeper) nc -lk 0.0.0.0 2181 > /dev/null & wait $!;;
  registry)
    broker=${SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS##*://}
    compacted "$broker" _schemas 1 || exit 1
    echo '{"keytype":"NOOP"}:{}' | kafka-console-producer --bootstrap-server "$broker" --topic _schemas \
      --property parse.key=true --property key.separator=':{' || exit 1
    kafka-console-consumer --bootstrap-server "$broker" --topic _schemas --from-beginning --max-messages 1 \
      --timeout-ms 10000 || exit 1;;
  connect)
    compacted "$BOOTSTRAP_SERVERS" "$CONFIG_STORAGE_TOPIC" 1 || exit 1
    compacted "$BOOTSTRAP_SERVERS" "$OFFSET_STORAGE_TOPIC" 25 || exit 1
    compacted "$BOOTSTRAP_SERVERS" "$STATUS_STORAGE_TOPIC" 5 || exit 1;;
esac
sleep infinity & wait $!
