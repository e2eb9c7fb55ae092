#!/usr/bin/env bash
# From a fresh clone to a trained mixture of experts: installs what is missing, builds, and trains
# configs/fashion_mnist/original.ini on two ranks. Options (--section.key=value) are passed on:
#
#   launch/quickstart.sh
#   launch/quickstart.sh --train.epochs=2 --moe.experts=8
#
# Every call is a new run in a folder of its own (runs/quickstart, runs/quickstart-2, ...; --run.dir=DIR names
# another), so that options may differ from the last call's. An interrupted run goes on with the command that is printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run_dir=""
for option in "$@"; do
  case "$option" in
    --run.dir=*) run_dir="${option#--run.dir=}" ;;
    --*=*) ;;
    *)
      echo "launch/quickstart.sh: '$option' is no option; write --section.key=value" >&2
      exit 2
      ;;
  esac
done

launch/install.sh
# Only the program: the tests stay configured, so launch/test.sh later builds nothing of this again.
cmake --preset release >/dev/null
cmake --build --preset release --target switchyard

options=("$@")
if [ -z "$run_dir" ]; then
  run_dir=runs/quickstart
  number=2
  while [ -e "$run_dir" ]; do
    run_dir="runs/quickstart-$number"
    number=$((number + 1))
  done
  options+=("--run.dir=$run_dir")
fi

command=(launch/run.sh -n 2 build/release/switchyard train configs/fashion_mnist/original.ini "${options[@]}")
printf '\n$ %s\n' "${command[*]}"
code=0
"${command[@]}" || code=$?
case "$code" in
  0)
    echo
    echo "Results are in $run_dir: summary.json (the result), metrics.jsonl (every step), checkpoints/, config.ini."
    echo "Evaluate its last checkpoint again:  build/release/switchyard eval $run_dir/checkpoints/$(cat "$run_dir/checkpoints/latest")"
    ;;
  75) echo "Stopped early. Go on with:  launch/run.sh -n 2 build/release/switchyard resume $run_dir" >&2 ;;
esac
exit "$code"
