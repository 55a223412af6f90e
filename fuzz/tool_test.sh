#!/bin/bash
# tools/fuzz lists every target, refuses wrong arguments before it builds, and runs each target for
# the requested time.
set -uo pipefail
tool=$1
failed=0

# expect STATUS WORDS ARGUMENT...: the tool ends with STATUS, and its output contains WORDS.
expect() {
    local status=$1 words=$2 said
    shift 2
    said=$("$tool" "$@" 2>&1)
    local got=$?
    [ "$got" = "$status" ] && [[ $said == *"$words"* ]] && return
    echo "tools/fuzz $*: status $got, expected $status; expected '$words', output: $said"
    failed=1
}

for file in fuzz/fuzz_*.c fuzz/fuzz_*.cpp; do
    target=${file#fuzz/fuzz_}
    expect 0 "${target%.c*}" --list
done
[ "$("$tool" --list | wc -l)" -ge 8 ] || { echo "fewer targets than there are"; failed=1; }
expect 0 "usage: tools/fuzz" --help
expect 2 "no such target: nothing" nothing
expect 2 "--seconds needs a number" --seconds soon ops
expect 2 "--seconds needs a number" --seconds
expect 2 "--folder needs a folder" --folder
expect 2 "no such option: --fast" --fast
expect 2 "no such target: 1h" ops 1h
expect 2 "no such target: 1e3" ops 1e3
expect 2 "exclude each other" ops 5 --seconds 30
expect 2 "exclude each other" --seconds 300 ops 5
expect 2 "the minutes (5) must come last, but image follows them" ops 5 image
expect 2 "the minutes (5) must come last, but 6 follows them" 5 6
expect 2 "too short or too long" ops 0
expect 2 "too short or too long" ops 0.005
expect 2 "too short or too long" ops 100001
expect 2 "too short or too long" ops 99999999999999999999

# A tree whose bazel "builds" programs that print their arguments and end.
place=$(mktemp -d) || exit 1
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/tree/tools" "$place/tree/fuzz" "$place/bin/fuzz"
cp "$tool" "$place/tree/tools/fuzz"
cp fuzz/fuzz_*.c fuzz/fuzz_*.cpp "$place/tree/fuzz/"
printf '#!/bin/bash\n[[ " $* " != *" info "* ]] || echo "%s"\n' "$place/bin" >"$place/bin/bazel"
for file in fuzz/fuzz_*.c fuzz/fuzz_*.cpp; do
    name=$(basename "${file%.c*}")
    printf '#!/bin/bash\necho "$0 $*"\necho "stat::average_exec_per_sec: 1"\n' \
        >"$place/bin/fuzz/$name"
done
chmod +x "$place"/bin/bazel "$place"/bin/fuzz/*

# expect_seconds SECONDS TARGETS ARGUMENT...: the tool runs each of TARGETS, and no other, for
# SECONDS.
expect_seconds() {
    local seconds=$1 targets=$2 ran wanted='' target
    shift 2
    rm -rf "$place/found"
    PATH=$place/bin:$PATH "$place/tree/tools/fuzz" "$@" --folder "$place/found" \
        >"$place/said" 2>&1 || {
        echo "tools/fuzz $*: status $?, and said: $(cat "$place/said")"
        failed=1
    }
    for target in $targets; do wanted+="fuzz_$target -max_total_time=$seconds"$'\n'; done
    ran=$(sed -n 's|.*/\(fuzz_[^ ]* -max_total_time=[0-9]*\) .*|\1|p' "$place"/found/*/log)
    [ "$ran" = "${wanted%$'\n'}" ] || { echo "tools/fuzz $*: ran '$ran', not '$wanted'"; failed=1; }
}

every=$("$tool" --list)
expect_seconds 60 "ops" ops
expect_seconds 60 "$every"
expect_seconds 600 "ops" ops 10
expect_seconds 90 "image ops" image ops 1.5
expect_seconds 15 "$every" .25
expect_seconds 1 "trace" trace 0.02
expect_seconds 120 "trace" trace 2.
expect_seconds 540 "trace" trace 09
expect_seconds 6000000 "trace" trace 100000
expect_seconds 7 "ops" --seconds 7 ops
expect_seconds 7 "ops" ops --seconds 7

# A finding: what failed, its bytes, and the commands that repeat it. The program "finds" one, which
# fails again; crash-2, of an earlier run, stops in a call, and crash-3 fails no more.
cat >"$place/bin/fuzz/fuzz_ops" <<'END'
#!/bin/bash
for word; do
    [[ $word != -artifact_prefix=* ]] || printf 'a\n\001' >"${word#*=}crash-1"
done
case $word in
    */crash-1)
        echo '/* shmheap_check: 1, rule 3: no size */'
        printf 'world.c:1: sound == 0 is false. As a program:\n#define _GNU_SOURCE\n{\n}\n'
        ;;
    */crash-2)
        [ -z "${FUZZ_PRINT_C-}" ] || printf '#define _GNU_SOURCE\n{\n    shmheap_free();\n'
        echo 'SUMMARY: AddressSanitizer: SEGV' >&2
        ;;
esac
echo "stat::average_exec_per_sec: 1" >&2
END
rm -rf "$place/found"
mkdir -p "$place/found/ops/found"
touch "$place/found/ops/found/crash-2" "$place/found/ops/found/crash-3"
said=$(PATH=$place/bin:$PATH "$place/tree/tools/fuzz" ops --seconds 1 --folder "$place/found" 2>&1)
[ $? = 1 ] || { echo "a finding, but no exit status 1: $said"; failed=1; }
file=$place/found/ops/found/crash-1
for words in "$file" "what: world.c:1: sound == 0 is false; shmheap_check: 1, rule 3: no size" \
    "log: $file.log" "bytes: 610a01" "perl -e 'print pack \"H*\", shift' BYTES >FILE" \
    "repeat: $place/found/bin/fuzz_ops $file" \
    "build //fuzz:fuzz_ops_replay && bazel-bin/fuzz/fuzz_ops_replay $file" \
    "as a program: cc -g -Ic/include $file.c c/shmheap.c && ./a.out" \
    "what: SUMMARY: AddressSanitizer: SEGV" "what: nothing: it does not fail alone"; do
    [[ $said == *"$words"* ]] || { echo "expected '$words' in: $said"; failed=1; }
done
[ "$(cat "$file.c")" = $'#define _GNU_SOURCE\n{\n}' ] || { cat "$file.c"; failed=1; }
[[ $(tail -n 2 "${file%1}2.c") == *"return broken(0) | broken(1);"$'\n}' ]] ||
    { echo "the program of a call that does not return has no end"; failed=1; }
[ ! -e "${file%1}3.c" ] || { echo "a program of an input that passes"; failed=1; }
[ "$(perl -e 'print pack "H*", shift' 610a01 | od -An -tx1)" = "$(od -An -tx1 "$file")" ] ||
    { echo "the command for BYTES writes another file"; failed=1; }
exit $failed
