#!/usr/bin/env bash
# Starts a program on N MPI ranks of this machine, or of the allocation of a batch scheduler, and gives back its exit code.
#
#   launch/run.sh -n 4 build/release/switchyard train FILE.ini
#   launch/run.sh -n 4 --hostfile hosts -- build/release/switchyard train FILE.ini     (options of mpirun end with --)
#
# What it adds to mpirun (Open MPI 4.1; all of it measured, see docs/launching.md):
# * TERM, INT (Ctrl-C), HUP, USR2 and XCPU ask the ranks to write a checkpoint and stop: they are passed on as USR1, since
#   mpirun answers TERM by killing the ranks a second later and returning 1. The exit code is then the ranks' own, 75. A
#   second such signal ends the ranks at once. If this script is killed, mpirun gets TERM.
# * What mpirun says passes through, but for its lines about non-zero exit codes, since the program has already said why it
#   stopped (SWITCHYARD_MPIRUN_VERBOSE=1 shows them too). That a rank was killed by a signal is taken from what mpirun
#   says, not from the exit code: mpirun has codes of its own above 128.
# * mpirun waits without end for a host that it cannot reach. SWITCHYARD_LAUNCH_GRACE_SECONDS (30) after a rank left with a
#   failure, or a host fell silent, everything is ended, with that rank's code or with 6.
# * More ranks than processors are allowed. Ranks are not bound: each computes with its share of the processors, and a rank whose
#   processor is taken by somebody else moves on. Where ranks take up all processors, a rank that waits yields its own.
#
# Open MPI sleeps twice odls_base_sigkill_timeout (1 s) after any non-zero exit. A longer time would only matter to a TERM sent to
# mpirun itself; set OMPI_MCA_odls_base_sigkill_timeout for that.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # called through sh
set -u

name=$(basename "$0")  # switchyard-run where it is installed
[ "$name" != run.sh ] || name=launch/run.sh
say() { echo "$name on $(hostname): $1" >&2; }

fail() {
  say "$1"
  exit 2
}

usage="usage: $name [-n RANKS] [MPIRUN OPTIONS --] PROGRAM [ARGUMENTS]"
ranks=""
if [ "${1:-}" = "-n" ] || [ "${1:-}" = "-np" ]; then
  ranks="${2:-}"
  [[ "$ranks" =~ ^[1-9][0-9]*$ ]] || fail "-n needs a number of ranks, not '$ranks'; $usage"
  shift 2
fi
mpirun_options=()
if [[ "${1:-}" == -* ]]; then
  while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    mpirun_options+=("$1")
    shift
  done
  [ $# -gt 0 ] || fail "options of mpirun must end with --; $usage"
  shift
fi
[ $# -gt 0 ] || fail "no program given; $usage"
command -v mpirun >/dev/null || fail "mpirun is not installed; run launch/install.sh"
# mpirun --quiet says nothing about a program that does not exist.
command -v -- "$1" >/dev/null || fail "$1 does not exist or cannot be executed; build it (launch/quickstart.sh does)"

# An allocation or a list of hosts decides by itself how many ranks a node takes.
on_this_machine_only() {
  [ -z "${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-}${PE_HOSTFILE:-}" ] || return 1
  case " ${mpirun_options[*]:-} " in *host*) return 1 ;; esac
}

# Only what the user has not set: settings from the environment and options win.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1  # in containers root is the usual user
if [ -n "$ranks" ] && on_this_machine_only; then
  processors=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)  # nproc heeds these two, and the affinity mask
  export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
  export OMPI_MCA_hwloc_base_binding_policy="${OMPI_MCA_hwloc_base_binding_policy:-none}"
  if [ "$ranks" -ge "$processors" ]; then
    export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
  fi
fi
# Containers usually forbid a process to read another's memory, which Open MPI would try between ranks of a node.
if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then
  export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
fi

# Idle connections between the hosts are tested after 20 s and given up after 40 s, not after 300 s and 480 s.
export OMPI_MCA_oob_tcp_keepalive_time="${OMPI_MCA_oob_tcp_keepalive_time:-20}"
export OMPI_MCA_oob_tcp_keepalive_intvl="${OMPI_MCA_oob_tcp_keepalive_intvl:-5}"
export OMPI_MCA_oob_tcp_keepalive_probes="${OMPI_MCA_oob_tcp_keepalive_probes:-4}"

grace_seconds="${SWITCHYARD_LAUNCH_GRACE_SECONDS:-30}"
[[ "$grace_seconds" =~ ^[0-9]+$ ]] || fail "SWITCHYARD_LAUNCH_GRACE_SECONDS needs a number, not '$grace_seconds'"
scratch=$(mktemp -d) || fail "no temporary folder can be made; set TMPDIR to one that can be written"
trap 'rm -rf "$scratch"' EXIT
mkfifo "$scratch/errors"

# A session of its own: a terminal sends Ctrl-C to the whole process group, and mpirun must not see it.
setpriv --pdeathsig TERM setsid mpirun ${ranks:+-n "$ranks"} ${mpirun_options[@]+"${mpirun_options[@]}"} "$@" \
        </dev/null 2>"$scratch/errors" &
mpirun_pid=$!

# Notes what mpirun says in one of its framed blocks. Says whether a person should see it.
note_block() {
  case "$1" in
    *"exited on signal "*) grep -o 'process rank .*' <<<"$1" >"$scratch/signal" ;;
    *"non-zero exit code"* | *"with non-zero status"* | *"MPI_ABORT was invoked"*)
      [[ "$1" =~ ("Exit code:"|errorcode)\ +([0-9]+) ]] && echo "${BASH_REMATCH[2]}" >"$scratch/code" ;;
    *"could not access"* | *"not enough slots"* | *"unable to"* | *"not able to"*) touch "$scratch/refused"; return 0 ;;
    *"lost communication"*) touch "$scratch/failed" "$scratch/lost"; return 0 ;;
    *) return 0 ;;
  esac
  touch "$scratch/failed"
  [ "${SWITCHYARD_MPIRUN_VERBOSE:-0}" = 1 ]
}

# Passes on what comes from mpirun and the ranks, a line at a time, and mpirun's framed blocks as a whole.
pass_on_errors() {
  trap '' TERM INT HUP USR1 USR2 XCPU
  local line block="" frame="^-{60,}$"
  while IFS= read -r line || [ -n "$line" ]; do
    if [ -n "$block" ]; then
      block+=$'\n'"$line"
      if [[ "$line" =~ $frame ]]; then
        if note_block "$block"; then printf '%s\n' "$block"; fi
        block=""
      fi
    elif [[ "$line" =~ $frame ]]; then
      block="$line"
    elif [[ "$line" != "mpirun: Forwarding signal "* ]]; then
      [[ "$line" != "mpirun: Error: "* ]] || touch "$scratch/refused"
      printf '%s\n' "$line"
    fi
  done >&2
  if [ -n "$block" ]; then printf '%s\n' "$block" >&2; fi
}
pass_on_errors <"$scratch/errors" &
errors_pid=$!

# mpirun and what it started on this host; other hosts' daemons end when their connection to mpirun does.
end_session() { pkill -KILL --session "$mpirun_pid"; }

# The addresses of hosts that have not acknowledged what mpirun sent them, for some 13 s: after six retransmissions.
silent_hosts() {
  ! on_this_machine_only || return 0
  local address
  awk 'NR == FNR { of_mpirun[$1]; next } $4 == "01" && $7 >= "00000006" && $10 in of_mpirun { print substr($3, 1, 8) }' \
      <(readlink /proc/"$mpirun_pid"/fd/* | tr -cd '0-9\n') /proc/net/tcp | sort -u |
    while read -r address; do
      printf '%d.%d.%d.%d ' "0x${address:6:2}" "0x${address:4:2}" "0x${address:2:2}" "0x${address:0:2}"
    done
}

# mpirun says at once that a rank left with a failure, but stays until it has heard from every host.
end_after_grace() {
  trap '' INT HUP USR1 USR2 XCPU
  local seconds=0 silent
  while [ "$seconds" -le "$grace_seconds" ]; do
    sleep 1
    kill -0 "$mpirun_pid" 2>/dev/null || return
    silent=$(silent_hosts 2>/dev/null)
    if [ -e "$scratch/failed" ] || [ -n "$silent" ]; then seconds=$((seconds + 1)); else seconds=0; fi
  done
  touch "$scratch/given_up"
  say "mpirun is still there $grace_seconds s after a rank or a host was lost${silent:+ (no answer from ${silent% })}; ending all"
  end_session
}
end_after_grace &
grace_pid=$!

signals=0
interrupted=0
# shellcheck disable=SC2317  # traps call it
stop() {
  interrupted=1
  signals=$((signals + 1))
  if [ "$signals" -eq 1 ]; then
    say "got $1; asked the ranks to write a checkpoint and stop (again: ends them at once)"
    kill -USR1 "$mpirun_pid" 2>/dev/null
  else
    say "got $1 again; ending the ranks"
    kill -TERM "$mpirun_pid" 2>/dev/null
  fi
}
for signal in TERM INT HUP USR2 XCPU; do
  # shellcheck disable=SC2064
  trap "stop $signal" "$signal"
done
trap 'interrupted=1; kill -USR1 "$mpirun_pid" 2>/dev/null' USR1

# A trapped signal ends wait early with a code of its own: wait again for the real one.
while :; do
  interrupted=0
  wait "$mpirun_pid" 2>/dev/null  # bash would print a line when mpirun is killed
  code=$?
  [ "$interrupted" -eq 1 ] || break
done
end_session
[ -e "$scratch/given_up" ] || kill "$grace_pid" 2>/dev/null
wait "$errors_pid" "$grace_pid" 2>/dev/null

if [ -s "$scratch/signal" ]; then
  say "$(sed -e 's/ with PID [0-9]*//' -e 's/^process //' "$scratch/signal")$(
    grep -q 'signal 9 ' "$scratch/signal" && echo ' A machine out of memory does that, see dmesg there.')"
elif [ -e "$scratch/refused" ]; then
  say "mpirun could not start the ranks, what it says is above; look at -n, the host file and the program on each host"
  code=2
elif [ -e "$scratch/given_up" ] || [ -e "$scratch/lost" ]; then
  [ ! -e "$scratch/lost" ] || say "a host was lost, mpirun names it above"
  code=$(cat "$scratch/code" 2>/dev/null || echo 6)
else
  case "$code" in
    0 | 1 | 2 | 3 | 4 | 5 | 6 | 70 | 75) ;;  # the program's own: docs/launching.md
    *) [ "$signals" -ge 2 ] || say "mpirun or a rank ended with code $code, which is none of switchyard's" ;;
  esac
fi
exit "$code"
