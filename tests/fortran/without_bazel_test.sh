#!/bin/bash
# without_bazel_test.sh PAGE: builds and runs programs as PAGE says, by its Makefile and its
# CMakeLists.txt. A part for which this machine lacks a program is skipped, and says so.
set -eu
page=$(readlink -f "$1") repository=$PWD
here=$(mktemp -d)
name=shmheap-fortran-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$here" "/dev/shm/$name"' EXIT
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp} LC_ALL=C.UTF-8
. tests/support/unoptimised.sh
unoptimised "$here/compilers"

# All blocks of that kind, one after the other.
block() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$page" | grep -v '^```'; }
folder() {
    mkdir -p "$here/$1"
    cd "$here/$1"
    ln -s "$repository" shmheap
    cp shmheap/fortran/examples/arrays.f90 program.f90
    block fortran > server.f90
    grep -q MPI_Init server.f90 || { echo "the page has no program for IO servers"; exit 1; }
    cat > program.c << 'END'
#include <io-server/shmem_heap.h>

static heap_element memory[10000];

int main(void)
{
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory, sizeof memory);
    heap_element *block = ShmemHeap_alloc_block(heap, 100, 0);
    return block == NULL || Pointer_offset(memory, block, 8) <= 0 ||
           ShmemHeap_free_block(heap, block) != 0;
}
END
}
# ranks PROGRAM: two of them, on one processor or more, root or not; what they print goes to the
# file ranks.
ranks() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl=self,vader \
        mpirun -n 2 "$1" > ranks 2>&1
}
# serve PROGRAM: two ranks; each has found both heaps.
serve() {
    if ! command -v mpirun > /dev/null; then
        echo "skipped: running $1 (there is no mpirun)"
        return
    fi
    ranks "$1" || { cat ranks; exit 1; }
    [ "$(grep -c 'rank [01]: 2 heaps' ranks)" = 2 ] || { cat ranks; exit 1; }
}
# refuse PROGRAM WORDS: two ranks of it fail, with these words.
refuse() {
    if command -v mpirun > /dev/null; then
        ranks "$1" && { echo "$1 should fail"; exit 1; }
        grep -q "$2" ranks || { cat ranks; exit 1; }
    fi
}
tried=0

if command -v make > /dev/null; then
    folder make
    block make > Makefile
    make -s -j2 program
    ./program "/$name"
    cc -Ishmheap/fortran/c program.c libshmem_heap.a -lpthread -lrt -o c_program
    ./c_program
    tried=$((tried + 1))
    if command -v mpifort > /dev/null; then
        make -s server
        serve ./server
        sed -i 's/= 50.0 /= 9e8 /' server.f90
        make -s server
        words='the heaps of a node take 1800000010 MB of shared memory, and [0-9]* MB are available'
        refuse ./server "$words: ask for smaller heaps"
        [ ! -e ioserver_context_module.mod ] ||
            { echo "ioserver_context_module.mod lies among the heap's .mod files"; exit 1; }
    else
        echo "skipped: make server (there is no mpifort)"
    fi
else
    echo "skipped: the Makefile (there is no make)"
fi
if command -v cmake > /dev/null; then
    folder cmake
    if command -v mpifort > /dev/null; then
        block cmake > CMakeLists.txt
    else
        echo "skipped: CMakeLists.txt's part for ioserver_context_module (there is no mpifort)"
        block cmake | sed '/find_package(MPI/,$d' > CMakeLists.txt
    fi
    cmake -S . -B build > log || { cat log; exit 1; }
    cmake --build build -j 2 > log || { cat log; exit 1; }
    build/program "/$name"
    if [ -e build/server ]; then
        serve build/server
        [ ! -e build/ioserver_context_module.mod ] ||
            { echo "ioserver_context_module.mod lies among the heap's .mod files"; exit 1; }
    fi
    tried=$((tried + 1))
else
    echo "skipped: CMakeLists.txt (there is no cmake)"
fi
echo "$tried of 2 ways tried"
