# arm64 by the cross compiler and qemu-user, where both and the libraries are there (tools/arm64_root.sh): the kernels on processors
# with and without dot and matrix products, libsquall_rt as an edge box installs it and static, and an engine of 8 bits that was built
# here: the same bits there. tools/arm64_test.sh runs everything.
set -euo pipefail
if ! command -v aarch64-linux-gnu-gcc qemu-aarch64-static >/dev/null || [ ! -e "$SQUALL_SOURCE/build/arm64-root/.packages" ]; then
  echo "no cross compiler, no qemu-user, or no libraries: see docs/edge.md"
  exit 77
fi
build=$SQUALL_SOURCE/build/arm64
root=$SQUALL_SOURCE/build/arm64-root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
as() { qemu-aarch64-static -L "$root" -cpu "$@"; }

cd "$SQUALL_SOURCE"
cmake --preset arm64 >/dev/null
cmake --build "$build" --target squall_rt squall_rt_shared test_cpu_quant test_cpu_conv test_base >"$work/log" 2>&1 || {
  tail -40 "$work/log"
  exit 1
}
for cpu in cortex-a72:neon neoverse-n1:neondot max:neoni8mm; do
  as "${cpu%:*}" "$build/tests/test_cpu_quant" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
  }
  grep -qx ".* runs on ${cpu#*:}" "$work/log" || {
    echo "$cpu: another kernel was taken"
    grep "runs on" "$work/log"
    exit 1
  }
done
SQUALL_CPU=c as max "$build/tests/test_cpu_quant" >/dev/null 2>&1
as cortex-a72 "$build/tests/test_cpu_conv" >/dev/null 2>&1
as max "$build/tests/test_base" >/dev/null 2>&1

needed=$(aarch64-linux-gnu-readelf -d "$build/src/libsquall_rt.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if grep -vE '^(libc|libm|libpthread|libdl|libsodium|ld-linux-aarch64)\.so' <<<"$needed"; then
  echo "libsquall_rt needs the libraries above for arm64; libc, libm, pthread and libsodium are all it may"
  exit 1
fi

# One program for both: it runs an engine on numbers of its own and prints what comes out, bit by bit.
cat >"$work/run.c" <<'C'
#include <stdio.h>
#include <string.h>
#include "squall/engine.h"
static int fail(const squall_error *err)
{
    fprintf(stderr, "%s: %s\n", err->where, err->text);
    return 1;
}
int main(int argc, char **argv)
{
    static float in[1 << 16], out[1 << 16];
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_engine_options options;
    squall_tensor x, y;
    squall_engine_options_init(&options);
    options.portable = argc > 2;
    if (squall_engine_open(argv[1], &options, &engine, NULL, &err) != SQUALL_OK ||
        squall_context_create(engine, 0, 2, &context, &err) != SQUALL_OK ||
        squall_context_input(context, 0, &x, &err) != SQUALL_OK ||
        squall_context_output(context, 0, &y, &err) != SQUALL_OK) {
        return fail(&err);
    }
    for (size_t i = 0; i < squall_tensor_count(&x); i++) {
        in[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    }
    x.data = in;
    y.data = out;
    if (squall_context_run(context, &x, 1, &y, 1, &err) != SQUALL_OK) {
        return fail(&err);
    }
    for (size_t i = 0; i < squall_tensor_count(&y); i++) {
        unsigned bits;
        memcpy(&bits, &out[i], sizeof bits);
        printf("%08x\n", bits);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    return 0;
}
C
release=$SQUALL_SOURCE/build/release/src
libsodium=$root/usr/lib/aarch64-linux-gnu/libsodium.a
"$SQUALL_CC" -O2 -std=c11 -Iinclude "$work/run.c" "$release/libsquall_rt.a" -lsodium -lpthread -lm -o "$work/here"
aarch64-linux-gnu-gcc --sysroot="$root" -O2 -std=c11 -Iinclude "$work/run.c" "$build/src/libsquall_rt.a" "$libsodium" -static \
  -lpthread -lm -o "$work/static" 2>"$work/log" || {
  cat "$work/log"
  exit 1
}
mkdir "$work/calibration"
python3 - "$work/calibration" <<'P'
import pathlib, struct, sys
for k in range(12):
    numbers = [((i * 2654435761 + k * 97) % 1000) / 500 - 1 for i in range(3 * 32 * 32)]
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 32, 32), }".ljust(117) + "\n"
    path = pathlib.Path(sys.argv[1]) / f"{k:02d}.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers))
P
"$release/squall" build tests/data/compile/small_unet.onnx --shape x=1x3x32x32 --precision int8 --calib "$work/calibration" \
  --threads 2 --out "$work/unet.sqe" >"$work/log"
grep -q "3 of 3 layers in int8" "$work/log" || {
  cat "$work/log"
  exit 1
}
"$work/here" "$work/unet.sqe" >"$work/want"
[ "$(sort -u "$work/want" | wc -l)" -gt 100 ]
"$work/here" "$work/unet.sqe" portable | cmp - "$work/want"
as max "$work/static" "$work/unet.sqe" | cmp - "$work/want"
as cortex-a72 "$work/static" "$work/unet.sqe" | cmp - "$work/want"
echo "a static arm64 program of $(stat -c %s "$work/static") bytes gives this machine's bits"
