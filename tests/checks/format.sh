# Every C file is as clang-format 14 leaves it.
set -euo pipefail
cd "$SQUALL_SOURCE"
clang-format --version | grep -q 'version 14\.' || { echo "skipped: clang-format 14 is needed, as Debian 12 has it"; exit 77; }
files=$(find src include tests fuzz -name '*.[ch]')
[ -n "$files" ]
# shellcheck disable=SC2086
clang-format --dry-run -Werror $files
echo "$(wc -w <<<"$files") files"
