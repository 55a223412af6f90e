"""serve_page_test.py: the page of shmheap serve: URL BUSY CALM FOLDER SHOTS SERVER.

BUSY is a heap in which processes are at work, CALM one at rest; both have names that a page might
take for its own language. FOLDER is for the browser's files, SHOTS for pictures of the page, SERVER
the pid of the server, which the test ends.
"""

import os
import signal
import sys
from urllib.parse import quote

import browser

URL, BUSY, CALM, FOLDER, SHOTS, SERVER = sys.argv[1:]
ROWS = "[...document.querySelectorAll('#heaps tbody tr')]"
NAMES = ["matrix", "<script>alert(1)</script>", "a&b\"c'", "café", "]]></svg>",
         "bad\\xff\\x1b[31m"]


def expect(condition, what):
    """An assertion with a text."""
    if not condition:
        raise AssertionError(what)


def pixels(page, canvas):
    """How many colours a canvas has."""
    return page.run("""
        const canvas = document.querySelector(arguments[0]), { width, height } = canvas;
        const pen = new OffscreenCanvas(width, height)
            .getContext('2d', { willReadFrequently: true });
        pen.drawImage(canvas, 0, 0);
        const { data } = pen.getImageData(0, 0, width, height);
        return new Set(new Uint32Array(data.buffer)).size;""", canvas)


def shots(page, name):
    """Pictures of the page; no width makes it scroll sideways."""
    for width in (800, 1600):
        for scheme in ("light", "dark"):
            page.screen(width, 1000, scheme)
            page.wait("matchMedia('(prefers-color-scheme: ' + arguments[0] + ')').matches", scheme,
                      scheme)
            page.wait("plots.plots.every(p => Math.abs(p.uplot.width - p.box.clientWidth) < 2)",
                      "the charts have the width of their places")
            before = page.run("return samples")
            page.wait("samples > arguments[0] + 1", "newer figures", before)
            expect(page.run("return document.documentElement.scrollWidth <= innerWidth"),
                   f"{name} is wider than {width} pixels")
            page.shot(os.path.join(SHOTS, f"{name}-{width}-{scheme}.png"))


def check_list(page):
    """The rows, their figures, the charts."""
    page.wait(ROWS + ".length === 2", "two rows")
    labels = page.run(f"return {ROWS}.map(row => row.cells[0].textContent)")
    expect(sorted(labels) == sorted([BUSY, CALM]), labels)
    operations = "Number(" + ROWS + ".find(row => row.cells[0].textContent === arguments[0])" \
                 ".cells[4].textContent.replaceAll(',', ''))"
    page.wait(operations + " > 0", "operations a second of the busy heap", BUSY)
    expect(page.run("return " + operations, CALM) == 0, "operations of the heap at rest")
    page.wait("plots.plots.every(p => p.uplot && p.uplot.data.length === 3 && "
              "p.uplot.data.slice(1).every(d => d.filter(v => v !== null).length > 3))",
              "each chart has points of both heaps")
    expect(page.run("return document.querySelector('#heaps i') === null"), "a name became markup")
    for number in range(1, 5):
        expect(pixels(page, f"#plots figure:nth-child({number}) canvas") > 3, "an empty chart")


def check_sort(page):
    """A click on a title sorts, a second one turns."""
    order = f"return {ROWS}.map(row => row.cells[0].textContent)"
    size = "[...document.querySelectorAll('#heaps th button')].find(b => b.textContent === 'Size')"
    page.run(f"{size}.click()")
    expect(page.run(order) == [CALM, BUSY], "sorted by size")
    page.run(f"{size}.click()")
    expect(page.run(order) == [BUSY, CALM], "sorted by size, turned")
    expect(page.run(f"return {size}.parentNode.getAttribute('aria-sort')") == "ascending", "aria")


def point_at_plot(page):
    """Moves the pointer to the newest sample of the first chart; returns its caption's value."""
    over = page.run("return document.querySelector('#plots figure .u-over')")
    x = page.run("return plots.plots[0].uplot.valToPos(history_.times.at(-1), 'x')")
    page.point(over, x, 40)
    return page.run("return document.querySelector('#plots figcaption span').textContent")


def check_readout(page):
    """The pointer over a chart shows a value."""
    page.until(lambda: point_at_plot(page).endswith((": " + BUSY, ": " + CALM)),
               "a value under the pointer")


def check_heap(page, label):
    """The view of the heap that is open: map, legend, histograms, processes, names."""
    page.wait("!document.getElementById('detail').hidden && view.label === arguments[0]",
              "the heap's view", label)
    expect(page.run("return document.getElementById('name').textContent") == label, "its name")
    page.wait("document.querySelectorAll('#charts .histogram .bar').length > 4", "histograms")
    page.wait("document.getElementById('map').width > 300", "the map")
    expect(pixels(page, "#map") > 5 and pixels(page, "#strip") > 3, "the map is empty")
    cells = "[...document.querySelectorAll('#{} tbody tr')].map(row => row.cells[{}].textContent)"
    names = page.run("return " + cells.format("names", 0))
    expect(sorted(names) == sorted(NAMES), names)
    programs = page.run("return " + cells.format("processes", 2))
    expect({"writer", "reader<&>", "mortal"} <= set(programs), programs)
    text = page.run("return document.querySelector('.legend').innerText")
    expect("(reader<&>)" in text and "shared:" in text, text)
    expect(page.run("return document.scripts.length") == 7, "a name became a script")


def point_at_name(page):
    """Moves the pointer to a named block, and returns whether the hint shows its name."""
    x, y = page.run("""
        const item = view.map.data.names.find(each => each.name.startsWith('<script>'));
        let place;
        view.map.eachBox(item.offset, item.offset + 1, view.map.map.clientWidth - LEFT,
                         (x, y) => { place = place || [x + 1, y + 8]; });
        return place;""")
    page.point(page.run("return document.getElementById('map')"), x, y)
    return page.run("""return !view.map.tip.hidden &&
        view.map.tip.textContent.includes('<script>alert(1)</script>: ')""")


def check_tip(page):
    """The pointer over a named block shows its name as text. The map moves as the heap fills."""
    page.run("document.getElementById('map').scrollIntoView({ block: 'center' })")
    page.until(lambda: point_at_name(page), "the hint")
    expect(page.run("return view.map.tip.children.length") == 0, "a name became markup")


def check_zoom(page):
    """Keys zoom the map and leave it, and new data do not undo that."""
    page.run("document.getElementById('map').focus()")
    before = page.run("return view.map.view.len")
    page.keys("+", "+")
    page.wait("view.map.view.len < arguments[0] * 0.6", "zoomed in", before)
    zoomed, seen = page.run("return [view.map.view.len, samples]")
    page.wait("samples > arguments[0] + 2", "newer figures", seen)
    expect(page.run("return view.map.view.len") == zoomed, "new data undid the zoom")
    page.keys("0")
    page.wait("view.map.view.len === view.map.data.len", "the whole heap")
    page.run("document.getElementById('used').click()")


def check_keys(page):
    """From the list by keys alone: arrow, Enter, Esc."""
    from selenium.webdriver.common.keys import Keys
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    label = page.run("return document.activeElement.textContent")
    expect(label in (BUSY, CALM), label)
    page.keys(Keys.ENTER)
    check_heap(page, label)
    expect(page.run("return location.hash") == "#" + quote(label, safe="!'()*"), "its address")
    page.keys(Keys.ESCAPE)
    page.wait("view.label === null && !document.getElementById('list').hidden", "the list again")


def check_pause(page):
    """Paused, nothing changes."""
    page.run("document.getElementById('pause').click()")
    page.wait("paused && document.getElementById('status').textContent === 'paused'", "paused")
    page.run("document.getElementById('pause').click()")
    seen = page.run("return samples")
    page.wait("samples > arguments[0] + 1", "it goes on", seen)


def check_end(page):
    """A heap that goes away while it is shown, then the server."""
    os.unlink("/dev/shm/" + CALM)
    page.driver.get(URL + "#" + quote(CALM))
    page.wait("document.getElementById('problem').textContent.startsWith('there is no heap')",
              "the heap is gone")
    os.kill(int(SERVER), signal.SIGTERM)
    page.wait("document.getElementById('status').textContent.startsWith('no answer')",
              "the server is gone")


def check(page):
    """All of it, in one visit."""
    page.screen(1600, 1000, "light")
    page.driver.get(URL)
    check_list(page)
    check_sort(page)
    check_readout(page)
    shots(page, "list")
    check_keys(page)
    page.run(f"{ROWS}.find(row => row.textContent.includes(arguments[0])).querySelector('a')"
             ".click()", BUSY)
    check_heap(page, BUSY)
    check_tip(page)
    check_zoom(page)
    shots(page, "heap")
    check_pause(page)
    faults = page.faults()
    expect(not faults, faults)
    check_end(page)


driver = browser.start(FOLDER)
try:
    check(browser.Page(driver))
finally:
    driver.quit()
