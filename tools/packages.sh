# Debian's packages that squall needs, and how the scripts install them; sourced by ./run and ./test.

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config git
  libhdf5-dev libnetcdf-dev libeccodes-dev libtiff-dev libproj-dev libdeflate-dev libjansson-dev libsodium-dev
  libmicrohttpd-dev libinih-dev libsqlite3-dev libmosquitto-dev libcurl4-openssl-dev
  libcairo2-dev libfreetype-dev fonts-dejavu-core gmt-gshhg-low libjs-leaflet)
# ca-certificates and python3-dev are for PyPI's checkers: pysteps comes as source. prometheus is for its promtool.
TEST_PACKAGES=(g++ ca-certificates clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev gcovr groff-base python3 python3-dev python3-venv gdal-bin chromium prometheus nodejs mosquitto mosquitto-clients faketime)
# For arm64 (cmake --preset arm64; docs/edge.md says how): the cross compiler and the emulator, here; and the libraries that
# tools/arm64_root.sh unpacks into a folder of their own.
ARM64_PACKAGES=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static qemu-user)
ARM64_LIBRARIES=(libc6-dev libhdf5-dev libnetcdf-dev libeccodes-dev libtiff-dev libproj-dev libdeflate-dev libjansson-dev libsodium-dev
  libmicrohttpd-dev libinih-dev libsqlite3-dev libmosquitto-dev libcurl4-openssl-dev libcairo2-dev libfreetype-dev libcmocka-dev)

# install_packages NAME...: install those that are missing; nothing is touched when all are there.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "These packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
