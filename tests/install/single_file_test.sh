#!/bin/bash
# single_file_test.sh: tools/single_file writes two files that a program needs; gcc and clang
# compile them without a warning.
. tests/install/lib.sh
need cc

# c/shmheap.c has each file of the core, once.
diff <(cd c && printf '%s\n' src/*/*.c | LC_ALL=C sort) \
    <(sed -n 's/^#include "\(src.*\)"$/\1/p' c/shmheap.c | LC_ALL=C sort) ||
    { echo "c/shmheap.c lacks files of c/src (<), or has some that are not there (>)"; exit 1; }

copied "$here/program"
tools/single_file "$here/program"
cd "$here/program"
[ "$(grep -c '^#include "' shmheap.c)" = "$(grep -c '^#include "shmheap.h"$' shmheap.c)" ] ||
    { echo "shmheap.c includes more than shmheap.h"; exit 1; }
warnings=(-Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes
    -Wmissing-prototypes)
tried=0
# //c:libshmheap.so is made of c/shmheap.c, without a warning at -O2.
for compiler in gcc clang; do
    command -v "$compiler" > /dev/null || continue
    quiet "$compiler" -std=c99 "${warnings[@]}" -I. -c shmheap.c -o shmheap.o
    quiet "$compiler" -std=c99 "${warnings[@]}" -D_GNU_SOURCE -I. greet.c shmheap.o \
        -o "greet_$compiler"
    shares "./greet_$compiler"
    SHMHEAP_SIMD=portable shares "./greet_$compiler"
    tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo "neither gcc nor clang"; exit 1; }

# One line, no other flag, as docs/install.md has it.
sed -i 's/<shmheap.h>/"shmheap.h"/' greet.c
quiet cc -O1 greet.c shmheap.c -o greet
shares ./greet
