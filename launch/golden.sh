#!/usr/bin/env bash
# Does this checkout compute what an earlier commit computes? Builds both, trains every configuration for three steps on one
# rank and on three, and compares all arrays and numbers bit for bit (tests/golden/compare.py). Nothing is stored: what is
# compared is made here and now, by the same machine.
#
#   launch/golden.sh                        the commit where this branch left main; on main, the commit before
#   launch/golden.sh COMMIT [NAME ...]      another; configurations that have a NAME in their names
#
# The other commit's sources and build lie in build/golden/COMMIT. With ccache its build costs the files that differ;
# SWITCHYARD_GOLDEN_SECONDS bounds it, and exit code 124 says that it was not enough.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "launch/golden.sh: $1" >&2
  exit 2
}
commit=$(git rev-parse --verify --quiet "${1:-$(.ci/base_commit)}^{commit}") ||
  fail "there is no commit ${1:-before this one} here"
shift $(($# > 0))

other="build/golden/$commit"
if [ ! -d "$other" ]; then
  find build/golden -mindepth 1 -maxdepth 1 -exec rm -rf {} + 2>/dev/null || true  # one at a time
  mkdir -p "$other.new"
  git archive "$commit" | tar -x -C "$other.new"
  mv "$other.new" "$other"
fi

# build CHECKOUT CMAKE_OPTIONS...: its program. Relative paths, so that ccache knows a file again that both have.
build() {
  local checkout="$PWD/$1"
  shift
  (cd "$checkout" && cmake --preset release "$@" >/dev/null)
  CCACHE_BASEDIR="$checkout" CCACHE_NOHASHDIR=1 \
    timeout "${SWITCHYARD_GOLDEN_SECONDS:-0}" cmake --build "$checkout/build/release" --target switchyard
}
# What both must have in common, as it is configured here.
setting() { sed -n "s/^\($1\):[A-Z]*=\(.*\)/-D\1=\2/p" build/release/CMakeCache.txt; }

launch/install.sh
build . -DSWITCHYARD_TESTS=ON
code=0
build "$other" -DSWITCHYARD_TESTS=OFF "$(setting SWITCHYARD_ARCH)" "$(setting SWITCHYARD_WERROR)" || code=$?
[ "$code" -ne 124 ] || exit 124
# It may warn where this commit does not: that is for its own tests to say.
[ "$code" -eq 0 ] || build "$other" -DSWITCHYARD_TESTS=OFF "$(setting SWITCHYARD_ARCH)" -DSWITCHYARD_WERROR=OFF
mapfile -t renamed < <(git diff --find-renames --diff-filter=R --name-status "$commit" -- configs |
  sed -n 's/^R[0-9]*\tconfigs\/\(.*\)\.ini\tconfigs\/\(.*\)\.ini$/--renamed=\1=\2/p')
python=$(sed -n 's/^SWITCHYARD_PYTHON:[A-Z]*=//p' build/release/CMakeCache.txt)
PYTHONPATH=tests/support "$python" -B tests/golden/compare.py ${renamed[@]+"${renamed[@]}"} . build/release/switchyard \
  "$other" "$other/build/release/switchyard" "$@"
