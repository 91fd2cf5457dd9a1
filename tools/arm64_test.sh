#!/usr/bin/env bash
# Everything for arm64: cross compiler, emulator and libraries, the whole build, and its tests under qemu-user: those of the kernels on
# three processors, the others on one with everything. Hours less one on two cores; tests/checks/arm64.sh is a short selection.
# Usage: tools/arm64_test.sh [CTEST ARGUMENT...]
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
install_packages "${BUILD_PACKAGES[@]}" "${ARM64_PACKAGES[@]}"
tools/arm64_root.sh
for cpu in cortex-a72 neoverse-n1 max; do
  only=()
  [ "$cpu" = max ] || only=(-R '^test_cpu_')
  cmake --preset arm64 -DSQUALL_ARM64_CPU="$cpu" >/dev/null
  cmake --build build/arm64
  ctest --test-dir build/arm64 --output-on-failure -j "$(nproc)" --timeout 3000 -E '^check_' "${only[@]}" "$@"
done
