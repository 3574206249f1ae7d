#!/usr/bin/env bash
# Kafka's Java client 2.8.2 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
java_suite kafka-java-2 "$tools/clients/kafka-java-2"
bounded "${java[@]}" Main "$@"
