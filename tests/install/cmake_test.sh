#!/bin/bash
# cmake_test.sh: CMakeLists.txt builds, tests and installs; a project fetches the sources.
. tests/install/lib.sh
need cc c++ cmake pkg-config
. tests/support/unoptimised.sh
unoptimised "$here/compilers"
quiet cmake -S . -B "$here/build" -DCMAKE_INSTALL_PREFIX="$here/usr" -DCMAKE_INSTALL_LIBDIR=lib
quiet cmake --build "$here/build" -j 2
(cd "$here/build" && quiet ctest -j 2)
quiet cmake --install "$here/build"
# An installed folder can be moved.
mv "$here/usr" "$here/moved"
by_pkg_config "$here/moved"
by_find_package "$here/moved"
"$here/moved/bin/shmheap" --version
# The same files as //:install, but for the parts of which CMake composes its package.
if [ -n "${1-}" ]; then
    quiet "$1" --prefix "$here/bazel"
    list() { (cd "$1" && find . ! -type d | grep -v 'shmheapTargets-' | LC_ALL=C sort); }
    diff <(list "$here/bazel") <(list "$here/moved") ||
        { echo "Bazel installs <, CMake >"; exit 1; }
fi
# add_subdirectory, which FetchContent calls. The other languages are built where a project
# requests them.
by_find_package / -DSHMHEAP_SOURCE="$(readlink -f CMakeLists.txt | xargs dirname)" \
    -DSHMHEAP_FORTRAN=AUTO -DSHMHEAP_MPI=AUTO
