#!/bin/sh
# Bounds the instructions of the hot paths. Each bound is the measured count (gcc 12 and clang 14,
# AVX2) plus a tenth. Lower the bound when you make the path faster.
set -eu

count=$1
program=$2
command -v valgrind >/dev/null || {
    echo "skipped: valgrind is not installed; tools/setup installs it"
    exit 0
}

# at_most BOUND LIVE exact|cached [BYTES of the heap for each object; 484: twice their size]
at_most() {
    "$count" "$program" "$2" 20000 "$3" ${4-} | tee "$TEST_TMPDIR/table"
    awk -v bound="$1" '
        $1 == "both" {
            found = 1
            if ($2 > bound) { print "more than " bound " instructions"; exit 1 }
        }
        END { if (!found) exit 1 }' "$TEST_TMPDIR/table"
}

at_most 625 1 exact
at_most 765 30 exact # the free set is a list; with more objects, size bins and the tree
at_most 1030 1000 exact
at_most 1030 10000 exact
at_most 1105 100000 exact
at_most 155 1 cached 65536
at_most 352 100 cached 656
at_most 236 350 cached 484
at_most 153 1000 cached 484
at_most 126 10000 cached 484
at_most 130 100000 cached 484
