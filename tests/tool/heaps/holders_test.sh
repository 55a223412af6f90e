#!/bin/bash
# Owners of objects: live, dead and departed processes, and a heap whose slots are all taken.
source tests/tool/lib.sh
hold=$PWD/$2

# start LEN [CONNECTIONS]: a process that holds the heap; $word is what it says.
start() {
    coproc HOLD { exec "$hold" "/$heap" "$@"; }
    holder=$HOLD_PID
    read -r word <&"${HOLD[0]}" || fail "the holder did not start"
}

# Its standard input ends, and so does it.
end() {
    exec {HOLD[1]}>&-
    wait "$holder" || fail "the holder failed"
}

start 65536
run 0 stat "$heap"
says "$holder  hold  *alive  *8  "
grep -q ' dead ' "$work/out" && fail "a process is dead"
run 0 stat --json "$heap"
json "([(p['blocks'], p['bytes'], p['cached_bytes'], p['alive']) for p in j['connected']] ==
    [(8, 8 * 4016, 0, True)])"
json "j['left']['blocks'] == j['gone']['blocks'] == j['sent']['blocks'] == 0"
run 0 ls --processes
says "^$heap .* 1  *0  "
says "$holder  hold  *alive  *8  "
run 0 ls
says 'PROCESSES  DEAD  RECOVERIES'
grep -q "$holder  hold" "$work/out" && fail "ls shows processes unasked"

# The dead process is told from the live ones, with its objects.
kill -KILL "$holder"
wait "$holder"
run 0 stat "$heap"
says '  connected     0 of 1022$'
says "  dead          1; dead processes hold 31.4 KiB in 8 blocks; 'shmheap reap $heap' frees"
says "$holder  hold  *dead  *8  "
run 0 stat --file "/dev/shm/$heap"
says "'shmheap reap --file /dev/shm/$heap' frees"
run 0 ls -p
says "^$heap .* 0  *1  "
says "$holder  hold  *dead  *8  "
run 0 ls -p --json
json "[h['dead'] for h in j if h['name'] == '$heap'] == [1]"
json "[(p['pid'], p['alive'], p['blocks'])
    for h in j if h['name'] == '$heap' for p in h['connected']] == [($holder, False, 8)]"
run 0 ls --json
json "[h for h in j if 'connected' in h] == []"
run 0 reap "$heap"
says '8 blocks of dead processes freed'
run 0 stat "$heap"
grep -q 'dead' "$work/out" && fail "a process is dead after reaping"
run 0 rm "$heap"

# What one left that disconnected in order.
start 65536
end
run 0 stat "$heap"
says '31.4 KiB in 8 blocks of processes that disconnected'
run 0 stat --json "$heap"
json "j['left'] == {'blocks': 8, 'bytes': 8 * 4016} and j['connected'] == []"
run 0 rm "$heap"

# What lies in caches is told apart.
start $((4 << 20)) 1 cached
run 0 stat --json "$heap"
json "[(p['cached_blocks'] > 0, p['cached_bytes'] == 4016 * p['cached_blocks'],
    p['bytes'] > 512 * 4016 + p['cached_bytes'])
    for p in j['connected']] == [(True, True, True)]"
run 0 stat "$heap"
says "$holder  hold  *alive  .* KiB$"
end
run 0 stat --json "$heap"
json "j['left'] == {'blocks': 512, 'bytes': 512 * 4016} and j['used_blocks'] == 512"
run 0 rm "$heap"

# Objects with names, of a live and of a dead process.
rm -f "/dev/shm/$heap"
start 65536 1 named
run 0 names "$heap"
says ' 1000 B  *1  *no  *[0-9,]*  matrix$'
says ' 5 B  *2  *no  *[0-9,]*  a\\x09b$'
run 0 names --json "$heap"
json "[(n['name'], n['len'], n['users']) for n in j] == [('a\\tb', 5, 2), ('matrix', 1000, 1)]"
run 0 check "$heap"
run 0 map "$heap"
says 'named'
kill -KILL "$holder"
wait "$holder"
run 0 stat "$heap"
run 0 reap "$heap"
run 0 names "$heap"
says 'no object has a name'
refused 1 'no heap' names "$heap.not"
refused 2 'one heap' names
run 0 rm "$heap"

# All slots taken: a command that only reads works, a command that needs a slot gives the reason.
start 65536 1022
if [ "$word" = few ]; then
    echo "skipped: a full slot table; no 1022 open files are allowed"
else
    run 0 stat "$heap"
    says '  connected     1022 of 1022: no slot is left'
    run 0 stat --json "$heap"
    json "j['processes'] == j['slots'] == len(j['connected']) == 1022"
    run 0 check "$heap"
    reason="all 1022 slots of the heap '$heap' are taken: by 1022 live connections and 0 dead ones"
    reason+=".*'shmheap stat $heap'"
    refused 1 "$reason" reap "$heap"
    run 0 stat --json "$heap"
    json "j['processes'] == 1022 and j['dead'] == 0 and j['used_blocks'] == 8"
fi
end
run 0 rm "$heap"
exit 0
