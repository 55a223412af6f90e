#!/bin/bash
# same_test.sh LIST...: CMakeLists.txt compiles what Bazel compiles, with its options, and so does
# meson.build; all builds and packages state one version and one soname. LIST: the sources of
# Bazel's targets.
. tests/install/lib.sh
failed=0
expect() {
    [ "$2" = "$3" ] || { echo "$1: \"$2\", and should be \"$3\""; failed=1; }
}
number=$(sed -n 's/^#define SHMHEAP_VERSION //p' c/include/shmheap.h)
version=$((number / 10000)).$((number / 100 % 100)).$((number % 100))
soname=$(sed -n 's/^SONAME = "libshmheap.so.\(.*\)"$/\1/p' c/BUILD)
expect CMakeLists.txt "$(sed -n 's/^set(SHMHEAP_SOVERSION \([0-9]*\)).*/\1/p' CMakeLists.txt)" \
    "$soname"
expect meson.build "$(sed -n "s/^  version: '\(.*\..*\)',$/\1/p" meson.build)" "$version"
expect meson.build "$(sed -n "s/^  soversion: '\(.*\)',$/\1/p" meson.build)" "$soname"
cd packaging
expect debian/changelog "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" "$version"
expect debian/control "$(sed -n 's/^Package: libshmheap\([0-9]*\)$/\1/p' debian/control)" "$soname"
expect vcpkg.json "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' vcpkg/vcpkg.json)" "$version"
expect conanfile.py "$(sed -n 's/^    version = "\(.*\)"$/\1/p' conan/conanfile.py)" "$version"
expect package.py "$(sed -n 's/^    version("\([^"]*\)".*/\1/p' spack/package.py)" "$version"
cd ..

# Options of the core: those of c/copts.bzl and c/BUILD.
for word in -std=c99 -D_GNU_SOURCE -fvisibility=hidden -O2; do
    grep -qe "\"$word\"" c/copts.bzl c/BUILD || expect "c/copts.bzl, c/BUILD" "without $word" with
done
for word in -D_GNU_SOURCE -fvisibility=hidden -O2; do
    grep -qe "'$word'" meson.build || expect meson.build "without $word" with
done
[ "$failed" = 0 ] || exit 1

need cmake
quiet cmake -S . -B "$here/build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DSHMHEAP_TESTS=OFF
root=$(readlink -f CMakeLists.txt | xargs dirname)
grep -o '"command": "[^"]*' "$here/build/compile_commands.json" > "$here/commands"
for word in -std=c99 -D_GNU_SOURCE -fvisibility=hidden -O2; do
    [ "$(grep 'shmheap_objects' "$here/commands" | grep -vce " $word ")" = 0 ] ||
        expect CMakeLists.txt "a file of the core without $word" with
done
# Bazel's labels as paths. A language that this machine lacks is left out by both.
cat "$@" | sed -n 's,^//\([^:]*\):\(.*\.c\)$,\1/\2,p' | LC_ALL=C sort -u > "$here/bazel"
sed -n 's,^ *"file": "\(.*\.c\)".*,\1,p' "$here/build/compile_commands.json" |
    sed "s,^$root/,,; s,^$repository/,," | LC_ALL=C sort -u > "$here/cmake"
[ "$(wc -l < "$here/bazel")" -gt 80 ] || expect "Bazel's sources" "$(wc -l < "$here/bazel")" many
diff "$here/bazel" "$here/cmake" || { echo "Bazel compiles <, CMake >"; failed=1; }
[ "$failed" = 0 ] && echo "the builds agree: $version, libshmheap.so.$soname"
