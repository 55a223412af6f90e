#!/bin/bash
# filter_test.sh PROGRAM: a test program's argument runs the tests whose names contain it; one that
# no name contains fails, and lists the names.
set -uo pipefail
program=$1
failures=0

# runs NAMES ARGUMENT...: the program passes and runs these tests.
runs() {
    local names=$1 said
    shift
    said=$("$program" "$@" 2>&1) || { echo "$*: status $?"; failures=1; }
    [ "$(grep -o '^[a-z]*_of_both$' <<<"$said" | xargs)" = "$names" ] ||
        { echo "$*: expected $names, output: $said"; failures=1; }
}
runs "first_of_both second_of_both"
runs "first_of_both second_of_both" _of_
runs "second_of_both" second
said=$("$program" third 2>&1) && { echo "a filter that no name contains passes"; failures=1; }
words="no test of this program has 'third' in its name; the names are:"
words+=" first_of_both, second_of_both"
[[ $said == *"$words"* ]] || { echo "expected '$words', output: $said"; failures=1; }
[ "$failures" = 0 ] && echo passed
