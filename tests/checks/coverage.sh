# The unit tests and the replays of the fuzz seeds reach 80 % of the lines of src/nn and src/wx.
# The reports by file are build/coverage/report-nn.txt and report-wx.txt. The reference networks (test_workloads) are left
# out: counted line by line they take longer than all other tests, which reach more than 95 % without them.
set -euo pipefail
cd "$SQUALL_SOURCE"
command -v gcovr >/dev/null || { echo "skipped: gcovr is needed (Debian's package of that name)"; exit 77; }
[ "$(basename "$SQUALL_CC")" != clang ] || { echo "skipped: the coverage preset is gcc's"; exit 77; }
build=build/coverage
cmake --preset coverage >/dev/null
cmake --build $build >$build/build.txt 2>&1 || { tail -40 $build/build.txt; exit 1; }
find $build -name '*.gcda' -delete
ctest --test-dir $build --output-on-failure -j "$(nproc)" -E '^check_|^test_workloads' >$build/tests.txt 2>&1 || { tail -40 $build/tests.txt; exit 1; }
lines=80
# cpu_simd*.h are left out: they have each function once for each instruction set, on other lines, which gcovr 5 does not take.
for street in nn wx; do
  gcovr --root . --filter "src/$street/" --exclude 'src/nn/cpu/cpu_simd.*' --object-directory $build --print-summary \
    --txt $build/report-$street.txt --fail-under-line $lines $build/src >$build/summary-$street.txt ||
    { cat $build/report-$street.txt; echo "src/$street: less than $lines % of the lines are tested"; exit 1; }
  echo "src/$street: $(grep '^lines:' $build/summary-$street.txt)"
done
