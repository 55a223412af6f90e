#!/bin/bash
# tools/test counts passed, failed and skipped tests, and says what the skipped ones skipped. The
# bazel of this test prints a summary and writes the logs of tests; it builds nothing.
set -uo pipefail
tool=$1
place=$(mktemp -d) || exit 1
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/tree/tools" "$place/bin"
cp "$tool" "$place/tree/tools/test"
printf '#!/bin/bash\n' >"$place/tree/tools/setup"
cat >"$place/bin/bazel" <<END
#!/bin/bash
case " \$* " in
    *" info "*) echo "$place/logs" ;;
    *" test "*) cat "$place/summary"; exit "\$(cat "$place/status")" ;;
esac
END
chmod +x "$place/bin/bazel" "$place/tree/tools/setup" "$place/tree/tools/test"
failed=0

# log LABEL LINE...: what the test's program printed.
log() {
    local folder=$place/logs/${1/://}
    mkdir -p "$folder"
    printf '%s\n' "${@:2}" >"$folder/test.log"
}

# expect STATUS LAST: the tool ends with STATUS, its last line is LAST. Its output is in $said.
expect() {
    said=$(PATH=$place/bin:$PATH TMPDIR=$place "$place/tree/tools/test" plain 2>&1 </dev/null)
    local got=$?
    [ "$got" = "$1" ] && [ "$(tail -n 1 <<<"$said")" = "$2" ] && return
    printf 'status %s, expected %s; last line expected: %s; output:\n%s\n' "$got" "$1" "$2" "$said"
    failed=1
}

# has LINE: the output has this line.
has() {
    grep -qxF -- "$1" <<<"$said" && return
    printf 'no line "%s" in:\n%s\n' "$1" "$said"
    failed=1
}

log a:one 'all is well'
log a/b:two '  skipped: no right to mount' 'the rest passed' '  skipped: no other user'
log c:three 'skipped: there is no spin'
log c:four 'skipped: this line counts for nothing, since the test failed'
cat >"$place/summary" <<'END'
//a:one                                          PASSED in 0.1s
//a/b:two                               (cached) PASSED in 0.1s
@//c:three                                       PASSED in 0.1s
//c:five                                        SKIPPED
END
echo 0 >"$place/status"
expect 0 "1 passed, 0 failed, 3 skipped"
has "skipped: //a/b:two: no other user; no right to mount"
has "skipped: //c:three: there is no spin"
echo '//c:four                                          FAILED in 0.1s' >>"$place/summary"
echo 3 >"$place/status"
expect 1 "1 passed, 1 failed, 3 skipped"
echo '//c:three                                        PASSED in 0.1s' >"$place/summary"
echo 0 >"$place/status"
expect 0 "0 passed, 0 failed, 1 skipped"
log c:three 'all is well'
expect 0 "1 passed, 0 failed"
: >"$place/summary"
expect 1 "0 passed, 1 failed"
exit "$failed"
