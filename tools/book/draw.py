#!/usr/bin/env python3
"""draw.py FOLDER: draws the pictures of the book, heap.svg and first-fit.svg, into FOLDER.

//tests/unit/pages:pictures_test compares them with docs/. Colours follow the reader's preference.
"""

import sys
from pathlib import Path

STYLE = """<style>
  svg { font: 14px system-ui, sans-serif }
  text { fill: #24292f } .small { font-size: 12px } .middle { text-anchor: middle }
  .page { fill: #ffffff } .box { fill: #f0f3f6; stroke: #57606a }
  .used { fill: #54aeff; stroke: #24292f } .free { fill: #ffffff; stroke: #24292f }
  .new { fill: #4ac26b; stroke: #24292f } .sent { fill: #eac54f; stroke: #24292f }
  .block { fill: #0d1117 } .arrow { stroke: #57606a; fill: none; marker-end: url(#tip) }
  .tip { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .page { fill: #161b22 } .box { fill: #21262d; stroke: #8b949e }
    .free { fill: #30363d } .free, .used, .new, .sent { stroke: #e6edf3 }
    .arrow { stroke: #8b949e } .tip { fill: #8b949e }
    .block { fill: #0d1117 } .on-free { fill: #e6edf3 }
  }
</style>
<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">
  <path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>"""


def picture(width, height, title, parts):
    """The text of an SVG file."""
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img"><title>{title}</title>')
    page = f'<rect class="page" width="{width}" height="{height}" rx="8"/>'
    return "\n".join([head, STYLE, page, *parts, "</svg>"]) + "\n"


def text(x, y, words, kind=""):
    return f'<text x="{x}" y="{y}" class="{kind}">{words}</text>'


def box(x, y, width, height, kind, words="", inner="middle"):
    """A rectangle with words in its middle."""
    parts = f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>'
    if words:
        parts += "\n" + text(x + width / 2, y + height / 2 + 5, words, inner)
    return parts


def blocks(x, y, row):
    """Blocks without gaps: (width, kind, words)."""
    parts = []
    for width, kind, words in row:
        inner = "middle on-free" if kind == "free" else "middle block"
        parts.append(box(x, y, width, 34, kind, words, inner))
        x += width
    return parts


def heap():
    """Two processes map one heap."""
    parts = []
    for x, pid, at in ((40, "process 4711", "A"), (560, "process 4712", "B")):
        parts += [box(x, 16, 160, 50, "box"),
                  text(x + 80, 37, pid, "middle"),
                  text(x + 80, 57, f"maps it at address {at}", "middle small")]
    parts += ['<path class="arrow" d="M120 66 L120 112"/>',
              '<path class="arrow" d="M640 66 L640 112"/>',
              text(380, 44, "a handle: 8 bytes", "middle small"),
              '<path class="arrow" d="M200 52 L558 52"/>',
              text(380, 104, "/dev/shm/NAME: one file, mapped by both", "middle"),
              box(20, 114, 720, 96, "box"),
              box(32, 126, 76, 72, "free"), text(70, 158, "control", "middle small on-free"),
              text(70, 176, "lock", "middle small on-free"),
              box(108, 126, 70, 72, "free"), text(143, 158, "slots:", "middle small on-free"),
              text(143, 176, "processes", "middle small on-free"),
              box(178, 126, 80, 72, "free"), text(218, 158, "index of", "middle small on-free"),
              text(218, 176, "free blocks", "middle small on-free"),
              text(498, 138, "region: blocks, tiled without gaps", "middle small")]
    parts += blocks(270, 150, [(70, "used", "used"), (90, "free", "free"), (80, "used", "used"),
                               (60, "sent", "sent"), (70, "used", "used"), (88, "free", "top")])
    parts += [text(20, 234, "Each block begins with a header of 8 bytes: size, state, holder, "
                   "generation. The headers are the only truth;", "small"),
              text(20, 252, "a process that finds the lock of a dead process rebuilds the rest "
                   "from them.", "small")]
    return picture(760, 264, "A heap and two processes that share it", parts)


def first_fit():
    """An allocation splits the lowest block that is large enough; a free merges."""
    left, y, parts = 20, 40, []

    def step(words, row, note):
        nonlocal y
        parts.append(text(left, y - 10, words))
        parts.extend(blocks(left, y, row))
        if note:
            parts.append(text(left + 510, y + 22, note, "small"))
        y += 76

    step("1. Before: three objects, free blocks of 48, 160 and 300 bytes",
         [(70, "used", "A"), (48, "free", "48"), (60, "used", "B"), (120, "free", "160"),
          (60, "used", "C"), (132, "free", "300")], "")
    step("2. D = alloc(90): the lowest free block that is large enough (first fit) is split",
         [(70, "used", "A"), (48, "free", "48"), (60, "used", "B"), (76, "new", "D"),
          (44, "free", "rest"), (60, "used", "C"), (132, "free", "300")],
         "48 is too small, 160 fits, 300 is not tried")
    step("3. free(B): its neighbour in front is free, so both merge at once",
         [(70, "used", "A"), (108, "free", "one block"), (76, "used", "D"), (44, "free", "rest"),
          (60, "used", "C"), (132, "free", "300")], "no two free blocks lie side by side")
    step("4. free(D): free neighbours on both sides, so three blocks become one",
         [(70, "used", "A"), (228, "free", "one block"), (60, "used", "C"),
          (132, "free", "300")], "one 8-byte store publishes the change")
    return picture(800, y - 24, "First fit, split and merge", parts)


def main():
    folder = Path(sys.argv[1])
    (folder / "heap.svg").write_text(heap(), encoding="utf-8")
    (folder / "first-fit.svg").write_text(first_fit(), encoding="utf-8")


main()
