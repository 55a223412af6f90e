#!/bin/bash
# run: a program that checks its malloc, with threads, children and exec; what a heap shows while
# the program is at work; that no heap stays; what cannot be run.
source tests/tool/lib.sh
allocate=$PWD/$2 hold=$PWD/$3 job=$PWD/tests/tool/programs/job.py
cd "$work" || exit 1

# gone: no heap of this test is left.
gone() { [ -z "$(ls -d "/dev/shm/$heap"* 2>/dev/null)" ] || fail "$1: a heap is left"; }

# quiet STATUS ARGUMENT...: run with these arguments ends so, says nothing, leaves nothing.
quiet() {
    run "$1" run --name "$heap" "${@:2}"
    [ ! -s "$work/err" ] || fail "run ${*:2}: not silent"
    gone "run ${*:2}"
}

# start ARGUMENT...: begins run in the background and waits for a first line, which is in $line.
# Its input is descriptor 3, its output 4, its process $!.
mkfifo to from
start() {
    "$tool" run --name "$heap" "$@" <to >from 2>words &
    exec 3>to 4<from
    read -r line <&4 || fail "run $*: no line"
}

# ended STATUS: run ends so while its program's input is still open.
ended() {
    local status=0
    wait $! || status=$?
    exec 3>&- 4<&-
    [ $status = "$1" ] || fail "run ended with $status, not $1"
}

# finish STATUS: the program of start gets the end of its input, and run ends so.
finish() {
    exec 3>&-
    ended "$1"
}

live() { run 0 stat --json "$1"; }

# What a program may expect of malloc, with the heap and without.
"$allocate" calls || fail "the test's own program"
for options in '' --cached '--children --cached'; do
    for what in calls threads fork 'fork threads' clone vfork_exec 'vfork_exec threads' signals; do
        # shellcheck disable=SC2086
        part $options $what
        # shellcheck disable=SC2086
        run 0 run $options --name "$heap" -- "$allocate" $what
        gone "$options $what"
    done
done
quiet 0 -- "$allocate" fork threads
quiet 0 --cached --children -- "$allocate" threads

# At work: the heap has its objects, and one process. After exec it has those of the new image.
part at work
start -- "$allocate" exec
live "$heap"
json "j['used_blocks'] >= 1000 and j['used_bytes'] >= 1008000 and j['allocs'] >= 1000"
json "(len(j['connected']) == 1 and j['connected'][0]['name'] == 'allocate'
    and j['max_len'] == 1 << 30)"
run 0 map --json "$heap"
json "sum(cell.get('used', 0) for cell in j['cells']) >= 1008000"
run 0 check "$heap"
echo >&3
read -r line <&4
live "$heap"
json "1000 <= j['used_blocks'] < 2000 and len(j['connected']) == 1 and j['allocs'] >= 2000"
finish 0
gone exec

# Children: a heap each. One that is killed leaves its heap, which run removes. It leaves alone a
# heap of another program that has such a name.
part children
"$hold" "/$heap.1" 100000 </dev/null >/dev/null || fail "hold"
start --children -- sh -c '"$0" hold; echo "$?"; read -r word' "$allocate"
child=
for path in "/dev/shm/$heap".*; do
    live "${path#/dev/shm/}"
    ! grep -q '"used_blocks": [0-9]\{4\}' "$work/out" || child=${path##*.}
done
[ -n "$child" ] || fail "no heap of a child"
kill -9 "$child"
read -r line <&4
[ "$line" = 137 ] || fail "the child ended with $line"
finish 1
[ "$(echo "/dev/shm/$heap"*)" = "/dev/shm/$heap.1" ] || fail "children left: $(ls /dev/shm)"
run 0 rm "$heap.1"

# Ends: the program's status; signals to the program, and to run, which passes them on.
part ends
quiet 7 -- sh -c 'exit 7'
quiet 143 -- sh -c 'kill -TERM $$'
for signal in KILL SEGV; do
    start -- sh -c 'echo "$$"; exec "$0" hold' "$allocate"
    pid=$line
    read -r line <&4
    kill -s $signal "$pid"
    ended $((128 + $(kill -l $signal)))
    gone $signal
done
part TERM
start -- "$allocate" hold
kill -TERM $!
ended 143
gone 'TERM, passed on'
part HUP
start -- "$allocate" hangup
kill -HUP $!
ended 5
gone 'HUP, passed on'

# The heap lost its name, and the name went to another file: that file stays.
part another program\'s file
start -- sh -c 'rm "/dev/shm/$1"; echo of another program >"/dev/shm/$1"; echo; read -r word' \
    sh "$heap"
finish 1
[ "$(cat "/dev/shm/$heap")" = 'of another program' ] || fail "another program's file is gone"
rm "/dev/shm/$heap"
run 0 run --file --name taken -- sh -c 'rm taken; echo of another program >taken'
[ "$(cat taken)" = 'of another program' ] || fail "another program's file is gone"
rm taken

# At a terminal, run stops and continues with its program.
part terminal
python3 "$job" "$tool" run --name "$heap" -- sh -c 'echo ready; while :; do read -r word; done' \
    >"$work/out" </dev/null || fail "the job"
for words in 'stopped T T' '^continued' 'ended 130'; do says "$words"; done
gone 'Ctrl-C'

# A full heap, an object freed twice, a program that closes the heap's descriptors.
part full
run 0 run --len 1M --name "$heap" -- "$allocate" fill
[ "$(wc -l <"$work/err")" = 1 ] || fail "a full heap takes one line"
grep -q "heap '$heap' is full.*--len above 1048576" "$work/err" || fail "it does not say --len"
gone full
run 134 run --name "$heap" -- "$allocate" twice
grep -q 'freed twice?' "$work/err" || fail "freed twice, unsaid"
gone twice
quiet 0 -- python3 -S -c "import os; os.closerange(3, 1000); x = [bytes(600) for i in range(9000)]"

# Names.
part names
run 0 run -- "$allocate" calls
grep -q '^shmheap run: the heap is allocate\.[0-9]*$' "$work/err" || fail "which heap?"
run 0 run --name "$heap" --keep -- "$allocate" calls
run 0 check "$heap"
refused 1 "already; use another --name, or run 'shmheap rm $heap'" run --name "$heap" -- "$allocate"
echo "a text" >"/dev/shm/$heap.text"
refused 1 'already, which is no heap; use another --name$' run --name "$heap.text" -- "$allocate"
rm "/dev/shm/$heap.text"
run 0 rm "$heap"

# A file, by a relative path, for a program that changes its folder.
run 0 run --file --name file --keep -- sh -c 'cd /; exec "$0" calls' "$allocate"
run 0 check --file file
refused 1 "a file .*/file' already.* rm --file " run --file --name file -- "$allocate"
rm file
run 0 run --file --name file -- "$allocate" threads
[ ! -e file ] || fail "a file is left"

# What cannot be run, or has no such malloc.
refused 1 'cannot run' run --name "$heap" -- "$work/none"
refused 1 'cannot run' run --name "$heap" --keep -- "$work"
SHMHEAP_RUNNER=$work/none refused 1 'librunner.so' run --name "$heap" -- "$allocate" calls
refused 1 'cannot create.*its folder does not exist; make it first' \
    run --file --name "$work/none/x" -- true
refused 1 'no room for a heap' run --name "$heap" --len 9999999G -- "$allocate" calls
gone 'not run'
if echo 'int main(void) { return 7; }' | cc -static -x c -o static - 2>"$work/err"; then
    refused 7 'statically linked, has special rights (set-uid)' run --name "$heap" -- ./static
    gone static
else
    echo "skipped: a statically linked program, which cc cannot make"
fi

# More libraries in LD_PRELOAD than fit in 12 KiB: all of them stay.
libm=$(ldd "$(command -v python3)" | sed -n 's/.*libm\.so.* => \([^ ]*\).*/\1/p')
if [ -n "$libm" ]; then
    many=$(for ((i = 0; i < 13000; i += ${#libm} + 1)); do printf '%s:' "$libm"; done)
    LD_PRELOAD=$many run 0 run --name "$heap" -- sh -c 'echo "$LD_PRELOAD"'
    [[ $(cat "$work/out") == *":$many" ]] || fail "LD_PRELOAD was cut"
    gone 'many libraries'
else
    echo "skipped: python3 has no library libm"
fi
refused 2 'needs a program' run
refused 2 'at least 64K' run --len 5 -- true
refused 2 'needs a --name' run --file -- true
refused 2 'leave out --file' run --file --name x --children -- true
refused 2 "no heap's name" run --name a/b -- true
refused 2 'too long: a child adds' run --children --name "$(printf '%0250d' 0)" -- true
exit 0
