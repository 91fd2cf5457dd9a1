#!/bin/bash
# Write the engine that is kept of the engine format as it is now: tests/data/engine/format_N.sqe, with the key that signed
# it. It has every section that there is. One that is there already is never overwritten: it shows that engines of that
# format still open. Run it once when SQ_ENGINE_FORMAT goes up:
#
#     tests/expected/make_engine.sh build/release/src/squall
set -euo pipefail
squall=$(realpath "$1")
cd "$(dirname "$0")/../.."
format=$(sed -n 's/^#define SQ_ENGINE_FORMAT  *\([0-9]*\).*/\1/p' src/nn/plan/plan_internal.h)
out=tests/data/engine/format_$format
[ ! -e "$out.sqe" ] || { echo "$out.sqe is there already"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# AVX2: the device plan that most hosts can use; others run the portable one.
SQUALL_CPU=avx2 "$squall" build tests/data/compile/small_unet.onnx --threads 2 --recipe models/default/recipe.json \
  --profile x=1:1:4x3x6x4 --profile x=1:2:4x3x8x2 --out "$work/engine"
"$squall" keygen --comment "of an engine that is kept for a test" "$work/key"
"$squall" sign --key "$work/key.key" "$work/engine"
cp "$work/engine" "$out.sqe"
cp "$work/key.pub" "$out.pub"
