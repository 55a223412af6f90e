#!/bin/bash
# mpi.sh IMPLEMENTATION STARTER RANKS EXPECTED PROGRAM [ARGUMENT...]
# Runs PROGRAM with so many ranks. EXPECTED is good; or dead: a rank dies, and the rest with it; or survived: a rank dies, and
# all others go on and make a file each in the folder that PROGRAM gets as its first argument.
# Afterwards no process of the program is left, and nothing in /dev/shm that was not there, but for files of the MPI's own.
set -u
implementation=$1 starter=$2 ranks=$3 expected=$4
shift 4
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp}
case $implementation in
    openmpi)
        options=(--allow-run-as-root --oversubscribe --mca btl_vader_single_copy_mechanism none --mca btl self,vader)
        [ "$expected" != survived ] || options+=(--enable-recovery)
        own='vader_segment|osc_|sm_segment' ;;
    mpich)
        options=(-launcher fork -iface lo)
        own='mpich_' ;;
    *) echo "mpi.sh: no such MPI: $implementation" >&2; exit 2 ;;
esac

fail() { echo "mpi.sh: $*" >&2; exit 1; }
before=$(ls /dev/shm)
arguments=("${@:2}")
if [ "$expected" = survived ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    arguments=("$folder" ${arguments[@]+"${arguments[@]}"})
fi
"$starter" "${options[@]}" -n "$ranks" "$1" ${arguments[@]+"${arguments[@]}"}
status=$?
# After a death the starter may end before the other ranks have: these go by themselves.
program=$(basename "$1")
for pid in $(pgrep -x "${program:0:15}"); do
    [ "$(readlink "/proc/$pid/exe")" != "$(readlink -f "$1")" ] || timeout 60 tail --pid="$pid" -f /dev/null ||
        fail "rank $pid does not end"
done
case $expected in
    good) [ "$status" = 0 ] || fail "exit status $status" ;;
    dead) [ "$status" != 0 ] || fail "a rank should have died" ;;
    survived)
        survivors=$(ls "$folder" | wc -l)
        [ "$survivors" = $((ranks - 1)) ] || fail "$survivors of $((ranks - 1)) went on" ;;
esac
left=$(comm -13 <(echo "$before") <(ls /dev/shm) | grep -Ev "^($own)")
[ -z "$left" ] || fail "left in /dev/shm: $left"
