#!/bin/bash
# without_bazel_test.sh PAGE: builds and runs programs as PAGE says, by its Makefile and its CMakeLists.txt. What this machine lacks
# for one of them is said, and that one is skipped.
set -eu
page=$(readlink -f "$1") repository=$PWD
here=$(mktemp -d)
name=shmheap-fortran-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$here" "/dev/shm/$name"' EXIT
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp} LC_ALL=C.UTF-8

block() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$page" | sed '1d;$d'; }
folder() {
    mkdir -p "$here/$1"
    cd "$here/$1"
    ln -s "$repository" shmheap
    cp shmheap/fortran/examples/arrays.f90 program.f90
    cp shmheap/fortran/examples/context.f90 server.f90
}
tried=0

if command -v make > /dev/null; then
    folder make
    block make > Makefile
    make -s -j2 program
    ./program "/$name"
    tried=$((tried + 1))
    if command -v mpifort > /dev/null; then
        make -s server
    else
        echo "skipped: make server (there is no mpifort)"
    fi
else
    echo "skipped: the Makefile (there is no make)"
fi
if command -v cmake > /dev/null; then
    folder cmake
    block cmake > CMakeLists.txt
    cmake -S . -B build > log || { cat log; exit 1; }
    cmake --build build -j 2 > log || { cat log; exit 1; }
    build/program "/$name"
    tried=$((tried + 1))
else
    echo "skipped: CMakeLists.txt (there is no cmake)"
fi
echo "$tried of 2 ways tried"
