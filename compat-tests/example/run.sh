#!/usr/bin/env bash
# The first program a newcomer runs, and the files in examples/, against $BOOTSTRAP_SERVERS and a broker on localhost:9092.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/example/.stamp" example
needs "$tools/clients/kafka-python-2/.stamp" kafka-python-2
export MILENA_TOOLS=$tools
bounded "$tools/clients/example/bin/python" "$here/test_example.py" "$@"
