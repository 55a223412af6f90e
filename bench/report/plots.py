"""plots.py: draws the figures of heaps of twice the live bytes.

SPDX-License-Identifier: Apache-2.0
"""
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
STYLES = {
    "shmheap": ("#d55e00", "o", "-"),
    "shmheap-cached": ("#cc79a7", "D", "-"),
    "shmheap-4k": ("#e69f00", "s", "-"),
    "tlsf": ("#009e73", "*", "-"),
    "boost-rbtree": ("#0072b2", "v", "-"),
    "boost-seqfit": ("#56b4e9", "^", "--"),
    "first-fit-list": ("#7f7f7f", "x", "--"),
    "apr-rmm": ("#8c564b", "P", "--"),
    "pmemobj": ("#999933", "X", "-"),
    "glibc": ("#000000", "<", ":"),
    "jemalloc": ("#666600", ">", ":"),
    "mimalloc": ("#6a3d9a", "h", ":"),
    "snmalloc": ("#117733", "d", ":"),
    "driver": ("#bbbbbb", ".", "-."),
}


def possible():
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "shmheap"  # the same file for the same figures
    return True


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
              "Churn: a random object of 16 to 1024 bytes is replaced; heap: twice the live bytes")
    picture, axes = lines_plot(plt, figures, points, labels)
    axes.set_xscale("log")
    return picture


def processes_plot(plt, figures):
    points = [("processes-1", 1), ("processes-2", 2), ("processes-4", 4)]
    labels = ("processes on one heap", "ns per operation of all processes",
              "Processes on one heap of twice the live bytes, 10,000 objects each")
    picture, axes = lines_plot(plt, figures, points, labels)
    axes.set_xticks([1, 2, 4])
    return picture


def marks_plot(plt, figures, workloads, labels, log):
    picture, axes = plt.subplots(figsize=(8, 1.5 + 0.4 * len(workloads)))
    names = [it["name"] for it in workloads]
    for peer in figures.peers:
        found = [(figures.value(name, peer), row) for row, name in enumerate(names)
                 if figures.value(name, peer)]
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


def draw(plt, figures):
    names = {it["name"] for it in figures.workloads}
    calls = [it for it in figures.of_kind("ns") if it["name"] not in ("connect", "recovery")]
    time = ("ns", "Time, less is better; heap: twice the live bytes")
    yield "benchmarks-speed.svg", marks_plot(plt, figures, calls, time, True)
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
            yield file, marks_plot(plt, figures, workloads, labels, False)


def write(figures, folder):
    import matplotlib.pyplot as plt
    for file, picture in draw(plt, figures):
        picture.savefig(folder / file, bbox_inches="tight", metadata={"Date": None})
        plt.close(picture)
