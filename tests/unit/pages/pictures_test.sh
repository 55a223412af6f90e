#!/bin/bash
# pictures_test.sh PROGRAM PICTURE...: the pictures in docs/ are what tools/book/draw.py draws.
set -u
program=$1
shift
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/pictures.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 "$program" "$work" || exit 1
failures=0
for picture; do
    cmp "$picture" "$work/${picture##*/}" || failures=$((failures + 1))
    rm -f "$work/${picture##*/}"
done
[ -z "$(ls "$work")" ] || { echo "FAIL: drawn and not in docs/: $(ls "$work")"; exit 1; }
[ "$failures" = 0 ] && echo passed
