#!/usr/bin/env bash
# Kafka's own dump tool over every file that the broker writes. Starts brokers of its own, of the kind that is under test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/kafka-python/.stamp" kafka-python
needs "$tools/kafka-4.3.1/.stamp" kafka-java
export MILENA_TOOLS=$tools
DUMP_LOG_WORK=$(mktemp -d "${TMPDIR:-/tmp}/dump-log.XXXXXX")
export DUMP_LOG_WORK
# COMPAT_KEEP=1 leaves the data directories, as they were when they were dumped.
if [ -n "${COMPAT_KEEP:-}" ]; then echo "# files are kept in $DUMP_LOG_WORK"; else trap 'rm -rf "$DUMP_LOG_WORK"' EXIT; fi
(bounded "$tools/clients/kafka-python/bin/python" "$here/test_dump_log.py" "$@")
