"""The files of the book: a hook of MkDocs (mkdocs.yml), which alone would take docs/ only.

Every page has its path in the repository as its name, so that links between pages and to source
files mean the same on a code host and in the book. The book has the pages of docs/, the pages of
the navigation, and each file that they link to: Markdown as a page, other files as text. In the
book, pages of docs/ lie at the top. The header of the C interface is a page as well, the reference,
and so are the modules of Fortran; the crate's lib.rs is what rustdoc makes of it, where there is a
Rust compiler.
"""

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Link

sys.path.insert(0, str(Path(__file__).parent))
import rustdoc  # noqa: E402
from fortran_reference import page as fortran_page  # noqa: E402
from reference import page as reference_page  # noqa: E402

HEADER = "c/include/shmheap.h"
REFERENCE = "docs/reference.md"  # no such file: it is made
MODULES = ["fortran/shmem_heap.fypp", "fortran/shmem_heap_arrays.fypp",
           "fortran/shmem_heap_blocks.fypp", "fortran/block_meta.f90"]
FORTRAN_REFERENCE = "docs/fortran-reference.md"  # made, too
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
TEXT = {".bzl", ".c", ".f90", ".fypp", ".h", ".hpp", ".cpp", ".rs", ".sh", ".toml", ".yml", ""}
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def links(root, path):
    """The repository paths to which the page links."""
    text = FENCE.sub("", (root / path).read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if ":" not in target:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def place(config, root, path):
    """The file of the book for a file of the repository."""
    file = File(path, str(root), config["site_dir"], config["use_directory_urls"])
    dest = file.dest_path
    if path == "README.md":
        dest = "repository/index.html"
    elif path.startswith("docs/"):
        dest = dest[len("docs/"):]
    elif Path(path).suffix in TEXT and Path(path).suffix != ".md":
        dest += ".txt"
    file.dest_path = dest
    file.abs_dest_path = str(Path(config["site_dir"]) / dest)
    if dest.endswith("index.html"):
        file.url = dest[: -len("index.html")] or "./"
    else:
        file.url = dest
    if path == HEADER:
        file.url = "reference/"
    if path == rustdoc.CRATE and rustdoc.compiler():
        file.url = rustdoc.START
    return file


def on_files(files, config):
    """Takes the files of docs/ by their names in the repository, and what they link to."""
    root = Path(config["config_file_path"]).resolve().parent
    theirs = [file for file in files if not file.src_path.startswith("..")]
    mine = [path for path in root.glob("docs/**/*") if path.is_file()]
    mine = [path for path in mine if path.suffix in {".css", ".md", ".svg"}]
    waiting = [str(path.relative_to(root)) for path in mine]
    waiting += re.findall(r"[\w./-]+\.md", str(config["nav"]))
    found = {}
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith("../") or not (root / path).is_file():
            continue
        found[path] = place(config, root, path)
        if path.endswith(".md"):
            waiting += links(root, path)
    for made in (REFERENCE, FORTRAN_REFERENCE):
        found[made] = place(config, root, made)
    docs = Path(config["docs_dir"]).resolve()
    kept = [file for file in theirs if docs not in Path(file.abs_src_path).resolve().parents]
    return Files(kept + [found[path] for path in sorted(found)])


def on_page_read_source(page, config):
    """The references, from the header and from the modules."""
    root = Path(config["config_file_path"]).resolve().parent
    if page.file.src_path == REFERENCE:
        return reference_page((root / HEADER).read_text(encoding="utf-8"))
    if page.file.src_path == FORTRAN_REFERENCE:
        return fortran_page([(root / path).read_text(encoding="utf-8") for path in MODULES])
    return None


def on_page_markdown(markdown, page, config, files):
    """Leaves the words of a link to a folder: the book has files only."""
    root = Path(config["config_file_path"]).resolve().parent
    folder = (root / page.file.src_path).parent

    def plain(match):
        return match[1] if ":" not in match[2] and (folder / match[2]).is_dir() else match[0]

    return re.sub(r"\[([^\]]*)\]\(([^)\s#]+)\)", plain, markdown)


def on_nav(nav, config, files):
    """Adds the reference of the crate behind the pages on languages."""
    if rustdoc.compiler():
        languages = next(item for item in nav.items if item.title == "Languages")
        link = Link("Reference of the Rust crate", rustdoc.START)
        link.parent = languages
        languages.children.append(link)
    return nav


def on_post_build(config):
    """The reference of the crate."""
    root = Path(config["config_file_path"]).resolve().parent
    if rustdoc.compiler():
        rustdoc.write(rustdoc.compiler(), root, config["site_dir"])
