#!/usr/bin/env bash
# People's compose files with only `image:` changed, run by a real Docker engine. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/compose/.stamp" compose
command -v docker-compose > /dev/null || { echo "# docker-compose is missing, run scripts/setup-docker.sh"; exit 77; }
. "$here/../harness/engine.sh"
export COMPAT_RUN=$$ MILENA_TOOLS=$tools
trap 'sweep "milena.compat=$COMPAT_RUN"; sweep "com.docker.compose.project=milenacompat$COMPAT_RUN"' EXIT
# In a subshell, which `bounded` replaces: the sweep comes after it.
# Two minutes on a quiet machine, which go by in docker-compose and in health checks; many times that on a busy one.
export SUITE_TIMEOUT=${SUITE_TIMEOUT:-900}
(bounded ${inside[@]+"${inside[@]}"} "$tools/clients/compose/bin/python" "$here/test_compose.py" "$@")
