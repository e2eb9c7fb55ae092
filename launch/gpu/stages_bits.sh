# shellcheck shell=bash
# Stages of launch/gpu-check.sh that judge what a card computes. Sourced by stage.sh.
# shellcheck disable=SC2154  # of stage.sh and of its environment

stage_start() {
  run doctor "$program" doctor || return 0
  grep -E '^(switchyard|processor|CUDA|products|training|NCCL)' "$said" | while IFS= read -r text; do line "$text"; done
  if [ -z "$simulated" ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --format=csv --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu \
      2>&1 | while IFS= read -r text; do line "$text"; done
  fi
  grep -q '^training device: cuda' "$said" ||
    { failed "no card is used: $(grep '^training device' "$said")"; return 0; }
  grep -q '^products on a GPU: cublasLt' "$said" ||
    { failed "$(grep -m 1 '^products on a GPU' "$said")"; return 0; }
  note judged
}

# Own kernels have the bits of the CPU, products and sums the values of a float64 reference.
stage_conformance() {
  local test file filter passed
  for test in teams products conformance_ops conformance_ops_gating conformance_ops_conv; do
    # A few: all of them, in several orders of threads, are tests of the build.
    filter=$(size '*' 'Gpu.*:GpuProducts.equal*:Softmax.*:TileProduct.*:SumPartials.*:Combine.*:GateWeights.*:FusedConv.*:BatchNormOps.*')
    file=$(test_program "$test")
    [ -x "$file" ] || { failed "$(basename "$file") is not in this build"; continue; }
    run "$test" "$file" --gtest_brief=1 --gtest_filter="$filter" || continue
    passed=$(awk '/ PASSED / { print $(NF - 1) }' "$said" | tail -n 1)
    [ "${passed:-0}" -gt 0 ] || failed "$test: no test ran"
    figure "$test" "${passed:-0}" tests
  done
  note judged
}

# Which algorithm each kind of product takes, whether it holds for all numbers of rows, or why it is our own kernel.
stage_probe() {
  local name
  for name in $models; do
    choose_model "$name" || continue
    run "$name" "$program" bench step "${model[@]}" --run.device=cuda --train.max_steps=2 || continue
    line "$name: $(grep '^kinds of products' "$said")"
    sed -n '/^kinds of products/,$p' "$said" | sed 1d | while IFS= read -r text; do line "$text"; done
    if grep -q ': own kernel' "$said"; then
      failed "$name: of a kind of product no algorithm holds: $(grep ': own kernel' "$said" | sed 's/^ *//' | tr '\n' ' ')"
    fi
  done
  note judged
}

# agree NAME STEPS: from one checkpoint the same steps on the CPU and on the card.
agree() {
  local name=$1 steps=$2 base="$work/agreement_$1" device result
  choose_model "$name" || return 0
  run "$name" "$program" train "${model[@]}" --run.device=cpu --run.dir="$base" --train.max_steps=2 || return 0
  for device in cpu cuda; do
    cp -r "$base" "$base.$device"
    run "$name, $device" "$program" resume "$base.$device" --run.device="$device" --train.max_steps="$steps" || return 0
    [ "$name" = text ] ||
      run "$name, $device" "$program" predict "$base" --run.device="$device" --out="$base.$device.csv" || return 0
  done
  result=$(awk -f "$root/launch/gpu/losses.awk" "$base.cpu/metrics.jsonl" "$base.cuda/metrics.jsonl") ||
    failed "$name: $result"
  figure "$name: largest difference of a loss, relative" "${result%% *}" "of $steps steps"
  [ "$name" = text ] || figure "$name: routed otherwise, from one checkpoint" \
    "$(awk -f "$root/launch/gpu/routes.awk" "$base.cpu.csv" "$base.cuda.csv")" "of the samples"
}
stage_agreement() {
  agree original "$(size 100 4)"
  agree top1_64 "$(size 20 4)"
  agree attentive "$(size 20 4)"
  note judged
}

# same NAME A B: the last checkpoints of two runs.
same() {
  run "$1" "$program" diff "$2" "$3" || return 0
  line "$1: the same bits"
}
determinism() {
  local name=$1 steps=$2 base="$work/determinism_$1" ranks
  choose_model "$name" || return 0
  model+=(--run.device=cuda)
  run "$name" "$program" train "${model[@]}" --run.dir="$base" --train.max_steps="$steps" || return 0
  run "$name, again" "$program" train "${model[@]}" --run.dir="$base.again" --train.max_steps="$steps" &&
    same "$name, again" "$base" "$base.again"
  for ranks in 1 2 3; do
    on_ranks "$ranks"
    run "$name, $ranks rank(s)" "${launcher[@]}" train "${model[@]}" --comm.data_plane=mpi --run.dir="$base.ranks_$ranks" \
      --train.max_steps="$steps" && same "$name, $ranks rank(s)" "$base" "$base.ranks_$ranks"
  done
  run "$name, stopped" "$program" train "${model[@]}" --run.dir="$base.stopped" --train.max_steps=$((steps / 2)) &&
    run "$name, resumed" "$program" resume "$base.stopped" --train.max_steps="$steps" &&
    same "$name, resumed" "$base" "$base.stopped"
}
stage_determinism() {
  determinism original "$(size 40 4)"
  determinism top1_64 "$(size 20 2)"
  note judged
}

# Two ranks on one card: NCCL takes them for two hosts, which talk over the loopback.
on_two_hosts() {
  local of=(-x NCCL_NET=Socket -x NCCL_SOCKET_IFNAME=lo)
  export NCCL_NET=Socket NCCL_SOCKET_IFNAME=lo
  launcher=(mpirun -n 1 "${of[@]}" -x NCCL_HOSTID=first "$program" "$@" : -n 1 "${of[@]}" -x NCCL_HOSTID=second "$program" "$@")
}
stage_nccl() {
  local base="$work/nccl" steps
  steps=$(size 20 2)
  choose_model original
  model+=(--run.device=cuda)
  run "one rank" "$program" train "${model[@]}" --run.dir="$base.alone" --train.max_steps="$steps" || return 0
  on_two_hosts train "${model[@]}" --comm.data_plane=nccl --run.dir="$base" --train.max_steps="$steps"
  run "two ranks" "${launcher[@]}" || return 0
  grep -m 1 'data plane' "$said" | while IFS= read -r text; do line "$text"; done
  same "two ranks over NCCL" "$base.alone" "$base"
  kill_a_rank
  note judged
}

# A rank is killed in the middle of a run; the other must not wait for it.
kill_a_rank() {
  local base="$work/nccl.killed" begin pid victim seconds most=10
  [ -z "$simulated" ] || most=100  # it hangs
  on_two_hosts train "${model[@]}" --comm.data_plane=nccl --run.dir="$base" --train.epochs=100000
  in_place "${launcher[@]}" >>"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null && ! [ "$(grep -c . "$base/metrics.jsonl" 2>/dev/null)" -ge 3 ]; do
    sleep 0.1
  done
  victim=$(ranks_below "$pid" | tail -n 1)
  [ -n "$victim" ] || { failed "a rank killed: the run ended before its third step: $(last_words "$log")"; return 0; }
  begin=${EPOCHREALTIME/[.,]/}
  kill -KILL "$victim"
  for _ in $(seq $((most * 10))); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  seconds=$(awk -v us=$((${EPOCHREALTIME/[.,]/} - begin)) 'BEGIN { printf "%.1f", us / 1e6 }')
  if kill -0 "$pid" 2>/dev/null; then
    ranks_below "$pid" | while IFS= read -r victim; do kill -KILL "$victim"; done
    failed "a rank killed: the run did not end within $most s"
  else
    figure "a rank killed: the run ended after" "$seconds" s
  fi
}

# The processes of the program below a process.
ranks_below() {
  local child
  for child in $(tr -d '\n' 2>/dev/null <"/proc/$1/task/$1/children"); do
    if [ "$(readlink "/proc/$child/exe")" = "$(readlink -f "$program")" ]; then echo "$child"; else ranks_below "$child"; fi
  done
}
