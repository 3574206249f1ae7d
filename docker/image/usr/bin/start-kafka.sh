#!/usr/bin/env bash
# Where wurstmeister/kafka starts.
set -e
. /opt/milena/hooks.sh
speak wurstmeister
run_hooks
exec /usr/local/bin/milena
