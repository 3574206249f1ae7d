#!/usr/bin/env bash
# Raw requests to $BOOTSTRAP_SERVERS, compared with what Kafka answered. Arguments choose scenes by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
bounded python3 "$here/test_differential.py" "$@"
