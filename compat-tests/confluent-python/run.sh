#!/usr/bin/env bash
# confluent-kafka 2.16 (librdkafka) against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/confluent-python/.stamp" confluent-python
bounded "$tools/clients/confluent-python/bin/python" "$here/test_confluent.py" "$@"
