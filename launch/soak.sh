#!/usr/bin/env bash
# Runs the random harnesses for as long as asked, and prints what they counted: faults at random calls and moments, random
# configurations on random layouts, kills and damaged checkpoints, the fuzz targets. Fails if one promise was broken.
#
#   launch/soak.sh MINUTES [SEED]       the time is for all together; the seed defaults to the time of day
#
# The harnesses run one after the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

minutes="${1:-}"
seed="${2:-$(date +%s)}"
[[ "$minutes" =~ ^[1-9][0-9]*$ && "$seed" =~ ^[0-9]+$ ]] || {
  echo "usage: launch/soak.sh MINUTES [SEED]" >&2
  exit 2
}

launch/install.sh
cmake --preset release -DSWITCHYARD_TESTS=ON >/dev/null
cmake --build --preset release --target switchyard mend_checkpoint fault_shim
python=$(sed -n 's/^SWITCHYARD_PYTHON:[A-Z]*=//p' build/release/CMakeCache.txt)
program=(build/release/switchyard build/release/tests/unit/checkpoint/mend_checkpoint)
failed=()

# harness NAME PERCENT JOBS: so much of the time, with so many tries at once. A run with a fault mostly waits.
harness() {
  PYTHONPATH=tests/support FAULT_SHIM="$PWD/build/release/tests/support/libfault_shim.so" \
    "$python" -B "tests/faults/$1.py" "${program[@]}" --seed "$seed" --seconds $((minutes * 60 * $2 / 100)) --jobs "$3" \
    --count 1000000 || failed+=("$1")
}
echo "launch/soak.sh: $minutes minutes, seed $seed"
harness random_faults 50 4
harness random_layouts 30 2
harness random_damage 10 3
"$python" -B tests/fuzz/run.py --seconds $((minutes * 60 / 10)) --seed "$seed" || failed+=("fuzz")

[ ${#failed[@]} -eq 0 ] || {
  echo "launch/soak.sh: broken promises in: ${failed[*]}" >&2
  exit 1
}
echo "launch/soak.sh: every promise held"
