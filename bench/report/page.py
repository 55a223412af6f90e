#!/usr/bin/python3
"""page.py: writes the figures of `bench --json` as tables into docs/benchmarks.md, with plots.

SPDX-License-Identifier: Apache-2.0

usage: page.py --check FOLDER        exit status 0 if this machine can write FOLDER's page
       page.py FIGURES.json FOLDER   writes the page

It replaces only the text between `<!-- figures: NAME -->` and `<!-- end -->`.
"""
import json
import pathlib
import re
import sys
import time

SECTIONS = ("run", "ratios", "times", "room", "programs", "spread")
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
STYLES = {
    "shmheap": ("#d55e00", "o", "-"),
    "shmheap-4k": ("#e69f00", "s", "-"),
    "shmheap-cached": ("#cc79a7", "D", "-"),
    "boost-rbtree": ("#0072b2", "v", "-"),
    "boost-seqfit": ("#56b4e9", "^", "--"),
    "first-fit-list": ("#7f7f7f", "x", "--"),
    "apr-rmm": ("#8c564b", "P", "--"),
    "pmemobj": ("#009e73", "*", "-"),
    "glibc": ("#000000", "<", ":"),
    "jemalloc": ("#666600", ">", ":"),
    "mimalloc": ("#6a3d9a", "h", ":"),
    "driver": ("#bbbbbb", ".", "-."),
}


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


def cut_grid(figures, figure_of, mark):
    """The workloads in ns; mark stands before the figure of a workload that was cut."""
    def text(workload, peer):
        value = figure_of(workload, peer)
        cut = mark if figures.cut(workload, peer) else ""
        return "-" if value is None else cut + number(value)
    return grid(figures, figures.of_kind("ns"), text)


def times_section(figures):
    return cut_grid(figures, figures.value, ">")


def ratios_section(figures):
    return cut_grid(figures, figures.ratio, "<")


def room_section(figures):
    def text(workload, peer):
        value = figures.value(workload, peer)
        return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"
    return grid(figures, figures.of_kind("percent", "times"), text)


def spread_section(figures):
    def text(workload, peer):
        it = figures.cells.get((workload, peer), {})
        if "min" not in it:
            return "-"
        return f"{number(it['min'])} to {number(it['max'])} ({len(it['rounds'])})"
    return grid(figures, figures.of_kind("ns"), text)


def run_section(figures):
    rows = [[key, value] for key, value in figures.all["machine"].items()]
    rows.append(["scale", f"{figures.all['scale']}, at most {figures.all['rounds']} rounds"])
    rows.append(["written", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())])
    return table(["", ""], rows)


def programs_section(figures):
    rows = [[it["name"], it["text"], it["process"], f"{it['calls']:,}", f"{it['live_most']:,}"]
            if "calls" in it else [it["name"], it["text"], "-", it["missing"], "-"]
            for it in figures.all["programs"]]
    return table(["program", "what was recorded", "process", "calls", "most live bytes"], rows)


def title_set(axes, figures, title):
    machine = f"{figures.all['machine']['processor']}, scale {figures.all['scale']}"
    axes.set_title(f"{title}\n{machine}", fontsize=10)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def lines_plot(plt, figures, points, labels):
    """Draws a line for each peer. points are pairs of a workload and its x."""
    picture, axes = plt.subplots(figsize=(8, 5))
    for peer in figures.peers:
        found = [(x, figures.value(name, peer)) for name, x in points if figures.value(name, peer)]
        if found:
            colour, marker, dash = STYLES[peer]
            axes.plot(*zip(*found), color=colour, marker=marker, linestyle=dash, label=peer)
    axes.set_yscale("log")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    title_set(axes, figures, labels[2])
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return picture, axes


def churn_plot(plt, figures):
    points = [("churn-1", 1), ("churn-1e3", 1e3), ("churn-1e4", 1e4), ("churn-1e5", 1e5),
              ("churn-1e6", 1e6)]
    labels = ("live objects", "ns per operation",
              "Churn: a random object of 16 to 1024 bytes is replaced")
    picture, axes = lines_plot(plt, figures, points, labels)
    axes.set_xscale("log")
    return picture


def processes_plot(plt, figures):
    points = [("processes-1", 1), ("processes-2", 2), ("processes-4", 4)]
    labels = ("processes on one heap", "ns per operation of all processes",
              "Processes on one heap, 10,000 objects each")
    picture, axes = lines_plot(plt, figures, points, labels)
    axes.set_xticks([1, 2, 4])
    return picture


def marks_plot(plt, figures, workloads, value, labels, log):
    picture, axes = plt.subplots(figsize=(8, 1.5 + 0.4 * len(workloads)))
    names = [it["name"] for it in workloads]
    for peer in figures.peers:
        found = [(value(name, peer), row) for row, name in enumerate(names) if value(name, peer)]
        if found and peer != "driver":
            colour, marker, _ = STYLES[peer]
            axes.plot(*zip(*found), color=colour, marker=marker, linestyle="", markersize=7,
                      alpha=0.85, label=peer)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(labels[0])
    title_set(axes, figures, labels[1])
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return picture


def plots(plt, figures):
    names = {it["name"] for it in figures.workloads}
    labels = ("speed relative to " + figures.all["reference"],
              "Speed relative to Boost.Interprocess, more is better")
    yield "benchmarks-speed.svg", marks_plot(plt, figures, figures.of_kind("ns"), figures.ratio,
                                             labels, True)
    if "churn-1e3" in names:
        yield "benchmarks-churn.svg", churn_plot(plt, figures)
    if "processes-1" in names:
        yield "benchmarks-processes.svg", processes_plot(plt, figures)
    full = ("objects, % of the segment's bytes", "How full a heap gets, more is better")
    least = ("smallest segment, times the most live bytes",
             "Memory for recorded programs, less is better")
    for kind, file, labels in (("percent", "benchmarks-full.svg", full),
                               ("times", "benchmarks-least.svg", least)):
        workloads = figures.of_kind(kind)
        if workloads:
            yield file, marks_plot(plt, figures, workloads, figures.value, labels, False)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    path, text = page_read(sys.argv[2])
    try:
        import matplotlib
    except ImportError:
        die("matplotlib is not installed; run apt-get install python3-matplotlib")
    if sys.argv[1] == "--check":
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "shmheap"  # the same file for the same figures
    import matplotlib.pyplot as plt
    figures = Figures(sys.argv[1])
    for name in SECTIONS:
        made = globals()[name + "_section"](figures)
        text = re.sub(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)",
                      lambda it, made=made: it[1] + "\n" + made + "\n\n" + it[2], text, flags=re.S)
    for file, picture in plots(plt, figures):
        picture.savefig(path.parent / file, bbox_inches="tight", metadata={"Date": None})
        plt.close(picture)
    path.write_text(text)


main()
