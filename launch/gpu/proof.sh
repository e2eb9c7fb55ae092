#!/usr/bin/env bash
# What an unpacked bundle must do where there is no card: proof.sh BUNDLE. Needs bash and coreutils.
set -uo pipefail
bundle=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "proof.sh: $1" >&2
  [ ! -e "$work/said" ] || cat "$work/said" >&2
  exit 1
}
# expect CODE COMMAND ...: in the bundle's environment.
expect() {
  local expected=$1 code=0
  shift
  "$bundle/run" "$@" >"$work/said" 2>&1 || code=$?
  [ "$code" -eq "$expected" ] || fail "exit code $code, not $expected: $*"
}
program="$bundle/bin/switchyard"
train=("$program" train "$bundle/configs/fashion_mnist/original.ini" --data.dir="$bundle/data/images" --train.batch_size=64
  --train.max_steps=3 --run.threads=1)

expect 0 "$program" doctor
grep -E '^(switchyard|training device)' "$work/said"
expect 0 "${train[@]}" --run.device=cpu --run.dir="$work/one"
expect 0 mpirun -n 2 "${train[@]}" --run.device=cpu --run.dir="$work/two"
expect 0 "$program" diff "$work/one" "$work/two"
echo "one rank, and two under mpirun: the same bits"

# Without a card: code 4 and one sentence, and that is the end of a check, too.
expect 4 "${train[@]}" --run.device=cuda --run.dir="$work/card"
[ "$(grep -c . "$work/said")" -eq 1 ] || fail "--run.device=cuda says more than one sentence"
cat "$work/said"
code=0
"$bundle/launch/gpu-check.sh" --out "$work/check" >"$work/said" 2>&1 || code=$?
[ "$code" -eq 4 ] || fail "launch/gpu-check.sh ended with code $code, not 4, without a card"
grep -q '"stage":"start","status":"failed"' "$work/check/report.json" || fail "launch/gpu-check.sh did not report that there is no card"
for test in "$bundle"/bin/test_*; do
  expect 0 "$test" --gtest_list_tests
done
echo "proof.sh: passed"
