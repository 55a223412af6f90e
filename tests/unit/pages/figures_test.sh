#!/bin/bash
# figures_test.sh TOOL PAGE: the sums in docs/proof.md are those of its rows, and
# tools/book/check_figures finds each kind of difference between the page and logs of tests and
# fuzzers, which are made from the page here.
set -euo pipefail
tool=$PWD/$1 page=$PWD/$2
command -v python3 > /dev/null || { echo "skipped: there is no python3"; exit 0; }
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/proof.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
"$tool" --sums
cd "$scratch"
mkdir docs
cp "$page" docs/proof.md
fail() { echo "$*" >&2; exit 1; }

# log TEST: makes its log of standard input.
log() {
    mkdir -p "logs/tests/$1"
    cat > "logs/tests/$1/test.log"
}

# figure PATTERN: the number that the page has in the pattern's group.
figure() {
    local found
    found=$(sed -nE "s/.*$1.*/\\1/p" docs/proof.md | head -n 1 | tr -d ,)
    [ -n "$found" ] || fail "the page has no $1"
    echo "$found"
}

# The rows of all step tests in one log, the rest without rows.
for test in cache free kept_names names ownership; do
    echo passed | log "crash/steps/step_${test}_test"
done
number=' ([0-9]+) \|'
sed -nE "s/^\| ([^|*]+) \|$number$number$number$number ([0-9]*) \|$number\$/\\
  \\1     \\2    \\3   \\4  \\5 + \\6 + \\7  (0.1 s)/p" docs/proof.md | sed 's/ +  + / + /' > rows
sed -i '2s/  (0.1 s)$/; 5 went another way first; 1 stepped from the beginning&/' rows
log crash/steps/step_alloc_test < rows
echo "  a: $(figure 'bins and tree: ([0-9,]+) damages') damages" | log unit/inspect/check_rules_test
echo "  call: $(figure 'names_crash_test` \| ([0-9,]+), before') deaths" |
    log crash/names_crash_test
{
    echo "  $(figure 'before the calls \| ([0-9,]+) \|') rounds: 1 calls accepted"
    echo "  $(figure 'during the calls \| ([0-9,]+) \|') rounds: 1 calls accepted"
} | log misuse/corrupt_test
{
    echo "  $(figure 'between loads, [0-9,]+ times \| ([0-9,]+) \|') rounds: 1 calls accepted"
    echo "  $(figure 'as they are read, [0-9,]+ times \| ([0-9,]+) \|') rounds: 1 calls accepted"
} | log misuse/torn_test

# expect STATUS WORDS: what the tool says about the page and the logs.
expect() {
    local status=0 said
    said=$("$tool" --logs logs 2>&1) || status=$?
    [ "$status" = "$1" ] && [[ $said == *"$2"* ]] && return
    fail "status $status, expected $1; expected '$2' in: $said"
}

expect 0 ", 0 differ"
sed 's/^  calloc     [0-9]*  */  calloc     9999    /' rows | log crash/steps/step_alloc_test
expect 1 "calloc: instructions $(figure '^\| calloc \| ([0-9]+) \|'), in the log 9999"
grep -v '^  send ' rows | log crash/steps/step_alloc_test
expect 1 "send: 1 rows in the page, 0 in the logs"
{ cat rows; echo "  a new call   5   5   2  3 + 2  (0.1 s)"; } | log crash/steps/step_alloc_test
expect 1 "a new call: 0 rows in the page, 1 in the logs"
log crash/steps/step_alloc_test < rows
echo "  a: 1 damages" | log unit/inspect/check_rules_test
expect 1 "in the page, 1 in the log"
rm -r logs/tests/unit
expect 2 "//tests/unit/inspect/check_rules_test: no log"
sed -i 's/^| calloc | [0-9]* /| calloc | 1 /' docs/proof.md
expect 1 "the last row is"

# The table of fuzzers: a folder of tools/fuzz with the page's figures, then with others.
expect_fuzz() {
    local status=0 said
    said=$("$tool" --fuzz fuzz 2>&1) || status=$?
    [ "$status" = "$1" ] && [[ $said == *"$2"* ]] && return
    fail "--fuzz: status $status, expected $1; expected '$2' in: $said"
}
number=' ([0-9,]+) \|'
sed -n '/<!-- figures: fuzz -->/,/^[^|<]/p' docs/proof.md | sed -nE \
    "s/^\| ([a-z_]+) \|$number$number$number$number$number\$/\1 \2 \3 \4 \5 \6/p" |
    tr -d , | while read -r target rate kept_edges edges kept findings; do
    mkdir -p "fuzz/$target"
    echo "$target 1 $rate 1 $kept_edges $edges $kept 1 $findings" > "fuzz/$target/figures"
done
expect_fuzz 0 ", 0 differ"
cp fuzz/ops/figures ops
awk '{ $3 *= 3; print }' ops > fuzz/ops/figures
expect_fuzz 1 "ops: executions"
awk '{ $7 += 1; print }' ops > fuzz/ops/figures
expect_fuzz 1 "ops: kept inputs"
awk '{ $5 = "?"; print }' ops > fuzz/ops/figures
expect_fuzz 1 "ops: edges of the kept inputs"
rm fuzz/ops/figures
expect_fuzz 2 "no fuzz/ops/figures"
