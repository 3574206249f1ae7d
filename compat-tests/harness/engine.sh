# Sourced after suite.sh by the suites that run our image: reaches a Docker engine, builds the image from the binary under test,
# and leaves in $inside the command that enters the network in which the engine publishes its ports.
# MILENA_STATIC_BIN, a static binary of the same source, goes into the images instead, and makes the one FROM scratch possible.
# Exits with 77 and one line where there is no engine, which counts the suite's tests as skipped.
# shellcheck shell=bash disable=SC2154
project=$(dirname "$compat")
[ "${COMPAT_PEER:-milena}" = milena ] || { echo "# runs images of milena, not a broker given by address"; exit 77; }
reached=$("$project/scripts/setup-docker.sh" env 2>&1) || { echo "# $reached"; exit 77; }
eval "$reached"
export MILENA_IMAGE=${MILENA_IMAGE:-milena:latest}

if [ -z "${MILENA_IMAGE_READY:-}" ]; then
  [ -x "$project/docker/build.sh" ] || { echo "# docker/build.sh is missing: there is no image yet"; exit 77; }
  "$project/docker/build.sh" --tag milena --base milena-base:local \
    --binary "${MILENA_STATIC_BIN:-${MILENA_BIN:-$project/target/release/milena}}" >&2
fi

inside=()
[ -z "${MILENA_DOCKER_NET:-}" ] || inside=(nsenter "--net=/proc/$MILENA_DOCKER_NET/ns/net")

# Whatever a test, or a kill of it, left behind: containers, networks and volumes that carry this label, and what compose made.
sweep() {
  local kind label=$1
  docker ps -aq --filter "label=$label" | xargs -r docker rm -fv > /dev/null 2>&1 || true
  for kind in network volume; do
    docker "$kind" ls -q --filter "label=$label" | xargs -r docker "$kind" rm > /dev/null 2>&1 || true
  done
}
