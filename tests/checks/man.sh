# squall(1) is what the program's help says, groff finds nothing odd in it, and it is installed.
set -euo pipefail
cd "$SQUALL_SOURCE"
if ! diff <(python3 tools/make_man.py build/release/src/squall) docs/squall.1; then
  echo "docs/squall.1 is stale: tools/make_man.py build/release/src/squall > docs/squall.1"
  exit 1
fi
odd=$(groff -man -Tutf8 -ww -z docs/squall.1 2>&1)
[ -z "$odd" ] || { echo "$odd"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install build/release --prefix "$work" >/dev/null
cmp docs/squall.1 "$work/share/man/man1/squall.1"
echo "$(wc -l < docs/squall.1) lines"
