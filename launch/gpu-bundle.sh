#!/usr/bin/env bash
# Packs a build into one file that runs where nothing is installed: the program and tests for a card, their libraries but glibc's,
# Open MPI, configurations, images, and launch/gpu-check.sh. Then proves it, unpacked in an empty root.
#
#   launch/gpu-bundle.sh [BUILD_FOLDER] [-o FILE]
#
# without a folder build/bundle, which the preset of that name makes (sm_90, x86-64-v3):
#
#   cmake --preset bundle && cmake --build --preset bundle && launch/gpu-bundle.sh
#
# FILE: BUILD_FOLDER/switchyard-gpu.tar.xz. It fails above 30 MB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=launch/gpu

fail() {
  echo "launch/gpu-bundle.sh: $1" >&2
  exit 1
}
build=build/bundle file=""
while [ $# -gt 0 ]; do
  case "$1" in
    -o)
      [ -n "${2:-}" ] || fail "-o needs a file; --help tells more"
      file=$2
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "there is no option $1; --help lists them" ;;
    *)
      build=$1
      shift
      ;;
  esac
done
file=${file:-$build/switchyard-gpu.tar.xz}
most_bytes=30000000
[ -x "$build/switchyard" ] || fail "$build has no program; build it (cmake --preset bundle && cmake --build --preset bundle)"
libraries=$(ompi_info --path pkglibdir 2>/dev/null | awk '{ print $NF }') || true
[ -d "$libraries" ] || fail "ompi_info does not name the folder of Open MPI's plugins; run launch/install.sh"
pmix=$(dirname "$libraries")/../../pmix2/lib/pmix
texts=$(ompi_info --path pkgdatadir | awk '{ print $NF }')

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bundle="$scratch/switchyard-gpu"
mkdir -p "$bundle"/{bin,lib/openmpi,lib/pmix,share,etc,data,tests/pytorch,tests/gpu}

# Programs. A build with CUDA has tests for a card, which hold those of the processor.
put_program() { install -m 755 -s "$1" "$bundle/bin/$2"; }
put_program "$build/switchyard" switchyard
put_program "$(command -v orterun)" mpirun
put_program "$(command -v orted)" orted
while IFS= read -r test; do
  put_program "$test" "$(basename "$test")"
done < <(find "$build/tests" -type f -executable -name 'test_gpu_*' | grep . ||
  find "$build/tests" -type f -executable -name 'test_conformance_ops*')

# Plugins: without those of other launchers, networks and shared file systems, of which there is one machine.
for plugin in "$libraries"/mca_*.so "$pmix"/pmix_mca_*.so; do
  case "$(basename "$plugin")" in
    *slurm* | *gridengine* | *flux* | *jsm* | *_ofi* | *_ucx* | *psm* | *openib* | *romio* | *memheap* | *scoll* | *spml* | *sshmem* | \
      *monitoring* | *simulator* | *reachable_netlink*) continue ;;
    mca_*) install -m 644 -s "$plugin" "$bundle/lib/openmpi/" ;;
    *) install -m 644 -s "$plugin" "$bundle/lib/pmix/" ;;
  esac
done
cp -rL "$texts" "$bundle/share/openmpi"
pmix_texts=$(dirname "$pmix")/../share/pmix
[ ! -d "$pmix_texts" ] || cp -rL "$pmix_texts" "$bundle/share/pmix"
: >"$bundle/etc/openmpi-mca-params.conf"
: >"$bundle/etc/openmpi-default-hostfile"
: >"$bundle/etc/pmix-mca-params.conf"

# Libraries of all that, but those of glibc, which fit the kernel and loader of the machine.
ldd "$bundle"/bin/* "$bundle"/lib/*/*.so | awk '$3 ~ /^\// { print $3 }' | sort -u | while IFS= read -r library; do
  case "$(basename "$library")" in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.* | libutil.so.*) ;;
    *) install -m 644 -s "$library" "$bundle/lib/" ;;
  esac
done

# What they read, and what starts them.
cp -r configs docs launch "$bundle/"
cp -r tests/gpu/check "$bundle/tests/gpu/"
cp tests/pytorch/torch_transformer.py "$bundle/tests/pytorch/"
"$here/cut_images.sh" "$bundle/data/images" 10000 2000
cat >"$bundle/run" <<'END'
#!/usr/bin/env bash
# Starts a program of this bundle with its libraries: ./run bin/switchyard doctor; ./run mpirun -n 2 bin/switchyard train FILE.ini
bundle=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$bundle/launch/gpu/environment.sh"
exec "$@"
END
chmod 755 "$bundle/run"
"$build/switchyard" doctor | sed -n 1p >"$bundle/BUILD"

# Programs hold the same device code: a dictionary as large as all of them stores it once.
tar -C "$scratch" --owner=0 --group=0 --sort=name -c switchyard-gpu | xz --lzma2=preset=6,dict=64MiB >"$scratch/bundle.tar.xz"
bytes=$(stat -c %s "$scratch/bundle.tar.xz")
unpacked=$(du -sb "$bundle" | awk '{ print $1 }')
echo "launch/gpu-bundle.sh: $bytes bytes, $unpacked unpacked: $(cat "$bundle/BUILD")"
[ "$bytes" -le "$most_bytes" ] ||
  fail "the bundle has $bytes bytes, and $most_bytes are allowed; see what is large: du -a $bundle | sort -n"
"$here/prove_bundle.sh" "$scratch/bundle.tar.xz"
mkdir -p "$(dirname "$file")"
mv "$scratch/bundle.tar.xz" "$file"
echo "launch/gpu-bundle.sh: $file"
