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
