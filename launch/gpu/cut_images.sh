#!/usr/bin/env bash
# The first images of a data set in MNIST's format, or made-up ones (noise) where it is not there.
#
#   launch/gpu/cut_images.sh TO TRAINING TEST [FROM]
set -euo pipefail
export LC_ALL=C
to=$1 training=$2 test=$3 from=${4:-/usr/share/datasets/fashion-mnist}
side=28

big_endian() {
  local hex
  hex=$(printf '%08x' "$1")
  printf '%b' "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}\\x${hex:6:2}"
}

# cut_bytes FILE SKIPPED BYTES: of a file, or noise. head ends before its writer does.
cut_bytes() {
  set +o pipefail
  if [ -e "$from/$1.gz" ]; then
    { gzip -dc "$from/$1.gz" 2>/dev/null || true; } | tail -c +$(($2 + 1)) | head -c "$3"
  elif [[ "$1" == *labels* ]]; then
    { od -An -v -tu1 -w1 /dev/urandom || true; } | head -n "$3" | awk '{ printf "\\x%02x", $1 % 10 }' | xargs -0 printf '%b'
  else
    head -c "$3" /dev/urandom
  fi
  set -o pipefail
}

mkdir -p "$to"
for split in train:"$training" t10k:"$test"; do
  name=${split%:*} count=${split#*:}
  {
    big_endian 2051
    big_endian "$count"
    big_endian "$side"
    big_endian "$side"
    cut_bytes "$name-images-idx3-ubyte" 16 $((count * side * side))
  } >"$to/$name-images-idx3-ubyte"
  {
    big_endian 2049
    big_endian "$count"
    cut_bytes "$name-labels-idx1-ubyte" 8 "$count"
  } >"$to/$name-labels-idx1-ubyte"
  [ "$(wc -c <"$to/$name-images-idx3-ubyte")" -eq $((16 + count * side * side)) ] ||
    { echo "launch/gpu/cut_images.sh: $from has fewer than $count images in $name" >&2; exit 3; }
  [ "$(wc -c <"$to/$name-labels-idx1-ubyte")" -eq $((8 + count)) ] ||
    { echo "launch/gpu/cut_images.sh: $from has fewer than $count labels in $name" >&2; exit 3; }
done
