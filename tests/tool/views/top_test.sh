#!/bin/bash
# top: on terminals of several sizes (top_test.py), and --once.
source tests/tool/lib.sh
crowd=$PWD/$2

# Short names: they are whole on a narrow screen.
busy=b-${heap:5:8}
calm=c-${heap:5:8}
trap 'rm -f "/dev/shm/$busy" "/dev/shm/$calm"; clean_up' EXIT

for name in "$busy" "$calm"; do
    how=''
    [ "$name" = "$calm" ] || how=busy
    coproc CROWD { exec "$crowd" "/$name" 1048576 400 $how; }
    read -r word <&"${CROWD[0]}"
    [ "$word" = ready ] || fail "the crowd did not start"
    crowds+=("$CROWD_PID")
done 2>/dev/null

run 0 top --once --interval 300 "$busy" "$calm"
says '^HEAP .*SIZE .*FILL .*OPS/S .*WAITS'
says "^$busy .*1 MiB  *[0-9]* %  *[0-9]* %  *[1-9][0-9.]*k\\? .* 3 *1 "
says "^$calm .*1 MiB  *[0-9]* %  *[0-9]* %  *0 .* 3 *1 "
COLUMNS=40 run 0 top --once --interval 100 "$busy"
[ "$(wc -L <"$work/out")" -le 40 ] || fail "wider than 40 columns"
run 0 top --once --interval 100
says "^$busy "
refused 1 'there is no heap' top --once "$heap.none"
refused 2 'needs a terminal' top
refused 2 'from 100 to' top --interval 5
refused 2 'name, size, fill' top --sort colour
refused 2 'needs the path' top --file

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/tool/views /usr/bin/python3 \
    tests/tool/views/top_test.py "$tool" "$busy" "$calm" || fail "not so on a terminal"

kill "${crowds[@]}"
exit 0
