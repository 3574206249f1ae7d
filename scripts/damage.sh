#!/usr/bin/env bash
# Damages one file of a data directory after the other, and proves that nothing wrong is served and nothing goes unsaid
# (tests/damage/main.rs says what is checked).
#
#   [DAMAGES=10000] [SEED=n] [DAMAGE_SECONDS=n] scripts/damage.sh       ONLY=n repeats one damage of a seed
#
# The last line but those of the test's frame is JSON with the figures.
set -euo pipefail
cd "$(dirname "$0")/.."
export DAMAGES=${DAMAGES:-10000}
cargo test --release --quiet --test damage -- --nocapture
