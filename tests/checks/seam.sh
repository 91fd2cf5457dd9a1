# A program that only runs engines links with libsquall_rt alone: no ONNX, no graph, no compiler, no weather.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/edge.c" <<'C'
#include <stdio.h>
#include "squall/engine.h"
int main(int argc, char **argv)
{
    squall_engine *engine = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (argc < 2 || squall_engine_open(argv[1], NULL, &engine, NULL, &err) != SQUALL_OK) {
        printf("%s\n", squall_status_name(err.code));
        return 1;
    }
    squall_engine_close(&engine);
    return 0;
}
C
release=$SQUALL_SOURCE/build/release/src
"$SQUALL_CC" -std=c11 -I"$SQUALL_SOURCE/include" "$work/edge.c" "$release/libsquall_rt.a" -lsodium -lpthread -lm -o "$work/edge"
[ "$("$work/edge" /nonexistent || true)" = SQUALL_E_IO ]
if nm "$release/libsquall_rt.a" 2>/dev/null | grep -E ' [TtUu] (sq_onnx|sq_graph|squall_build|squall_field|squall_nowcast)'; then
  echo "the symbols above do not belong in libsquall_rt"
  exit 1
fi
size=$(size "$work/edge" | awk 'NR==2 {print $1}')
echo "an edge program has $size bytes of code"
# The shared one: what an edge box installs. It loads the GPU's driver only where there is one.
library=$release/libsquall_rt.so
strip -o "$work/stripped.so" "$(realpath "$library")"
bytes=$(stat -c %s "$work/stripped.so")
if [ "$bytes" -ge 2000000 ]; then
  echo "libsquall_rt has $bytes bytes, stripped; at most 2000000"
  exit 1
fi
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if grep -vE '^(libc|libm|libpthread|libdl|libsodium|ld-linux[a-z0-9-]*)\.so' <<<"$needed"; then
  echo "libsquall_rt needs the libraries above; libc, libm, pthread and libsodium are all it may"
  exit 1
fi
shown=$(nm -D --defined-only "$library" | awk '{print $3}')
for name in squall_engine_open squall_context_run squall_engine_verify; do
  grep -qx "$name" <<<"$shown" || { echo "libsquall_rt lacks $name"; exit 1; }
done
if grep -vE '^(squall_|_init$|_fini$)' <<<"$shown"; then
  echo "libsquall_rt shows the names above"
  exit 1
fi
echo "libsquall_rt has $bytes bytes and needs" $needed
