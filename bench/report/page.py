#!/usr/bin/python3
"""page.py: writes the figures of `bench --json` as tables into docs/benchmarks.md, with plots.

SPDX-License-Identifier: Apache-2.0

usage: page.py --check FOLDER        exit status 0 if this machine can write FOLDER's page
       page.py FIGURES.json FOLDER   writes the page

It replaces only the text between `<!-- figures: NAME -->` and `<!-- end -->`. plots.py draws.
"""
import json
import pathlib
import re
import statistics
import sys
import time

import plots

TWICE, LARGE = "2x", "64M"  # the sizes of heaps; the first has the main tables and the plots
SECTIONS = ("run", "headline", "twice", "large", "calls_twice", "calls_large", "room", "programs")


def die(text):
    sys.exit("page.py: " + text)


def page_read(folder):
    path = pathlib.Path(folder) / "benchmarks.md"
    try:
        text = path.read_text()
    except OSError as error:
        die(f"{error}; run this in a checkout of the project, by bazel run")
    for name in SECTIONS:
        if not re.search(rf"<!-- figures: {name} -->\n.*?<!-- end -->", text, re.S):
            die(f"{path} lacks '<!-- figures: {name} -->' or the '<!-- end -->' after it; "
                "restore it by git checkout")
    return path, text


class Figures:
    def __init__(self, path):
        self.all = json.loads(pathlib.Path(path).read_text())
        self.peers = [peer["name"] for peer in self.all["peers"]]
        self.workloads = self.all["workloads"]
        self.cells = {(it["workload"], it["heap"], it["peer"]): it for it in self.all["cells"]}

    def cell(self, workload, heap, peer):
        return self.cells.get((workload, heap, peer), {})

    def value(self, workload, peer, heap=TWICE):
        return self.cell(workload, heap, peer).get("median")

    def of_kind(self, *kinds):
        return [it for it in self.workloads if it["quantity"] in kinds]

    def measured(self, heap, key):
        """The workloads with a figure of that key in heaps of that size."""
        return [it for it in self.workloads
                if any(key in self.cell(it["name"], heap, peer) for peer in self.peers)]

    def ratio(self, workload, peer, bar, heap=TWICE):
        """The median of the rounds' ratios: a disturbance slows both peers of a round."""
        mine, its = (self.cell(workload, heap, name).get("rounds", []) for name in (peer, bar))
        return statistics.median(a / b for a, b in zip(mine, its)) if mine and its else None


def number(value):
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def grid(figures, workloads, text):
    head = ["workload, unit"] + figures.peers
    rows = [[f"{it['name']}, {it['unit']}"] + [text(it["name"], peer) for peer in figures.peers]
            for it in workloads]
    return table(head, rows)


def time_text(figures, workload, heap, peer):
    it = figures.cell(workload, heap, peer)
    return ">" * it["cut"] + number(it["median"]) if "median" in it else "-"


def times_grid(figures, heap):
    def text(workload, peer):
        return time_text(figures, workload, heap, peer)
    timed = [it for it in figures.measured(heap, "median") if it["quantity"] == "ns"]
    return grid(figures, timed, text)


def twice_section(figures):
    return times_grid(figures, TWICE)


def large_section(figures):
    return times_grid(figures, LARGE)


def calls_grid(figures, heap):
    def text(workload, peer):
        it = figures.cell(workload, heap, peer)
        if "call_median" not in it:
            return "-"
        return " / ".join(f"{it[key]:,.0f}" for key in ("call_median", "call_999", "call_max"))
    return grid(figures, figures.measured(heap, "call_median"), text)


def calls_twice_section(figures):
    return calls_grid(figures, TWICE)


def calls_large_section(figures):
    return calls_grid(figures, LARGE)


def headline_section(figures):
    """Each path beside its bar, in heaps of twice the live bytes, and 64 MiB in brackets."""
    def ratio(workload, peer, bar):
        both = [figures.ratio(workload, peer, bar, heap) for heap in (TWICE, LARGE)]
        if both[0] is None:
            return "-"
        return f"{both[0]:.2f}" + (f" ({both[1]:.2f})" if both[1] is not None else "")
    head = ["workload", "exact", "TLSF", "exact / TLSF", "cached", "mimalloc", "jemalloc",
            "cached / mimalloc", "cached / exact"]
    rows = []
    for it in figures.of_kind("ns"):
        name = it["name"]
        ns = {peer: figures.value(name, peer) for peer in figures.peers}
        if not ns.get("shmheap") or not ns.get("shmheap-cached"):
            continue
        shown = {peer: time_text(figures, name, TWICE, peer) for peer in figures.peers}
        rows.append([name, shown["shmheap"], shown.get("tlsf", "-"),
                     ratio(name, "shmheap", "tlsf"), shown["shmheap-cached"],
                     shown.get("mimalloc", "-"), shown.get("jemalloc", "-"),
                     ratio(name, "shmheap-cached", "mimalloc"),
                     ratio(name, "shmheap-cached", "shmheap")])
    return table(head, rows)


def room_section(figures):
    def text(workload, peer):
        value = figures.value(workload, peer)
        return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"
    return grid(figures, figures.of_kind("percent", "times"), text)


def spreads(figures):
    """By how much the rounds of a figure differ, (max - min) / median: half, nine in ten."""
    found = sorted((it["max"] - it["min"]) / it["median"] for it in figures.all["cells"]
                   if len(it.get("rounds", [])) > 2)
    if not found:
        return "unknown"
    half, most = (found[int(share * (len(found) - 1))] for share in (0.5, 0.9))
    return f"at most {half:.0%} in half of the figures, {most:.0%} in nine of ten"


def run_section(figures):
    versions = ", ".join(f"{it['name']} {it['version']}" for it in figures.all["peers"]
                         if it["version"])
    rows = [[key, value] for key, value in figures.all["machine"].items()]
    rows += [["versions", versions],
             ["scale", f"{figures.all['scale']}, at most {figures.all['rounds']} rounds"],
             ["spread of the rounds", spreads(figures)],
             ["written", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())]]
    return table(["", ""], rows)


def programs_section(figures):
    rows = [[it["name"], it["text"], it["process"], f"{it['calls']:,}", f"{it['live_most']:,}"]
            if "calls" in it else [it["name"], it["text"], "-", it["missing"], "-"]
            for it in figures.all["programs"]]
    return table(["program", "what was recorded", "process", "calls", "most live bytes"], rows)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    path, text = page_read(sys.argv[2])
    if not plots.possible():
        die("matplotlib is not installed; run apt-get install python3-matplotlib")
    if sys.argv[1] == "--check":
        return
    figures = Figures(sys.argv[1])
    for name in SECTIONS:
        made = globals()[name + "_section"](figures)
        text = re.sub(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)",
                      lambda it, made=made: it[1] + "\n" + made + "\n\n" + it[2], text, flags=re.S)
    plots.write(figures, path.parent)
    path.write_text(text)


main()
