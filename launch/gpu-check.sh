#!/usr/bin/env bash
# Checks a card: whether the program computes there what it should, and how fast. Eight minutes, no network.
#
#   launch/gpu-check.sh [--only STAGE[,STAGE]] [--out FOLDER] [BUNDLE]      a bundle of launch/gpu-bundle.sh, unpacked; without
#                                                                           one that which the script is in
#   launch/gpu-check.sh --simulated BUILD [--only ...] [--out FOLDER]       the same with the simulated device of a build folder
#
# Stages: start conformance probe agreement determinism nccl ceilings step sanitizer profile (docs/gpu.md). Each has a time limit and
# leaves at once a JSON object, on a line of its own, in FOLDER/report.json and a section in FOLDER/report.md (FOLDER: gpu-check),
# with what it printed in FOLDER/logs. Its status is passed, failed, cut (by its limit), not possible (a tool or library is
# missing) or, with --simulated, not simulated.
#
# SWITCHYARD_GPU_CHECK_SECONDS: another limit for every stage.
#
# Exit code: 0 if no stage failed or was cut, 1 if one did, 2 for a wrong command line, 4 without a card.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The seconds that each may take: eight minutes in all.
all_stages=(start:15 conformance:60 probe:20 agreement:70 determinism:70 nccl:40 ceilings:25 step:80 sanitizer:65 profile:30)

fail() {
  echo "launch/gpu-check.sh: $1" >&2
  exit 2
}
simulated="" only="" out=gpu-check bundle=""
while [ $# -gt 0 ]; do
  case "$1" in
    --simulated | --only | --out)
      [ -n "${2:-}" ] || fail "$1 needs a value; --help lists them"
      case "$1" in
        --simulated) simulated=$2 ;;
        --only) only=$2 ;;
        --out) out=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "there is no option $1; --help lists them" ;;
    *)
      [ -z "$bundle" ] || fail "two bundles are given ($bundle, $1); give one"
      bundle=$1
      shift
      ;;
  esac
done
for stage in ${only//,/ }; do
  [[ " ${all_stages[*]}" == *" $stage:"* ]] || fail "there is no stage $stage; there are ${all_stages[*]%:*}"
done

root=$(dirname "$here")
if [ -n "$simulated" ]; then
  [ -z "$bundle" ] || fail "a simulated device is that of a build folder: no bundle ($bundle)"
  [ -x "$simulated/tests/simgpu/switchyard_simgpu" ] ||
    fail "$simulated has no simulated device; build its targets switchyard_simgpu and test_simgpu_..."
  simulated=$(cd "$simulated" && pwd)
else
  bundle=$(cd "${bundle:-$root}" && pwd) || fail "there is no folder $bundle"
  [ -x "$bundle/bin/switchyard" ] || fail "$bundle is no bundle (it has no bin/switchyard); launch/gpu-bundle.sh makes one"
  root=$bundle
fi

mkdir -p "$out/logs" || fail "the folder $out cannot be made; name another with --out"
out=$(cd "$out" && pwd)
work=$(mktemp -d) || fail "no temporary folder can be made; set TMPDIR to one that can be written"
trap 'rm -rf "$work"' EXIT
# shellcheck source=launch/gpu/report.sh
. "$here/gpu/report.sh"

# Wheels of Python bring the libraries of a card; a folder that the user names comes first.
if [ -z "$simulated" ]; then
  wheels=$(python3 -c 'import glob, sysconfig
print(":".join(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib")))' 2>/dev/null)
  export SWITCHYARD_CUDA_LIBRARIES="${SWITCHYARD_CUDA_LIBRARIES:-}${SWITCHYARD_CUDA_LIBRARIES:+${wheels:+:}}$wheels"
  ln -s "$bundle/data/images" "$work/images"
else
  "$here/gpu/cut_images.sh" "$work/images" 600 100
fi

now() { echo "${EPOCHREALTIME/[.,]/}"; }
seconds_since() { awk -v us=$(($(now) - $1)) 'BEGIN { printf "%.1f", us / 1e6 }'; }
begin=$(now)
mode=card
[ -z "$simulated" ] || mode="simulated device"
printf '{"check":%s,"at":"%s","host":%s}\n' "$(json_text "$mode")" "$(date -u +%FT%TZ)" "$(json_text "$(uname -n)")" \
  >"$out/report.json"
printf '# Check of a %s\n\n%s on %s\n' "$mode" "$(date -u '+%F %T UTC')" "$(uname -n)" >"$out/report.md"

code=0 number=-1 counts=""
for entry in "${all_stages[@]}"; do
  stage=${entry%:*} limit=${entry#*:}
  number=$((number + 1))
  [ -z "$only" ] || [[ ",$only," == *",$stage,"* ]] || [ "$stage" = start ] || continue
  [ -z "$simulated" ] || limit=600  # it hangs
  limit=${SWITCHYARD_GPU_CHECK_SECONDS:-$limit}
  notes="$work/notes_$stage" log="$out/logs/$stage.log"
  : >"$notes"
  stage_begin=$(now)
  export notes log work root bundle simulated
  stage_code=0
  timeout --kill-after=5 "$limit" bash "$here/gpu/stage.sh" "$stage" >>"$out/logs/script.log" 2>&1 || stage_code=$?
  status=$(status_of "$stage_code")
  seconds=$(seconds_since "$stage_begin")
  report_stage "$number" "$stage" "$status" "$seconds"
  why=$(why_of)
  printf '%-12s %-13s %6s s%s\n' "$stage" "$status" "$seconds" "${why:+  $why}"
  counts+="$status"$'\n'
  case "$status" in failed | cut) code=1 ;; esac
  if [ "$stage" = start ] && [ "$status" != passed ]; then
    code=4
    break
  fi
done

summary="$(sort <<<"${counts%$'\n'}" | uniq -c | awk '{ n = $1; sub(/^ *[0-9]+ /, ""); printf "%s%d %s", sep, n, $0; sep = ", " }')"
printf '{"finished":%s,"seconds":%s,"exit_code":%d}\n' "$(json_text "$summary")" "$(seconds_since "$begin")" "$code" >>"$out/report.json"
printf '\n%s; %s s; exit code %d\n' "$summary" "$(seconds_since "$begin")" "$code" >>"$out/report.md"
echo "launch/gpu-check.sh: $summary; $out/report.md"
exit "$code"
