#!/usr/bin/env bash
# Our command line tools beside Apache Kafka's, case by case, against $BOOTSTRAP_SERVERS. Arguments choose cases by a part of
# their name. UPDATE=1 runs Kafka's own tools instead and writes down what they say.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
export MILENA_BIN=${MILENA_BIN:-$(dirname "$compat")/target/release/milena}
[ -x "$MILENA_BIN" ] || { echo "# $MILENA_BIN is missing: cargo build --release"; exit 77; }
[ -z "${UPDATE:-}" ] || needs "$tools/kafka-4.3.1/.stamp" kafka-java
export MILENA_TOOLS=$tools
bounded "${PYTHON:-python3}" "$here/test_tools.py" "$@"
