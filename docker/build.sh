#!/usr/bin/env bash
# Builds the two images: docker/build.sh [--tag milena] [--base IMAGE] [--binary PATH] [--profile PROFILE]
#
#   TAG:latest    the shell image, on --base: any Debian or Alpine; debian:bookworm-slim if nothing is said
#   TAG:scratch   the binary alone
#
# --binary takes one that is built already; only a static one makes the scratch image. Otherwise it is built here, static, for
# musl (rustup target add x86_64-unknown-linux-musl; it needs musl-gcc), in the profile that is shipped.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=milena base=debian:bookworm-slim binary= profile=dist
while [ $# -gt 0 ]; do
  case $1 in
    --tag) tag=$2 ;;
    --base) base=$2 ;;
    --binary) binary=$2 ;;
    --profile) profile=$2 ;;
    *) echo "build.sh: $1 is not known; [--tag NAME] [--base IMAGE] [--binary PATH] [--profile PROFILE]" >&2; exit 2 ;;
  esac
  shift 2
done

if [ -z "$binary" ]; then
  target=$(uname -m)-unknown-linux-musl
  cargo build --profile "$profile" --bin milena --target "$target"
  binary=target/$target/$profile/milena
fi
docker info >/dev/null 2>&1 || { echo "build.sh: no Docker engine answers" >&2; exit 1; }

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$binary" "$context/milena"
cp -r docker/image docker/Dockerfile docker/Dockerfile.scratch "$context"
chmod -R u=rwX,go=rX "$context/image"
chmod 755 "$context/milena"
# Directories of the scratch image, where nothing can be run to make them: any user may write there.
mkdir -p "$context/empty/var/lib/kafka/data" "$context/empty/tmp"
chmod 1777 "$context/empty/var/lib/kafka/data" "$context/empty/tmp"
export DOCKER_BUILDKIT=0

docker build --quiet --tag "$tag:latest" --build-arg "BASE=$base" "$context"
# What is not static needs libraries that an empty image does not have.
if ldd "$context/milena" 2>/dev/null | grep -q '=>'; then
  echo "build.sh: $binary is not static, so there is no $tag:scratch" >&2
else
  docker build --quiet --tag "$tag:scratch" --file "$context/Dockerfile.scratch" "$context"
fi
docker image ls "$tag" --format '{{.Repository}}:{{.Tag}} {{.Size}}'
