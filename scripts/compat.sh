#!/usr/bin/env bash
# All of compat-tests from a fresh clone: fetches the clients, builds the broker, runs the suites.
#
#   scripts/compat.sh [suite|all] [further flags of compat-tests/run.sh]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-all}
[ $# = 0 ] || shift
if [ "$suite" = all ]; then "$root/scripts/setup-clients.sh"; else "$root/scripts/setup-clients.sh" "$suite"; fi
case " $* " in
  *" --against "*) ;;
  *) [ -n "${MILENA_BIN:-}" ] || cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin milena;;
esac
exec "$root/compat-tests/run.sh" "$suite" "$@"
