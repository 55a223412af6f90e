#!/bin/bash
# A process stopped while it holds the heap's lock: the commands name it, and take no slot.
source tests/tool/lib.sh
keep_lock=$PWD/$2

coproc KEEPER { exec "$keep_lock" "/$heap"; }
pid=$KEEPER_PID
trap 'kill -9 "$pid" 2>/dev/null; clean_up' EXIT
read -r word <&"${KEEPER[0]}"
[ "$word" = ready ] || fail "the lock is not held"
until grep -q '^State:.*T' "/proc/$pid/status"; do :; done

for command in stat map names; do
    refused 1 "process $pid (keep_lock) holds the lock.*'$heap', and is stopped;.*kill -CONT" \
        $command "$heap"
done

# A command samples the lock once, ten times a hundredth of a second: not again for its message.
cat >"$work/count.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int nanosleep(const struct timespec *time, struct timespec *left)
{
    FILE *file = fopen(getenv("COUNT"), "a");
    fputc('x', file);
    fclose(file);
    return (int)syscall(SYS_nanosleep, time, left);
}
END
if grep -q __asan_init "$tool"; then
    echo "skipped: AddressSanitizer accepts no library before its own"
elif cc -shared -fPIC -o "$work/count.so" "$work/count.c" 2>"$work/err"; then
    for command in stat map names; do
        : >"$work/count"
        COUNT=$work/count LD_PRELOAD=$work/count.so refused 1 'holds the lock' $command "$heap"
        [ "$(wc -c <"$work/count")" = 10 ] ||
            fail "$command slept $(wc -c <"$work/count") times beside a stopped holder"
    done
else
    echo "skipped: cc makes no library"
fi
kill -CONT "$pid"
wait "$pid" || fail "the process that held the lock"
run 0 stat --json "$heap"
json "j['connected'] == [] and j['dead'] == 0"
exit 0
