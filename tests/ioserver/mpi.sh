#!/bin/bash
# mpi.sh IMPLEMENTATION STARTER RANKS EXPECTED PROGRAM [ARGUMENT...]
# Runs PROGRAM with so many ranks. EXPECTED is good; or dead: a rank dies, and the rest with it; or
# survived: a rank dies, and all others go on and make a file each in the folder that PROGRAM gets
# as its first argument; or replaced: PROGRAM NAME die leaves a heap of that name behind, and
# PROGRAM NAME again, which must be good, clears it away. An argument NEW_NAME becomes a random
# name. Afterwards no process of the program is left, and nothing in /dev/shm that was not there,
# but for files of the MPI's own.
set -u
implementation=$1 starter=$2 ranks=$3 expected=$4
shift 4
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp}
# The MPIs leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
shield=()
case $implementation in
    openmpi)
        options=(--allow-run-as-root --oversubscribe --mca btl self,vader
            --mca btl_vader_single_copy_mechanism none)
        [ "$expected" != survived ] || options+=(--enable-recovery)
        own='vader_segment|osc_|sm_segment' ;;
    mpich)
        options=(-launcher fork -iface lo)
        # It kills what it started as soon as one of them dies; a rank in a session of its own is
        # not what it started.
        [ "$expected" != survived ] || shield=(setsid --fork --wait)
        own='mpich_' ;;
    *) echo "mpi.sh: no such MPI: $implementation" >&2; exit 2 ;;
esac

# Each rank of either MPI maps some 4.3 MiB of /dev/shm for messages; a container may have 64 MiB.
need=$((ranks * 5)) there=$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)
if [ -n "$there" ] && [ "$there" -lt "$need" ]; then
    echo "skipped: $ranks ranks need $need MiB of /dev/shm, $there are free" \
        "(docker run --shm-size=1g)"
    exit 0
fi

heap=shmheap-mpi-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ') folder=
trap 'rm -rf "/dev/shm/$heap" ${folder:+"$folder"}' EXIT
fail() { echo "mpi.sh: $*" >&2; exit 1; }
before=$(ls /dev/shm)
arguments=("${@:2}")
for i in "${!arguments[@]}"; do
    [ "${arguments[i]}" != NEW_NAME ] || arguments[i]=/$heap
done
if [ "$expected" = survived ]; then
    folder=$(mktemp -d)
    arguments=("$folder" ${arguments[@]+"${arguments[@]}"})
fi
program=$1

run() {
    "$starter" "${options[@]}" -n "$ranks" ${shield[@]+"${shield[@]}"} "$program" "$@"
    status=$?
    # After a death the starter may end before the other ranks have: these go by themselves.
    local name
    name=$(basename "$program")
    for pid in $(pgrep -x "${name:0:15}"); do
        [ "$(readlink "/proc/$pid/exe")" != "$(readlink -f "$program")" ] ||
            timeout 60 tail --pid="$pid" -f /dev/null || fail "rank $pid does not end"
    done
}

if [ "$expected" = replaced ]; then
    run "/$heap" die
    [ "$status" != 0 ] || fail "a rank should have died"
    [ -e "/dev/shm/$heap" ] || fail "the killed job has left no heap: nothing is tested"
    arguments=("/$heap" again)
fi
run ${arguments[@]+"${arguments[@]}"}
case $expected in
    good | replaced) [ "$status" = 0 ] || fail "exit status $status" ;;
    dead) [ "$status" != 0 ] || fail "a rank should have died" ;;
    survived)
        survivors=$(ls "$folder" | wc -l)
        [ "$survivors" = $((ranks - 1)) ] || fail "$survivors of $((ranks - 1)) went on" ;;
esac
left=$(comm -13 <(echo "$before") <(ls /dev/shm) | grep -Ev "^($own)")
[ -z "$left" ] || fail "left in /dev/shm: $left"
