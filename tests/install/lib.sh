# lib.sh: what the tests of the install routes share. They source it and run in the folder of the
# repository's files; each builds in an empty folder outside of it: $here.
set -euo pipefail
repository=$PWD
here=$(mktemp -d /tmp/shmheap-install.XXXXXX)
trap 'rm -rf "$here"' EXIT
trap 'exit 143' TERM
export HOME=$here LC_ALL=C.UTF-8

# need PROGRAM...: ends the test as skipped where one of them is missing.
need() {
    local program
    for program; do
        command -v "$program" > /dev/null || { echo "skipped: there is no $program"; exit 0; }
    done
}

# quiet COMMAND...: prints what it says only if it fails.
quiet() { "$@" > "$here/log" 2>&1 || { cat "$here/log"; echo "failed: $*"; exit 1; }; }

# shares PROGRAM: runs it; it starts its second process itself.
shares() {
    local name
    name=/install-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
    quiet "$1" "$name"
    rm -f "/dev/shm$name"
    echo "ran: $1"
}

# ranks PROGRAM: two ranks share a heap. Open MPI 4 and 5 start no two on one processor, and none
# for root, unless they are told to.
ranks() (
    command -v mpirun > /dev/null || { echo "skipped: running $1 (there is no mpirun)"; return; }
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=$here
    export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
    name=/install-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
    quiet timeout 120 mpirun -n 2 "$1" "$name"
    for rank in 0 1; do
        grep -q "rank $rank of 2: sum" "$here/log" ||
            { cat "$here/log"; echo "no rank $rank"; exit 1; }
    done
    [ ! -e "/dev/shm$name" ] || { echo "$1 left its heap"; rm -f "/dev/shm$name"; exit 1; }
    echo "ran: $1, two ranks"
)

# copied FOLDER: the user's project, in a folder of its own.
copied() {
    mkdir -p "$1"
    cp "$repository"/tests/install/consumer/* "$repository/fortran/examples/two_programs.f90" \
        "$repository"/mpi/examples/{table.c,field.f90} "$1"
}

# versioned FOLDER PROGRAM: the file of the library has its soname as name, the linker's name is a
# link to it, and the program requests of the loader the soname.
versioned() {
    local soname
    soname=$(readelf -d "$1/libshmheap.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
    [[ $soname =~ ^libshmheap\.so\.[0-9]+$ ]] || { echo "soname: $soname"; exit 1; }
    [ "$(readlink "$1/libshmheap.so")" = "$soname" ] && [ ! -L "$1/$soname" ] ||
        { ls -l "$1"; exit 1; }
    readelf -d "$2" | grep -q "(NEEDED).*\[$soname\]" || { readelf -d "$2"; exit 1; }
}

# by_pkg_config PREFIX: compiles the programs with what pkg-config says, and runs them.
by_pkg_config() {
    export PKG_CONFIG_PATH=$1/lib/pkgconfig LD_LIBRARY_PATH=$1/lib
    copied "$here/pc"
    cd "$here/pc"
    # Words are split: no flag contains a blank.
    # shellcheck disable=SC2046
    quiet cc -O2 -std=c99 greet.c -o greet $(pkg-config --cflags --libs shmheap)
    shares ./greet
    versioned "$1/lib" ./greet
    # shellcheck disable=SC2046
    quiet cc -O2 -std=c99 greet.c -o greet_static $(pkg-config --cflags shmheap) \
        -Wl,-Bstatic $(pkg-config --libs shmheap) -Wl,-Bdynamic -lpthread -lrt
    LD_LIBRARY_PATH='' shares ./greet_static
    # shellcheck disable=SC2046
    quiet c++ -O2 -std=c++17 prices.cpp -o prices $(pkg-config --cflags --libs shmheap-cpp)
    shares ./prices
    if pkg-config --exists shmheap-fortran && command -v gfortran > /dev/null; then
        # shellcheck disable=SC2046
        quiet gfortran -O2 two_programs.f90 -o two_programs \
            $(pkg-config --cflags --libs shmheap-fortran)
        shares ./two_programs
    fi
    mpi_by_pkg_config
    unset PKG_CONFIG_PATH LD_LIBRARY_PATH
    cd "$repository"
}

mpi_by_pkg_config() {
    if pkg-config --exists shmheap-mpi && command -v mpicc > /dev/null; then
        # shellcheck disable=SC2046
        quiet mpicc -O2 -std=c99 table.c -o table $(pkg-config --cflags --libs shmheap-mpi)
        ranks ./table
    fi
    if pkg-config --exists shmheap-mpi-fortran && command -v mpifort > /dev/null; then
        # shellcheck disable=SC2046
        quiet mpifort -O2 field.f90 -o field $(pkg-config --cflags --libs shmheap-mpi-fortran)
        ranks ./field
    fi
}

# by_find_package PREFIX [OPTION...]: builds the user's CMake project, and runs its programs.
by_find_package() {
    copied "$here/find"
    quiet cmake -S "$here/find" -B "$here/find/build" -DCMAKE_PREFIX_PATH="$1" "${@:2}"
    quiet cmake --build "$here/find/build" -j 2
    shares "$here/find/build/greet"
    shares "$here/find/build/prices"
    [ ! -e "$here/find/build/two_programs" ] || shares "$here/find/build/two_programs"
    for program in table field; do
        [ ! -e "$here/find/build/$program" ] || ranks "$here/find/build/$program"
    done
    rm -rf "$here/find"
}
