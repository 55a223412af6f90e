#!/bin/bash
# rm --stale: heaps without a live process go, heaps with one stay, and so do files that are no
# heaps.
source tests/tool/lib.sh
hold=$PWD/$2
shm=/dev/shm

there() { for name in "$@"; do [ -e "$shm/$heap.$name" ] || fail "$name is gone"; done; }
gone() { for name in "$@"; do [ ! -e "$shm/$heap.$name" ] || fail "$name is still there"; done; }
long_ago() { for name in "$@"; do touch -d '2 minutes ago' "$shm/$heap.$name"; done; }

# reason NAME: what the output in JSON says of it, and whether it was removed.
reason() { json "[(o['reason'], o['removed']) for o in j if o['name'] == '$heap.$1'] == [$2]"; }

# The heaps: left by one that ended, by one that was killed, one in use, and beginnings of heaps.
"$hold" "/$heap.left" 65536 </dev/null >"$work/ready" || fail "the holder failed"
coproc DEAD { exec "$hold" "/$heap.dead" 65536; }
dead=$DEAD_PID
read -r _ <&"${DEAD[0]}"
kill -KILL "$dead"
wait "$dead"
"$hold" "/$heap.kept" 65536 1 kept </dev/null >"$work/ready" || fail "the holder failed"
"$hold" "/$heap.named" 65536 1 named </dev/null >"$work/ready" || fail "the holder failed"
coproc HOLD { exec "$hold" "/$heap.live" 65536; }
holder=$HOLD_PID
read -r _ <&"${HOLD[0]}"

# unfinished NAME...: all but the magic was written; zeros NAME...: nothing was yet.
unfinished() {
    for name in "$@"; do
        cp "$shm/$heap.left" "$shm/$heap.$name"
        printf '\0\0\0\0\0\0\0\0' | dd of="$shm/$heap.$name" bs=1 conv=notrunc status=none
    done
}
zeros() { for name in "$@"; do head -c 65536 /dev/zero >"$shm/$heap.$name"; done; }
unfinished begun young open
zeros reserved
: >"$shm/$heap.empty"
long_ago begun open reserved empty
exec {kept_open}<"$shm/$heap.open"

# Of another version of the format: whether it has kept names is not to be seen.
cp "$shm/$heap.left" "$shm/$heap.later"
printf '\x7f\0\0\0' | dd of="$shm/$heap.later" bs=1 seek=8 conv=notrunc status=none

# What is none: a text, one that begins as a heap does, a damaged one, a folder, a link to a heap.
echo "a text" >"$shm/$heap.text"
printf 'SHMHEAP\n and more' >"$shm/$heap.magic"
head -c 1000 "$shm/$heap.left" >"$shm/$heap.cut"
mkdir "$shm/$heap.folder"
ln -s "$heap.left" "$shm/$heap.link"
long_ago text magic cut
none=(text magic cut folder link)

# The test must not harm other users of this folder: it tries all without effect first, and goes on
# only where there are none.
run 0 rm --stale --dry-run --json
for name in left dead; do reason "$name" "('no process is connected', True)"; done
reason begun "('never finished, and its creator is gone', True)"
for name in empty reserved; do reason "$name" "('empty, and not open', False)"; done
json "not ({o['name'] for o in j} &
    {'$heap.' + n for n in 'live young open text magic cut folder link'.split()})"
json "([(o['used_blocks'], o['used_bytes']) for o in j if o['name'] == '$heap.dead'] ==
    [(8, 8 * 4016)])"
json "([(o['removed'], o['objects'], o['kept_names']) for o in j if o['name'] == '$heap.named'] ==
    [(True, 10, 0)])"
json "([(o['removed'], o['objects'], o['kept_names']) for o in j if o['name'] == '$heap.kept'] ==
    [(False, 10, 1)])"
reason later "('no process is connected, but it may have kept names: it cannot be walked', False)"
run 0 rm --stale -n
says "^would remove $heap.named: no process is connected; .*, 10 objects in it"
says "^kept $heap.kept: .*kept names; 'shmheap names $heap.kept' lists them"
says "'shmheap names $heap.kept' lists them, 'shmheap rm $heap.kept' removes"
words="no process is connected, but it may have kept names: it cannot be walked; 'shmheap rm"
says "^kept $heap.later: $words $heap.later' removes the heap with its names$"
says ', [1-9][0-9]* kept for their names$'
says "^would remove $heap.left: no process is connected; .*, 8 objects in it"
says "^kept $heap.empty: empty, and not open; .*'shmheap rm --stale $heap.empty' removes it"
says '^would remove [0-9]* heaps of .*; [1-9][0-9]* in use'
there left dead named kept later live begun young open reserved empty "${none[@]}"

if [ -z "$(find "$shm" -maxdepth 1 -mindepth 1 ! -name "$heap.*")" ]; then
    run 0 rm --stale
    says "^removed $heap.dead: no process is connected"
    says "^removed $heap.begun: never finished"
    says '^removed 4 heaps of .*; 1 in use, 2 kept for their names$'
else
    echo "others use $shm: without their heaps the rest is by name"
    run 0 rm --stale "$heap.left" "$heap.dead" "$heap.begun" "$heap.named"
fi
gone left dead begun named
there kept later live young open reserved empty text magic cut folder

# By name: why one stays, that zeros go, and what is no heap.
run 0 rm --stale "$heap.live" "/$heap.young" "$heap.open" "$heap.empty" "$heap.reserved"
says "^kept $heap.live: in use by $holder (hold)"
says "^kept /$heap.young: unfinished, and its creator may be at work"
says "^kept $heap.open: unfinished, and its creator may be at work by .*$$ "
says "^removed $heap.empty: empty"
gone empty reserved
there live young open
for name in text magic cut; do
    refused 1 'is no heap' rm --stale "$heap.$name"
done
refused 1 'no heap\|directory' rm --stale "$heap.folder"
there text magic cut folder

# Kept names, also where the heap is named: they go with the heap only without --stale.
run 0 rm --stale "$heap.kept"
says "^kept $heap.kept: no process is connected, but it has kept names"
run 0 rm --stale --file "$shm/$heap.kept"
says "'shmheap rm --file $shm/$heap.kept' removes"
run 0 rm --stale --file "$shm/$heap.later"
says "walked; 'shmheap rm --file $shm/$heap.later' removes the heap with its names$"
there kept later
run 0 rm "$heap.kept" "$heap.later"
gone kept later

# As soon as the last one has ended, or its maker is gone.
exec {kept_open}<&-
run 0 rm --stale --json "$heap.open" "$heap.live"
reason open "('never finished, and its creator is gone', True)"
reason live "('in use', False)"
json "[o['who'] for o in j if not o['removed']] == ['$holder (hold)']"
kill -KILL "$holder"
wait "$holder"
run 0 rm --stale --file "$shm/$heap.live"
says "^removed $shm/$heap.live: no process is connected"
gone open live
rmdir "$shm/$heap.folder"
exit 0
