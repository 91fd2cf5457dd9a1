# clang builds everything without a warning, too.
set -euo pipefail
cmake -S "$SQUALL_SOURCE" -B "$SQUALL_BUILD/clang" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build "$SQUALL_BUILD/clang" >"$SQUALL_BUILD/clang.txt" || { grep -E "error:|warning:" "$SQUALL_BUILD/clang.txt"; exit 1; }
