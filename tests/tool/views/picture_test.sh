#!/bin/bash
# map --svg and --html: well-formed files that show the heap, of any size, with any names.
source tests/tool/lib.sh
crowd=$PWD/$2

start() {
    coproc CROWD { exec "$crowd" "/$heap" "$@" 2>"$work/crowd"; }
    crowd_pid=$CROWD_PID
    read -r word <&"${CROWD[0]}"
    [ "$word" = ready ] || fail "the crowd did not start: $(cat "$work/crowd")"
}
stop() {
    exec {CROWD[1]}>&-
    wait "$crowd_pid" || fail "the crowd failed"
    run 0 rm "$heap"
}

# look USED FREE: what holds for each picture. j is the data of the page, x the SVG.
look() {
    python3 - "$work" "$@" <<'END' || fail "the pictures are not so"
import json, re, sys, xml.etree.ElementTree as xml
work, used, free = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
svg, html = (open(f"{work}/map.{kind}", encoding="utf-8").read() for kind in ("svg", "html"))
x = xml.fromstring(svg)
titles = [t.text for t in x.iter("{http://www.w3.org/2000/svg}title")]
texts = [t.text or "" for t in x.iter("{http://www.w3.org/2000/svg}text")]
j = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', html,
                         re.S).group(1))
rows = [j["segments"][i:i + 6] for i in range(0, len(j["segments"]), 6)]
names = {n["name"] for n in j["names"]}
owners = [o["text"] for o in j["owners"].values()]
assert len(svg) < 1 << 20 and len(html) < 1 << 20, (len(svg), len(html))
assert html.count("<script") == 2 and html.count("</script>") == 2, "a name opened a script"
assert not re.search(r"(?:src|href)=|url\(|@import|fetch\(|XMLHttp", html + svg), "needs a file"
assert "\x1b" not in svg + html, "a control character"
assert sum(r[1] for r in rows) == used + free and sum(r[2] for r in rows) == used, "not to scale"
assert all(a[0] + a[1] == b[0] for a, b in zip(rows, rows[1:])), "gaps"
assert sum(r[3] > 1 for r in rows) * 6 == len(j["mixes"])
assert names == {"matrix", "<script>alert(1)</script>", "a&b\"c'", "café", "]]></svg>",
                 "bad\\xff\\x1b[31m"}, names
assert any("<script>alert(1)</script>" in t for t in titles)
assert any("(reader<&>)" in o for o in owners) and any("(mortal), dead" in o for o in owners)
assert any("Blocks in use" in t for t in texts) and any("Holes" in t for t in texts)
END
}

for shape in '20000 40' '1048576 600' '16777216 300000' '1073741824 3000'; do
    # shellcheck disable=SC2086
    start $shape
    run 0 map --svg "$work/map.svg" --html "$work/map.html" "$heap"
    [ ! -s "$work/out" ] || fail "a picture in a file prints"
    run 0 stat --json "$heap"
    read -r used free < <(python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
print(j["used_bytes"], j["free_bytes"])' "$work/out")
    look "$used" "$free"
    stop
done

# A small heap with names alone, and what gets no picture.
start 65536 0
run 0 map --svg - "$heap"
says '</svg>$'
run 0 map --html - "$heap"
says '</html>$'
refused 2 'use one of them' map --json --svg "$work/a" "$heap"
refused 1 'cannot create.*its folder does not exist; make it first' \
    map --svg "$work/none/a" "$heap"
refused 1 'cannot create.*it is a folder; add' map --html "$work" "$heap"
refused 1 'cannot write' map --svg /dev/full "$heap"
refused 1 'there is no heap' map --svg "$work/a" "$heap.none"
[ ! -e "$work/a" ] || fail "a picture of no heap"
[ -c /dev/full ] || fail "/dev/full was removed"
before=$(sha256sum "/dev/shm/$heap")
run 0 map --svg "$work/map.svg" "$heap"
[ "$before" = "$(sha256sum "/dev/shm/$heap")" ] || fail "drawing changed the heap"
stop
exit 0
