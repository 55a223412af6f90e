#!/bin/bash
# readme_test.sh README: the README's first C program, built as the README says, whatever lies in
# its heap's place.
set -u
readme=$1
command -v cc > /dev/null || { echo "skipped: there is no cc"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/readme.XXXXXX")
name=greeting-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$work" "/dev/shm/$name"' EXIT
. tests/support/unoptimised.sh
unoptimised "$work/compilers"
grep -qF 'cc -O2 -Ic/include program.c c/shmheap.c' "$readme" || { echo "another command"; exit 1; }
failures=0
fail() { echo "$*"; failures=$((failures + 1)); }

sed -n '/^```c$/,/^```$/p;/^```$/q' "$readme" | sed '1d;$d' |
    sed "s,/greeting,/$name,g" > "$work/program.c"
grep -q 'shmheap_valid' "$work/program.c" || fail "the program does not check its heap"
cat > "$work/leave.c" <<END
#include <shmheap.h>
#include <signal.h>
int main(int argc, char **argv)
{
    shmheap_memory_handle heap = shmheap_create("/$name", 1 << 16);
    if (!shmheap_valid(heap) || shmheap_alloc(heap, 100) == NULL)
        return 1;
    if (argc > 1)
        raise(SIGSTOP); /* alive */
    raise(SIGKILL);
    return argv == NULL;
}
END
for program in program leave; do
    cc -O2 -Ic/include "$work/$program.c" c/shmheap.c -o "$work/$program" ||
        { fail "$program does not compile"; exit 1; }
done

# good WHAT: the program does what it should, and leaves nothing.
good() {
    words=$("$work/program" 2>&1)
    [[ $? = 0 && $words == "hello from "* ]] || fail "$1: $words"
    [ ! -e "/dev/shm/$name" ] || fail "$1: it leaves its heap"
}
# refused WHAT WORDS: it says why not, and what is there stays.
refused() {
    words=$("$work/program" 2>&1)
    [[ $? = 1 && $words == *"$2"* ]] || fail "$1: $words"
    [ -e "/dev/shm/$name" ] || fail "$1: what was there is gone"
}
good "nothing there"
"$work/leave" 2> /dev/null
[ -e "/dev/shm/$name" ] || fail "no heap was left"
good "a heap that a killed process left"
: > "/dev/shm/$name"
good "an empty file"
rm -f "/dev/shm/$name"
"$work/leave" alive &
holder=$!
until grep -q '^State:.T' "/proc/$holder/status"; do
    kill -0 "$holder" 2> /dev/null || { fail "there is no heap in use"; exit 1; }
    sleep 0.01
done
refused "a heap in use" "File exists"
kill -KILL "$holder"
wait "$holder" 2> /dev/null
good "the same, when its user has died"
head -c 4096 /dev/urandom > "/dev/shm/$name"
refused "no heap" "Bad message"
words=$(cc -std=c99 -Ic/include "$work/program.c" c/src/*/*.c -lpthread -o "$work/program" 2>&1) &&
    fail "compiles without -D_GNU_SOURCE"
[[ $words == *"#error"*"with -D_GNU_SOURCE"* ]] || fail "without -D_GNU_SOURCE: $words"
[ "$failures" = 0 ] && echo passed
