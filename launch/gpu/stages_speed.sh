# shellcheck shell=bash
# Stages of launch/gpu-check.sh that say how fast a card is, and those that look into kernels with tools of its vendor. Sourced by
# stage.sh.
# shellcheck disable=SC2154  # of stage.sh and of its environment

# find_tool NAME: in $tool.
find_tool() {
  tool=$(command -v "$1") || tool=$(ls "/usr/local/cuda/bin/$1" 2>/dev/null) || { missing "there is no $1"; return 1; }
}

# What the card can do at most; kept for the shares of the next stage.
stage_ceilings() {
  if [ -n "$simulated" ]; then
    run device "$program" bench device --mib=1 --width=64 || return 0
    missing "bench device ran with tiny sizes; a simulated device has no speed"
    return 0
  fi
  run device "$program" bench device || return 0
  cp "$said" "$work/ceilings"
  local name value unit
  while IFS=$'\t' read -r name value unit; do
    figure "$name" "$value" "$unit"
  done < <(sed -nE 's/^([a-z][A-Za-z0-9, ]*): ([0-9.]+) (.*)$/\1\t\2\t\3/p' "$said")
  note judged
}

# The number behind NAME in what bench device said, empty if that did not run.
ceiling() { sed -nE "s/^$1: ([0-9.]+) .*/\\1/p" "$work/ceilings" 2>/dev/null; }

# share_of GFLOPS: of the ceiling of float32 products, in per cent.
share_of() {
  local ceiling
  ceiling=$(ceiling "product of float32")
  [ -n "$ceiling" ] || { echo "not known: the stage ceilings did not run"; return; }
  awk -v of="$1" -v ceiling="$ceiling" 'BEGIN { printf "%.1f", 100 * of / (1000 * ceiling) }'
}

stage_step() {
  local name
  for name in $models; do
    choose_model "$name" || continue
    # 9,000 training images are left by the validation split: two such batches.
    [ "$name" != top1_64 ] || [ -n "$simulated" ] || model+=(--train.batch_size=4500)
    run "$name" "$program" bench step "${model[@]}" --run.device=cuda --train.max_steps="$(size 200 3)" || continue
    local what
    for what in launches products copies waits; do
      figure "$name: $what of a step" "$(sed -nE "s/^a step:.* ([0-9.]+) $what.*/\\1/p" "$said")"
    done
    [ -z "$simulated" ] || continue
    local rate
    rate=$(sed -nE 's/^counted: .*, ([0-9.e+]+) GFLOP.*/\1/p' "$said")
    figure "$name: a step, median" "$(awk '$1 == "step" { print $3; exit }' "$said")" ms
    figure "$name: a step, p10 and p90" "$(awk '$1 == "step" { print $2 " " $4; exit }' "$said")" ms
    figure "$name: products" "$rate" GFLOP/s
    figure "$name: share of the ceiling of float32 products" "$(share_of "${rate:-0}")" "%"
    grep '^kinds of products' "$said" | while IFS= read -r text; do line "$name: $text"; done
    beside_pytorch "$name"
  done
  [ -z "$simulated" ] || missing "times, shares and PyTorch: not simulated"
  note judged
}

# The same step by PyTorch, on the same card.
beside_pytorch() {
  local text
  if ! python3 -c 'import torch' 2>/dev/null; then
    line "$1: PyTorch: not possible (python3 has no torch)"
    return
  fi
  if text=$(timeout 30 python3 "$root/tests/gpu/check/pytorch_step.py" "$1" 2>>"$log"); then
    figure "$1: the same step in PyTorch, median" "${text%% *}" "ms (${text#* })"
  else
    line "$1: PyTorch did not run: $(last_words "$log")"
  fi
}

# clean NAME TOOL COMMAND ...: under a tool of compute-sanitizer, which finds nothing.
clean() {
  local name=$1 kind=$2
  shift 2
  run "$name under $kind" "$tool" --tool "$kind" --error-exitcode 9 --target-processes all "$@" || return 0
  line "$name under $kind: $(grep 'ERROR SUMMARY' "$said" | tail -n 1)"
}
stage_sanitizer() {
  [ -z "$simulated" ] || { missing "not simulated"; return 0; }
  local tool
  find_tool compute-sanitizer || return 0
  choose_model original
  clean "two steps" memcheck "$program" train "${model[@]}" --train.batch_size=64 --train.max_steps=2 --run.device=cuda \
    --run.dir="$work/sanitizer"
  local kind
  for kind in racecheck synccheck; do
    clean teams "$kind" "$(test_program teams)"
    clean "kernels of blocks" "$kind" "$(test_program conformance_ops_conv)" --gtest_filter='*bits*'
  done
  note judged
}

# Which kernels are far below both ceilings.
stage_profile() {
  [ -z "$simulated" ] || { missing "not simulated"; return 0; }
  local tool
  find_tool ncu || return 0
  choose_model original
  if ! run ncu "$tool" --clock-control none --set basic --launch-skip 300 --launch-count 40 --target-processes all --csv \
    "$program" bench step "${model[@]}" --train.max_steps=5 --run.device=cuda; then
    if grep -q ERR_NVGPUCTRPERM "$said"; then
      sed -i '/^failed/d' "$notes"
      missing "the performance counters may not be read by this user (ERR_NVGPUCTRPERM)"
    fi
    return 0
  fi
  awk -f "$root/launch/gpu/profile.awk" "$said" | while IFS= read -r text; do line "$text"; done
  note judged
}
