# Every header compiles on its own: the public ones as C11 and C++17 too.
set -euo pipefail
cd "$SQUALL_SOURCE"
count=0
for header in include/squall/*.h; do
  "$SQUALL_CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -x c "$header"
  g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -Iinclude -x c++ "$header"
  count=$((count + 1))
done
# A template is no header: the files of single instruction sets say what it is to be, and then include it. What they
# share is looked at as plain C.
for header in $(find src -name '*.h' ! -name '*_template*.h'); do
  # A header's own folder of third-party includes is not needed to see whether it stands alone.
  "$SQUALL_CC" -std=c11 -D_GNU_SOURCE -DSQ_SIMD_C -Wall -Wextra -Werror -fsyntax-only -Iinclude -Isrc \
    $(pkg-config --cflags hdf5 netcdf cairo jansson proj) -x c - <<<"#include \"${header#src/}\""
  count=$((count + 1))
done
[ "$count" -gt 20 ]
echo "$count headers"
