#!/bin/bash
# mutate_test.sh MUTATE: tools/mutate lists the mutants of the files that the command line names,
# refuses a name that is no file of c/src, and knows where its tests lie. It judges no mutant.
set -uo pipefail
tool=$1
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/mutate.XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "$*"; failures=$((failures + 1)); }

# list ARGUMENT...: the mutants, which the tool lists without a word of error.
list() {
    "$tool" --list --sample 0 "$@" >"$work/out" 2>"$work/err" || fail "--list $*: status $?"
    [ ! -s "$work/err" ] || fail "--list $*: $(cat "$work/err")"
    cat "$work/out"
}
# refused WORDS ARGUMENT...: status 2, one line of error that has the words, and no output.
refused() {
    local words=$1 status=0
    shift
    "$tool" --state "$work/state" "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = 2 ] || fail "$*: status $status, not 2"
    [ ! -s "$work/out" ] || fail "$*: it printed: $(head -1 "$work/out")"
    [[ $(wc -l <"$work/err") = 1 && $(cat "$work/err") == *"$words"* ]] ||
        fail "$*: it did not say '$words' in one line, but: $(cat "$work/err")"
    [ ! -e "$work/state" ] || fail "$*: it judged mutants"
}

grow=$(list grow.c)
[[ $grow == heap/grow.c:*' -> '* ]] || fail "no mutants of grow.c: $grow"
[ "$(grep -vc '^heap/grow\.c:' <<<"$grow")" = 0 ] || fail "grow.c: mutants of another file"
[ "$(list heap/grow.c)" = "$grow" ] || fail "heap/grow.c: not those of grow.c"
[ "$(list heap/grow.c grow.c)" = "$grow" ] || fail "two names of a file: not those of one name"
[ "$(list grow.c wait.c | cut -d: -f1 | sort -u | xargs)" = "heap/grow.c process/wait.c" ] ||
    fail "two files: not the mutants of both"
all=$(list)
[ "$(grep '^heap/grow\.c:' <<<"$all")" = "$grow" ] || fail "no name: not the mutants of all files"

# Each kind, in files that have it.
for kind in comparison constant deletion conjunct exchange wake barrier; do
    [[ $(list --kinds "$kind" lock.c lock.h free.c) == *" $kind "* ]] ||
        fail "no mutants of kind $kind"
done
[[ $(list --kinds conjunct grow.c) == *' -> '* ]] || fail "no conjuncts in grow.c"
# Every mutant has one name, and a sample is the beginning of a larger one with that seed.
[ "$(sort <<<"$all" | uniq -d)" = "" ] || fail "a mutant is listed twice"
sample() { "$tool" --list --sample "$1" --seed "$2" lock.c; }
few=$(sample 5 abc) more=$(sample 9 abc)
[ "$few" = "$(head -5 <<<"$more")" ] || fail "--sample 5 is not the beginning of --sample 9"
[ "$few" != "$(sample 5 abd)" ] || fail "two seeds have the same sample"
refused 'no kind nothing' --list --kinds nothing

refused 'no C file nothing.c' --list nothing.c
refused 'no C file nothing.c' nothing.c
refused 'no C file nothing.c' --list grow.c nothing.c
refused 'no C file process/grow.c' --list process/grow.c # it is in heap/
refused 'no C file c/src/heap/grow.c' --list c/src/heap/grow.c
refused 'no C file main.c' --list main.c # of the program shmheap
refused 'no C file README.md' --list README.md
refused 'no C file ' --list ''

# FILE:LINE, as the list begins.
place=$(tail -n 1 <<<"$grow" | cut -d: -f1,2)
[ "$(list "${place#heap/}")" = "$(grep "^$place:" <<<"$grow")" ] ||
    fail "$place: not the mutants of this line"
[ "$(list grow.c:1000 grow.c)" = "$grow" ] || fail "a file and a line of it: not those of the file"
refused 'heap/grow.c:1 has no mutant; tools/mutate --list heap/grow.c' grow.c:1
refused 'no C file nothing.c' nothing.c:7

refused 'no file nothing of faults; tests/schedule/faults.txt' --faults nothing
echo 'grow.c: a fault' >"$work/faults"
refused "'grow.c: a fault' is no FILE | FUNCTION | WAS -> IS" --faults "$work/faults"
echo 'heap/none.c | two | a -> b' >"$work/faults"
refused 'c/src has no C file heap/none.c' --faults "$work/faults"

# A gcc that a signal ends while it links. It is no fault of the test, and no verdict.
mkdir "$work/gcc"
cat >"$work/gcc/gcc" <<'END'
#!/bin/bash
words=" $* " made=${words##* -o }
case $words in
    *" -MM "*) echo "source.o: source.c" ;;
    *" -c "*) touch "${made%% *}" ;;
    *) kill -TERM $$ ;;
esac
END
chmod +x "$work/gcc/gcc"
PATH=$work/gcc:$PATH "$tool" --state "$work/state" --tests unit/calls/errno_test grow.c \
    >"$work/out" 2>"$work/err"
[[ $(cat "$work/err") == "mutate: compiling 1 tests, "*$'\nmutate: gcc was ended by signal 15' ]] ||
    fail "gcc ended by a signal: $(cat "$work/err")"
[ ! -s "$work/state" ] || fail "gcc ended by a signal: verdicts $(cat "$work/state")"
rm -f "$work/state"

# Each fault of the scheduler's list is a change of one place, and its test exists.
faults=$(list --faults tests/schedule/faults.txt)
[ "$(wc -l <<<"$faults")" -ge 6 ] || fail "few faults: $faults"
while IFS= read -r fault; do
    grep -qF "X(${fault##*    })" tests/schedule/scenarios/scenarios.h ||
        fail "no scenario of schedule_test: $fault"
done <<<"$faults"
refused 'there is no test nothing' --list --tests nothing grow.c

# Each file that a run would compile exists.
python3 - "$tool" >"$work/sources" <<'END' || fail "the lists of the tests cannot be read"
import runpy, sys
mutate = runpy.run_path(sys.argv[1])
for table in ("MORE_SOURCES", "HOOKED", "SPARSE_FILES"):
    for test in set(mutate[table]) - set(mutate["TESTS"]):
        print("%s, which is in %s alone" % (test, table))
for test in mutate["TESTS"]:
    for file in [test + ".c"] + mutate["MORE_SOURCES"].get(test, []):
        print(file)
END
[ -s "$work/sources" ] || fail "there are no tests"
while IFS= read -r file; do
    [ -f "tests/$file" ] || fail "it names a test that does not exist: $file"
done <"$work/sources"
[ "$failures" = 0 ] && echo passed
