#!/usr/bin/env bash
# aiokafka 0.14 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/aiokafka/.stamp" aiokafka
bounded "$tools/clients/aiokafka/bin/python" "$here/test_aiokafka.py" "$@"
