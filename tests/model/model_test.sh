#!/bin/bash
# model_test.sh MODEL SOURCE...: Spin looks at every order of steps of the model; its inlines are functions of these sources; each
# mutant of it is found. SHMHEAP_MODEL_ALL=1: also what takes minutes and a gigabyte.
set -euo pipefail
model=$(realpath "$1")
shift

if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
    echo "skipped: no spin, or no gcc to compile what it makes (tools/setup installs them)"
    exit 0
fi

fail() {
    echo "model_test: $*" >&2
    exit 1
}

# Names that are not the core's are those of the processor, the kernel, and what a call does.
outside=" drain load_word swap_if membarrier futex_wake enter change "
inlines=$(sed -n 's/^inline \([a-z_]*\)(.*/\1/p' "$model")
for name in $inlines; do
    [[ $outside == *" $name "* ]] || grep -q "\b$name(" "$@" || fail "$name is no function of $*"
done

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/model.XXXXXX")
trap 'rm -rf "$work"' EXIT

# search NAME DEFINITIONS...: the search is complete; its errors are in the file NAME.
search() {
    local name=$1
    shift
    mkdir "$work/$name.d"
    (
        cd "$work/$name.d"
        spin -a "$@" "$model" >spin.log || { cat spin.log; exit 1; }
        gcc -O2 -w -DSAFETY -DNOCLAIM -DCOLLAPSE -o pan pan.c
        ./pan -m100000 -w22
    ) >"$work/$name" 2>&1 || { cat "$work/$name"; fail "$*: no result"; }
    ! grep -q "max search depth too small" "$work/$name" || fail "$*: not searched to the end"
    rm -rf "$work/$name.d"
}

errors() { sed -n 's/.*errors: \([0-9]*\)$/\1/p' "$work/$1"; }

holds() {
    search holds "$@"
    [ "$(errors holds)" = 0 ] || { cat "$work/holds"; fail "$*: not true"; }
    echo "holds: $* ($(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/holds") states)"
}

found() {
    search found "$@"
    [ "$(errors found)" = 1 ] || fail "$*: nothing was found"
    echo "found: $* ($(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$work/found"))"
}

two="-DPROCESSES=2 -DROUNDS=2 -DDEATHS=1"
for as in -DWAKES_LOST=1 -DWAKES_LOST=0; do
    holds $two $as
    holds -DPROCESSES=2 -DROUNDS=3 -DDEATHS=0 $as
done
holds $two -DWAKES_LOST=1 -DKERNEL_MARKS=0
holds -DPROCESSES=2 -DROUNDS=1 -DDEATHS=2 -DWAKES_LOST=1
holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=0 -DWAKES_LOST=1
if [ "${SHMHEAP_MODEL_ALL:-0}" != 0 ]; then
    holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=0 -DWAKES_LOST=0
    holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=1 -DWAKES_LOST=1
    holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=1 -DWAKES_LOST=0
fi
for mutant in 1 2 3 4 5 6 7; do
    found $two -DWAKES_LOST=0 -DMUTANT=$mutant
done
