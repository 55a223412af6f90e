#!/bin/bash
# ls, stat, check, map and rm: on a heap in use, on one without processes, and on none.
source tests/tool/lib.sh
hold=$PWD/$2

run 0 ls --json
json "not [h for h in j if h['name'] == '$heap']"

coproc HOLD { exec "$hold" "/$heap" 1048576; }
holder=$HOLD_PID
read -r word <&"${HOLD[0]}"
[ "$word" = ready ] || fail "the holder did not start"

run 0 ls
says "^$heap .*1 MiB .* 1 "
run 0 ls --json
json "[h for h in j if h['name'] == '$heap'][0]['processes'] == 1"
for name in "$heap" "/$heap"; do
    run 0 stat "$name"
    says "$holder  hold "
done
run 0 stat --json "$heap"
json "(j['len'] == 1048576 and j['used_blocks'] == 128 and j['alignment'] == 16 and
    j['recoveries'] == 0)"
json "[p['alive'] for p in j['connected'] if p['pid'] == $holder] == [True]"
run 0 stat --json --file "/dev/shm/$heap"
json "j['used_blocks'] == 128"
run 0 check "$heap"
says 'is sound: 128 blocks used (.*), 1 free (.*)'
run 0 check --json "$heap"
json "j['sound'] and j['rule'] == 0 and j['blocks'] == 129"

run 0 map --columns 64 --rows 8 "$heap"
[ "$(grep -c '^ .*|[.:+*#]*|' "$work/out")" = 5 ] ||
    fail "not five lines: four used, one that stands for the free"
says 'and 3 more lines, all free'
says 'free .* in 1'
says 'used .* in 128'
grep -q $'\033' "$work/out" && fail "colours where there is no terminal"
run 0 map --color always "$heap"
says $'\033\\[38;5;'
run 0 map --by process "$heap"
says "pid $holder"
COLUMNS=40 run 0 map "$heap"
[ "$(grep '|.*|' "$work/out" | head -1 | wc -m)" -le 41 ] || fail "wider than the terminal"
run 0 map --json --columns 10 --rows 10 "$heap"
json "(len(j['cells']) == 100 and
    sum(sum(c.values()) for c in j['cells']) == j['used_bytes'] + j['free_bytes'])"
json "sum(c.get('used', 0) for c in j['cells']) == j['used_bytes']"

run 1 rm --json "$heap"
json "(len(j) == 1 and not j[0]['removed'] and j[0]['reason'] == 'in use' and
    '$holder (hold)' in j[0]['who'])"
refused 1 "in use by .*$holder (hold)" rm "$heap"
[ -e "/dev/shm/$heap" ] || fail "a heap in use was removed"

# Its process leaves in order, then the heap has no process.
exec {HOLD[1]}>&-
wait "$holder" || fail "the holder failed"
run 0 stat --json "$heap"
json "j['processes'] == 0 and j['used_blocks'] == 128"
cp "/dev/shm/$heap" "$work/copy.heap"
run 0 check --file "$work/copy.heap"
run 0 rm --json "$heap"
json "j[0]['name'] == '$heap' and j[0]['removed'] and j[0]['used_blocks'] == 128"
[ ! -e "/dev/shm/$heap" ] || fail "the heap is still there"
refused 1 'there is no heap' rm "$heap"

# reap frees a killed process's objects, and none of a live process.
coproc HOLD { exec "$hold" "/$heap" 65536; }
holder=$HOLD_PID
read -r word <&"${HOLD[0]}"
run 0 reap "$heap"
says 'no dead process holds unshared objects'
kill -KILL "$holder"
wait "$holder" || true
run 0 reap --json "$heap"
json "j['blocks'] == 8"
run 0 stat --json "$heap"
json "j['used_blocks'] == 0 and j['dead'] == 0"
run 0 rm "$heap"
refused 1 'there is no heap' reap "$heap"

# Forced, with a process in it.
coproc HOLD { exec "$hold" "/$heap" 65536; }
holder=$HOLD_PID
read -r word <&"${HOLD[0]}"
run 0 rm --force "$heap"
[ ! -e "/dev/shm/$heap" ] || fail "--force did not remove it"
exec {HOLD[1]}>&-
wait "$holder" || fail "the holder was harmed"

# Damage is found: a byte of a header in the copy's region changed.
cp "$work/copy.heap" "$work/bad.heap"
region=$(($(stat -c %s "$work/bad.heap") - 1048576))
printf '\377\377' | dd of="$work/bad.heap" bs=1 seek=$((region + 8)) conv=notrunc status=none
run 1 check --json --file "$work/bad.heap"
json "not j['sound'] and j['rule'] > 0 and j['text']"
refused 1 'not sound: rule [0-9]* .*offset' check --file "$work/bad.heap"

# Of another version of the format: the library's own text.
cp "$work/copy.heap" "$work/later.heap"
printf '\177\0\0\0' | dd of="$work/later.heap" bs=1 seek=8 conv=notrunc status=none
words='shmheap_open("[^"]*later.heap"): .*another version of the format (EPROTONOSUPPORT); use'
refused 1 "$words" stat --file "$work/later.heap"

# A name whose creator died before it was done.
: >"/dev/shm/$heap"
refused 1 'never finished.*--force' rm "$heap"
run 0 rm --force "$heap"
[ ! -e "/dev/shm/$heap" ] || fail "--force did not remove what was never finished"

# What is no heap.
echo "a text" >"/dev/shm/$heap.text"
run 0 ls
grep -q "$heap.text" "$work/out" && fail "ls shows a text as a heap"
exit 0
