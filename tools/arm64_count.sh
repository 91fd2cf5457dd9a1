#!/usr/bin/env bash
# Instructions of one run of an engine on an arm64 processor, kernel by kernel, counted under qemu-user: of what three runs take, less one run, half.
# Usage: tools/arm64_count.sh ENGINE [CPU...]   after cmake --build build/arm64; needs qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."
engine=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -shared -fPIC -fvisibility=hidden tools/arm64_count.c -o "$work/count.so"
for cpu in "${@:-max}"; do
  for runs in 1 3; do
    qemu-aarch64 -L build/arm64-root -cpu "$cpu" -plugin "$work/count.so,out=$work/$runs" build/arm64/src/squall \
      bench "$engine" --threads 1 --runs "$runs" --warmup 0 >/dev/null
  done
  echo "$cpu: instructions of one run, thousands"
  awk 'NR == FNR { one[$1] = $2; next } { n = ($2 - one[$1]) / 2; all += n; if (n >= 500) printf "%12.0f  %s\n", n / 1000, $1 }
    END { printf "%12.0f  all\n", all / 1000 }' "$work/1" "$work/3" | sort -rn | head -20
done
