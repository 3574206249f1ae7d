#!/usr/bin/env bash
# Scripts of /docker-entrypoint-initdb.d, once for a volume. All else the broker does at its start.
set -o errexit -o nounset -o pipefail
. /opt/milena/hooks.sh
run_hooks
