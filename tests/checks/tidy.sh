# clang-tidy finds nothing in src/ (see .clang-tidy for what it looks for).
set -euo pipefail
cd "$SQUALL_SOURCE"
database=build/release
[ -e $database/compile_commands.json ]
find src -name '*.c' | xargs -P "$(nproc)" -n 4 clang-tidy -p $database --quiet 2>/dev/null | grep -E 'warning:|error:' && exit 1
echo "$(find src -name '*.c' | wc -l) files"
