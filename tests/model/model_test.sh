#!/bin/bash
# model_test.sh MODEL SOURCE...: Spin tries every order of steps of the model; its inlines are
# functions of the sources; each mutant of it is found. SHMHEAP_TEST_ALL=1, as tools/matrix sets
# it: also the large searches, of three processes and three rounds, and more of two, which take
# minutes and a gigabyte.
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
# NAME_at is a turn of the loop in NAME.
outside=" drain load_word compare_exchange membarrier futex_wake enter change given some_object "
outside+="fate_of_held slots_clear end_of "
included=$(sed -n 's/^#include "\([a-z]*\.pml\)".*/\1/p' "$model")
texts=("$model" ${included:+"$(dirname "$model")/$included"})
inlines=$(sed -n 's/^inline \([a-z_]*\)(.*/\1/p' "${texts[@]}")
[ -n "$inlines" ] || fail "no inline in ${texts[*]}"
for name in $inlines; do
    [[ $outside == *" $name "* ]] || grep -q "\b${name%_at}(" "$@" ||
        fail "$name is no function of $*"
done
constants=$(sed -n 's/^#define \(\(SLOT\|STATE\|LOCK\|FUTEX\)_[A-Z_]*\) [0-9].*/\1/p' "${texts[@]}")
for name in $constants; do
    grep -q "\b\(SHMHEAP_\)\?$name\b" "$@" || fail "$name is no constant of $*"
done

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/model.XXXXXX")
trap 'rm -rf "$work"' EXIT

all=${SHMHEAP_TEST_ALL:-0}
# Small searches take less time than the compiler, at -O1 those of claim.pml; and there is room for
# whole states.
level=1 states=()
[[ $model != */claim.pml ]] || level=0
[ "$all" = 0 ] || level=2 states=(-DCOLLAPSE)

# search NAME LEVEL DEFINITIONS...: the search, compiled at -O LEVEL, is complete; its errors are in
# the file NAME.
search() {
    local name=$1 level=$2
    shift 2
    mkdir "$work/$name.d"
    (
        cd "$work/$name.d"
        spin -a "$@" "$model" >spin.log || { cat spin.log; exit 1; }
        gcc "-O$level" -w -DSAFETY -DNOCLAIM ${states[@]+"${states[@]}"} -DMEMLIM=2000 -o pan pan.c
        ./pan -m100000 -w22
    ) >"$work/$name" 2>&1 || { cat "$work/$name"; fail "$*: no result"; }
    ! grep -q "max search depth too small\|out of memory\|reached -DMEMLIM" "$work/$name" ||
        fail "$*: not searched to the end"
    rm -rf "$work/$name.d"
}

errors() { sed -n 's/.*errors: \([0-9]*\)$/\1/p' "$work/$1"; }

holds() {
    search holds "$level" "$@"
    [ "$(errors holds)" = 0 ] || { cat "$work/holds"; fail "$*: not true"; }
    echo "holds: $* ($(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/holds") states)"
}

found() {
    search found 0 "$@" # compiling takes longer than finding it
    [ "$(errors found)" = 1 ] || fail "$*: nothing was found"
    echo "found: $* ($(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$work/found"))"
}

lock_model() {
    local two="-DPROCESSES=2 -DROUNDS=2 -DDEATHS=1" as mutant
    holds $two -DWAKES_LOST=0
    holds -DPROCESSES=2 -DROUNDS=1 -DDEATHS=2 -DWAKES_LOST=1
    if [ "$all" != 0 ]; then
        holds $two -DWAKES_LOST=1
        holds $two -DWAKES_LOST=1 -DKERNEL_MARKS=0
        for as in -DWAKES_LOST=1 -DWAKES_LOST=0; do
            holds -DPROCESSES=2 -DROUNDS=3 -DDEATHS=0 $as
        done
        holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=0 -DWAKES_LOST=1 -DSTARVING=0
        holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=0 -DWAKES_LOST=0 -DSTARVING=0
        holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=1 -DWAKES_LOST=1 -DSTARVING=0
        holds -DPROCESSES=3 -DROUNDS=1 -DDEATHS=1 -DWAKES_LOST=0 -DSTARVING=0
    fi
    for mutant in 1 2 3 4 5 6 7 8 9; do
        found $two -DWAKES_LOST=0 -DMUTANT=$mutant
    done
}

# What a process may do, by default 31, the sum of: 1 receive, 2 send, 4 alloc, 8 free, 16 reap; 32:
# share.
claim_model() {
    local newcomers="-DPROCESSES=2 -DROUNDS=2 -DCALLS=1" as
    local claims="-DPROCESSES=2 -DCALLS=2 -DDOES_0=63 -DDOES_1=63"
    local short="-DPROCESSES=3 -DSLOTS=1 -DCALLS=1"
    local reaper="-DPROCESSES=3 -DCALLS=1 -DDOES_0=16 -DDOES_1=3 -DDOES_2=3"
    local bounced="-DPROCESSES=2 -DCALLS=4 -DDEATHS=0 -DDOES_0=15 -DDOES_1=15"
    holds $newcomers -DIN_MEMORY=1
    holds $claims -DIN_MEMORY=0
    holds $bounced
    holds -DPROCESSES=2 -DOBJECTS=2 -DCALLS=2 -DDOES_0=19 -DDOES_1=7
    if [ "$all" != 0 ]; then
        holds $newcomers -DIN_MEMORY=0
        holds $claims -DIN_MEMORY=1
        holds $short
        holds $claims -DDEATHS=2
        holds $newcomers -DSLOTS=1 -DCALLS=2
        holds $reaper
        holds $reaper -DIN_MEMORY=1
        holds $short -DIN_MEMORY=1
        holds $claims -DCALLS=3
        holds $newcomers -DSLOTS=1 -DCALLS=2 -DDEATHS=2
    fi
    found $newcomers -DMUTANT=1                 # a process takes a slot without locking its byte
    found $newcomers -DMUTANT=2                 # nor does it test again, having locked it
    found $newcomers -DIN_MEMORY=1 -DMUTANT=3   # a process stores the word of its slot
    found $newcomers -DMUTANT=4                 # a leaving process unlocks the byte first
    found $newcomers -DMUTANT=5                 # a leaving process frees a slot with blocks
    found $claims -DMUTANT=6                    # a receiver does not test the state
    found $newcomers -DMUTANT=7                 # a receiver stores the header, no swap
    found $newcomers -DMUTANT=8                 # a sender does not test the owner
    found $claims -DMUTANT=9                    # the generation does not move on
    found $newcomers -DMUTANT=10                # reaping does not test the state
    found $newcomers -DMUTANT=11                # each taken slot counts as dead
    found $newcomers -DMUTANT=12                # a departed process's blocks count as dead
    found $newcomers -DMUTANT=13                # slots are freed before blocks are relabelled
    found $newcomers -DMUTANT=14                # dead slots are collected before the lock
    for as in -DIN_MEMORY=0 -DIN_MEMORY=1; do
        found $newcomers $as -DMUTANT=15        # a leaving process without blocks frees its slot
        found $newcomers $as -DMUTANT=16        # the slot's word is not loaded again
    done
    found $bounced -DMUTANT=17                  # a new object's generation is the count of allocs
}

"$(basename "$model" .pml)_model"
