#!/usr/bin/env python3
"""links.py FOLDER: prints each link of the site in FOLDER that leads nowhere; fails if one does.

It checks files and anchors below FOLDER. Addresses of other hosts are not opened.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = set(), {"", "__skip"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.add(value)
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


def fault(root, pages, path, link):
    """Says what is wrong with a link of the page at path, or nothing."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    base = root if parts.path.startswith("/") else path.parent
    target = base / unquote(parts.path).lstrip("/") if parts.path else path
    target = target.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "no such file"
    # rustdoc names lines N to M of a source file #N-M, and has an anchor for each line.
    lines = re.fullmatch(r"(\d+)-(\d+)", parts.fragment)
    wanted = set(lines.groups()) if lines else {parts.fragment}
    # A browser looks for the anchor as it is written, then without its percent signs.
    if target in pages and not any(names <= pages[target].anchors
                                   for names in (wanted, set(map(unquote, wanted)))):
        return "no such anchor"
    return None


def main():
    root = Path(sys.argv[1]).resolve()
    pages = {path: Page(path) for path in root.rglob("*.html") if path.name != "404.html"}
    links = faults = 0
    for path, page in sorted(pages.items()):
        for link in sorted(page.links):
            links += 1
            wrong = fault(root, pages, path, link)
            if wrong:
                faults += 1
                print(f"{path.relative_to(root)}: {link}: {wrong}")
    print(f"{len(pages)} pages, {links} links, {faults} faults")
    sys.exit(faults > 0)


main()
