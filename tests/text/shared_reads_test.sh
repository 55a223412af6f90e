#!/bin/sh
# Shared memory is read by the load functions alone. The types of its fields see to that; this looks
# for what gets round them.
set -eu

found=0
# look PATTERN ALLOWED WHY: lines of c/src with that pattern, but for those in the files allowed.
look() {
    lines=$(grep -nE "$1" c/src/*/*.[ch] | grep -vE "^c/src/($2):" || true)
    [ -z "$lines" ] || { echo "$3:"; echo "$lines"; found=1; }
}

look '[.>]value_' 'base/shared[.]h' "the value inside a shared word, without a load function"
look '_mm[0-9]*_[a-z_]*load' 'base/vector[.]h' "a vector loaded elsewhere than in vector.h"
plain='uint64_t|uint32_t|char|unsigned char'
look "\(const ($plain) \*\)[^;]*(record|table|entry|line|control|bits)->" \
    'none' "a shared field's address under another type"
look 'memcpy\([^,]*, *[a-z_>.-]*(record|entry|line|control|bits)->' 'none' \
    "bytes copied out of shared memory"

# The same by the compiler: a plain read is an error.
cat >"$TEST_TMPDIR/plain.c" <<'END'
#include "c/src/segment/connection.h"
uint64_t plain(const struct control *control);
uint64_t plain(const struct control *control) { return READ; }
END
compiles() {
    "${CC:-cc}" -std=c99 -D_GNU_SOURCE -I. -Ic/include -fsyntax-only "-DREAD=$1" \
        "$TEST_TMPDIR/plain.c" 2>/dev/null
}
compiles 'load_u64(&control->len)' || { echo "a load does not compile"; found=1; }
for read in 'control->len' 'control->first[1] + 1' '(uint64_t)control->listed' \
    'control->len == 0'; do
    ! compiles "$read" || { echo "a plain read compiles: $read"; found=1; }
done
exit $found
