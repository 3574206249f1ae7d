#!/usr/bin/env bash
# The broker takes the place of this shell, so that signals reach it.
set -o errexit -o nounset -o pipefail
. /opt/milena/hooks.sh
speak bitnami
/opt/bitnami/scripts/kafka/setup.sh
echo "** Starting Kafka **"
exec /usr/local/bin/milena "$@"
