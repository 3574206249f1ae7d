#!/usr/bin/env bash
# kcat 1.7.1 against $BOOTSTRAP_SERVERS. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/kcat/.stamp" kcat
export KCAT=$tools/clients/kcat/kcat
bounded "${PYTHON:-python3}" "$here/test_kcat.py" "$@"
