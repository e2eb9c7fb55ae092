#!/usr/bin/env bash
# Starts a program on N MPI ranks of this machine, or of the allocation of a batch scheduler, and gives back its exit code.
#
#   launch/run.sh -n 4 build/release/switchyard train FILE.ini
#   launch/run.sh -n 8 --hostfile hosts -- build/release/switchyard train FILE.ini     (options of mpirun end with --)
#
# What it adds to mpirun (Open MPI 4.1; all of it measured, see docs/launching.md):
# * TERM, INT (Ctrl-C) and HUP ask the ranks to write a checkpoint and stop: they are passed on as USR1, since mpirun answers
#   TERM by killing the ranks a second later and returning 1. The exit code is then the ranks' own, 75. A second such
#   signal ends the ranks at once.
# * mpirun's own lines about non-zero exit codes are silenced (SWITCHYARD_MPIRUN_VERBOSE=1 shows them), since the
#   program has already said why it stopped.
# * More ranks than processors are allowed. Ranks are not bound: each computes with its share of the processors, and a rank whose
#   processor is taken by somebody else moves on. Where ranks take up all processors, a rank that waits yields its own.
#
# Open MPI sleeps twice odls_base_sigkill_timeout (1 s) after any non-zero exit. A longer time would only matter to a TERM sent to
# mpirun itself; set OMPI_MCA_odls_base_sigkill_timeout for that.
set -u

fail() {
  echo "launch/run.sh: $1" >&2
  exit 2
}

usage="usage: launch/run.sh [-n RANKS] [MPIRUN OPTIONS --] PROGRAM [ARGUMENTS]"
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
[ "${SWITCHYARD_MPIRUN_VERBOSE:-0}" = 1 ] || mpirun_options=(--quiet ${mpirun_options[@]+"${mpirun_options[@]}"})

# A session of its own: a terminal sends Ctrl-C to the whole process group, and mpirun must not see it.
setsid mpirun ${ranks:+-n "$ranks"} ${mpirun_options[@]+"${mpirun_options[@]}"} "$@" </dev/null &
mpirun_pid=$!

signals=0
interrupted=0
stop() {
  interrupted=1
  signals=$((signals + 1))
  if [ "$signals" -eq 1 ]; then
    echo "launch/run.sh: got $1; asked the ranks to write a checkpoint and stop (again: ends them at once)" >&2
    kill -USR1 "$mpirun_pid" 2>/dev/null
  else
    echo "launch/run.sh: got $1 again; ending the ranks" >&2
    kill -TERM "$mpirun_pid" 2>/dev/null
  fi
}
trap 'stop TERM' TERM
trap 'stop INT' INT
trap 'stop HUP' HUP
trap 'interrupted=1; kill -USR1 "$mpirun_pid" 2>/dev/null' USR1

# A trapped signal ends wait early with a code of its own: wait again for the real one.
while :; do
  interrupted=0
  wait "$mpirun_pid"
  code=$?
  [ "$interrupted" -eq 1 ] || break
done

case "$code" in
  0 | 2 | 3 | 4 | 5 | 6 | 70 | 75) ;;  # the program's own: docs/launching.md
  137) echo "launch/run.sh: a rank was killed by signal 9 (KILL; a machine out of memory does that, see dmesg)" >&2 ;;
  129 | 13[0-9] | 14[0-9] | 15[0-9]) echo "launch/run.sh: a rank ended by signal $((code - 128)) ($(kill -l "$code"))" >&2 ;;
  *)
    if [ "$signals" -lt 2 ]; then
      echo "launch/run.sh: mpirun ended with code $code, which is none of switchyard's: it could not start the ranks, or" \
           "was itself ended; SWITCHYARD_MPIRUN_VERBOSE=1 shows what it says" >&2
    fi
    ;;
esac
exit "$code"
