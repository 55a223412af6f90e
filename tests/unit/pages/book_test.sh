#!/bin/bash
# book_test.sh [RUSTC]: the book of the pages is built without a warning, all of its links and
# anchors lead somewhere, every page of docs/ is in its navigation, and the references have every
# call of the header and the crate's types. Links to other hosts are not followed.
set -u
command -v mkdocs >/dev/null || { echo "skipped: there is no mkdocs"; exit 0; }
python3 -c 'import sys; from importlib.metadata import entry_points as found
sys.exit(not any(e.name == "material" for e in found(group="mkdocs.themes")))' ||
    [ -d /usr/share/mkdocs/themes/material ] ||
    { echo "skipped: there is no mkdocs-material"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/book.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ "${1:-none}" = none ] || export RUSTC=$1
export HOME=$work LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
# A copy: MkDocs follows the links of the sandbox to other folders.
mkdir "$work/tree"
tar -ch --exclude='./external' --exclude='./bazel-*' . | tar -x -C "$work/tree"
cd "$work/tree" || exit 1
mkdocs build --strict --site-dir "$work/book" >"$work/said" 2>&1 ||
    { cat "$work/said"; echo "FAIL: mkdocs build --strict"; exit 1; }
failures=0
for page in docs/*.md docs/*/*.md; do
    grep -qE "(: |- )$page\$" mkdocs.yml ||
        { echo "FAIL: $page is not in the navigation"; failures=1; }
done
calls=$(sed -nE 's/^SHMHEAP_API [^(]*(shmheap_[a-z_]+)\(.*/\1/p' c/include/shmheap.h)
[ "$(wc -w <<<"$calls")" -gt 40 ] || { echo "FAIL: the header's calls: $calls"; failures=1; }
for call in $calls; do
    grep -q "<h3 id=\"$call\"" "$work/book/reference/index.html" ||
        { echo "FAIL: the reference lacks $call"; failures=1; }
done
names='set_default_heap set_alloc_timeout'
for module in fortran/shmem_heap.fypp fortran/block_meta.f90; do
    names+=" $(sed -nE 's/^ +procedure, (nopass, )?public :: (.*)/\2/p' $module |
        tr -d ',&' | sed -E 's/[^ ]*(tag|=>)[^ ]*//g')"
done
[ "$(wc -w <<<"$names")" -gt 30 ] || { echo "FAIL: the procedures of Fortran: $names"; failures=1; }
for name in $names; do
    grep -q "<h3 id=\"$name" "$work/book/fortran-reference/index.html" ||
        { echo "FAIL: the reference of Fortran lacks $name"; failures=1; }
done
if [ -n "${RUSTC-}" ]; then
    for page in index struct.Heap struct.ShmBox struct.UntrustedHeap trait.Shm derive.Shm; do
        [ -f "$work/book/rustdoc/shmheap/$page.html" ] ||
            { echo "FAIL: the reference of the crate lacks $page"; failures=1; }
    done
else
    echo "no Rust: the book was made without the reference of the crate"
fi
links=tests/unit/pages/links.py
checked=$(python3 $links "$work/book") || { echo "$checked"; failures=1; }
# The check notices a broken link and a broken anchor.
sed -i '0,/<p>/s//<p><a href="nowhere\/">x<\/a><a href="tutorial\/#nowhere">y<\/a>/' \
    "$work/book/index.html"
said=$(python3 $links "$work/book") && { echo "FAIL: broken links pass"; failures=1; }
[ "$(grep -c 'nowhere' <<<"$said")" = 2 ] || { echo "FAIL: faults: $said"; failures=1; }
[ "$failures" = 0 ] && echo "passed: $(tail -n 1 <<<"$checked")"
