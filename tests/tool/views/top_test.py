"""top_test.py: shmheap top on terminals of 40, 80 and 200 columns: top_test.py TOOL HEAP OTHER.

HEAP is a heap in which processes are at work, OTHER one at rest.
"""

import sys

from screen import Screen

tool, heap, other = sys.argv[1:]
command = [tool, "top", "--interval", "200", heap, other]


def row(text, name):
    """The line of a heap."""
    return next((line for line in text.split("\n") if line.startswith(name)), "")


def expect(condition, what):
    """An assertion with a text."""
    if not condition:
        raise AssertionError(what)


def cells(text, name):
    """The cells of a heap's line, by the titles of their columns."""
    titles = text.split("\n")[1].split()
    return dict(zip(titles, row(text, name).replace(" %", "%").split()))


def busy(text):
    """Whether a whole screen shows operations of the busy heap. The keys are drawn last."""
    operations = cells(text, heap).get("OPS/S", "-")
    return operations not in ("-", "0") and other in text and "q quit" in text.split("\n")[-1]


def check_list(columns, wanted, left_out):
    """The list has the columns that fit, and no line is too wide."""
    screen = Screen(columns, 24, command)
    text = screen.wait(busy, "operations a second")
    title = text.split("\n")[1].split()
    expect(set(wanted) <= set(title), f"columns at {columns}: {title}")
    expect(not set(left_out) & set(title), f"columns at {columns}: {title}")
    print(text)
    return screen


def check_keys(screen):
    """Sorting, opening and closing a heap, leaving."""
    screen.keys("n")
    first, second = sorted([heap, other])
    screen.wait(lambda t: t.find(first) < t.find(second), "sorted by name")
    screen.keys("n")
    screen.wait(lambda t: t.find(second) < t.find(first), "sorted by name, turned")
    screen.keys("o")
    screen.wait(lambda t: t.find(heap) < t.find(other), "sorted by operations")
    screen.keys("\x1bOA\x1bOA\r")
    text = screen.wait(lambda t: "allocs/s" in t and "writer" in t and "Esc list" in t,
                       "the view of the heap")
    expect(text.startswith(heap) and "0 B" in text and "shared" in text, "figures, map, legend")
    print(text)
    changed = lambda t: "allocs/s" in t and t.split("\n")[2] != text.split("\n")[2]
    screen.wait(changed, "the view changes")
    screen.keys("s")
    screen.wait(lambda t: "by process" in t, "the map by process")
    screen.keys("\x1b")
    screen.wait(lambda t: "OPS/S" in t, "the list again")


def check_resize(screen):
    """The table follows the size of the terminal."""
    screen.resize(200, 30)
    screen.wait(lambda t: "WAITS" in t and "BYTES/S" in t and "q quit" in t.split("\n")[-1],
                "the columns of a wide terminal")
    screen.resize(40, 10)
    screen.wait(lambda t: "WAITS" not in t and "FILL" in t, "the columns of a narrow terminal")


screen = check_list(80, ["HEAP", "FILL", "OPS/S", "PROC"], ["BYTES/S"])
expect(len(screen.colors()) > 1, "no colours")
check_keys(screen)
check_resize(screen)
screen.keys("q")
expect(screen.status() == 0, "q did not end it with 0")

screen = check_list(200, ["SIZE", "FRAG", "ALLOC/S", "BYTES/S", "DEAD", "RECOV", "WAITS"], [])
screen.keys("q")
expect(screen.status() == 0, "q did not end it with 0")

screen = check_list(40, ["HEAP", "FILL", "OPS/S"], ["ALLOC/S", "WAITS"])
screen.keys("q")
expect(screen.status() == 0, "q did not end it with 0")

screen = Screen(80, 24, command, NO_COLOR="1")
screen.wait(busy, "operations a second")
expect(screen.colors() == {"default"}, f"colours with NO_COLOR: {screen.colors()}")
screen.keys("\x03")
expect(screen.status() == 0, "an interrupt did not end it with 0")

screen = Screen(80, 24, command, TERM="none-such")
expect(screen.status() == 1 and "not known" in screen.text(), "a terminal that is not known")
