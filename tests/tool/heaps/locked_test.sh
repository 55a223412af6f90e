#!/bin/bash
# A process stopped while it holds the heap's lock: the commands name it, and take no slot.
source tests/tool/lib.sh
keep_lock=$PWD/$2

coproc KEEPER { exec "$keep_lock" "/$heap"; }
pid=$KEEPER_PID
trap 'kill -9 "$pid" 2>/dev/null; clean_up' EXIT
read -r word <&"${KEEPER[0]}"
[ "$word" = ready ] || fail "the lock is not held"
until grep -q '^State:.*T' "/proc/$pid/status"; do :; done

for command in stat map names; do
    refused 1 "process $pid (keep_lock) holds the lock.*'$heap', and is stopped;.*kill -CONT" \
        $command "$heap"
done
kill -CONT "$pid"
wait "$pid" || fail "the process that held the lock"
run 0 stat --json "$heap"
json "j['connected'] == [] and j['dead'] == 0"
exit 0
