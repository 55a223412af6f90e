#!/bin/bash
# format_page_test.sh PAGE HEADER: FORMAT.md has a row for each field of the shared structs of
# layout.h, with its offset, bytes and name, and no other rows; it names the format's version once.
# First the test tries itself on a page with a wrong offset, and on one without a row.
set -u
page=$1 header=$2
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/format.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# The fields of the structs in memory, "struct at bytes name" a line; bytes is empty for the last,
# open array.
fields() {
    sed -zE 's#/\*([^*]|\*+[^*/])*\*+/##g; s/\n/ /g; s/[;{}]/&\n/g' "$header" | awk '
        # The words of reclaim, which the header may still have under older names.
        function plain(field) {
            return field == "busy" ? "active" : field == "asked" ? "requested" : \
                field == "taken" ? "epoch" : field
        }
        { sub(/^[ \t]+/, "") }
        /[A-Z_]+ *= *[0-9]+/ { # constants of enums
            count = split($0, parts, ",")
            for (i = 1; i <= count; i++)
                if (split(parts[i], sides, "=") == 2) {
                    gsub(/[ \t}]/, "", sides[1])
                    constant[sides[1]] = sides[2] + 0
                }
        }
        /struct (control|slot|hints|cache_line|name_record|name_more|name_table|chunk_bits) \{$/ {
            name = $(NF - 1)
            at = 0
            next
        }
        /^}/ { name = "" }
        name != "" && /^shared_u(32|64) / {
            width = $1 == "shared_u32" ? 4 : 8
            sub(/^shared_u[0-9]+ */, "")
            sub(/;$/, "")
            count = split($0, list, ",")
            for (i = 1; i <= count; i++) {
                field = list[i]
                gsub(/[ \t]/, "", field)
                elements = 1
                if (match(field, /\[.*\]/)) {
                    inside = substr(field, RSTART + 1, RLENGTH - 2)
                    field = substr(field, 1, RSTART - 1)
                    elements = inside == "" ? 0 : 1
                    factors = split(inside, factor, "*")
                    for (k = 1; k <= factors; k++)
                        elements *= factor[k] ~ /^[0-9]+$/ ? factor[k] : constant[factor[k]]
                }
                print name, at, elements == 0 ? "" : width * elements, plain(field)
                at += width * elements
            }
        }'
}

# The same as the page has it. The line before a table, or its heading, says which struct it is of.
rows() {
    awk -F' *[|] *' '
        /^## Control/ { name = "control" }
        /^An entry:/ { name = "slot" }
        /^\*\*Hints\*\*/ { name = "hints" }
        /^\*\*Cache line\*\*/ { name = "cache_line" }
        /^\*\*Record\*\*/ { name = "name_record" }
        /^\*\*More users\*\*/ { name = "name_more" }
        /^\*\*Table\*\*/ { name = "name_table" }
        /^## The bit planes/ { name = "chunk_bits" }
        /^\| at \| bytes \| name \|/ { inside = 1; next }
        !/^\|/ { if (inside) name = ""; inside = 0 }
        inside && $2 ~ /^[0-9]+$/ { print name, $2, $3, $4 }' "$1"
}

same() { diff <(fields | sort) <(rows "$1" | sort) > "$scratch/difference"; }

failures=0
fail() { echo "$*"; failures=$((failures + 1)); }

[ "$(fields | wc -l)" -ge 60 ] || fail "$header: found no fields"
same "$page" || { fail "FORMAT.md (>) and layout.h (<) differ:"; cat "$scratch/difference"; }
sed 's/^| 72 | 8 | sequence /| 73 | 8 | sequence /' "$page" > "$scratch/wrong.md"
same "$scratch/wrong.md" && fail "a wrong offset passes"
grep -v '^| 8 | 8 | start_ticks ' "$page" > "$scratch/less.md"
same "$scratch/less.md" && fail "a missing row passes"

version=$(sed -n 's/^#define FORMAT_VERSION \([0-9]*\)u$/\1/p' "$header")
named=$(grep -oiE 'format( version)? [0-9]+' "$page" | grep -oE '[0-9]+')
[ "$named" = "$version" ] || fail "the page names version '$named', layout.h has '$version'"
[ "$failures" = 0 ] && echo passed
