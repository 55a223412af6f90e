#!/bin/bash
# reading_test.sh PROGRAM PAGE: docs/reading.md leads through alloc, free and recovery. Its files
# exist, have about the lines that it says, at most 4,500 together; and callgrind finds no file that
# PROGRAM passes on these ways and the page lacks.
set -euo pipefail
program=$PWD/$1 page=$PWD/$2
most=4500 # lines of all files that the page says to read
near=30   # lines by which the page may be wrong about a file
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/reading.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "docs/reading.md: $*" >&2; exit 1; }

# read_files: lines FILE LINES of the first table; passed_files: lines FILE of the second.
file='^\| \[([a-z_/.0-9]+)\]\(\.\./c/src/\1\) \|'
read_files() { sed -nE "s#$file ([0-9]+) \| .*#\1 \2#p" "$page"; }
passed_files() { sed -nE "s#$file [^0-9].*#\1#p" "$page"; }

sum=0
read_files >"$work/read"
passed_files >"$work/passed"
[ "$(wc -l <"$work/read")" -ge 20 ] || fail "this test finds too few files in its first table"
[ "$(wc -l <"$work/passed")" -le 10 ] || fail "more than ten files that are passed, but not read"
[ "$(grep -c '](\.\./c/src/[a-z_]*/' "$page")" = "$(cat "$work/read" "$work/passed" | wc -l)" ] ||
    fail "a row of a form that this test does not know"
while read -r file said; do
    [ -f "c/src/$file" ] || fail "there is no $file"
    lines=$(wc -l <"c/src/$file")
    sum=$((sum + lines))
    [ $((lines > said ? lines - said : said - lines)) -le "$near" ] ||
        fail "$file has $lines lines, not $said"
done <"$work/read"
echo "$sum lines in $(wc -l <"$work/read") files"
[ "$sum" -le "$most" ] || fail "$sum lines, more than $most"

# passes WAY: the files below c/src of which the program runs a function or a line in measured_WAY.
# callgrind writes a name where it occurs first: (NUMBER) NAME.
passes() {
    valgrind --tool=callgrind --callgrind-out-file="$work/out" \
        --toggle-collect="measured_$1" "$program" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    sed -nE 's#^c?f[lie]=\([0-9]+\) (.*/)?c/src/##p' "$work/out" |
        while read -r file; do realpath -m --relative-to=. "$file"; done | sort -u
}

if ! command -v valgrind >/dev/null; then
    echo "skipped: valgrind is not installed; tools/setup installs it"
    exit 0
fi
cut -d' ' -f1 "$work/read" | cat - "$work/passed" | sort -u >"$work/known"
for way in alloc free recovery; do
    passes "$way" >"$work/$way"
    echo "$way passes $(wc -l <"$work/$way") files"
    lacking=$(comm -23 "$work/$way" "$work/known")
    [ -z "$lacking" ] || fail "it lacks a file that $way passes: $lacking"
done
# A program that does not go these ways passes no file: so the heart of each has to be there.
grep -qx heap/first_fit.h "$work/alloc" || fail "the program does not alloc"
grep -qx heap/first_fit.h "$work/free" || fail "the program does not free"
grep -qx free_set/index.c "$work/recovery" || fail "the program does not recover"
# No file stands in the second table for nothing.
idle=$(sort "$work/passed" | comm -23 - <(sort -u "$work/alloc" "$work/free" "$work/recovery"))
[ -z "$idle" ] || fail "no way passes $idle"
