#!/bin/bash
# A program written for Umpire includes mpi.h after Umpire's headers and is compiled without an MPI:
# the compiler says that mpi.h is missing. A program without that #include compiles.
set -uo pipefail

tried=0
for compiler in g++ clang++; do
    command -v "$compiler" > /dev/null || { echo "skipped: $compiler (not in PATH)"; continue; }
    if echo '#include <mpi.h>' | "$compiler" -x c++ -fsyntax-only - 2> /dev/null; then
        echo "skipped: $compiler (it finds mpi.h by itself)"
        continue
    fi
    compile() {
        "$compiler" -std=c++17 -fsyntax-only -Icpp/umpire_headers -Ic/include -x c++ - 2>&1
    }
    for header in '"mpi.h"' '<mpi.h>'; do
        words=$(printf '%s\n' '#include "umpire/Umpire.hpp"' "#include $header" \
            'int main() { MPI_Init(nullptr, nullptr); }' | compile)
        [ $? != 0 ] || { echo "$compiler, $header: compiles"; exit 1; }
        grep -q "mpi.h: No such file\|'mpi.h' file not found" <<< "$words" ||
            { echo "$compiler, $header: does not say that mpi.h is missing: $words"; exit 1; }
    done
    words=$(printf '%s\n' '#include "umpire/Umpire.hpp"' '#ifdef UMPIRE_ENABLE_MPI' '#error MPI' \
        '#endif' 'int main() {}' | compile) ||
        { echo "$compiler: does not compile without MPI: $words"; exit 1; }
    tried=$((tried + 1))
done
echo "$tried compilers tried"
