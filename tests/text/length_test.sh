#!/bin/bash
# length_test.sh: no C, C++ or Rust file has more than 400 lines. First the test tries itself on
# small trees.
set -euo pipefail
. tests/text/text.sh

# FILE LINES: the files that may be longer, and how long. At most five, and each has to be needed:
# the public header, and what bindgen writes.
exceptions='
c/include/shmheap.h 600
rust/shmheap-sys/src/bindings.rs 700
'

# length_check FOLDER: prints each breach as FILE: what is wrong; returns 1 if there was one.
length_check() {
    local files
    mapfile -t files < <(text_files "$1" c rust)
    {
        sed '/^$/d; s/^/limit /' <<<"$exceptions"
        [ ${#files[@]} = 0 ] || wc -l "${files[@]}" | sed '/ total$/d; s/^/file /'
    } | awk '
        $1 == "limit" { limit[$2] = $3; if (++limits > 5) print $2 ": the sixth exception" }
        $1 == "file" {
            if ($3 in limit) seen[$3] = 1
            if ($2 > ($3 in limit ? limit[$3] : 400)) print $3 ": " $2 " lines"
            else if ($3 in limit && $2 <= 400) print $3 ": an exception that it does not need"
        }
        END {
            for (path in limit) if (!(path in seen)) print path ": an exception, but no such file"
        }
    ' | text_summary
}

lines() { seq "$1"; }

text_scratch
(
    exceptions=
    lines 400 | text_accepts a.c length_check
    lines 401 | text_refuses 'a.c: 401 lines' a.c length_check
    lines 401 | text_refuses 'deep/a.hpp: 401 lines' deep/a.hpp length_check
    lines 400 | text_accepts a.rs length_check
    lines 401 | text_refuses 'a.rs: 401 lines' a.rs length_check
    lines 401 | text_accepts a.py length_check
    exceptions='a.h 500'
    lines 500 | text_accepts a.h length_check
    lines 501 | text_refuses 'a.h: 501 lines' a.h length_check
    lines 400 | text_refuses 'a.h: an exception that it does not need' a.h length_check
    lines 400 | text_refuses 'a.h: an exception, but no such file' a.c length_check
    exceptions=$(printf '%s 500\n' a.h b.h c.h d.h e.h f.h)
    lines 500 | text_refuses 'f.h: the sixth exception' a.h length_check
)

length_check .
