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

# Compiles a Java suite (its own files and the shared ones) when its sources changed, and leaves the command in $java.
java_suite() {
  local suite=$1 jars=$2 classes sources
  needs "$jars/.stamp" "$suite"
  classes=$tools/classes/$suite
  sources=("$compat/harness/java/"*.java "$compat/$suite/"*.java)
  mkdir -p "$classes"
  (
    flock 9
    want=$(cat "${sources[@]}" | sha256sum)
    [ "$(cat "$classes/.stamp" 2> /dev/null)" = "$want" ] && exit 0
    rm -f "$classes"/*.class
    javac -nowarn -Xlint:-options -d "$classes" -cp "$jars/*" "${sources[@]}" 2>&1 | grep -v '^Note:' >&2 || true
    [ -f "$classes/Main.class" ] || { echo "$suite does not compile" >&2; exit 1; }
    echo "$want" > "$classes/.stamp"
  ) 9> "$classes.lock"
  # shellcheck disable=SC2034
  java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m -Dlog4j2.level=OFF -cp "$classes:$jars/*")
}
