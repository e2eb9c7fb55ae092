#!/usr/bin/env bash
# Unpacks a bundle in an empty root (glibc, bash, awk, coreutils, tar and xz alone; no network but the loopback) and runs proof.sh
# there. Where that may not be made, in another folder with an empty environment, and says so.
#
#   launch/gpu/prove_bundle.sh BUNDLE.tar.xz
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bundle=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

if [ "$(id -u)" -ne 0 ] || ! unshare --mount --net --pid --fork bash -c "mount -t tmpfs none '$place'" 2>/dev/null; then
  echo "launch/gpu/prove_bundle.sh: not root, or namespaces are not allowed: in another folder, not in an empty root" >&2
  mkdir "$place/tmp"
  tar -xJf "$bundle" -C "$place"
  env -i PATH=/usr/bin:/bin CUDA_VISIBLE_DEVICES="" TMPDIR="$place/tmp" bash "$here/proof.sh" "$place/switchyard-gpu"
  exit
fi

# The tools with their libraries, each where its loader looks for it.
mkdir -p "$place"/{bin,dev/shm,etc,lib64,proc,tmp,elsewhere}
tools=(bash awk tar xz cat chmod cp cut date dirname env grep head ln ls mkdir mktemp mv readlink realpath rm sed seq sleep sort tail \
  timeout touch tr uname uniq wc)
put() {
  local library
  for library in $(ldd "$1" | grep -oE '/[^ ]+'); do
    [ -e "$place$library" ] || { mkdir -p "$place$(dirname "$library")"; cp -L "$library" "$place$library"; }
  done
}
for tool in "${tools[@]}"; do
  path=$(realpath "$(command -v "$tool")")
  cp "$path" "$place/bin/$tool"
  put "$path"
done
# What the program needs of glibc beyond what tools do: of the rest it has its own.
for library in libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libutil.so.1; do
  path=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ && !found++ { print $NF }')
  mkdir -p "$place$(dirname "$path")"
  cp -L "$path" "$place$path"
done
mkdir -p "$place/usr/bin"
ln -s /bin/env "$place/usr/bin/env"
echo 'root:x:0:0::/tmp:/bin/bash' >"$place/etc/passwd"
for device in null zero random urandom; do : >"$place/dev/$device"; done
cp "$bundle" "$place/bundle.tar.xz"
cp "$here/proof.sh" "$place/proof.sh"

# shellcheck disable=SC2016  # the inner shell's
unshare --mount --net --pid --fork --kill-child=KILL bash -c '
  set -e
  ! command -v ip >/dev/null || ip link set lo up
  for device in null zero random urandom; do mount --bind "/dev/$device" "$1/dev/$device"; done
  mount -t tmpfs none "$1/dev/shm"
  mount -t proc none "$1/proc"
  exec chroot "$1" /bin/env -i PATH=/bin /bin/bash -c "tar -xJf /bundle.tar.xz -C /elsewhere && exec bash /proof.sh /elsewhere/switchyard-gpu"
' inner "$place"
