#!/usr/bin/env bash
# kafkajs 2.2.4 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/kafkajs/.stamp" kafkajs
export NODE_PATH=$tools/clients/kafkajs/node_modules KAFKAJS_NO_PARTITIONER_WARNING=1
bounded node --no-warnings "$here/test_kafkajs.js" "$@"
