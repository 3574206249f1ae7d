#!/usr/bin/env bash
# Fetches every client that compat-tests/ speaks with, at the version its suite pins.
#
#   scripts/setup-clients.sh [suite...]     default: all of them
#
# Needs Python 3.11, Node 20, Go 1.26, a JDK 17 and Maven; on Debian 12 kcat comes from the package archive
# (unpacked, not installed, so root is not needed). Everything goes to ${MILENA_TOOLS:-<project>/.tools}.
# What is present with the same pin is left alone, so a second run takes no time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${MILENA_TOOLS:-$root/.tools}
all=(example dump-log kafka-python kafka-python-2 confluent-python kcat aiokafka kafkajs franz-go kafka-java kafka-java-2 compose testcontainers
  testcontainers-node testcontainers-java testcontainers-go)
[ $# -gt 0 ] || set -- "${all[@]}"
mkdir -p "$tools/clients"
exec 9>"$tools/.setup.lock"
flock -w 1200 9 || { echo "another setup holds $tools/.setup.lock" >&2; exit 1; }

# A stamp holds the hash of the files that pin a client (and of the way we build it).
pin() { cat "$@" | sha256sum | cut -c1-40; }
fresh() { [ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$2" ]; }
stamp() { echo "$2" > "$1/.stamp"; }

# Registries fail now and then: three tries, each bounded, quiet unless the last one fails too.
try() {
  local log n
  log=$(mktemp)
  for n in 1 2 3; do
    if timeout -k 10 300 "$@" > "$log" 2>&1; then rm -f "$log"; return 0; fi
    sleep "$n"
  done
  echo "failed: $*" >&2
  tail -20 "$log" >&2
  rm -f "$log"
  return 1
}

need() { command -v "$1" > /dev/null || { echo "$1 is missing: $2" >&2; return 1; }; }

python_suite() {
  local suite=$1 dir=$tools/clients/$1 want python
  want=$(pin "$root/compat-tests/$suite/requirements.txt")
  fresh "$dir" "$want" && return 0
  python=${PYTHON:-$(command -v python3.11 || command -v python3)} || { echo "python3 is missing" >&2; return 1; }
  rm -rf "$dir"
  try "$python" -m venv "$dir"
  try "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/compat-tests/$suite/requirements.txt"
  stamp "$dir" "$want"
}

maven_jars() {
  local suite=$1 dir=$2 want
  want=$(pin "$root/compat-tests/$suite/pom.xml")
  fresh "$dir" "$want" && return 0
  need mvn "apt-get install maven"
  rm -rf "$dir"
  mkdir -p "$dir"
  try mvn -B -q --no-transfer-progress -f "$root/compat-tests/$suite/pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$dir"
  stamp "$dir" "$want"
}

setup_example() { python_suite example; }
setup_dump-log() { setup_kafka-python && setup_kafka-java; }
setup_kafka-python() { python_suite kafka-python; }
setup_kafka-python-2() { python_suite kafka-python-2; }
setup_confluent-python() { python_suite confluent-python; }
setup_aiokafka() { python_suite aiokafka; }
setup_kafka-java() { maven_jars kafka-java "$tools/kafka-4.3.1"; }
setup_kafka-java-2() { maven_jars kafka-java-2 "$tools/clients/kafka-java-2"; }

# Programs of ours ($3...) are put beside the packages, where Node looks for them.
npm_packages() {
  local dir=$tools/clients/$1 src=$2 want
  shift 2
  want=$(pin "$src/package.json" "$src/package-lock.json" "$@")
  fresh "$dir" "$want" && return 0
  need npm "install Node 20"
  rm -rf "$dir"
  mkdir -p "$dir"
  cp "$src/package.json" "$src/package-lock.json" "$@" "$dir/"
  try npm ci --prefix "$dir" --no-audit --no-fund --ignore-scripts --loglevel=error
  stamp "$dir" "$want"
}

go_program() {
  local dir=$tools/clients/$1 src=$2 want
  want=$(pin "$src/go.mod" "$src/go.sum" "$src"/*.go)
  fresh "$dir" "$want" && return 0
  need go "install Go 1.26"
  mkdir -p "$dir"
  try go build -C "$src" -trimpath -o "$dir/suite" .
  stamp "$dir" "$want"
}

setup_kafkajs() { npm_packages kafkajs "$root/compat-tests/kafkajs"; }
setup_franz-go() { go_program franz-go "$root/compat-tests/franz-go"; }
setup_compose() { python_suite compose; }
setup_testcontainers() { python_suite testcontainers; }
setup_testcontainers-node() { npm_packages testcontainers-node "$root/compat-tests/testcontainers/node" "$root/compat-tests/testcontainers/node/start.js"; }
setup_testcontainers-go() { go_program testcontainers-go "$root/compat-tests/testcontainers/go"; }

setup_testcontainers-java() {
  local dir=$tools/clients/testcontainers-java src=$root/compat-tests/testcontainers/java want
  want=$(pin "$src/pom.xml" "$src/Start.java")
  fresh "$dir" "$want" && return 0
  maven_jars testcontainers/java "$dir"
  try javac -nowarn -d "$dir" -cp "$dir/*" "$src/Start.java"
  stamp "$dir" "$want"
}

package_lists() {
  if [ "$(id -u)" = 0 ]; then try apt-get update -qq; else try sudo -n apt-get update -qq; fi
}

setup_kcat() {
  local dir=$tools/clients/kcat want deb
  want="kcat 1.7.1-2 in its own tree"
  fresh "$dir" "$want" && return 0
  need apt-get "this part knows Debian only" && need dpkg-deb "this part knows Debian only"
  rm -rf "$dir"
  mkdir -p "$dir/debs"
  # kcat itself and the two libraries of its own; the codecs and OpenSSL come with a base system or follow below.
  deb="kcat librdkafka1 libyajl2 libsasl2-2 liblz4-1"
  # A bare image has no package lists, and lists of last week name files that are gone: fetch them then, and only then.
  apt-cache show kcat > /dev/null 2>&1 || package_lists
  # shellcheck disable=SC2086
  (cd "$dir/debs" && { timeout -k 10 120 apt-get download -qq $deb > /dev/null 2>&1 \
    || { package_lists && try apt-get download -qq $deb; }; })
  for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$dir/tree"; done
  rm -rf "$dir/debs"
  cat > "$dir/kcat" <<'K'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
lib=$(echo "$here"/tree/usr/lib/*-linux-gnu)
LD_LIBRARY_PATH=$lib exec "$here/tree/usr/bin/kcat" "$@"
K
  chmod +x "$dir/kcat"
  "$dir/kcat" -V > /dev/null || { echo "kcat does not start" >&2; return 1; }
  stamp "$dir" "$want"
}

failed=()
for suite in "$@"; do
  case " ${all[*]} " in *" $suite "*) ;; *) echo "unknown suite $suite (one of: ${all[*]})" >&2; exit 2;; esac
  begun=$SECONDS
  # Not `if (…)`: bash forgets `set -e` inside a condition, and half a client would get its stamp.
  set +e
  (set -e; "setup_$suite")
  result=$?
  set -e
  if [ "$result" = 0 ]; then
    echo "$suite ready ($((SECONDS - begun)) s)"
  else
    failed+=("$suite")
  fi
done
[ ${#failed[@]} = 0 ] || { echo "not set up: ${failed[*]}" >&2; exit 1; }
