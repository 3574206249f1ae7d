# Sourced by every suite's run.sh: where the clients are, and a bound on the whole run.
# shellcheck shell=bash
compat=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${MILENA_TOOLS:-$(dirname "$compat")/.tools}
export BOOTSTRAP_SERVERS=${BOOTSTRAP_SERVERS:-localhost:9092}
export PYTHONPATH=$compat/harness PYTHONDONTWRITEBYTECODE=1

# 77: "cannot run here", which compat-tests/run.sh prints as skipped, with this line as the reason.
needs() {
  [ -e "$1" ] || { echo "# $1 is missing, run scripts/setup-clients.sh $2"; exit 77; }
}

# A suite that hangs as a whole is a failure of its own; each test has its own, shorter, bound inside.
bounded() {
  exec timeout --kill-after=5 "${SUITE_TIMEOUT:-240}" "$@"
}
