#!/usr/bin/env bash
# The cluster tests: three hosts as namespaces of this machine, under ssh and as a Slurm. Needs root and the release build.
#
#   tests/cluster/run.sh           all, some 20 minutes: most of it is the time that Slurm takes to give up a node
#   tests/cluster/run.sh --fast    what takes seconds; where it cannot run it says so and is content
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

hosts_tests=()
slurm_tests=()
cannot_run=1
if [ "${1:-}" = --fast ]; then
  hosts_tests=(WhatDiffers.test_other_data_on_one_host WhatDiffers.test_a_program_that_one_host_lacks
               WhatDiffers.test_a_run_folder_that_one_host_lacks)
  slurm_tests=(Stopped.test_usr1_without_processors_per_task_in_a_named_folder)
  cannot_run=0
fi

if [ "$(id -u)" -ne 0 ] || ! unshare --net --uts --mount --pid --fork true 2>/dev/null; then
  echo "tests/cluster/run.sh: not root, or namespaces are not allowed: not run" >&2
  exit "$cannot_run"
fi
launch/install.sh tests/cluster/packages.txt || exit "$cannot_run"

build=build/release
python=/usr/bin/python3  # for which Debian has h5py and numpy
"$python" -B tests/cluster/hosts_test.py . "$build/switchyard" "$build/tests/support/libfault_shim.so" \
        ${hosts_tests[@]+"${hosts_tests[@]}"}
"$python" -B tests/cluster/slurm_test.py . "$build/switchyard" ${slurm_tests[@]+"${slurm_tests[@]}"}
echo "tests/cluster/run.sh: passed"
