# shellcheck shell=bash
# What programs of a bundle (launch/gpu-bundle.sh) need to run from wherever it was unpacked to. Sourced, with $bundle its folder.
#
# Debian's Open MPI has the folders of its plugins and texts compiled in: each has a variable. Ranks are on this machine.
export PATH="${bundle:?}/bin:$PATH" LD_LIBRARY_PATH="$bundle/lib" TMPDIR="${TMPDIR:-/tmp}"
export OPAL_PREFIX="$bundle" OPAL_BINDIR="$bundle/bin" OPAL_LIBDIR="$bundle/lib" OPAL_PKGLIBDIR="$bundle/lib/openmpi" \
  OPAL_DATADIR="$bundle/share" OPAL_PKGDATADIR="$bundle/share/openmpi" OPAL_SYSCONFDIR="$bundle/etc"
export PMIX_INSTALL_PREFIX="$bundle" PMIX_LIBDIR="$bundle/lib" PMIX_PKGLIBDIR="$bundle/lib/pmix" \
  PMIX_DATADIR="$bundle/share" PMIX_PKGDATADIR="$bundle/share/pmix" PMIX_SYSCONFDIR="$bundle/etc"
export OMPI_MCA_plm=isolated OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
