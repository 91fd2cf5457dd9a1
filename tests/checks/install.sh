# An installed squall can be used by pkg-config and by CMake's find_package.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$SQUALL_SOURCE/build/release" --prefix "$work/prefix" >/dev/null
"$work/prefix/bin/squall" --version | grep -q '^squall '
cat > "$work/main.c" <<'C'
#include <stdio.h>
#include <squall/compile.h>
#include <squall/nowcast.h>
int main(void)
{
    squall_nowcaster *nowcaster = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (squall_nowcaster_create(NULL, 1, &nowcaster, &err) != SQUALL_OK) {
        return 1;
    }
    squall_nowcaster_destroy(&nowcaster);
    puts(squall_status_name(SQUALL_OK));
    return 0;
}
C
libdir=$(find "$work/prefix" -name squall.pc -printf '%h\n' | head -1)
# The package files name the prefix they were configured for; a moved one is told to pkg-config.
flags=$(PKG_CONFIG_PATH=$libdir pkg-config --define-variable=prefix="$work/prefix" --cflags --libs squall)
# shellcheck disable=SC2086
"$SQUALL_CC" -std=c11 "$work/main.c" $flags -Wl,-rpath,"$(dirname "$libdir")" -o "$work/by-pkg-config"
[ "$("$work/by-pkg-config")" = SQUALL_OK ]
mkdir "$work/project"
cat > "$work/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(squall 0.1 REQUIRED)
add_executable(user ../main.c)
target_link_libraries(user PRIVATE squall::squall)
CMAKE
cmake -S "$work/project" -B "$work/project/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/project/build" >/dev/null
[ "$("$work/project/build/user")" = SQUALL_OK ]
echo "installed, found and linked both ways"
