# clang-tidy finds nothing in src/ (see .clang-tidy for what it looks for).
set -euo pipefail
cd "$SQUALL_SOURCE"
# A database of clang's own: gcc's knows options that clang-tidy does not.
database=$SQUALL_BUILD/tidy
cmake -S . -B "$database" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSQUALL_TESTS=OFF >/dev/null
cmake --build "$database" --target squall_version >/dev/null
# It exits with 1 on an error, which is not the same as a warning: a run that did not work finds nothing either.
find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$database" --quiet >"$database/said.txt" 2>"$database/errors.txt" || {
  cat "$database/said.txt" "$database/errors.txt"
  exit 1
}
found=$(grep -E 'warning:|error:' "$database/said.txt" | sort -u || true)
if [ -n "$found" ]; then
  echo "$found"
  exit 1
fi
echo "$(find src -name '*.c' | wc -l) files"
