#!/bin/bash
# record: a small program whose calls are known, with threads, children, exec and sudden ends;
# python3; what cannot be recorded.
source tests/tool/lib.sh
busy=$PWD/$2
export TMPDIR=$work

record() { run "$1" record --json -o "$work/a.trace" -- "${@:2}"; }

record 0 "$busy" each
json "j['status'] == 0 and len(j['streams']) == 1 and j['streams'][0]['name'] == 'busy'"
cp "$work/out" "$work/each.json"
run 0 replay --quiet --json -p 1 "$work/a.trace"
json "(j['sound'] and j['calls'] ==
    sum(s['events'] for s in __import__('json').load(open('$work/each.json'))['streams']))"
python3 - "$work/each.json" <<'END' || fail "sizes are missing"
import json, sys
stream = json.load(open(sys.argv[1]))["streams"][0]
# 70001 + 70007 + 70016 + 70003 + 70005 and the realloc's 140001, which stands in for the first at
# the peak. The C++ library, where Bazel links it, takes some 70 KiB at its start.
assert stream["bytes"] >= 490033, stream
assert 420032 <= stream["peak_live"] < 420032 + 100000, stream
assert stream["objects"] >= 5 and stream["events"] >= 11, stream
END

record 0 "$busy" threads
json "j['streams'][0]['threads'] == 5 and j['streams'][0]['objects'] >= 4000"
json "j['streams'][0]['live'] < 100 and j['streams'][0]['dropped'] == 0"
run 0 replay --quiet -p 4 "$work/a.trace"

# The child's stream is its own, whole although SIGKILL ended it; it freed one object of its
# parent's.
record 0 "$busy" child
json "len(j['streams']) == 2 and j['streams'][0]['pid'] != j['streams'][1]['pid']"
json "(j['streams'][1]['objects'] == 1000 and j['streams'][1]['live'] == 0 and
    j['streams'][1]['dropped'] == 1)"

record 7 "$busy" exit
json "j['status'] == 7 and j['streams'][0]['objects'] >= 1000"
record 0 "$busy" exec
json "j['streams'][-1]['peak_live'] >= 420032"
run 143 record -o "$work/a.trace" -- sh -c 'kill -TERM $$'

# A signal to record goes to the program, and the trace is there.
mkfifo "$work/to" "$work/from"
"$tool" record -o "$work/a.trace" -- sh -c 'echo ready; read -r word' <"$work/to" >"$work/from" \
    2>"$work/err" &
exec 3>"$work/to" 4<"$work/from"
read -r line <&4
kill -TERM $!
status=0
wait $! || status=$?
exec 3>&- 4<&-
[ "$line $status" = 'ready 143' ] || fail "SIGTERM: $line, $status"
run 0 replay --quiet -p 1 "$work/a.trace"

# A program with many processes, and python3 with many calls.
run 0 record -o "$work/a.trace" -- sh -c 'for i in 1 2 3; do ls / | wc -l; done'
[ "$(cat "$work/out")" = "$(for i in 1 2 3; do ls / | wc -l; done)" ] ||
    fail "the program's output is not its own"
run 0 replay --quiet -p 2 "$work/a.trace"
PYTHONMALLOC=malloc record 0 python3 -c 'import json; json.dumps([str(i) for i in range(20000)])'
json "max(s['objects'] for s in j['streams']) >= 20000"
run 0 replay --quiet --json -p 4 "$work/a.trace"
json "j['finished'] == 4 and j['sound']"

# A file size limit stops the recorder, not the program.
many='x = [bytes(600) for i in range(50000)]; print(len(x))'
run 0 record --json -o "$work/a.trace" -- sh -c "ulimit -f 300; exec python3 -S -c '$many'"
grep -q '^50000$' "$work/out" || fail "the program was harmed"
sed -i '/^50000$/d' "$work/out"
json "any(s['cut'] for s in j['streams'])"
run 0 replay --quiet -p 1 "$work/a.trace"

refused 1 'cannot run' record -o "$work/b.trace" -- "$work/none"
refused 1 'cannot run' record -o "$work/b.trace" -- "$work"
[ ! -e "$work/b.trace" ] || fail "a trace of nothing"
refused 1 'its folder does not exist' record -o "$work/none/b.trace" -- touch "$work/ran"
[ ! -e "$work/ran" ] || fail "the program ran, though its trace cannot be written"
SHMHEAP_RECORDER=$work/none refused 1 'librecorder.so' record -- "$busy" each
TMPDIR=$work/none refused 1 'set TMPDIR' record -- "$busy" each
[ -z "$(ls -d "$work"/shmheap-record.* 2>/dev/null)" ] || fail "record left folders behind"
exit 0
