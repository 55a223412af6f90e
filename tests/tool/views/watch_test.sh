#!/bin/bash
# watch: lines for people, JSON lines, and the text format of Prometheus.
source tests/tool/lib.sh
crowd=$PWD/$2

# A name that JSON and Prometheus must escape.
busy=$heap.a\"b
trap 'rm -f "/dev/shm/$busy"; clean_up' EXIT
coproc CROWD { exec "$crowd" "/$busy" 1048576 400 busy; }
crowd_pid=$CROWD_PID
read -r word <&"${CROWD[0]}"
[ "$word" = ready ] || fail "the crowd did not start"

run 0 watch --count 2 --interval 200 "$busy"
says '^HEAP .*TIME .*OPS/S .*WAITS'
[ "$(grep -c '^test.*%' "$work/out")" = 2 ] || fail "not two lines"
COLUMNS=40 run 0 watch --count 1 --interval 100 "$busy"
[ "$(wc -L <"$work/out")" -le 40 ] || fail "wider than 40 columns"

run 0 watch --json --count 3 --interval 200 "$busy"
python3 - "$work/out" "$busy" <<'END' || fail "the JSON lines are not so"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == 3
assert all(r["name"] == sys.argv[2] and r["seen"] and r["processes"] == 3 for r in rows)
assert all(r["allocs_per_second"] > 0 and r["frees_per_second"] > 0 for r in rows)
assert all(a["allocs"] < b["allocs"] and a["time_ns"] < b["time_ns"]
           for a, b in zip(rows, rows[1:]))
assert all(r["probes"] > 0 and 0 <= r["probes_lock_held"] <= r["probes"] for r in rows)
assert all(0 < r["fill_percent"] < 100 and 0 <= r["fragmentation_percent"] <= 100 for r in rows)
END

run 0 watch --prometheus "$busy"
python3 - "$work/out" "$busy" <<'END' || fail "the text for Prometheus is not so"
import re, sys
kinds, values = {}, {}
for line in open(sys.argv[1]):
    comment = re.fullmatch(r"# (HELP|TYPE) (shmheap_\w+) (.*)\n", line)
    if comment:
        if comment[1] == "TYPE":
            assert comment[3] in ("gauge", "counter") and comment[2] not in kinds
            kinds[comment[2]] = comment[3]
        continue
    metric = re.fullmatch(r'(shmheap_\w+)\{heap="((?:[^"\\]|\\.)*)",id="([0-9a-f]{16})"\} '
                          r'([0-9.]+)\n', line)
    assert metric, line
    assert metric[2].replace('\\"', '"') == sys.argv[2]
    assert metric[1] in kinds and metric[1].endswith("_total") == (kinds[metric[1]] == "counter")
    values[metric[1]] = float(metric[4])
assert values.keys() == kinds.keys() and values["shmheap_up"] == 1
assert values["shmheap_size_bytes"] == 1048576 and values["shmheap_dead_processes"] == 1
assert values["shmheap_allocs_total"] > values["shmheap_frees_total"] > 0
assert values["shmheap_created_seconds"] > 1e9
END

run 0 watch --prometheus
says 'TYPE shmheap_up gauge'
refused 1 'there is no heap' watch --count 1 "$heap.none"
refused 1 'there is no heap' watch --prometheus "$heap.none"
refused 2 'needs the path' watch --file
refused 2 'no heap.s name' watch a/b
"$tool" watch --prometheus "$busy" >/dev/full 2>"$work/err" && fail "a full disk is no error"
run 0 watch --json --count 1 --interval 100 --file "/dev/shm/$busy"
exec {CROWD[1]}>&-
wait "$crowd_pid" || fail "the crowd failed"
exit 0
