#!/usr/bin/env bash
# The cluster tests: three hosts as namespaces of this machine. Needs root, and the release build.
#
#   tests/cluster/run.sh [unittest's arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "$(id -u)" -ne 0 ] || ! unshare --net --uts --mount --pid --fork true 2>/dev/null; then
  echo "tests/cluster/run.sh: not root, or namespaces are not allowed: not run"
  exit 0
fi
launch/install.sh tests/cluster/packages.txt
python3 -B tests/cluster/hosts_test.py . build/release/switchyard "$@"
echo "tests/cluster/run.sh: passed"
