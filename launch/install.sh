#!/usr/bin/env bash
# Installs the packages of launch/packages.txt, or of the list given, that are missing. With all in place it is one dpkg-query and prints nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mapfile -t packages < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "${1:-$here/packages.txt}")

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "launch/install.sh: this system has no apt (it is neither Debian nor a relative of it); install the counterparts of" \
       "launch/packages.txt by its own means, then call cmake --preset release && cmake --build --preset release" >&2
  exit 1
fi

# dpkg-query lists what it knows, and fails if it does not know one: what counts is what it lists as installed.
installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "launch/install.sh: ${#missing[@]} packages are missing and you are not root (there is no sudo either); let an" \
         "administrator run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "launch/install.sh: installing ${missing[*]}"
as_root+=(env DEBIAN_FRONTEND=noninteractive)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install --yes -qq --no-install-recommends "${missing[@]}" || {
  echo "launch/install.sh: apt-get could not install ${missing[*]} (its messages are above; the names are those of" \
       "Debian 12); install them by hand and start again" >&2
  exit 1
}
