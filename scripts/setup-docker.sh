#!/usr/bin/env bash
# A Docker engine, docker-compose and a base image for compat-tests/compose and compat-tests/testcontainers.
#
#   scripts/setup-docker.sh         what is missing: packages, a running engine, the base image milena-base:local
#   scripts/setup-docker.sh --dry   only says what it would do
#   scripts/setup-docker.sh env     prints how to reach the engine, for `eval`; fails with one line if none answers
#   scripts/setup-docker.sh stop    stops the engine that this script started, and no other
#
# If $DOCKER_HOST is set, that engine is used as it is. Otherwise root gets an engine of the project's own: dockerd, started by
# hand, with its data in ${MILENA_TOOLS:-<project>/.tools}/docker, in a network namespace of its own, so that the ports which
# compose files publish (9092, 8080, ...) are taken from nobody, and its bridges and rules are gone when it ends. Who is not root
# gets the engine behind the usual socket. The base is made by debootstrap (root, Debian), else pulled. A second run takes no time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${MILENA_TOOLS:-$root/.tools}
state=$tools/docker
base=milena-base:local
# A socket's path may have 107 characters, and the engine makes long ones below its own: not in the tools.
run=/run/milena-docker-$(printf %s "$state" | sha256sum | cut -c1-8)
packages=(docker.io docker-compose debootstrap iptables iproute2 util-linux)
dry=''

say() { echo "docker: $*"; }
do_it() { if [ -n "$dry" ]; then echo "would run: $*"; else "$@"; fi; }
answers() { DOCKER_HOST=$1 timeout 10 docker version --format '{{.Server.Version}}' > /dev/null 2>&1; }

# Of an engine started here: its process, if that is still the one that was started (ids are used again).
own_pid() {
  local pid
  pid=$(cat "$state/dockerd.pid" 2> /dev/null) && tr '\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null | grep -qF "$run" && echo "$pid"
}

engine_host() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    answers "$DOCKER_HOST" && echo "$DOCKER_HOST"
  elif own_pid > /dev/null && answers "unix://$run/docker.sock"; then
    echo "unix://$run/docker.sock"
  elif [ "$(id -u)" != 0 ] && answers unix:///var/run/docker.sock; then
    echo unix:///var/run/docker.sock
  else
    return 1
  fi
}

# What a suite evaluates. MILENA_DOCKER_NET is the process whose network namespace has the published ports, if not ours.
print_env() {
  command -v docker > /dev/null || { echo "docker is missing, run scripts/setup-docker.sh" >&2; return 1; }
  local host pid
  host=$(engine_host) || { echo "no Docker engine answers, run scripts/setup-docker.sh" >&2; return 1; }
  echo "export DOCKER_HOST=$host"
  pid=$(own_pid) || return 0
  [ "$host" != "unix://$run/docker.sock" ] || echo "export MILENA_DOCKER_NET=$pid"
}

# debootstrap and iptables are looked for by name too: what is there in another way is not installed again.
missing_packages() {
  local pair
  for pair in docker.io:dockerd docker-compose:docker-compose debootstrap:debootstrap iptables:iptables iproute2:ip \
    util-linux:nsenter; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair#*:}" > /dev/null || echo "${pair%%:*}"
  done
}

install_packages() {
  local missing
  if [ -n "$dry" ]; then missing=$(printf '%s\n' "${packages[@]}"); else missing=$(missing_packages); fi
  [ -n "$missing" ] || return 0
  command -v apt-get > /dev/null || { echo "missing, and this is no Debian: $(echo $missing)" >&2; return 1; }
  [ "$(id -u)" = 0 ] || { echo "missing, and this is not root: apt-get install $(echo $missing)" >&2; return 1; }
  say "installs $(echo $missing)"
  if [ -n "$dry" ]; then
    # shellcheck disable=SC2086
    apt-get install --simulate --no-install-recommends -qq $missing > /dev/null && say "apt-get could install them"
    return
  fi
  # Lists of last week name files that are gone: fetch them. A policy of 101 keeps the package from starting an engine of its own.
  timeout 300 apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 timeout 600 apt-get install -y -qq --no-install-recommends $missing > "$state/apt.log" 2>&1 \
    || { tail -20 "$state/apt.log" >&2; return 1; }
}

start_engine() {
  [ "$(id -u)" = 0 ] || { echo "no Docker engine answers, and starting one takes root" >&2; return 1; }
  say "starts dockerd, data in $state/data"
  [ -z "$dry" ] || return 0
  mkdir -p "$state/data" "$run"
  # setsid: it outlives this script and what Ctrl-C sends. The lock of the caller is not handed down.
  setsid unshare --net bash -c 'ip link set lo up; exec "$@"' - \
    dockerd --host "unix://$run/docker.sock" --data-root "$state/data" --exec-root "$run/exec" --pidfile "$run/dockerd.pid" \
    > "$state/dockerd.log" 2>&1 < /dev/null 9>&- &
  echo $! > "$state/dockerd.pid"
  for _ in $(seq 300); do
    ! answers "unix://$run/docker.sock" || return 0
    own_pid > /dev/null || break
    sleep 0.1
  done
  echo "dockerd does not start; the end of $state/dockerd.log:" >&2
  tail -5 "$state/dockerd.log" | cut -c1-300 >&2
  stop_engine > /dev/null
  return 1
}

# dockerd stops its containers and its containerd, then itself. What it mounted goes with them.
stop_engine() {
  local pid
  pid=$(own_pid) || { say "none was started here, or it has ended"; return 0; }
  kill -TERM "$pid"
  for _ in $(seq 300); do
    [ -e "/proc/$pid" ] || break
    sleep 0.1
  done
  [ ! -e "/proc/$pid" ] || { echo "dockerd ($pid) does not end" >&2; return 1; }
  rm -rf "$state/dockerd.pid" "$run"
  say "stopped"
}

# What the slim images of Debian leave out is left out here.
make_base() {
  docker image inspect "$base" > /dev/null 2>&1 && return 0
  say "makes $base"
  [ -z "$dry" ] || return 0
  [ "$(id -u)" = 0 ] || { try_pull && return 0; echo "no base: debian:bookworm-slim cannot be pulled, and making one takes root" >&2; return 1; }
  local tree
  tree=$(mktemp -d "$state/base.XXXXXX")
  timeout 600 debootstrap --variant=minbase --include=bash,netcat-openbsd,hostname,procps bookworm "$tree" \
    > "$state/debootstrap.log" 2>&1 || { tail -5 "$state/debootstrap.log" >&2; rm -rf "$tree"; return 1; }
  rm -rf "$tree"/usr/share/{doc,man,info,locale,i18n,zoneinfo} "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "$tree"/var/log/*
  tar -C "$tree" -c . | docker import - "$base" > /dev/null
  rm -rf "$tree"
}

try_pull() { docker pull -q debian:bookworm-slim > /dev/null 2>&1 && docker tag debian:bookworm-slim "$base"; }

# An engine may answer and yet be unable to run anything, on kernels that lack what it needs: then there is none.
can_run() {
  local why
  why=$(timeout 60 docker run --rm --pull never "$base" true 2>&1) && return 0
  echo "the engine cannot run a container: $(echo "$why" | tail -1 | cut -c1-200)" >&2
  stop_engine
  return 1
}

setup() {
  mkdir -p "$state"
  exec 9> "$state/.lock"
  flock -w 900 9 || { echo "another setup holds $state/.lock" >&2; return 1; }
  install_packages
  local host
  host=$(engine_host) || { start_engine; host=unix://$run/docker.sock; }
  export DOCKER_HOST=$host
  make_base
  [ -z "$dry" ] || return 0
  can_run
  say "$(docker version --format '{{.Server.Version}}') at $host, base $(docker image inspect "$base" --format '{{.Size}}' | awk '{printf "%.0f MB", $1 / 1e6}')"
  own_pid > /dev/null && say "stop it with scripts/setup-docker.sh stop" || true
}

case ${1:-} in
  '') setup;;
  --dry) dry=1; setup;;
  env) print_env;;
  stop) stop_engine;;
  *) sed -n '2,12p' "$0" | cut -c3-; exit 2;;
esac
