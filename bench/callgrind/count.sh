#!/bin/sh
# Prints the instructions and mispredicted branches of an alloc and of a free, counted by
# callgrind. Counts repeat between runs; times do not. Mispredictions are those of callgrind's
# model of a processor.
#
# Usage: bench/callgrind/count.sh PROGRAM [LIVE [STEPS [exact|cached [BYTES]]]]
#   bazel build -c opt //bench:count && bench/callgrind/count.sh bazel-bin/bench/count
set -eu

program=${1:?the program, bazel-bin/bench/count}
live=${2:-10000}
steps=${3:-100000}
how=${4:-exact}
bytes=${5-}

command -v valgrind >/dev/null || {
    echo "count.sh: valgrind is not installed; tools/setup installs it" >&2
    exit 1
}

# Events: Ir instructions; Bc, Bi conditional and indirect branches; Bcm, Bim mispredicted branches.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --branch-sim=yes \
        --toggle-collect="$1" "$program" "$live" "$steps" "$how" $bytes 2>&1 |
        awk -v steps="$steps" -v what="$2" '
            / Events +:/ { for (i = 4; i <= NF; i++) name[i] = $i }
            / Collected +:/ {
                for (i = 4; i <= NF; i++) value[name[i]] = $i
                printf "%-6s %8.1f %9.1f %13.2f\n", what, value["Ir"] / steps,
                    (value["Bc"] + value["Bi"]) / steps, (value["Bcm"] + value["Bim"]) / steps
                found = 1
            }
            END {
                if (!found) {
                    print "count.sh: callgrind printed no counts" > "/dev/stderr"
                    exit 1
                }
            }'
}

echo "$live live objects, $steps steps, each one free and one alloc, $how"
printf "%-6s %8s %9s %13s\n" "" instr. branches mispredicted
{
    count measured_alloc alloc
    count measured_free free
} | awk '{ print; for (i = 2; i <= 4; i++) sum[i] += $i }
         END { printf "%-6s %8.1f %9.1f %13.2f\n", "both", sum[2], sum[3], sum[4] }'
