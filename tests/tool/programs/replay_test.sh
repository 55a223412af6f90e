#!/bin/bash
# replay: from one process and four, to the end and not, with one of them killed, and with traces
# that are none.
source tests/tool/lib.sh
make_trace=$PWD/$2

"$make_trace" "$work/a.trace" 20000 || fail "no trace"

for processes in 1 4; do
    run 0 replay --quiet --json -p $processes "$work/a.trace"
    json "j['processes'] == j['finished'] == $processes and j['failed'] == 0 and j['sound']"
    json "j['calls'] == $processes * 40000 and j['frees'] == j['objects']"
    json "j['heap']['used_blocks'] == 0 and j['heap']['failed_allocs'] == 0"
    json "j['ns_per_call']['alloc']['timed'] > 0 and j['ns_per_call']['alloc']['mean'] > 0"
done
run 0 replay -p 2 --alignment 8 --repeat 3 --inherit --sparse "$work/a.trace"
says '240,000; 2 processes finished'
grep -q 'calls each of 2 processes' "$work/err" || fail "no plain lines of progress"
grep -q $'\r' "$work/err" && fail "a bar where there is no terminal"

# Objects that another process frees, also where one of them is killed. At least what its ring
# holds, 256 objects, goes to each process, even one that does not run meanwhile.
run 0 replay --quiet --json -p 4 --hand-over 2 "$work/a.trace"
json "(j['handed'] >= 4 * 256 and j['handed'] + j['frees'] == j['objects'] and
    j['heap']['used_blocks'] == 0)"
run 0 replay --quiet --json -p 1 --hand-over 1 --inherit "$work/a.trace"
json "(j['handed'] > 10000 and j['handed'] + j['frees'] == j['objects'] and
    j['heap']['used_blocks'] == 0)"
run 0 replay --quiet --json -p 4 --hand-over 2 --kill-one "$work/a.trace"
json "j['finished'] == 3 and j['sound'] and 0 < j['heap']['used_blocks'] <= 502"

# A heap that starts small grows.
run 0 replay --quiet --json -p 2 --len 4096 --max-len 16M "$work/a.trace"
json "j['heap']['grows'] > 0 and j['finished'] == 2"
# One that may not is too small, and each process says so.
run 1 replay --quiet -p 2 --len 4096 "$work/a.trace"
[ "$(grep -c 'process [12]: no room for an object' "$work/err")" -ge 1 ] ||
    fail "no process said that there is no room"

# Stopped early and kept; the name is taken then.
run 0 replay --quiet --json -p 3 --until 50 --name "$heap" --keep "$work/a.trace"
json "j['calls'] == 60000 and j['left'] == j['heap']['used_blocks'] > 0"
run 0 check "$heap"
refused 1 'there is a heap' replay --quiet --name "$heap" "$work/a.trace"
run 0 rm "$heap"

# Killed with the lock in its hands, soon and late.
for steps in 0 5 40 150; do
    run 0 replay --quiet --json --kill-one --kill-steps $steps --name "$heap" --keep "$work/a.trace"
    json "j['killed']['holding_lock'] and j['killed']['held_steps'] == $steps + 1"
    json "j['finished'] == 3 and j['failed'] == 0 and j['sound']"
    json "j['heap']['recoveries'] == 1 and j['heap']['last_recovery_ns'] > 0"
    run 0 stat --json "$heap"
    json "j['dead'] == 1 and j['recoveries'] == 1"
    run 0 check "$heap"
    run 0 rm "$heap"
done
run 0 replay --quiet --kill-one -p 1 "$work/a.trace"
says '^  killed  '
says '^  recovery  '

# start: a replay that does not end by itself, and its workers.
start() {
    "$tool" replay --quiet -p 3 --repeat 1000000 --name "$heap" "$work/a.trace" \
        >"$work/out" 2>"$work/err" &
    replay=$!
    workers=
    until [ "$(wc -w <<<"$workers")" = 3 ]; do
        kill -0 $replay || fail "replay ended by itself"
        workers=$(cat /proc/$replay/task/$replay/children)
    done
}

# ended STATUS: it ends so, and leaves nothing.
ended() {
    local status=0
    wait $replay || status=$?
    [ $status = "$1" ] || fail "replay ended with $status, not $1"
    [ ! -e "/dev/shm/$heap" ] || fail "replay left its heap"
}

# Workers killed from outside are reported, and no process waits for them.
start
kill -9 $workers
ended 1
[ "$(grep -c 'was killed by signal 9' "$work/err")" = 3 ] ||
    fail "not each killed process was reported"

# So is a replay told to end, also with a worker stopped.
start
kill -STOP ${workers%% *}
kill -TERM $replay
ended 143

# Traces that are none.
refused 1 'cannot read the trace' replay "$work/none.trace"
refused 1 'cannot read the trace' replay "$work"
: >"$work/b.trace"
refused 1 'no trace' replay "$work/b.trace"
head -c 5000 /dev/urandom >"$work/b.trace"
refused 1 'no trace' replay "$work/b.trace"
for len in 20 64 500; do
    head -c $len "$work/a.trace" >"$work/b.trace"
    refused 1 'cut short' replay "$work/b.trace"
done
cp "$work/a.trace" "$work/b.trace"
printf '\7' | dd of="$work/b.trace" bs=1 seek=8 conv=notrunc status=none
refused 1 'version 7' replay "$work/b.trace"
cp "$work/a.trace" "$work/b.trace"
printf '\377\377\377' | dd of="$work/b.trace" bs=1 seek=300 conv=notrunc status=none
refused 1 'damaged' replay "$work/b.trace"

left=$(find /dev/shm -name 'shmheap-replay-*' -newer "$work/a.trace" 2>/dev/null)
[ -z "$left" ] || fail "replay left heaps behind: $left"
exit 0
