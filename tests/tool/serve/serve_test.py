"""serve_test.py: what shmheap serve answers: serve_test.py TOOL URL BUSY CALM.

BUSY is a heap in which processes are at work, CALM one at rest.
"""

import http.client
import json
import re
import socket
import subprocess
import sys
from urllib.parse import quote, urlsplit

TOOL, URL, BUSY, CALM = sys.argv[1:]
PORT = urlsplit(URL).port
NAMES = {"matrix", "<script>alert(1)</script>", "a&b\"c'", "café", "]]></svg>",
         "bad\\xff\\x1b[31m"}


def expect(condition, what):
    """An assertion with a text."""
    if not condition:
        raise AssertionError(what)


def ask(path, method="GET", headers=None, address="127.0.0.1"):
    """The answer to a request: status, headers, body."""
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def value(path):
    """The JSON of an answer."""
    status, headers, body = ask(path)
    expect(status == 200 and headers["Content-Type"] == "application/json", (path, status))
    return json.loads(body)


def raw(data):
    """What a socket gets for any bytes."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            return b""


def check_page():
    """The page, and each file that it names: from this server alone."""
    status, headers, body = ask("/")
    page = body.decode()
    policy = headers["Content-Security-Policy"]
    expect(status == 200 and headers["Content-Type"].startswith("text/html"), "the page")
    expect(policy.startswith("default-src 'none';") and "unsafe" not in policy, policy)
    expect("frame-ancestors 'none'" in policy and headers["X-Content-Type-Options"] == "nosniff",
           "frames, types")
    expect(headers["Cache-Control"] == "no-store" and "Access-Control-Allow-Origin" not in headers,
           "caches, other origins")
    expect("onload=" not in page and "<style" not in page and not re.search(r"<script[^>]*>[^<]",
                                                                           page), "inline code")
    files = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]*)"', page)
    expect(len(files) > 8, files)
    for file in files:
        expect(re.fullmatch(r"\w+\.(js|css|svg)", file), f"{file} is not the server's own")
        status, headers, text = ask("/" + file)
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        expect(status == 200 and headers["Content-Type"].startswith(kind[file.split(".")[-1]])
               and len(text) > 100, file)
    expect(b"Permission is hereby granted" in ask("/uPlot.txt")[2], "the licence of uPlot")


def busy(figures):
    """The figures of the busy heap."""
    return next(heap for heap in figures["heaps"] if heap["name"] == BUSY)


def check_heaps():
    """The list: the members of watch --json, and rates once there were two samples."""
    figures = value("/api/heaps")
    while "allocs_per_second" not in busy(figures) or not busy(figures)["probes"]:
        figures = value("/api/heaps")
    heap = busy(figures)
    line = subprocess.run([TOOL, "watch", "--json", "--count", "1", "--interval", "100", BUSY],
                          check=True, stdout=subprocess.PIPE).stdout
    expect(heap.keys() == json.loads(line).keys() | {"label"}, heap.keys())
    expect(figures["interval_ms"] == 200 and figures["samples"] > 1, figures)
    expect(heap["allocs_per_second"] > 0 and heap["label"] == BUSY, heap)
    while value("/api/heaps")["samples"] < figures["samples"] + 2:
        pass
    expect(busy(value("/api/heaps"))["allocs"] > heap["allocs"], "the figures stand still")


def check_heap(name):
    """One heap: the members of stat --json, and a map to scale."""
    heap = value("/api/heap?name=" + quote(name, safe=""))
    stat = subprocess.run([TOOL, "stat", "--json", name], check=True, stdout=subprocess.PIPE).stdout
    expect(json.loads(stat).keys() <= heap.keys(), json.loads(stat).keys() - heap.keys())
    data = heap["map"]
    rows = [data["segments"][i:i + 6] for i in range(0, len(data["segments"]), 6)]
    expect(rows[0][0] < 64, "the first block")
    expect(all(a[0] + a[1] == b[0] for a, b in zip(rows, rows[1:])), "gaps")
    expect(len(rows) <= 3000 and sum(row[3] > 1 for row in rows) * 6 == len(data["mixes"]), "rows")
    expect({each["name"] for each in data["names"]} == NAMES, data["names"])
    expect("reader<&>" in {each["name"] for each in heap["connected"]}, heap["connected"])
    blocks = [sum(data[kind]["blocks"]) for kind in ("used", "holes")]
    expect(blocks == [sum(state["blocks"] for state in data["states"][1:]),
                      data["states"][0]["blocks"]], "histograms")
    # The figures of a heap at work are of another instant than its walk.
    expect(name == BUSY or blocks == [heap["used_blocks"], heap["free_blocks"]], "figures")
    expect(sum(state["bytes"] for state in data["states"]) == sum(row[1] for row in rows), "states")
    expect(re.match(r"\d+ KiB, \d+ % used by|1 MiB, \d+ % used by", heap["summary"]),
           heap["summary"])


def check_hosts():
    """Names that are not this machine's get nothing: DNS rebinding."""
    for host in ("localhost", "LocalHost:1", "127.0.0.1", f"127.0.0.1:{PORT}", "[::1]", "[::1]:80"):
        expect(ask("/api/heaps", headers={"Host": host})[0] == 200, host)
    for host in ("evil.example", f"evil.example:{PORT}", "localhost.evil.example", "127.0.0.1.x",
                 "127.0.0.1:80x", "127.0.0.2", "0.0.0.0", "[::]", "::1", "x@localhost", ""):
        for path in ("/", "/api/heaps", "/api/heap?name=" + CALM):
            status, _, body = ask(path, headers={"Host": host})
            expect(status in (400, 403) and CALM.encode() not in body, (host, path, status))
    expect(b" 403 " in raw(b"GET /api/heaps HTTP/1.0\r\n\r\n"), "no Host at all")
    for second in (b"localhost", b"example.com"):
        expect(b" 400 " in raw(b"GET /api/heaps HTTP/1.1\r\nHost: localhost\r\nHost: " + second +
                               b"\r\nConnection: close\r\n\r\n"), "two Hosts")


def check_methods():
    """GET and HEAD, without a body, and nothing else."""
    status, headers, body = ask("/api/heaps", "HEAD")
    expect(status == 200 and int(headers["Content-Length"]) > 100 and body == b"", "HEAD")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"):
        status, headers, _ = ask("/api/heaps", method)
        expect(status == 405 and headers["Allow"] == "GET, HEAD", (method, status))
    expect(ask("/", headers={"Content-Length": "5"})[0] == 400, "a body")
    expect(ask("/", headers={"Transfer-Encoding": "chunked"})[0] == 400, "a body in chunks")


def check_paths():
    """Addresses that name nothing."""
    for path in ("/none", "/api", "/api/heaps/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//",
                 "http://evil.example/"):
        expect(ask(path, headers={"Host": "localhost"})[0] == 404, path)
    status, _, body = ask("/api/heap")
    expect(status == 400 and "NAME" in json.loads(body)["error"], "no name")
    for name in ("", "none", "/etc/passwd", "../" + CALM, "%00", "%FF", "x" * 5000):
        status, _, body = ask("/api/heap?name=" + name)
        expect(status == 404 and "there is no heap" in json.loads(body)["error"], (name, status))


def check_limits():
    """Too much, and nonsense: the server goes on."""
    for size in (40000, 1 << 20):
        expect(b" 200 " not in raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * size +
                                   b"\r\n\r\n"), "long headers")
        expect(b" 200 " not in raw(b"GET /" + b"x" * size +
                                   b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), "a long path")
    expect(b" 200 " not in raw(b"GET\r\n\r\n"), "a line without a path")
    # More connections than the server takes, fewer than with the kernel's queue: more would wait.
    waiting = [socket.create_connection(("127.0.0.1", PORT), timeout=60) for _ in range(40)]
    for i, connection in enumerate(waiting):
        connection.sendall([b"", b"GET /", b"\0" * 100, b"\x16\x03\x01\x02\0\x01\0\x01\xfc"][i % 4])
    for connection in waiting:
        connection.close()
    expect(ask("/api/heaps")[0] == 200, "after 40 connections that said nothing of use")


def check_addresses():
    """Loopback alone. The machine may have no IPv6."""
    if socket.has_ipv6:
        try:
            expect(ask("/", address="::1")[0] == 200, "::1")
        except OSError as error:
            print("no ::1:", error)
    tables = "".join(open(f"/proc/net/{name}", encoding="ascii").read() for name in ("tcp", "tcp6"))
    mine = re.findall(rf"\d+: ([0-9A-F]+):{PORT:04X} [0-9A-F]+:0000 0A ", tables)
    expect("0100007F" in mine and set(mine) <= {"0100007F", "0" * 24 + "01000000"}, mine)


check_page()
check_heaps()
check_heap(BUSY)
check_heap(CALM)
check_hosts()
check_methods()
check_paths()
check_limits()
check_addresses()
