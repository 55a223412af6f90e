#!/bin/bash
# vcpkg_test.sh: portfile.cmake, run by CMake with stand-ins for vcpkg's functions (vcpkg.cmake),
# builds the archive alone, and the shared library with the tool.
. tests/install/lib.sh
need cc cmake
. tests/support/unoptimised.sh
unoptimised "$here/compilers"
stand_ins=$repository/tests/install/recipes/vcpkg.cmake
SHMHEAP_SOURCE=$(readlink -f CMakeLists.txt | xargs dirname)
export SHMHEAP_SOURCE
port() {
    quiet cmake -DPORT="$repository/packaging/vcpkg" -DBUILD="$here/build-$1" \
        -DCURRENT_PACKAGES_DIR="$here/$1" -DVCPKG_LIBRARY_LINKAGE="$1" "${@:2}" -P "$stand_ins"
    for file in include/shmheap.h include/shmheap.hpp share/shmheap/shmheapConfig.cmake \
        share/shmheap/copyright lib/pkgconfig/shmheap.pc; do
        [ -e "$here/$1/$file" ] || { echo "$1: there is no $file"; exit 1; }
    done
}
port static
[ -e "$here/static/lib/libshmheap.a" ]
[ -z "$(find "$here/static" -name '*.so*')" ] || { find "$here/static"; exit 1; }
[ ! -e "$here/static/bin" ]
port dynamic -DFEATURES=tool
[ -e "$here/dynamic/lib/libshmheap.so" ] && [ ! -e "$here/dynamic/lib/libshmheap.a" ]
[ ! -e "$here/dynamic/bin" ] && [ ! -e "$here/dynamic/lib/shmheap" ]
# The moved tool finds its recorder.
(cd "$here" && quiet dynamic/tools/shmheap/shmheap record -o t.trace -- ls / && [ -s t.trace ])
echo "the port builds, with stand-ins for vcpkg"
