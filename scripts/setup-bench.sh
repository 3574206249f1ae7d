#!/usr/bin/env bash
# Installs what scripts/bench-counts.sh counts with, from Debian's packages; needs root. What is there already stays.
# Without it the counts are left out, and that is told.
set -euo pipefail
command -v valgrind > /dev/null && exit 0
command -v apt-get > /dev/null || { echo "setup-bench: no apt-get, valgrind stays away" >&2; exit 0; }
[ "$(id -u)" = 0 ] || { echo "setup-bench: not root, valgrind stays away" >&2; exit 0; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind > /dev/null
