#!/bin/bash
# words_test.sh: comments and documents hold no word of words.txt, and no name has a pronoun in the
# place of an actor. First the test tries itself on small trees.
set -euo pipefail
. tests/text/text.sh
here=$PWD

# words_check FOLDER: prints each breach as FILE:LINE: what is wrong; returns 1 if there was one.
words_check() {
    local arguments=() kind files
    for kind in c rust fortran markdown hash; do
        case $kind in
            c) mapfile -t files < <(text_files "$1" c promela) ;;
            hash) mapfile -t files < <(text_files "$1" python shell bazel config) ;;
            *) mapfile -t files < <(text_files "$1" "$kind") ;;
        esac
        arguments+=("KIND=$kind" "${files[@]}")
    done
    awk -f "$here/tests/text/comments.awk" "${arguments[@]}" /dev/null |
        awk -v words="${words:-$here/tests/text/words.txt}" '
        BEGIN {
            while ((getline line <words) > 0) {
                if (line ~ /^#/ || line !~ /\t/) continue
                split(line, part, "\t")
                if (part[2] == "right") {
                    right[++rights] = part[1]
                    continue
                }
                pattern[++patterns] = "(^|[^a-z0-9_])(" part[1] ")($|[^a-z0-9_])"
                instead[patterns] = part[2]
                all = all (patterns > 1 ? "|" : "") part[1]
            }
            if (!patterns) { print words ": no words"; exit 1 }
            all = "(^|[^a-z0-9_])(" all ")($|[^a-z0-9_])"
        }
        # said, a line, and the two words behind it: they may be part of what the line ends with.
        function check(where, said, ahead,    text, i, found) {
            text = said " " ahead
            for (i = 1; i <= rights; i++) gsub(right[i], "", text)
            if (text !~ all) return
            for (i = 1; i <= patterns; i++) {
                if (!match(text, pattern[i]) || RSTART > length(text) - length(ahead)) continue
                found = substr(text, RSTART, RLENGTH)
                gsub(/^[^a-z0-9_]|[^a-z0-9_]$/, "", found)
                print where ": \"" found "\"; write: " instead[i]
            }
        }
        {
            match($0, /^[^:]*:[0-9]+:/)
            where = substr($0, 1, RLENGTH - 1)
            said = tolower(substr($0, RLENGTH + 1))
            gsub(/^[ \t*!\/]+/, "", said)
            file = where; number = where
            sub(/:[0-9]+$/, "", file); sub(/.*:/, "", number)
            ahead = ""
            if (file == file_before && number == number_before + 1) {
                split(said, word, /[ \t]+/)
                ahead = word[1] " " word[2]
            }
            if (NR > 1) check(where_before, said_before, ahead)
            file_before = file; number_before = number; where_before = where; said_before = said
        }
        END { if (NR > 0) check(where_before, said_before, "") }' | text_summary
}

# names_check FOLDER: likewise, for names.
names_check() {
    local files actor='who|whom|nobody|somebody|someone|anyone'
    mapfile -t files < <(text_files "$1" c promela rust fortran python shell bazel)
    { grep -noHE "\\b([a-z0-9]+_)+($actor)(_[a-z0-9]+)*\\b|\\b($actor)(_[a-z0-9]+)+\\b" \
        "${files[@]}" /dev/null || [ $? -eq 1 ]; } | sed 's/$/ names no actor/' | text_summary
}

text_scratch
(
    actor=who
    text_refuses "a.c:1:check_${actor}_left names" a.c names_check <<<"void check_${actor}_left();"
    text_refuses "a.rs:1:${actor}_reads names" a.rs names_check <<<"fn ${actor}_reads() {}"
    text_accepts a.c names_check <<<'int who, whole_x, a_whole; /* someone */'
)
(
    words=$scratch/words word=who
    printf '%s\t%s\n' 'who|whom' 'the process' 'dead peer' right 'the dead' 'dead processes' \
        'few_[a-z]+' 'list_*' >"$words"
    text_refuses 'a.c:1: "who"; write: the process' a.c words_check <<<'int a; /* Who holds it. */'
    text_refuses 'a.c:2: "whom"' a.c words_check <<<$'/* begins\n * by whom */'
    text_refuses 'a.h:1: "few_take"' a.h words_check <<<'// as few_take(list)'
    text_refuses 'a.c:1: "the dead"' a.c words_check <<<$'/* of the\n * dead */'
    text_accepts a.c words_check <<<$'/* of the dead\n * peer, the\n * dead peer */'
    text_accepts a.c words_check <<<'int few_take(int who); char *s = "/* who */"; /* whole */'
    text_accepts a.c words_check <<<'char c = '"'\"'"', *s = "// who";'
    text_refuses 'a.c:1: "who"' a.c words_check <<<'char c = '"'\"'"'; // who'
    text_refuses 'a.rs:1: "who"' a.rs words_check <<<"fn f<'a>(x: &'a str) {} // who"
    text_refuses 'a.rs:1: "who"' a.rs words_check <<<'/// The one who'
    text_refuses 'a.f90:1: "who"' a.f90 words_check <<<'print *, "it!" ! who'
    text_accepts a.f90 words_check <<<'print *, "he! who"'
    text_refuses 'a.pml:1: "who"' a.pml words_check <<<"/* $word */"
    text_refuses 'a.sh:2: "who"' a.sh words_check <<<$'#!/bin/sh\nls # '"$word"
    text_accepts a.sh words_check <<<"$word | wc -l"
    text_refuses 'BUILD:1: "who"' BUILD words_check <<<"# $word"
    text_refuses 'a.bzl:2: "who"' a.bzl words_check <<<$'"""First.\n'"$word"$'\n"""'
    text_refuses 'a.py:1: "who"' a.py words_check <<<'"""'"$word."'"""'
    text_refuses 'a.md:1: "who"' a.md words_check <<<"Says $word."
    text_refuses 'a.md:5: "few_take"' a.md words_check <<<$'One.\n```\nfew_take\n```\n`few_take`'
    text_accepts a.c words_check <<<'/* of the dead peer */'
    text_accepts a.md words_check <<<$'```\nwho\n```\nwhose and whole'
    : >"$words"
    text_refuses 'no words' a.md words_check <<<'One.'
)

words_check .
names_check .
