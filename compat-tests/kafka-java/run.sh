#!/usr/bin/env bash
# Kafka's Java client and tools 4.3.1 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
java_suite kafka-java "$tools/kafka-4.3.1"
export KAFKA_JARS=$tools/kafka-4.3.1 KAFKA_CLASS_ARCHIVE=$tools/classes/kafka-tools.jsa
if [ "${1:-}" = --list ]; then
  "${java[@]}" Main --list
  exec "${PYTHON:-python3}" "$here/test_tools.py" --list
fi
if [ "$KAFKA_JARS/.stamp" -nt "$KAFKA_CLASS_ARCHIVE" ]; then
  rm -f "$KAFKA_CLASS_ARCHIVE"
  timeout 60 java -XX:ArchiveClassesAtExit="$KAFKA_CLASS_ARCHIVE" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx160m -Dlog4j2.level=ERROR \
    -cp "$KAFKA_JARS/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "$BOOTSTRAP_SERVERS" --list > /dev/null 2>&1 || true
fi
result=0
timeout --kill-after=5 "${SUITE_TIMEOUT:-240}" "${java[@]}" Main "$@" || result=$?
timeout --kill-after=5 "${SUITE_TIMEOUT:-240}" "${PYTHON:-python3}" "$here/test_tools.py" "$@" || result=$?
exit "$result"
