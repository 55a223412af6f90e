#!/bin/bash
# folder_test.sh: no folder has more than a dozen files beside the ones that describe it. First the
# test tries itself on small trees.
set -euo pipefail
. tests/text/text.sh

# The folders that may have more, one a line, each needed, at most five: the names at the top are
# those that programs look for, of docs/ the addresses of pages, of cpp/shmheap/ the public
# headers; Cargo takes each file of a crate's tests/ for a test.
exceptions='
.
cpp/shmheap
docs
rust/must-not-compile/programs
rust/shmheap/tests
'

# folder_files FOLDER: prints the files that count, one a line. A file of a corpus is an input, and
# cargo or a registry's client writes what lies in target/.
folder_files() {
    find -L "$1" \( -path '*/external' -o -path '*/bazel-*' -o -path '*/shmheap-sys/c' \
        -o -name corpus -o -name target -o -name .git \) -prune -o -type f -print |
        sed 's|^\./||' |
        grep -vE '(^|/)(README\.md|BUILD|LADDER|LICENSE|defs\.bzl|Cargo\.(toml|lock))$' || true
}

# folder_check FOLDER: prints each breach as FOLDER: what is wrong; returns 1 if there was one.
folder_check() {
    {
        sed '/^$/d; s/^/except /' <<<"$exceptions"
        folder_files "$1" | sed 's/^/file /'
    } | awk '
        $1 == "except" { except[$2] = 1; if (++exceptions > 5) print $2 ": the sixth exception" }
        $1 == "file" {
            folder = $2
            if (!sub(/\/[^\/]*$/, "", folder)) folder = "."
            files[folder]++
        }
        END {
            for (folder in files)
                if (files[folder] > 12 && !(folder in except))
                    print folder ": " files[folder] " files"
            for (folder in except)
                if (files[folder] <= 12) print folder ": an exception that it does not need"
        }
    ' | text_summary
}

# files FOLDER NUMBER: makes so many files in the folder.
files() { mkdir -p "$1" && seq -f "$1/%g.c" "$2" | xargs touch; }

# tree CHECK...: runs it in the tree that the case has made.
tree() { (cd "$scratch/tree" && "$@"); }

# refused TEXT: the check fails and says TEXT.
refused() {
    local said
    if said=$(tree folder_check .); then
        echo "the check let pass what it should refuse with: $1"
        exit 1
    elif [[ $said != *"$1"* ]]; then
        printf 'the check should have said: %s\nit said: %s\n' "$1" "$said"
        exit 1
    fi
}

accepted() { tree folder_check . || { echo "the check refused a sound tree"; exit 1; }; }

fresh() { rm -rf "$scratch/tree" && mkdir "$scratch/tree"; }

text_scratch
(
    exceptions=
    fresh; files "$scratch/tree/a" 12; touch "$scratch/tree/a/README.md" "$scratch/tree/a/BUILD"
    accepted
    files "$scratch/tree/a/corpus/b" 13
    accepted
    files "$scratch/tree/a/b" 13
    refused 'a/b: 13 files'
    exceptions=a/b
    accepted
    exceptions=$(printf '%s\n' a/b a)
    refused 'a: an exception that it does not need'
    exceptions=$(printf '%s\n' a b c d e f)
    refused 'f: the sixth exception'
    fresh; files "$scratch/tree" 13
    exceptions=
    refused '.: 13 files'
)

folder_check .
