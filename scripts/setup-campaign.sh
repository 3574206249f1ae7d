#!/usr/bin/env bash
# Installs what the campaign's file-system tiers use, from Debian's packages; needs root. What is there already stays.
# Without it the campaign runs what it can, and counts and tells what it cannot.
set -euo pipefail
# mkfs.ext4, mkfs.xfs, fusermount3, losetup, libfaketime: the versions of Debian 12.
packages=(e2fsprogs xfsprogs=6.1.0-1 fuse3=3.14.0-4 mount libfaketime=0.9.10-2.1)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "${package%%=*}" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || { echo "setup-campaign: not root, ${missing[*]} stay away" >&2; exit 0; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
