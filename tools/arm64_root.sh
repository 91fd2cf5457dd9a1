#!/usr/bin/env bash
# A folder with Debian's arm64 libraries that squall links and the loader that qemu-user needs: build/arm64-root. Nothing of this
# machine is touched and no rights are needed: apt works on a state of its own, packages are unpacked, not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

root=$PWD/build/arm64-root
stamp="${ARM64_LIBRARIES[*]}"
[ "$(cat "$root/.packages" 2>/dev/null)" = "$stamp" ] && exit 0

apt=$PWD/build/arm64-apt
mkdir -p "$root" "$apt"/{lists/partial,cache/archives/partial}
touch "$apt/status"
options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt" -o Dir::State::lists="$apt/lists"
  -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)"
  -o Dir::Cache::archives="$apt/cache/archives" -o Debug::NoLocking=1
  -o Binary::apt-get::APT::Keep-Downloaded-Packages=true -o APT::Keep-Downloaded-Packages=true)
apt-get "${options[@]}" update
apt-get "${options[@]}" install --download-only -y "${ARM64_LIBRARIES[@]}" >/dev/null
# Compilers and interpreters come along as dependencies; their files would only take room.
for package in "$apt"/cache/archives/*.deb; do
  case $(basename "$package") in
    gcc-* | g++* | gfortran* | cpp* | binutils* | perl* | python3* | *-doc_*) ;;
    *) dpkg-deb -x "$package" "$root" ;;
  esac
done
# Links to absolute places are turned into the folder.
find "$root/usr/lib" "$root/lib" -type l -lname '/*' | while read -r link; do
  ln -sfn "$root$(readlink "$link")" "$link"
done
# What update-alternatives would have linked.
configs=$root/usr/lib/aarch64-linux-gnu/pkgconfig
[ ! -e "$configs/hdf5-serial.pc" ] || ln -sfn hdf5-serial.pc "$configs/hdf5.pc"
rm -rf "$apt/cache" "$root"/usr/share/{doc,man,locale}
printf '%s' "$stamp" >"$root/.packages"
