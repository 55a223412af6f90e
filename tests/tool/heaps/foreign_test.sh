#!/bin/bash
# Files that are no heaps, by name and by path: no command removes them, and no text advises to.
source tests/tool/lib.sh
hold=$PWD/$2

# Another program's file, first by its name, then by its path. A disk image may begin with zeros.
echo "a text" >"$work/text"
{ head -c 8192 /dev/zero; echo "an image"; } >"$work/image"
{ head -c 4096 /dev/zero; head -c 150 /bin/sh; } >"$work/nearly"
cp /bin/sh "$work/program"
foreign=(text image nearly program)
for file in "${foreign[@]}"; do
    cp "$work/$file" "/dev/shm/$heap.$file"
    touch -d '2 minutes ago' "$work/$file" "/dev/shm/$heap.$file"
    for command in stat check map names reap; do
        refused 1 "is no heap; check the name$" "$command" "$heap.$file"
    done
    for option in --force --stale; do
        refused 1 "is no heap; check the name" rm "$option" "$heap.$file"
        cmp "$work/$file" "/dev/shm/$heap.$file" || fail "rm $option has changed $file"
    done
    refused 1 "is no heap; check the name" rm --stale --dry-run "$heap.$file"
    words="is no heap; check the name ('rm /dev/shm/$heap.$file' removes"
    refused 1 "$words" rm "$heap.$file"
    refused 1 "$words" rm --force "/$heap.$file"
    run 1 rm --force --json "$heap.$file"
    json "(j[0]['removed'], j[0]['reason']) == (False, 'no heap')"
    cmp "$work/$file" "/dev/shm/$heap.$file" || fail "rm has changed $file"
done
run 0 rm --stale --dry-run
for file in "${foreign[@]}"; do
    grep -q "$heap.$file" "$work/out" && fail "rm --stale shows $file as a heap"
done
for file in "${foreign[@]}"; do
    cp "$work/$file" "$work/before"
    for command in stat check map; do
        refused 1 "is no heap; check the path$" "$command" --file "$work/$file"
    done
    refused 1 "is no heap; check the path ('rm' removes" rm --force --file "$work/$file"
    refused 1 "is no heap; check the path ('rm' removes" rm --file "$work/$file"
    refused 1 "is no heap; check the path$" rm --stale --file "$work/$file"
    cmp "$work/before" "$work/$file" || fail "rm has changed a file that is no heap"
done

# A pipe, a socket and a folder.
mkfifo "$work/pipe"
refused 1 'it is a pipe, a socket or a device' rm --force --file "$work/pipe"
# By a relative path: the path of a socket has at most 107 bytes.
(cd "$work" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")')
refused 1 'it is a pipe, a socket or a device' rm --force --file "$work/socket"
refused 1 'is a folder' rm --force --file "$work"
[ -p "$work/pipe" ] && [ -S "$work/socket" ] || fail "rm --force removed a pipe or a socket"

# Zeros may be an unfinished heap or another program's file: --stale removes them when unused.
head -c 8192 /dev/zero >"/dev/shm/$heap.zeros"
for command in stat check rm "rm --force"; do
    refused 1 "has only zeros: .*'shmheap rm --stale $heap.zeros' removes" $command "$heap.zeros"
done
touch -d '2 minutes ago' "/dev/shm/$heap.zeros"
run 0 rm --stale "$heap.zeros"
[ ! -e "/dev/shm/$heap.zeros" ] || fail "--stale did not remove the zeros"

# What begins as a heap can be removed: a damaged one, one of another version, an unfinished one.
"$hold" "/$heap" 65536 </dev/null >"$work/ready" || fail "the holder failed"
mv "/dev/shm/$heap" "$work/copy.heap"
cp "$work/copy.heap" "$work/damaged"
head -c 64 /dev/zero | tr '\0' '\377' |
    dd of="$work/damaged" bs=1 seek=16 conv=notrunc status=none
refused 1 "damaged heap" stat --file "$work/damaged"
run 0 rm --force --file "$work/damaged"
[ ! -e "$work/damaged" ] || fail "--force did not remove a damaged heap"
for kind in damaged later unfinished; do
    cp "$work/copy.heap" "/dev/shm/$heap.$kind"
done
head -c 64 /dev/zero | tr '\0' '\377' |
    dd of="/dev/shm/$heap.damaged" bs=1 seek=16 conv=notrunc status=none
printf '\177\0\0\0' | dd of="/dev/shm/$heap.later" bs=1 seek=8 conv=notrunc status=none
head -c 8 /dev/zero | dd of="/dev/shm/$heap.unfinished" bs=1 conv=notrunc status=none
refused 1 "damaged heap; .*'shmheap rm --force $heap.damaged'" stat "$heap.damaged"
refused 1 "never finished.*'shmheap rm --force $heap.unfinished'" stat "$heap.unfinished"
for kind in damaged later unfinished; do
    run 0 rm --force "$heap.$kind"
    [ ! -e "/dev/shm/$heap.$kind" ] || fail "--force did not remove a heap: $kind"
done
exit 0
