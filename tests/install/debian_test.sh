#!/bin/bash
# debian_test.sh: the Debian package builds; its files, unpacked in an empty folder, serve a
# program.
. tests/install/lib.sh
need cc dpkg-buildpackage dh cmake ninja fypp gfortran
. tests/support/unoptimised.sh
unoptimised "$here/compilers"
mkdir -p "$here/shmheap-0.1.0"
cp -rL CMakeLists.txt LICENSE c cpp fortran mpi tools tests packaging "$here/shmheap-0.1.0"
cd "$here/shmheap-0.1.0"
cp -r packaging/debian debian
DEB_BUILD_OPTIONS='nocheck parallel=2' quiet dpkg-buildpackage -us -uc -b
cd ..
for file in *.deb; do
    echo "$file"
    dpkg-deb -x "$file" root
done
lib=$(dirname "$(ls root/usr/lib/*/libshmheap.so)")
copied pc
quiet cc -O2 -std=c99 -Iroot/usr/include pc/greet.c -L"$lib" -lshmheap -o pc/greet
LD_LIBRARY_PATH=$lib shares pc/greet
root/usr/bin/shmheap --version
