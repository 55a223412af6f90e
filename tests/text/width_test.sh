#!/bin/bash
# width_test.sh: no line of a source file is wider than 100 columns. Markdown is free: tables, and a
# paragraph may be one line. First the test tries itself on small trees.
set -euo pipefail
. tests/text/text.sh

# width_check FOLDER: prints each breach as FILE:LINE: what is wrong; returns 1 if there was one.
width_check() {
    local files
    mapfile -t files < <(text_files "$1" c rust fortran promela python shell bazel)
    # Columns, not bytes. A line that is one long address cannot be broken.
    { LC_ALL=C.UTF-8 grep -HnE '^.{101}' "${files[@]}" /dev/null || true; } |
        { grep -vE ':[0-9]+:[ /*#!-]*https?://[^ ]*$' || true; } |
        sed -E 's/^([^:]*:[0-9]+):(.{0,60}).*/\1: wider than 100 columns: \2/' | text_summary
}

text_scratch
hundred=$(printf '%0100d' 0)
for file in a.c a.hpp a.rs a.f90 a.fypp a.pml a.py a.sh BUILD a.bzl; do
    text_accepts "$file" width_check <<<"$hundred"
    text_refuses "$file:1: wider than 100 columns" "$file" width_check <<<"${hundred}0"
done
text_refuses 'tool:2: wider' tool width_check <<<"#!/bin/sh"$'\n'"${hundred}0"
text_refuses 'deep/er/a.c:1: wider' deep/er/a.c width_check <<<"${hundred}0"
text_accepts a.c width_check <<<"$(printf '\xc3\xa9%.0s' {1..100})"
text_refuses 'a.c:1: wider' a.c width_check <<<"$(printf '\xc3\xa9%.0s' {1..101})"
text_accepts a.c width_check <<<" * https://example.org/$hundred"
text_refuses 'a.c:1: wider' a.c width_check <<<" * see https://example.org/$hundred"
text_accepts a.md width_check <<<"${hundred}0"

width_check .
