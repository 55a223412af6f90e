# lib.sh: what the tests of the tool share. Sourced with the tool's path in $1.
set -uo pipefail
tool=$PWD/$1
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/tool.XXXXXX")
heap=test-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
clean_up() {
    rm -rf "$work"
    rm -f "/dev/shm/$heap" "/dev/shm/$heap".*
}
trap clean_up EXIT

fail() {
    echo "FAIL: $*" >&2
    [ ! -s "$work/out" ] || sed 's/^/  out: /' "$work/out" >&2
    [ ! -s "$work/err" ] || sed 's/^/  err: /' "$work/err" >&2
    exit 1
}

# part WHAT: prints the time and the name of a part, so that the log of a slow test shows where.
part() { echo "$SECONDS s: $*"; }

# run STATUS ARGUMENT...: the tool with these arguments ends with that status.
run() {
    local wanted=$1 status=0
    shift
    "$tool" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" = "$wanted" ] || fail "shmheap $* ended with $status, not $wanted"
}

# refused STATUS PATTERN ARGUMENT...: it ends with that status, one line of error that has the
# pattern, and no output.
refused() {
    local wanted=$1 pattern=$2
    shift 2
    run "$wanted" "$@"
    [ ! -s "$work/out" ] || fail "shmheap $* wrote to standard output"
    [ "$(wc -l <"$work/err")" = 1 ] || fail "shmheap $* did not say it in one line"
    grep -q -e "$pattern" "$work/err" || fail "shmheap $* did not say '$pattern'"
}

says() { grep -q -e "$1" "$work/out" || fail "no '$1' in the output"; }

# json EXPRESSION: true of the output, which is the object or array j.
json() {
    python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$work/out" "$1" || fail "not so: $1"
}
