#!/usr/bin/python3
"""page.py: the figures of `bench --json` as tables in docs/benchmarks.md and as plots beside it.

SPDX-License-Identifier: Apache-2.0

usage: page.py --check FOLDER             exit status 0 when FOLDER's page can be written on this machine
       page.py FIGURES.json FOLDER        writes it

Only what stands between `<!-- figures: NAME -->` and `<!-- end -->` is replaced.
"""
import json
import pathlib
import re
import sys
import time

SECTIONS = ("run", "ratios", "times", "room", "programs", "spread")
# Okabe and Ito's colours, told apart by the colour-blind as well.
STYLES = {
    "shmheap": ("#d55e00", "o", "-"), "shmheap-4k": ("#e69f00", "s", "-"), "shmheap-cached": ("#cc79a7", "D", "-"),
    "boost-rbtree": ("#0072b2", "v", "-"), "boost-seqfit": ("#56b4e9", "^", "--"), "first-fit-list": ("#7f7f7f", "x", "--"),
    "apr-rmm": ("#8c564b", "P", "--"), "pmemobj": ("#009e73", "*", "-"), "glibc": ("#000000", "<", ":"),
    "jemalloc": ("#666600", ">", ":"), "mimalloc": ("#6a3d9a", "h", ":"), "driver": ("#bbbbbb", ".", "-."),
}


def die(text):
    sys.exit("page.py: " + text)


def page_read(folder):
    path = pathlib.Path(folder) / "benchmarks.md"
    try:
        text = path.read_text()
    except OSError as error:
        die(f"{error}: run this in a checkout of the project, by bazel run")
    for name in SECTIONS:
        if not re.search(rf"<!-- figures: {name} -->\n.*?<!-- end -->", text, re.S):
            die(f"{path} has no '<!-- figures: {name} -->' with an '<!-- end -->' behind it: put it back (git checkout)")
    return path, text


class Figures:
    def __init__(self, path):
        self.all = json.loads(pathlib.Path(path).read_text())
        self.peers = [peer["name"] for peer in self.all["peers"]]
        self.workloads = self.all["workloads"]
        self.cells = {(it["workload"], it["peer"]): it for it in self.all["cells"]}

    def value(self, workload, peer):
        return self.cells.get((workload, peer), {}).get("median")

    def cut(self, workload, peer):
        return self.cells.get((workload, peer), {}).get("cut", False)

    def of_kind(self, *kinds):
        return [it for it in self.workloads if it["quantity"] in kinds]

    def ratio(self, workload, peer):
        return self.cells.get((workload, peer), {}).get("ratio")


def number(value):
    return f"{value:,.2f}" if value < 9.995 else f"{value:,.1f}" if value < 99.95 else f"{value:,.0f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def grid(figures, workloads, text):
    head = ["workload, unit"] + figures.peers
    return table(head, [[f"{it['name']}, {it['unit']}"] + [text(it["name"], peer) for peer in figures.peers] for it in workloads])


def times_section(figures):
    def text(workload, peer):
        value = figures.value(workload, peer)
        return "-" if value is None else (">" if figures.cut(workload, peer) else "") + number(value)
    return grid(figures, figures.of_kind("ns"), text)


def ratios_section(figures):
    def text(workload, peer):
        value = figures.ratio(workload, peer)
        return "-" if value is None else ("<" if figures.cut(workload, peer) else "") + number(value)
    return grid(figures, figures.of_kind("ns"), text)


def room_section(figures):
    def text(workload, peer):
        value = figures.value(workload, peer)
        return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"
    return grid(figures, figures.of_kind("percent", "times"), text)


def spread_section(figures):
    def text(workload, peer):
        it = figures.cells.get((workload, peer), {})
        return f"{number(it['min'])} to {number(it['max'])} ({len(it['rounds'])})" if "min" in it else "-"
    return grid(figures, figures.of_kind("ns"), text)


def run_section(figures):
    rows = [[key, value] for key, value in figures.all["machine"].items()]
    rows += [["scale", f"{figures.all['scale']}, at most {figures.all['rounds']} rounds"], ["written", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())]]
    return table(["", ""], rows)


def programs_section(figures):
    rows = [[it["name"], it["text"], it["process"], f"{it['calls']:,}", f"{it['live_most']:,}"] if "calls" in it
            else [it["name"], it["text"], "-", it["missing"], "-"] for it in figures.all["programs"]]
    return table(["program", "what was recorded", "process", "calls", "bytes alive at most"], rows)


def stamp(axes, figures, title):
    axes.set_title(f"{title}\n{figures.all['machine']['processor']}, scale {figures.all['scale']}", fontsize=10)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def lines_plot(plt, figures, points, labels):
    """points: workload and x."""
    picture, axes = plt.subplots(figsize=(8, 5))
    for peer in figures.peers:
        there = [(x, figures.value(name, peer)) for name, x in points if figures.value(name, peer)]
        if there:
            colour, marker, dash = STYLES[peer]
            axes.plot(*zip(*there), color=colour, marker=marker, linestyle=dash, label=peer)
    axes.set_yscale("log")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    stamp(axes, figures, labels[2])
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return picture, axes


def churn_plot(plt, figures):
    points = [("churn-1", 1), ("churn-1e3", 1e3), ("churn-1e4", 1e4), ("churn-1e5", 1e5), ("churn-1e6", 1e6)]
    picture, axes = lines_plot(plt, figures, points, ("objects alive", "time, ns an operation", "Churn: a random object of 16 to 1024 bytes replaced"))
    axes.set_xscale("log")
    return picture


def processes_plot(plt, figures):
    points = [("processes-1", 1), ("processes-2", 2), ("processes-4", 4)]
    picture, axes = lines_plot(plt, figures, points, ("processes on one heap", "time, ns an operation, all together", "Processes on one heap, 10,000 objects each"))
    axes.set_xticks([1, 2, 4])
    return picture


def marks_plot(plt, figures, workloads, value, labels, log):
    picture, axes = plt.subplots(figsize=(8, 1.5 + 0.4 * len(workloads)))
    names = [it["name"] for it in workloads]
    for peer in figures.peers:
        there = [(value(name, peer), row) for row, name in enumerate(names) if value(name, peer)]
        if there and peer != "driver":
            colour, marker, _ = STYLES[peer]
            axes.plot(*zip(*there), color=colour, marker=marker, linestyle="", markersize=7, alpha=0.85, label=peer)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(labels[0])
    stamp(axes, figures, labels[1])
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return picture


def plots(plt, figures):
    names = {it["name"] for it in figures.workloads}
    yield "benchmarks-speed.svg", marks_plot(plt, figures, figures.of_kind("ns"), figures.ratio,
                                             ("times as fast as " + figures.all["reference"], "Speed beside Boost.Interprocess, more is better"), True)
    if "churn-1e3" in names:
        yield "benchmarks-churn.svg", churn_plot(plt, figures)
    if "processes-1" in names:
        yield "benchmarks-processes.svg", processes_plot(plt, figures)
    for kind, file, labels in (("percent", "benchmarks-full.svg", ("objects, % of the segment's bytes", "How full a heap gets, more is better")),
                               ("times", "benchmarks-least.svg", ("least segment, times the bytes alive at most", "Room for recorded programs, less is better"))):
        if figures.of_kind(kind):
            yield file, marks_plot(plt, figures, figures.of_kind(kind), figures.value, labels, False)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    path, text = page_read(sys.argv[2])
    try:
        import matplotlib
    except ImportError:
        die("needs matplotlib: apt-get install python3-matplotlib")
    if sys.argv[1] == "--check":
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "shmheap" # the same file for the same figures
    import matplotlib.pyplot as plt
    figures = Figures(sys.argv[1])
    for name in SECTIONS:
        made = globals()[name + "_section"](figures)
        text = re.sub(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", lambda it: it[1] + "\n" + made + "\n\n" + it[2], text, flags=re.S)
    for file, picture in plots(plt, figures):
        picture.savefig(path.parent / file, bbox_inches="tight", metadata={"Date": None})
        plt.close(picture)
    path.write_text(text)


main()
