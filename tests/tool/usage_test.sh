#!/bin/bash
# Help, and what wrong usage gets.
source tests/tool/lib.sh

run 0 --help
says 'usage: shmheap'
for option in --version -V; do
    run 0 "$option"
    says '^shmheap [0-9]'
done
for command in ls stat top watch serve check map run names copy reap rm record replay; do
    run 0 "$command" --help
    says "^usage: shmheap $command"
    says '^Examples:'
    refused 2 'not an option' "$command" --nonsense
done

# The help of map explains each letter that a map in plain characters may have ('u' never shows: it
# is ". : + * #").
run 0 map --help
help=$(tr -s '\n ' '  ' <"$work/out")
for letter in s h c i n; do
    [[ $help == *" $letter ${letter^} "* ]] || fail "map --help does not explain the letter $letter"
done

refused 2 'no command; use ls, '
refused 2 "no command 'nonsense'" nonsense
refused 2 "did you mean 'stat'" statt
refused 2 "did you mean 'rm'" mr
refused 2 'did you mean --json' ls --jsno
refused 2 'did you mean --processes' replay --proceses=4 x
refused 2 '--unlike is not an option' ls --unlike
refused 2 'more than one begins so' rm --f x
refused 2 '--json takes no value' ls --json=yes
refused 2 'no argument' ls extra
refused 2 'use one of them' watch --json --prometheus
refused 2 'no --count' watch --prometheus --count 2
for command in stat check map; do
    refused 2 'name of one heap' "$command"
    refused 2 'name of one heap' "$command" a b
    refused 2 'no heap.s name' "$command" a/b
    refused 2 'no heap.s name' "$command" ''
    refused 1 'there is no heap' "$command" "$heap"
    refused 1 'there is no heap' "$command" --file "$work/none"
done
# A path that is no heap: each says why, and what to do.
: >"$work/empty"
mkfifo "$work/pipe"
long=$(printf '%300s' '' | tr ' ' x)
for command in stat map names check reap; do
    refused 2 "it is empty; 'shmheap ls' lists names" "$command" ''
    refused 2 'path of a heap cannot be empty' "$command" --file ''
    refused 1 "is empty, and so no heap yet.*'shmheap rm --force --file $work/empty'" \
        "$command" --file "$work/empty"
    refused 1 'is a folder, and so no heap; add' "$command" --file "$work"
    refused 1 'it is a pipe, a socket or a device' "$command" --file "$work/pipe"
    refused 1 "compare the path with 'ls'" "$command" --file "$work/none"
    refused 1 'a part of the path is no folder' "$command" --file "$work/empty/none"
    refused 1 'path .*is too long' "$command" --file "$work/$long"
    refused 2 'at most 255 characters' "$command" "$long"
done
refused 2 'name of a heap' rm
refused 1 'there is no heap' rm "$heap"
refused 1 'there is no heap' rm --stale "$heap"
refused 2 'name of a heap' rm --stale --file
refused 2 'one of them' rm --stale --force "$heap"
refused 2 'needs --stale' rm --dry-run "$heap"
refused 2 "no heap's name" rm --stale a/b
refused 2 'needs a program' record
refused 2 'needs a value' record -o
refused 2 'one trace' replay
refused 2 'from 1 to' replay --processes 0 x
refused 2 'from 1 to' replay --processes ten x
refused 2 'from 1 to' replay -p -1 x
refused 2 'needs a size' replay --len 12Q x
refused 2 'needs a size' replay --len 99999999999G x
refused 2 'at least 128' replay --len 5 x
refused 2 '8 or 16' replay --alignment 12 x
refused 2 'needs a --name' replay --keep x
refused 2 'state or process' map --by colour x
refused 2 'auto, always or never' map --color=pink x
