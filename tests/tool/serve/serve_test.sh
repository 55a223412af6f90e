#!/bin/bash
# serve: HTTP (serve_test.py), heaps that go away or are damaged, ports, signals, wrong usage.
source tests/tool/lib.sh
source tests/tool/serve/serve.sh

# Names that JSON, HTML and addresses must escape.
busy=$heap.a\"b\<i\>%23\&x=1
calm=$heap.calm
start_crowd "$busy" 1048576 400 busy
start_crowd "$calm" 262144 100
cp "/dev/shm/$calm" "/dev/shm/$heap.copy"

# fetch PATH: gets it into $work/out, whatever the status, which it prints.
fetch() { curl -s -o "$work/out" -w '%{http_code}' --noproxy '*' --max-time 60 "$url$1"; }

before=$(sha256sum "/dev/shm/$calm")
start_server --interval 200 "$busy" "$calm" "$heap.copy"
/usr/bin/python3 tests/tool/serve/serve_test.py "$tool" "$url" "$busy" "$calm" ||
    fail "HTTP is not so"
[ "$(fetch "api/heap?name=$calm")" = 200 ] || fail "no data of $calm"
[ "$before" = "$(sha256sum "/dev/shm/$calm")" ] || fail "the server changed the heap"

# Its port is in use now; the error says what to do.
port=${url##*:} && port=${port%/}
refused 1 "port $port is in use; choose another one with --port" serve --port "$port"

# A heap that is damaged while it is shown, and one that goes away.
yes | head -c 4080 | dd of="/dev/shm/$heap.copy" \
    bs=16 seek=1 conv=notrunc status=none
rm "/dev/shm/$calm"
until [ "$(fetch "api/heap?name=$heap.copy")" = 503 ]; do :; done
json '"damaged heap" in j["error"]'
until [ "$(fetch "api/heap?name=$calm")" = 404 ]; do :; done
json '"there is no heap" in j["error"]'
until [ "$(fetch api/heaps)" = 200 ] && grep -q '"seen":false.*"seen":false' "$work/out"; do :; done
json 'sorted(h["name"][-4:] for h in j["heaps"] if not h["seen"]) == ["calm", "copy"]'
json 'all(h.keys() == {"name", "seen", "time_ns", "label"} for h in j["heaps"] if not h["seen"])'
stop_server TERM

# All heaps: those that can be read. The address of the server before is free again.
start_server
[ "$(fetch api/heaps)" = 200 ] || fail "no list of heaps"
json 'sum(h["name"].startswith("'"$heap"'") for h in j["heaps"]) == 1'
stop_server INT
start_server --file "/dev/shm/$busy"
[ "$(fetch api/heaps)" = 200 ] || fail "no list of files"
json 'len(j["heaps"]) == 1 and j["heaps"][0]["name"].startswith("/dev/shm/")'
stop_server TERM

refused 1 'damaged heap' serve --port 0 "$heap.copy"
yes | head -c 4096 | dd of="/dev/shm/$heap.copy" conv=notrunc status=none
refused 1 'is no heap; check the name$' serve --port 0 "$heap.copy"
refused 1 'there is no heap' serve --port 0 "$heap.none"
refused 2 'from 0 to 65535' serve --port 65536
refused 2 'from 100 to' serve --interval 5
refused 2 'needs the path' serve --file
refused 2 'no heap.s name' serve --port 0 a/b
