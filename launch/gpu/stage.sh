#!/usr/bin/env bash
# One stage of launch/gpu-check.sh, which starts it under a time limit with what it needs in the environment:
#
#   notes      the file for what it has to say (report.sh)
#   log        the file that its output goes to
#   work       a folder that stages share
#   root       the folder with configs, launch, docs: of a bundle or of a checkout
#   bundle     the folder of the bundle; empty where the device is simulated
#   simulated  the build folder with the simulated device; empty on a card
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=launch/gpu/report.sh
. "$here/report.sh"
# shellcheck source=launch/gpu/stages_bits.sh
. "$here/stages_bits.sh"
# shellcheck source=launch/gpu/stages_speed.sh
. "$here/stages_speed.sh"

if [ -n "$simulated" ]; then
  export SWITCHYARD_CUDA_LIBRARIES="$simulated/tests/simgpu/libraries"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
  export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
  export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
  program="$simulated/tests/simgpu/switchyard_simgpu"
  test_program() { find "$simulated/tests/simgpu" -name "test_simgpu_$1" -type f | grep . || echo "test_simgpu_$1"; }
  in_place() { "$@"; }
else
  program="${bundle:?}/bin/switchyard"
  test_program() { echo "$bundle/bin/test_gpu_$1"; }
  in_place() { "$bundle/run" "$@"; }  # programs of this machine find libraries of their own
fi

# Sizes, where it takes seconds on a card and would take minutes on a simulated one: size ON_A_CARD SIMULATED.
size() { if [ -n "$simulated" ]; then echo "$2"; else echo "$1"; fi; }

images=(--data.dir="$work/images" --run.threads="$(size 0 1)")
[ -z "$simulated" ] || images+=(--train.batch_size=64)

# The models that stages go through, each with its configuration and keys in $model.
models="original top1_64 attentive text"
choose_model() {
  case "$1" in
    original) model=("$root/configs/fashion_mnist/original.ini" "${images[@]}") ;;
    top1_64) model=("$root/configs/fashion_mnist/top1.ini" "${images[@]}" --moe.experts=64) ;;
    attentive) model=("$root/configs/fashion_mnist/attentive.ini" "${images[@]}") ;;
    text)
      model=("$root/configs/text/mixture.ini" --data.file="$work/tokens.h5" --run.threads="$(size 0 1)")
      [ -z "$simulated" ] || model+=(--train.batch_size=4 --transformer.window=32 --transformer.layers=2)
      [ -e "$work/tokens.h5" ] || make_tokens
      ;;
  esac
}
make_tokens() {
  run tokens "$program" corpus "$root/docs" --vocabulary="$(size 4096 400)" --out="$work/tokens.h5"
}

# run NAME COMMAND ...: its output is the stage's log, and $said. Fails with its last words.
run() {
  local name=$1 code=0
  shift
  said="$work/said.$BASHPID"
  printf '\n$ %s\n' "$*" >>"$log"
  in_place "$@" >"$said" 2>&1 </dev/null || code=$?
  cat "$said" >>"$log"
  [ "$code" -eq 0 ] || failed "$name: exit code $code: $(last_words "$said")"
}

# ranks NUMBER: how a command is started on so many, in $launcher.
on_ranks() { launcher=(mpirun -n "$1" "$program"); }

: >"$log"
"stage_$1"
