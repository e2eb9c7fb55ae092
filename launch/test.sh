#!/usr/bin/env bash
# Builds everything and runs every test. Fails if a test fails, if one was skipped or disabled, or if none ran.
#
#   launch/test.sh                    the release preset
#   launch/test.sh asan               another test preset of CMakePresets.json: debug, asan, tsan
#   launch/test.sh release -DSWITCHYARD_WERROR=ON -R unit_data
#
# -D... goes to cmake, what else follows the preset to ctest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=release
if [ $# -gt 0 ] && [[ "$1" != -* ]]; then
  preset="$1"
  shift
fi
cmake_options=()
ctest_options=()
for option in "$@"; do
  case "$option" in
    -D*) cmake_options+=("$option") ;;
    *) ctest_options+=("$option") ;;
  esac
done

launch/install.sh
cmake --preset "$preset" -DSWITCHYARD_TESTS=ON ${cmake_options[@]+"${cmake_options[@]}"} >/dev/null
cmake --build --preset "$preset"

result="build/$preset/test_result.xml"
rm -f "$result"
code=0
ctest --preset "$preset" --parallel "$(nproc)" --output-junit "$PWD/$result" \
      ${ctest_options[@]+"${ctest_options[@]}"} || code=$?
if [ "$code" -ne 0 ]; then
  echo "launch/test.sh: tests of preset $preset failed (ctest ended with $code)" >&2
  exit 1
fi

# ctest itself is content with skipped and disabled tests.
count() { sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$result" | sed -n 1p; }
tests=$(count tests)
left_out=$(($(count skipped) + $(count disabled)))
if [ "${tests:-0}" -eq 0 ] || [ "$left_out" -ne 0 ]; then
  echo "launch/test.sh: ${tests:-0} tests of preset $preset ran and $left_out were skipped or disabled: a failure here" >&2
  exit 1
fi
echo "launch/test.sh: $tests tests of preset $preset passed"
