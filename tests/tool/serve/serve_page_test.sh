#!/bin/bash
# serve: its page in a headless Chromium (serve_page_test.py).
# serve_page_test.sh TOOL CROWD [FOLDER]: pictures of the page go to FOLDER.
source tests/tool/lib.sh
source tests/tool/serve/serve.sh
shots=${3:-${TEST_UNDECLARED_OUTPUTS_DIR:-$work}}

busy=$heap.\<i\>a\"b
calm=$heap.calm
start_crowd "$busy" 1048576 400 busy
start_crowd "$calm" 4194304 3000
# A short path, for the browser's sockets.
folder=$(mktemp -d /tmp/shmheap-page.XXXXXX)
trap 'stop_all; rm -rf "$folder"' EXIT
start_server --interval 200 "$busy" "$calm"
status=0
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/tool/serve /usr/bin/python3 \
    tests/tool/serve/serve_page_test.py "$url" "$busy" "$calm" "$folder" "$shots" "$server" ||
    status=$?
[ "$status" != 77 ] || exit 0 # skipped
[ "$status" = 0 ] || fail "the page is not so"
wait "$server" || fail "the server did not end with 0: $(cat "$work/server")"
server=
