#!/bin/bash
# include_ladder_test.sh FOLDER: the files of FOLDER/src include only what FOLDER/src/LADDER lets
# them, and FOLDER/include holds public headers alone: shmheap.h, and shmheap_textbook.h for
# courses. First the test tries itself on small trees that break each rule.
set -euo pipefail

# Prints each breach as FILE:LINE: what is wrong; returns 1 if there was one.
ladder_check() {
    local folder=$1
    if [ ! -f "$folder/src/LADDER" ]; then
        echo "$folder/src/LADDER: missing"
        return 1
    fi
    local files=("$folder"/src/*/*)
    {
        printf 'outside %s\n' "$folder"/src/*
        find "$folder/include" ! -type d | sed "s|^|header |"
        printf 'file %s\n' "${files[@]}"
        sed 's/#.*//; s/^/level /' "$folder/src/LADDER"
        grep -nHE '^[[:space:]]*#[[:space:]]*include([^_[:alnum:]]|$)' "${files[@]}" |
            sed 's/^/include /' || true
    } | awk -v public="$folder/include/shmheap.h" -v ladder="$folder/src/LADDER" \
        -v src="$folder/src/" '
        function breach(text) { print text; breaches++ }
        function base(path) { sub(/.*\//, "", path); return path }
        function below_src(path) { return substr(path, length(src) + 1) }          # FOLDER/FILE
        function room(name) { sub(/\/.*/, "", name); return name }
        function module(name) { sub(/\.[ch]$/, "", name); return name }
        # The file that an include names: FILE of the same folder, or ../FOLDER/FILE.
        function included(here, target) {
            return sub(/^\.\.\//, "", target) ? target : room(here) "/" target
        }

        $1 == "header" && $2 != public && base($2) != "shmheap_textbook.h" {
            breach($2 ": not shmheap.h, the only file that the include folder may hold")
        }
        $1 == "header" && $2 == public { public_seen = 1 }
        $1 == "outside" && $2 ~ /\.[ch]$/ { breach($2 ": lies in no folder") }
        $1 == "file" && base($2) != "README.md" { file[$2] = 1; known[below_src($2)] = 1 }
        $1 == "level" && NF > 1 {
            level++
            for (i = 2; i <= NF; i++) {
                if ($i in at) breach(ladder ": names " $i " twice")
                at[$i] = level
                if (room($i) != current && room($i) in rooms)
                    breach(ladder ": the levels of " room($i) " do not stand together")
                current = room($i); rooms[current] = 1
            }
        }
        $1 == "include" {
            where = $2; sub(/:[^:]*$/, "", where)            # FILE:LINE
            path = where; sub(/:[0-9]+$/, "", path)
            line = $0; sub(/^include [^:]*:[0-9]+:/, "", line)
            target = line; sub(/^[^"<]*/, "", target)
            quoted = substr(target, 1, 1) == "\""
            target = substr(target, 2); sub(/[">].*/, "", target)
            n++
            from[n] = path; at_line[n] = line_of(where)
            to[n] = target; is_quoted[n] = quoted; text[n] = line
        }
        function line_of(where) { sub(/.*:/, "", where); return where }

        END {
            if (!public_seen) breach(public ": missing")
            for (path in file) {
                files++
                if (path !~ /\.[ch]$/) breach(path ": neither .c nor .h")
                else if (!(module(below_src(path)) in at))
                    breach(path ": " module(below_src(path)) " is not in " ladder)
            }
            if (!files) breach(ladder ": no files beside it")
            for (i = 1; i <= n; i++) {
                here = from[i] ":" at_line[i]
                file_here = below_src(from[i]); name = included(file_here, to[i])
                own = module(file_here); other = module(name)
                if (to[i] == "shmheap.h") continue
                if (!(name in known)) {
                    if (to[i] == "") breach(here ": names no file: " text[i])
                    else if (is_quoted[i])
                        breach(here ": includes \"" to[i] "\", which is not in " src)
                    continue                                        # the system
                }
                if (!(own in at) || !(other in at)) continue          # said above
                if (name !~ /\.h$/) breach(here ": includes \"" to[i] "\", which is no header")
                else if (own == other) {
                    if (from[i] !~ /\.c$/) breach(here ": includes itself")
                } else if (at[other] == at[own])
                    breach(here ": includes \"" to[i] "\", but " other " is on the level of " own)
                else if (at[other] < at[own])
                    breach(here ": includes \"" to[i] "\", but " other " is above " own)
            }
            exit breaches > 0
        }'
}

# tree: a sound one, in a folder of its own, which the case then breaks.
tree() {
    rm -rf "$scratch/t"
    mkdir -p "$scratch/t/src/up" "$scratch/t/src/down" "$scratch/t/include"
    printf '# comment\nup/top\nup/left up/right # two\n\ndown/low\n' >"$scratch/t/src/LADDER"
    printf '#include <%s>\n#include "%s"\n#include "%s"\n' stdio.h shmheap.h left.h \
        >"$scratch/t/src/up/top.c"
    printf '#include "left.h"\n\n# include "../down/low.h" /* why */\n' >"$scratch/t/src/up/left.c"
    touch "$scratch/t/src/up/left.h" "$scratch/t/src/up/right.h" "$scratch/t/src/down/low.h" \
        "$scratch/t/src/up/README.md" "$scratch/t/include/shmheap.h"
}

# refused TEXT: the check fails and says TEXT.
refused() {
    local said
    if said=$(ladder_check "$scratch/t"); then
        echo "the check let pass what it should refuse with: $1"
        exit 1
    elif [[ $said != *"$1"* ]]; then
        printf 'the check should have said: %s\nit said: %s\n' "$1" "$said"
        exit 1
    fi
}

scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/ladder.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

tree
ladder_check "$scratch/t" || { echo "the check refused a sound tree"; exit 1; }
tree; echo '#include "../up/top.h"' >>"$scratch/t/src/down/low.h"; touch "$scratch/t/src/up/top.h"
refused 'src/down/low.h:1: includes "../up/top.h", but up/top is above down/low'
tree; echo '#include <right.h>' >>"$scratch/t/src/up/left.c"
refused 'src/up/left.c:4: includes "right.h", but up/right is on the level of up/left'
tree; echo '  #  include "../up/top.c"' >>"$scratch/t/src/down/low.h"
refused 'src/down/low.h:1: includes "../up/top.c", which is no header'
tree; echo '#include "low.h"' >>"$scratch/t/src/up/left.c"
refused 'src/up/left.c:4: includes "low.h", which is not in'
tree; echo '#include NAME' >>"$scratch/t/src/down/low.h"
refused 'src/down/low.h:1: names no file: #include NAME'
tree; touch "$scratch/t/src/up/new.c"
refused 'src/up/new.c: up/new is not in'
tree; touch "$scratch/t/src/up/left.inc"
refused 'src/up/left.inc: neither .c nor .h'
tree; touch "$scratch/t/src/new.c"
refused 'src/new.c: lies in no folder'
tree; touch "$scratch/t/include/more.h"
refused 'include/more.h: not shmheap.h'
tree; rm "$scratch/t/include/shmheap.h"
refused 'include/shmheap.h: missing'
tree; echo up/left >>"$scratch/t/src/LADDER"
refused 'LADDER: names up/left twice'
tree; echo up/last >>"$scratch/t/src/LADDER"
refused 'LADDER: the levels of up do not stand together'

ladder_check "$1"
