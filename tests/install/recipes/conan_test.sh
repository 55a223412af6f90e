#!/bin/bash
# conan_test.sh: conan create builds the archive and the shared library, and runs test_package.
. tests/install/lib.sh
need cc c++ cmake conan
. tests/support/unoptimised.sh
unoptimised "$here/compilers"
export CONAN_HOME=$here/conan
# Conan writes only into its own folder; the sources are a copy, without Bazel's links.
mkdir "$here/tree"
cp -rL CMakeLists.txt LICENSE c cpp packaging "$here/tree"
quiet conan profile detect
for shared in False True; do
    quiet conan create "$here/tree/packaging/conan" -o "shmheap/*:shared=$shared" \
        -c tools.cmake.cmake_layout:test_folder="$here/test"
    [ "$(grep -c '^two processes' "$here/log")" = 2 ] || { tail "$here/log"; exit 1; }
    echo "conan create with shared=$shared: two programs ran"
done
