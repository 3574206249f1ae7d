#!/usr/bin/env bash
# All gates that need nothing but the toolchain; writes nothing into the tree. CI runs this line.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "== format"; cargo fmt --check
echo "== clippy"; cargo clippy --quiet --all-targets -- -D warnings
echo "== unit, property and in-process tests"; cargo test --quiet
echo "== the judge of histories"; cargo test --quiet --manifest-path campaign/checker/Cargo.toml
echo "== names that have no place in the project"
if git grep -nIE '(/wor[k]/|/far[m]/|/roo[t]/|\.\./share[d]|\.librar[y])' -- . ':!Cargo.lock'; then
  echo "paths of one machine stand in the tree" >&2; exit 1
fi
echo "== the ten longest files and functions (nobody fails on it; everybody sees it)"
git ls-files 'src/*.rs' | grep -v -E '/tests\.rs|generated\.rs' | xargs wc -l | grep -v ' total$' | sort -rn | head -10
python3 scripts/longest.py || true
echo "check.sh: all gates passed"
