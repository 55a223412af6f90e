#!/bin/bash
# copy, and names that are kept and removed: of a heap in use, of one whose processes are dead, of
# none.
source tests/tool/lib.sh
hold=$PWD/$2

coproc HOLD { exec "$hold" "/$heap" 1048576 1 named; }
holder=$HOLD_PID
read -r word <&"${HOLD[0]}"
[ "$word" = ready ] || fail "the holder did not start"

# Names: kept while in use, and then without users.
run 0 names --keep matrix "$heap"
run 0 names --json "$heap"
json "[(n['name'], n['users'], n['kept']) for n in j] == [('a\\tb', 2, False), ('matrix', 1, True)]"
run 0 names "$heap"
says ' 1  *yes  *[0-9,]*  matrix$'
says ' 2  *no  *[0-9,]*  a\\x09b$'
refused 1 "has the name 'none'" names --keep none "$heap"
refused 1 "has the name 'none'" names --remove none "$heap"
refused 1 'is no name' names --remove '' "$heap"
refused 1 'is no heap\|no heap' names --remove matrix "$heap.not"
refused 2 'one of' names --keep a --remove b "$heap"
refused 2 'one of' names --json --remove b "$heap"

# A copy of a heap in use.
run 0 copy "$heap" "$work/copy.heap"
[ ! -s "$work/out" ] || fail "copy says something"
run 0 check --json --file "$work/copy.heap"
json "j['sound']"
run 0 names --json --file "$work/copy.heap"
json "[(n['name'], n['users'], n['kept']) for n in j] == [('a\\tb', 2, False), ('matrix', 1, True)]"
run 0 stat --json --file "$work/copy.heap"
json "j['processes'] == 0 and j['used_blocks'] > 128"
run 0 reap --file "$work/copy.heap"
run 0 names --json --file "$work/copy.heap"
json "[(n['name'], n['users'], n['kept']) for n in j] == [('matrix', 0, True)]"
[ "$(($(stat -c "%b * %B" "$work/copy.heap")))" -lt 800000 ] || fail "free memory was copied"

# What is there stays, unless it is to be replaced.
refused 1 'exists.*--force' copy "$heap" "$work/copy.heap"
run 0 copy --force "$heap" "$work/copy.heap"
run 0 names --json --file "$work/copy.heap"
json "len(j) == 2"
echo "a text" >"$work/text"
refused 1 'exists.*--force' copy "$heap" "$work/text"
[ "$(cat "$work/text")" = "a text" ] || fail "a text was changed"
run 0 copy --force --file "$work/copy.heap" "$work/text"
run 0 check --file "$work/text"
[ "$(ls "$work" | grep -c text)" = 1 ] || fail "something is left beside the copy"

# No heap, no folder, no space.
refused 1 'there is no heap' copy "$heap.not" "$work/not"
refused 1 "cannot create '$work/none/copy': its folder does not exist; make it first" \
    copy "$heap" "$work/none/copy"
refused 1 "cannot create '$work/none/copy'" copy --force "$heap" "$work/none/copy"
refused 1 "cannot create '$work/text/copy': a part of the path is no folder" \
    copy "$heap" "$work/text/copy"
refused 1 "cannot create '$work': it is a folder; add" copy --force "$heap" "$work"
refused 2 'the path of the copy cannot be empty' copy "$heap" ''
refused 1 'is no heap' copy --file "$0" "$work/not"
(ulimit -f 100 && run 1 copy "$heap" "$work/not") || fail "a limit of file sizes"
grep -q 'exceed the limit of file sizes' "$work/err" || fail "did not say what the limit is"
(ulimit -f 100 && run 1 copy --force "$heap" "$work/text") || fail "a limit of file sizes"
[ ! -e "$work/not" ] || fail "something is left of a copy that failed"
run 0 check --file "$work/text"
[ "$(ls "$work" | grep -c text)" = 1 ] || fail "something is left beside the copy"
refused 2 'one heap and the path' copy "$heap"
refused 2 'one heap and the path' copy "$heap" a b
refused 2 "no heap's name" copy a/b c

# Removed while in use it goes with the last user, else at once.
run 0 names --remove matrix "$heap"
says 'living processes use'
run 0 names --keep matrix "$heap"
kill -KILL "$holder"
wait "$holder"
run 0 reap "$heap"
run 0 names --json "$heap"
json "[(n['name'], n['users'], n['kept']) for n in j] == [('matrix', 0, True)]"
run 0 names --remove matrix "$heap"
[ ! -s "$work/out" ] || fail "it says something"
run 0 names "$heap"
says 'no object has a name'
run 0 check "$heap"
run 0 rm "$heap"
exit 0
