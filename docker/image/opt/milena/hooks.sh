# What the images of others do before Kafka starts, for all of them at once; sourced by every start script.
#
# NAME=VALUE arguments are exported (apache/kafka, cp-kafka). CUSTOM_INIT_SCRIPT is run and /opt/overrides/*.sh is read
# (wurstmeister). /docker-entrypoint-initdb.d/*.sh are run once for a volume (Bitnami). Nothing here writes to the root
# file system unless a hook does: it may be read-only, and a here-document would want /tmp.

export_arguments() {
  local pair
  for pair in "$@"; do
    case "$pair" in
      *=*) export "${pair?}" ;;
      *) echo "milena: '$pair' says no NAME=VALUE and has no effect" >&2 ;;
    esac
  done
}

# The dialect that a start script stands for, unless somebody said one.
speak() {
  if [ "${MILENA_DIALECT:-auto}" = auto ]; then export MILENA_DIALECT=$1; fi
}

run_init_script() {
  if [ -n "${CUSTOM_INIT_SCRIPT:-}" ]; then eval "$CUSTOM_INIT_SCRIPT"; fi
}

read_overrides() {
  local file="/opt/overrides/${KAFKA_VERSION:-}.sh"
  if [ -n "${KAFKA_VERSION:-}" ] && [ -f "$file" ]; then . "$file"; fi
}

# Once for a volume: the marker lies on it, or in /tmp where there is no writable one.
run_init_directory() {
  local directory="${KAFKA_INITSCRIPTS_DIR:-/docker-entrypoint-initdb.d}" file volume marker
  compgen -G "$directory/*.sh" >/dev/null || return 0
  for volume in "${KAFKA_VOLUME_DIR:-/bitnami/kafka}" /tmp; do
    marker="$volume/.user_scripts_initialized"
    if [ -e "$marker" ]; then return 0; fi
  done
  for file in "$directory"/*.sh; do
    echo "milena: running $file"
    if [ -x "$file" ]; then "$file"; else . "$file"; fi || { echo "milena: $file failed" >&2; exit 1; }
  done
  touch "${KAFKA_VOLUME_DIR:-/bitnami/kafka}/.user_scripts_initialized" 2>/dev/null || touch /tmp/.user_scripts_initialized
}

run_hooks() {
  run_init_script
  read_overrides
  run_init_directory
}
