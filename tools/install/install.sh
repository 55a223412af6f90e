#!/bin/bash
# install.sh [OPTION...]: installs what Bazel has built: bazel run //:install -- [OPTION...]
set -euo pipefail

usage() {
    cat <<'END'
usage: bazel run //:install -- [OPTION...]

Installs the library (archive and shared), the headers of all languages, the files for pkg-config
and CMake, and the tool with its manual page and completions. Prints each file.

  --prefix FOLDER      where to install (default: /usr/local)
  --destdir FOLDER     put FOLDER before each path: for packages
  --libdir FOLDER      folder of libraries (default: lib), relative to the prefix
  --mpi openmpi|mpich  the MPI of shmheap::mpi (default: openmpi where this machine has it)
  --help               print this text

Fortran needs gfortran and fypp, MPI needs Open MPI or MPICH; what is missing is left out and named.
END
}

prefix=/usr/local destdir= libdir=lib mpi=
while [ $# -gt 0 ]; do
    word=$1
    case $word in --*=*) set -- "${word%%=*}" "${word#*=}" "${@:2}" ;; esac
    case $1 in
        --help | -h) usage; exit 0 ;;
        --prefix | --destdir | --libdir | --mpi)
            [ $# -gt 1 ] || { echo "install: $1 needs a value" >&2; exit 2; }
            declare "${1#--}=$2"
            shift 2
            ;;
        *) echo "install: no such option: $1; see --help" >&2; exit 2 ;;
    esac
done
# Relative folders start where the user called bazel run.
here=${BUILD_WORKING_DIRECTORY:-$PWD}
[ -z "$destdir" ] || [[ $destdir = /* ]] || destdir=$here/$destdir
[[ $prefix = /* ]] || prefix=$here/$prefix
prefix=${prefix%/}

# Bazel has put all files into a folder: that of `bazel run`, or a test's own.
for folder in "$0".runfiles/*/ "$PWD"; do
    [ ! -e "$folder/c/include/shmheap.h" ] || break
done
cd "$folder"
[ -e c/include/shmheap.h ] || { echo "install: run me by bazel run //:install" >&2; exit 1; }
if [ -z "$mpi" ]; then
    mpi=openmpi
    [ -e mpi/libshmheap_mpi_openmpi.a ] || mpi=mpich
fi
case $mpi in openmpi | mpich) ;; *) echo "install: --mpi $mpi: openmpi or mpich" >&2; exit 2 ;; esac

root=$destdir$prefix
# put MODE FILE PLACE: installs the file as PLACE, below the prefix.
put() {
    install -D -m "$1" "$2" "$root/$3"
    echo "$prefix/$3"
}

# from_template FILE PLACE: fills a template that CMakeLists.txt fills by configure_file.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=$(sed -n 's/^#define SHMHEAP_VERSION //p' c/include/shmheap.h)
version=$((number / 10000)).$((number / 100 % 100)).$((number % 100))
# Relative to the .pc file's own folder, as there.
pc_prefix=$prefix
[ "$prefix" = /usr ] || pc_prefix="\${pcfiledir}/../$(sed 's,[^/][^/]*,..,g' <<< "$libdir")"
from_template() {
    sed -e "s,@SHMHEAP_PC_PREFIX@,$pc_prefix,; s,@SHMHEAP_PC_LIBDIR@,\${prefix}/$libdir," \
        -e "s,@SHMHEAP_PC_INCLUDEDIR@,\${prefix}/include,; s,@PROJECT_VERSION@,$version,g" \
        "$1" > "$work/filled"
    put 644 "$work/filled" "$2"
}

put 644 c/libshmheap.a "$libdir/libshmheap.a"
soname=$(basename c/libshmheap.so.[0-9]*)
put 755 "c/$soname" "$libdir/$soname"
ln -sfn "$soname" "$root/$libdir/libshmheap.so"
echo "$prefix/$libdir/libshmheap.so"
for file in c/include/*.h cpp/*.hpp; do put 644 "$file" "include/$(basename "$file")"; done
for file in cpp/shmheap/*.hpp; do put 644 "$file" "include/shmheap/$(basename "$file")"; done
# In a folder that only the programs search that want them: the headers have Umpire's own names.
for file in $(cd cpp/umpire_headers && find -L umpire -name '*.hpp' | LC_ALL=C sort); do
    put 644 "cpp/umpire_headers/$file" "include/shmheap_umpire/$file"
done
pc=(shmheap shmheap-cpp)

# modules FOLDER: Fortran's .mod files.
modules() {
    local file
    for file in "$1"/*.mod; do put 644 "$file" "include/shmheap/fortran/$(basename "$file")"; done
}
if [ -e fortran/libshmem_heap.a ]; then
    put 644 fortran/libshmem_heap.a "$libdir/libshmem_heap.a"
    put 644 fortran/c/libshmem_heap_c.a "$libdir/libshmem_heap_c.a"
    put 644 fortran/c/ShmemHeap.h include/ShmemHeap.h
    put 644 fortran/c/io-server/shmem_heap.h include/io-server/shmem_heap.h
    modules fortran/shmem_heap.mod
    pc+=(shmheap-fortran)
else
    echo "install: without Fortran: this machine lacks gfortran or fypp" >&2
fi
if [ -e "mpi/libshmheap_mpi_$mpi.a" ]; then
    put 644 "mpi/libshmheap_mpi_$mpi.a" "$libdir/libshmheap_mpi.a"
    put 644 mpi/shmheap_mpi.h include/shmheap_mpi.h
    pc+=(shmheap-mpi)
    if [ -e mpi/fortran/libshmheap_mpi.a ]; then
        put 644 mpi/fortran/libshmheap_mpi.a "$libdir/libshmheap_mpi_fortran.a"
        modules mpi/fortran/shmheap_mpi.mod
        pc+=(shmheap-mpi-fortran)
    fi
else
    echo "install: without MPI: this machine lacks $mpi" >&2
fi

put 755 tools/bin/shmheap bin/shmheap
for name in recorder runner; do # where the tool looks for them
    put 755 "tools/$name/lib$name.so" "lib/shmheap/lib$name.so"
done
tools/install/pages tools/bin/shmheap "$work"
put 644 "$work/shmheap.1" share/man/man1/shmheap.1
put 644 "$work/shmheap.bash" share/bash-completion/completions/shmheap
put 644 "$work/_shmheap" share/zsh/site-functions/_shmheap
put 644 "$work/shmheap.fish" share/fish/vendor_completions.d/shmheap.fish

for name in "${pc[@]}"; do
    from_template "packaging/pkgconfig/$name.pc.in" "$libdir/pkgconfig/$name.pc"
done
sed "s,@SOVERSION@,${soname##*.}," "packaging/cmake/shmheapTargets.cmake.in" \
    > "$work/targets"
put 644 "$work/targets" "$libdir/cmake/shmheap/shmheapTargets.cmake"
# The macro that CMake's own installation writes in place of @PACKAGE_INIT@.
sed '/^@PACKAGE_INIT@$/c\
macro(check_required_components name)\
    foreach(component ${${name}_FIND_COMPONENTS})\
        if(NOT ${name}_${component}_FOUND AND ${name}_FIND_REQUIRED_${component})\
            set(${name}_FOUND FALSE)\
        endif()\
    endforeach()\
endmacro()' "packaging/cmake/shmheapConfig.cmake.in" > "$work/config"
put 644 "$work/config" "$libdir/cmake/shmheap/shmheapConfig.cmake"
cat > "$work/version" <<END
# The same minor version, as CMake's SameMinorVersion.
set(PACKAGE_VERSION "$version")
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if("\${PACKAGE_FIND_VERSION_MAJOR}.\${PACKAGE_FIND_VERSION_MINOR}" STREQUAL "${version%.*}"
        AND NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
    if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
endif()
END
put 644 "$work/version" "$libdir/cmake/shmheap/shmheapConfigVersion.cmake"
