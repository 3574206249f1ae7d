#!/usr/bin/env bash
# What testcontainers libraries do, and the libraries themselves, with our image. Arguments choose tests by a part of their name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/suite.sh"
needs "$tools/clients/testcontainers/.stamp" testcontainers
. "$here/../harness/engine.sh"
export COMPAT_RUN=$$ MILENA_TOOLS=$tools
# The libraries label what they start as they like; it is ours if it runs under one of the names that the tests gave our image.
tidy() {
  sweep "milena.compat=$COMPAT_RUN"
  docker ps -a --format '{{.ID}} {{.Image}}' | awk '$2 ~ /^milena-compat\// { print $1 }' | xargs -r docker rm -fv > /dev/null 2>&1 || true
  docker image ls 'milena-compat/*' --format '{{.Repository}}:{{.Tag}}' | xargs -r docker rmi > /dev/null 2>&1 || true
}
trap tidy EXIT
export SUITE_TIMEOUT=${SUITE_TIMEOUT:-600}
(bounded ${inside[@]+"${inside[@]}"} "$tools/clients/testcontainers/bin/python" "$here/test_testcontainers.py" "$@")
