#!/usr/bin/env bash
# Each `just X` of a workflow is a recipe, and each part of `just nightly` has one job in nightly.yml.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

recipes=$(just --summary)
while read -r recipe; do
    if ! grep -qw -- "$recipe" <<<"$recipes"; then
        echo "the justfile has no recipe $recipe, which a workflow calls" >&2
        failed=1
    fi
done < <(grep -hoE '\bjust [a-z-]+' .github/workflows/*.yml | cut -d' ' -f2 | sort -u)

jobs=$(sed -n 's/^ *part: \[\(.*\)\]$/\1/p' .github/workflows/nightly.yml | tr -d ',' | tr ' ' '\n' | sort)
parts=$(just --evaluate nightly_parts | tr ' ' '\n' | sort)
if [ "$jobs" != "$parts" ]; then
    echo "nightly.yml has the parts $(echo $jobs), the justfile $(echo $parts)" >&2
    failed=1
fi
exit "$failed"
