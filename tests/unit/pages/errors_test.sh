#!/bin/bash
# errors_test.sh HEADER PAGE: the page for errors has each errno of the header and no other, each
# with the words of this system's C library.
set -u
header=$1 page=$2
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
# In comments of the header.
of_header=$(grep -oE '\bE[A-Z]{3,}[0-9]*\b' "$header" | grep -vE '^(EXCLUSIVE|EITHER)$' | sort -u)
of_page=$(grep -oE '^\| `E[A-Z0-9]+`' "$page" | grep -oE 'E[A-Z0-9]+' | sort -u)
[ "$(wc -l <<<"$of_header")" -ge 20 ] || fail "the header has few errno values: $of_header"
for name in $of_header; do
    grep -qx "$name" <<<"$of_page" || fail "$name is in the header, not on the page"
done
for name in $of_page; do
    grep -qx "$name" <<<"$of_header" || fail "$name is on the page, not in the header"
done
if command -v python3 >/dev/null; then
    diff <(sed -nE 's/^\| `(E[A-Z0-9]+)` ([^|]*[^| ]) *\|.*/\1 \2/p' "$page" | sort -u) \
        <(LC_ALL=C python3 -c 'import errno, os, sys
for name in sys.argv[1:]: print(name, os.strerror(getattr(errno, name)))' $of_page) ||
        fail "the page (<) has other words for an errno than the system (>)"
else
    echo "skipped: the words of each errno (there is no python3)"
fi
[ "$failures" = 0 ] && echo "passed: $(wc -w <<<"$of_page") values"
