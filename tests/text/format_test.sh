#!/bin/bash
# format_test.sh: C and C++ are laid out as .clang-format says. First the test tries itself on small
# trees. Another version of clang-format breaks some lines elsewhere: without version 14 the test
# only says so.
set -euo pipefail
. tests/text/text.sh

# The program that has the version of .clang-format, or nothing.
formatter=
for program in clang-format-14 clang-format; do
    if [[ $("$program" --version 2>/dev/null) == *"version 14."* ]]; then
        formatter=$program
        break
    fi
done
if [ -z "$formatter" ]; then
    echo "skipped: no clang-format of version 14 (apt-get install clang-format-14)"
    exit 0
fi

# format_check FOLDER: prints each breach as FILE:LINE: what is wrong; returns 1 if there was one.
format_check() {
    local said
    if ! said=$(text_files "$1" c | xargs -r "$formatter" --dry-run 2>&1); then
        printf '%s does not run:\n%s\n' "$formatter" "$said"
        return 1
    fi
    { grep -E '^[^ ].*:[0-9]+:[0-9]+: ' <<<"$said" || true; } |
        sed -E 's/^([^:]*:[0-9]+):.*/\1: not as .clang-format says; clang-format -i does it/' |
        uniq | text_summary
}

text_scratch
cp .clang-format "$scratch"
text_accepts a.c format_check <<<'int one(void) { return 1; }'
text_refuses 'a.c:1: not as' a.c format_check <<<'int one( void ) { return 1; }'
text_refuses 'deep/a.hpp:1: not as' deep/a.hpp format_check \
    <<<$'struct one {\n  int two;\n};'

format_check .
