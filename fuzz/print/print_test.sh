#!/bin/bash
# print_test.sh BROKEN REPLAY...: the C programs that targets print compile as fuzz/README.md says.
# Those of kept inputs find a sound heap; that of BROKEN, whose heap gets broken, says which rule.
set -uo pipefail
command -v cc >/dev/null || { echo "skipped: there is no cc"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/print.XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "$*"; failures=$((failures + 1)); }

grep -qF 'cc -g -Ic/include FOUND.c c/shmheap.c && ./a.out' fuzz/README.md ||
    { echo "fuzz/README.md has another command"; exit 1; }
# The command of the page in two steps: the core is compiled once for all programs.
cc -g -Ic/include -c c/shmheap.c -o "$work/shmheap.o" || { echo "no core"; exit 1; }

# run PROGRAM: compiles and runs it; sets status and said.
run() {
    cc -g -Ic/include "$work/$1.c" "$work/shmheap.o" -o "$work/$1" ||
        { fail "$1 does not compile"; return 1; }
    said=$("$work/$1" 2>&1)
    status=$?
}

broken=$1
shift
"$broken" fuzz/README.md >"$work/out" 2>/dev/null && fail "a broken heap, but status 0"
sed -n '/^#define _GNU_SOURCE/,$p' "$work/out" >"$work/broken.c"
run broken && [[ $status = 1 && $said == *"heap 0: rule 3: "* ]] ||
    fail "the program of a broken heap: status $status, output: $said"

for replay; do
    target=${replay##*/fuzz_}
    target=${target%_replay}
    number=0
    for input in $(find "fuzz/corpus/$target" -maxdepth 1 ! -type d | sort | head -n 12); do
        number=$((number + 1))
        "$replay" --print-c "$input" >"$work/$target$number.c" 2>/dev/null || fail "$input fails"
        cc -Ic/include -fsyntax-only "$work/$target$number.c" || fail "$input: no C program"
    done
    [ "$number" = 12 ] || fail "few inputs of $target"
    # A peer of image and torn may write a lock owner, for which the program would wait.
    [[ $target != image && $target != torn ]] || continue
    run "${target}1" && [ "$status" = 0 ] || fail "${target}1: status $status, output: $said"
done
[ "$failures" = 0 ] && echo passed
