#!/bin/bash
# exports_test.sh LIBRARY HEADER ARCHIVE...: the library exports exactly the functions that the
# header declares with SHMHEAP_API. No symbol of library or archive could be one of a program: all
# begin with shmheap_. Variables of a thread cost no call.
set -euo pipefail
library=$1 header=$2
shift 2

exported=$(nm -D --defined-only --extern-only "$library" | awk '{ print $NF }' | sort -u)

# The header without comments and preprocessor lines, a declaration a line.
declarations=$(
    sed -zE 's#/\*([^*]|\*+[^*/])*\*+/##g; s#//[^\n]*##g; s#(^|\n)[ \t]*\#[^\n]*#\1#g' "$header" |
    tr '\n' ' ' | tr ';{}' '\n\n\n')
functions() { grep -oE '\bshmheap_[a-z0-9_]+[[:space:]]*\(' | tr -d ' ('; }
api=$(grep SHMHEAP_API <<<"$declarations" | functions | sort -u || true)
# A function without the mark would be missing from the library.
unmarked=$(grep -v -e SHMHEAP_API -e inline -e typedef <<<"$declarations" | functions || true)

failed=0
# complain LIST TEXT: a failure for each name of the list.
complain() {
    local name
    for name in $1; do
        echo "$name: $2"
        failed=1
    done
}
complain "$(grep -v '^shmheap_' <<<"$exported" || true)" \
    "exported, but does not start with shmheap_"
for archive in "$@"; do
    case $archive in *.a) ;; *) continue ;; esac
    shared=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u)
    complain "$(grep -v '^shmheap_' <<<"$shared" || true)" \
        "a symbol of $archive without the prefix; add it to c/src/base/prefix.h"
    [ -n "$shared" ] || complain "$archive" "defines nothing"
    archives=$((${archives:-0} + 1))
done
[ "${archives:-0}" -gt 0 ] || complain "$*" "no archive"
complain "$(comm -23 <(echo "$exported" | grep '^shmheap_') <(echo "$api"))" \
    "exported, but not declared with SHMHEAP_API in $header"
complain "$(comm -13 <(echo "$exported") <(echo "$api"))" "declared in $header, but not exported"
complain "$(nm -D --undefined-only "$library" | grep -o '__tls_get_addr' || true)" \
    "called for a __thread variable that has no PER_THREAD (c/src/base/platform.h)"
complain "$unmarked" "declared in $header without SHMHEAP_API"
if [ "$(wc -w <<<"$api")" -lt 9 ]; then
    echo "found only these in $header: $api"
    failed=1
fi
[ "$failed" = 0 ] && echo "$(wc -w <<<"$api") functions exported"
exit "$failed"
