# The examples compile against the installed library by pkg-config, as C and C++, without a warning, and run; what they
# give is the same.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$SQUALL_SOURCE/build/release" --prefix "$work/prefix" >/dev/null
libdir=$(dirname "$(find "$work/prefix" -name squall.pc)")
flags() { PKG_CONFIG_PATH=$libdir pkg-config --define-variable=prefix="$work/prefix" --cflags --libs "$1"; }
run_path=-Wl,-rpath,$(dirname "$libdir")
# fails CMD...: it must (a plain ! would not end this script)
fails() { if "$@"; then echo "must fail: $*"; exit 1; fi; }
cd "$SQUALL_SOURCE/examples"
# shellcheck disable=SC2046
"$SQUALL_CC" -std=c11 -Wall -Wextra -Wpedantic -Werror build_and_run.c $(flags squall) "$run_path" -o "$work/c"
# shellcheck disable=SC2046
g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror build_and_run.cpp $(flags squall) "$run_path" -o "$work/cpp"
# shellcheck disable=SC2046
"$SQUALL_CC" -std=c11 -Wall -Wextra -Wpedantic -Werror run_engine.c $(flags squall-rt) "$run_path" -o "$work/rt"
# What a small box has loaded is no compiler and no weather.
if ldd "$work/rt" | grep -E 'libsquall\.so|hdf5|netcdf|jansson|cairo'; then
  echo "run_engine needs the libraries above"
  exit 1
fi
model=$SQUALL_SOURCE/tests/data/cli/drift.onnx
"$work/c" "$model" "$work/c.engine" 1 5 32 48 >"$work/c.txt"
"$work/cpp" "$model" "$work/cpp.engine" 1 5 32 48 >"$work/cpp.txt"
cmp "$work/c.engine" "$work/cpp.engine"
for key in mine other; do "$work/prefix/bin/squall" keygen "$work/$key" >/dev/null; done
"$work/prefix/bin/squall" sign --key "$work/mine.key" "$work/c.engine" >/dev/null
"$work/rt" "$work/c.engine" "$work/mine.pub" >"$work/rt.txt"
cat "$work/c.txt"
for file in cpp rt; do
  diff <(grep '^sum of' "$work/c.txt") <(grep '^sum of' "$work/$file.txt")
done
grep -q 'batches 1 to 1' "$work/c.txt"
grep -q '^  Conv ' "$work/c.txt"
fails grep -q 'sum of the first output 0.000000' "$work/c.txt" # or all would agree about nothing
# Failures come with words and a code.
for program in c cpp; do
  fails "$work/$program" "$SQUALL_SOURCE/README.md" "$work/none.engine" 2>"$work/said.txt"
  grep -q 'SQUALL_E_FORMAT' "$work/said.txt"
done
fails "$work/rt" "$work/c.engine" "$work/other.pub" 2>"$work/said.txt"
grep -q 'SQUALL_E_SIGNATURE' "$work/said.txt"
echo "three examples"
