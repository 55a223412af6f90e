#!/bin/bash
# mpi.sh IMPLEMENTATION STARTER RANKS EXPECTED PROGRAM [ARGUMENT...]
# Runs PROGRAM with so many ranks. EXPECTED is good, or dead: a rank dies, and the rest with it. Afterwards no process of the
# program is left, and nothing in /dev/shm that was not there, but for files of the MPI's own.
set -u
implementation=$1 starter=$2 ranks=$3 expected=$4
shift 4
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp}
case $implementation in
    openmpi)
        options=(--allow-run-as-root --oversubscribe --mca btl_vader_single_copy_mechanism none --mca btl self,vader)
        own='vader_segment|osc_|sm_segment' ;;
    mpich)
        options=(-launcher fork -iface lo)
        own='mpich_' ;;
    *) echo "mpi.sh: no such MPI: $implementation" >&2; exit 2 ;;
esac

fail() { echo "mpi.sh: $*" >&2; exit 1; }
before=$(ls /dev/shm)
"$starter" "${options[@]}" -n "$ranks" "$@"
status=$?
case $expected in
    good) [ "$status" = 0 ] || fail "exit status $status" ;;
    dead) [ "$status" != 0 ] || fail "a rank should have died" ;;
esac
# After a death the starter ends before it has reaped all ranks: these go by themselves.
program=$(basename "$1")
for pid in $(pgrep -x "${program:0:15}"); do
    [ "$(readlink "/proc/$pid/exe")" != "$(readlink -f "$1")" ] || timeout 60 tail --pid="$pid" -f /dev/null ||
        fail "rank $pid does not end"
done
left=$(comm -13 <(echo "$before") <(ls /dev/shm) | grep -Ev "^($own)")
[ -z "$left" ] || fail "left in /dev/shm: $left"
