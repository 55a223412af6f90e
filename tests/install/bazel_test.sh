#!/bin/bash
# bazel_test.sh INSTALL: what //:install installs serves users of pkg-config and of CMake.
. tests/install/lib.sh
need cc c++ pkg-config
quiet "$1" --prefix "$here/usr" --destdir "$here/stage"
[ ! -e "$here/usr" ] || { echo "--destdir is not respected"; exit 1; }
[ "$(cd "$here/stage$here/usr" && find . | wc -l)" -gt 40 ] || { find "$here"; exit 1; }
# An installed folder can be moved.
mv "$here/stage$here/usr" "$here/moved"
by_pkg_config "$here/moved"
"$here/moved/bin/shmheap" --version
# It finds its recorder, and its runner, which says nothing but the heap's name.
(cd "$here" && quiet moved/bin/shmheap record -o t.trace -- ls /)
[ "$("$here/moved/bin/shmheap" run -- ls / 2>&1 >/dev/null | wc -l)" = 1 ]
grep -q 'complete .*shmheap' "$here/moved/share/bash-completion/completions/shmheap"
grep -q 'shmheap replay' "$here/moved/share/man/man1/shmheap.1"
need cmake
by_find_package "$here/moved"
by_find_package "$here/moved" -Dshmheap_USE_STATIC_LIBS=ON
