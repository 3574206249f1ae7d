#!/usr/bin/env bash
# The campaign against the broker, with a ledger: kills, power cuts, failing disks, damage, limits, simulation, fuzzing, soak.
#
#   scripts/campaign.sh --list                    the tiers, what the ledger has of them, what this machine cannot run
#   scripts/campaign.sh --minutes 60              goes on where the last campaign stopped, for an hour
#   scripts/campaign.sh --minutes 10 --only kills
#   scripts/campaign.sh --ci                      the short tier (10 minutes at most), which writes nothing into the ledger
#
# scripts/setup-campaign.sh installs what the machine lacks. campaign/README.md tells what each tier does.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 campaign/campaign.py "$@"
