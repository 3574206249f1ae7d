#!/usr/bin/env bash
# Bitnami's entry: sets up if the command is to run Kafka, and does nothing but run it if it is another.
set -o errexit -o nounset -o pipefail
if [ $# -eq 0 ]; then set -- /opt/bitnami/scripts/kafka/run.sh; fi
exec "$@"
