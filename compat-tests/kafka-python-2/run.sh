#!/usr/bin/env bash
# kafka-python 2.0.2 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/kafka-python-2/.stamp" kafka-python-2
bounded "$tools/clients/kafka-python-2/bin/python" "$here/test_kafka_python_2.py" "$@"
