#!/bin/bash
# meson_test.sh: a Meson project has the sources as a subproject; meson.build installs.
. tests/install/lib.sh
need cc c++ meson ninja pkg-config
. tests/support/unoptimised.sh
unoptimised "$here/compilers"
copied "$here/program"
mkdir -p "$here/program/subprojects"
ln -s "$repository" "$here/program/subprojects/shmheap"
cd "$here/program"
quiet meson setup build
quiet ninja -C build
shares build/greet
shares build/prices
