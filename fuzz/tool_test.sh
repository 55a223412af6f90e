#!/bin/bash
# tools/fuzz knows every target, and refuses what it does not know before it builds anything.
set -uo pipefail
tool=$1
failed=0

# Runs the tool: its status is $1, and its words contain $2.
expect() {
    local status=$1 words=$2 said
    shift 2
    said=$("$tool" "$@" 2>&1)
    local got=$?
    [ "$got" = "$status" ] && [[ $said == *"$words"* ]] && return
    echo "tools/fuzz $*: status $got, expected $status; expected to say '$words', said: $said"
    failed=1
}

for file in fuzz/fuzz_*.c; do
    target=${file#fuzz/fuzz_}
    expect 0 "${target%.c}" --list
done
[ "$("$tool" --list | wc -l)" -ge 6 ] || { echo "fewer targets than there are"; failed=1; }
expect 0 "usage: tools/fuzz" --help
expect 2 "no such target: nothing" nothing
expect 2 "--seconds wants a number" --seconds soon ops
expect 2 "--seconds wants a number" --seconds
expect 2 "--folder wants a folder" --folder
expect 2 "no such option: --fast" --fast
exit $failed
