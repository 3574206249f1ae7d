#!/usr/bin/env bash
# kafka-python 3.0.12 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/kafka-python/.stamp" kafka-python
bounded "$tools/clients/kafka-python/bin/python" "$here/test_kafka_python.py" "$@"
