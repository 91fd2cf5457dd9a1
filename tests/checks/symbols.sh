# What the shared library shows is the public interface and nothing else; inside, names say whose they are.
set -euo pipefail
library=$SQUALL_BUILD/src/libsquall.so
shown=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -vE '^(_init|_fini|__(asan|ubsan|odr_asan|gcov|llvm|lsan)|_+bss_start|_edata|_end)' || true)
[ "$(grep -c '^squall_' <<<"$shown")" -gt 50 ]
if grep -v '^squall_' <<<"$shown"; then
  echo "the symbols above are shown but are not squall_*"
  exit 1
fi
# Every function that a public header declares is there.
missing=0
for name in $(grep -ohE '\bsquall_[a-z0-9_]+\(' "$SQUALL_SOURCE"/include/squall/*.h | tr -d '(' | sort -u); do
  declared=$(grep -lE "SQUALL_API[^;]*\b$name\(" -z "$SQUALL_SOURCE"/include/squall/*.h || true)
  if [ -n "$declared" ] && ! grep -qx "$name" <<<"$shown"; then
    echo "declared, not there: $name"
    missing=1
  fi
done
[ "$missing" -eq 0 ]
# Names shared between rooms begin with sq_ (or are public).
for archive in "$SQUALL_BUILD"/src/libsq_*.a; do
  if nm -g --defined-only "$archive" 2>/dev/null | awk 'NF==3 {print $3}' | grep -vE '^(squall_|sq_|__(odr_asan|asan|ubsan|gcov|llvm))' ; then
    echo "in $archive: the names above lack their prefix"
    exit 1
  fi
done
echo "$(wc -l <<<"$shown") symbols"
