#!/bin/bash
# Tables fit screens of 40, 80 and 200 columns, and have all columns where a program reads them.
source tests/tool/lib.sh
crowd=$PWD/$2
coproc CROWD { exec "$crowd" "/$heap" 1048576 400; }
crowd_pid=$CROWD_PID
read -r word <&"${CROWD[0]}"
[ "$word" = ready ] || fail "the crowd did not start"

# fits WIDTH PATTERN: the lines that have the pattern fit, and there are such lines.
fits() {
    grep -e "$2" "$work/out" >"$work/lines" || fail "no line with '$2' at $1 columns"
    [ "$(wc -L <"$work/lines")" -le "$1" ] || fail "wider than $1 columns: $(cat "$work/lines")"
}

for width in 40 80 200; do
    COLUMNS=$width run 0 ls --processes
    fits "$width" '^NAME .*FILL'
    fits "$width" "^${heap:0:8}"
    fits "$width" 'PID  PROGRAM .*BYTES'
    fits "$width" 'mortal .*KiB'
    COLUMNS=$width run 0 stat "$heap"
    fits "$width" 'PID  PROGRAM'
    fits "$width" 'writer .*KiB'
    COLUMNS=$width run 0 names "$heap"
    fits "$width" 'LENGTH .*NAME'
    fits "$width" ' matrix$'
    COLUMNS=$width run 0 top --once --interval 100 "$heap"
    fits "$width" .
    COLUMNS=$width run 0 watch --count 1 --interval 100 "$heap"
    fits "$width" .
    COLUMNS=$width run 0 map "$heap"
    fits "$width" '|.*|'
done
COLUMNS=200 run 0 ls
says "^$heap .*SIZE\\|^NAME .*SIZE .*USED .*PROCESSES .*DEAD .*RECOVERIES"
COLUMNS='' run 0 ls
says "^NAME .*SIZE .*USED .*PROCESSES .*DEAD .*RECOVERIES"
says "^$heap "
COLUMNS='' run 0 names "$heap"
says ' <script>alert(1)</script>$'
says ' bad\\xff\\x1b\[31m$'
says ' café$'

# Colours: only on a terminal, and not with NO_COLOR. script gives the tool a terminal.
export TERM=xterm
for setting in '' 1; do
    NO_COLOR=$setting script -qec "'$tool' map '$heap'" /dev/null >"$work/out" </dev/null ||
        fail "map failed on a terminal"
    colors=$(grep -c $'\033' "$work/out")
    [ "${setting:-0}" = 0 ] || [ "$colors" = 0 ] || fail "colours with NO_COLOR"
    [ "${setting:-0}" = 1 ] || [ "$colors" != 0 ] || fail "no colours on a terminal"
done
exec {CROWD[1]}>&-
wait "$crowd_pid" || fail "the crowd failed"
exit 0
