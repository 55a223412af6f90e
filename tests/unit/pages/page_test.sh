#!/bin/bash
# page_test.sh TAB TOOL CARGO CARGO_HOME PAGE...: the programs and commands of pages of the book, as
# the pages have them and in their order, in a copy of the tree. TAB is the language whose tabs the
# test reads, next to what stands outside of tabs. A program is a block with a title, its file. A
# block `console` has commands, after "$ ", and what they print; "..." there stands for any text, on
# a line of its own for any lines. A command that shows no output must succeed. Only the heap's
# name, /tour, changes. TOOL, the tool shmheap, is in PATH; CARGO and its folder, or none, are Rust.
set -u
tab=$1 tool=$(readlink -f "$2") cargo=$3 fetched=$4
shift 4
case $tab in
    C) compilers=cc ;;
    C++) compilers='cc g++' ;;
    Rust) compilers="cc $cargo" ;;
    Fortran) compilers='cc gfortran fypp' ;;
esac
for compiler in $compilers; do
    command -v "$compiler" >/dev/null || { echo "skipped: there is no $compiler"; exit 0; }
done
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/page.XXXXXX")
heap=tour-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$work" "/dev/shm/$heap"*' EXIT
export HOME=$work TMPDIR=$work LC_ALL=C.UTF-8
. tests/support/unoptimised.sh
unoptimised "$work/compilers"

# unfold PAGE: lines "title FILE", "text LINE", "run COMMAND" and "show LINE", in the page's order.
unfold() {
    awk -v tab="$tab" '
        /^=== "/ { here = $0; gsub(/^=== "|"$/, "", here); in_tab = 1; next }
        in_tab && /^[^ ]/ { in_tab = 0 }
        in_tab && here != tab { next }
        { line = $0; if (in_tab) sub(/^    /, "", line) }
        line ~ /^```/ && kind == "" {
            kind = "other"
            if (match(line, /title="[^"]+"/)) {
                kind = "program"
                print "title " substr(line, RSTART + 7, RLENGTH - 8)
            } else if (line ~ /^```console/) kind = "console"
            next
        }
        line ~ /^```/ { kind = ""; more = 0; next }
        kind == "program" { print "text " line }
        kind == "console" && (more || line ~ /^\$ /) {
            if (!more) command = ""
            sub(/^\$ /, "", line)
            more = sub(/\\$/, "", line)
            command = command line
            if (!more) print "run " command
            next
        }
        kind == "console" { print "show " line }
    ' "$1" | sed -E "s,/tour($|[^-/a-z0-9.]|-[a-z]),/$heap\1,g"
}

# Rust: cargo without a network, with the crates that tools/setup fetched.
if [ "$tab" = Rust ]; then
    mkdir -p "$work/cargo/registry"
    for folder in index cache src; do
        mkdir -p "$work/cargo/registry/$folder"
        ln -s "$fetched/registry/$folder"/* "$work/cargo/registry/$folder/"
    done
    PATH=$(dirname "$cargo"):$PATH
    export CARGO_HOME=$work/cargo CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
    unset RUSTC RUSTFLAGS RUSTUP_TOOLCHAIN CARGO_TARGET_DIR
fi
mkdir "$work/bin" "$work/tree"
ln -s "$tool" "$work/bin/shmheap"
export PATH=$work/bin:$PATH

pages=()
for page; do pages+=("$(readlink -f "$page")"); done
for folder in c cpp rust fortran; do
    [ ! -d "$folder" ] || cp -RL "$folder" "$work/tree"
done
cd "$work/tree" || exit 1
[ ! -d rust/shmheap-sys ] || [ -e rust/shmheap-sys/c ] || ln -s ../../c rust/shmheap-sys/c

programs=0 commands=0 command='' status=0
: >"$work/shown"
# compare: the last command printed what the page shows. If not, the test ends: later commands of
# the page may wait for what this one should have made.
compare() {
    [ -n "$command" ] || return
    local shown printed pattern
    if [ ! -s "$work/shown" ]; then
        [ "$status" = 0 ] && return
        pattern='*' printed=
    else
        shown=$(cat "$work/shown") printed=$(cat "$work/printed")
        # Any text stays any text; all else is itself.
        pattern=$(sed -E -e 's/[][*?\\]/\\&/g' -e 's/\.\.\./*/g' <<<"$shown")
        # shellcheck disable=SC2053
        [[ $printed == $pattern ]] && return
    fi
    printf 'FAIL: %s (status %s)\nthe page shows:\n%s\nit printed:\n' "$command" "$status" \
        "${shown-}"
    cat "$work/printed"
    exit 1
}
for page in "${pages[@]}"; do
    # shellcheck disable=SC2094
    while IFS= read -r line <&3; do
        rest=${line#* }
        case $line in
            text*) printf '%s\n' "${line:5}" >>"$file" ;;
            show*) printf '%s\n' "${line:5}" >>"$work/shown" ;;
            title*)
                compare
                file=$rest command='' programs=$((programs + 1))
                mkdir -p "$(dirname "$file")"
                : >"$file"
                ;;
            run*)
                compare
                command=$rest commands=$((commands + 1))
                : >"$work/shown"
                # In this shell, since cd and variables have to last.
                eval "$command" >"$work/printed" 2>&1 </dev/null 3<&-
                status=$?
                ;;
        esac
    done 3< <(unfold "$page")
    compare
    command=''
done
left=$(compgen -G "/dev/shm/$heap*") && { echo "FAIL: left: $left"; exit 1; }
[ "$programs" -gt 0 ] || { echo "the pages have no programs"; exit 1; }
echo "passed: $programs programs, $commands commands"
