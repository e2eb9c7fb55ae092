#!/usr/bin/env bash
# mpirun as the tests need it: more ranks than cores, as root in a container, ranks not bound to cores, shared memory only.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
# Open MPI's plugins leave memory behind and are unloaded before LeakSanitizer looks, so their leaks carry no name that a suppression
# could match. Leaks of ours are found by the tests that use no MPI.
export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
exec mpirun "$@"
