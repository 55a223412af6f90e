# unoptimised.sh: compilers that do not optimise. Tests source it that build the core another time,
# to show how it is built, installed or used: gcc compiles the core in 1.7 s instead of 6.2 s. The
# other tests of the plain build test what -O2 makes of it.

# unoptimised FOLDER: makes the folder, and puts it first in PATH. It has the compilers of this
# machine, with -O0 as the last option. f95: CMake takes it before gfortran. -U: without -O2,
# _FORTIFY_SOURCE is nothing but a warning.
unoptimised() {
    local name real
    mkdir -p "$1"
    for name in cc gcc c++ g++ gfortran f95; do
        real=$(command -v "$name") || continue
        printf '#!/bin/sh\nexec %s "$@" -O0 -U_FORTIFY_SOURCE\n' "$real" >"$1/$name"
        chmod +x "$1/$name"
    done
    PATH=$1:$PATH
}
