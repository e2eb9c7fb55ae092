#!/usr/bin/env bash
# Installs three packages of documentation where they are missing (230 MB) and prints the words that name their plain text to
# `switchyard corpus`, each package a domain:
#
#   switchyard corpus $(launch/corpus-debian.sh) --vocabulary=4096 --out=tokens.h5
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/install.sh" <(printf '%s\n' linux-doc-6.1 perl-doc python3.11-doc) >&2

pods=(/usr/share/perl/5.*/pod)
folders=(linux=/usr/share/doc/linux-doc-6.1/html/_sources python=/usr/share/doc/python3.11/html/_sources "perl=${pods[-1]}")
for folder in "${folders[@]}"; do
  if [ ! -d "${folder#*=}" ]; then
    echo "launch/corpus-debian.sh: the package of ${folder%%=*} is installed without ${folder#*=} (images leave documentation" \
         "out: path-exclude in /etc/dpkg/dpkg.cfg.d); allow it there, and reinstall linux-doc-6.1 perl-doc python3.11-doc" >&2
    exit 1
  fi
done
# The kernel's pages once, in English.
printf '%s\n' "${folders[@]}" --without=translations
