#!/usr/bin/env bash
# franz-go 1.22 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/franz-go/.stamp" franz-go
"$(dirname "$compat")/scripts/setup-clients.sh" franz-go > /dev/null # builds only if the sources changed
bounded "$tools/clients/franz-go/suite" "$@"
