"""The reference of the C interface, as a page of the book, made from its header.

Each declaration gets a heading, so that it has an address and the search finds it. The words are
those of the header's comments, with their layout.
"""

import re

SECTION = re.compile(r"^/\* (.+?) -{3,} \*/$")
NAMES = re.compile(r"^SHMHEAP_API\b[^(]*?\b(shmheap_\w+)\(|^(?:typedef struct|enum|struct|#define) "
                   r"(\w+)", re.MULTILINE)


def comment_text(lines):
    """The words of a comment, without its marks."""
    text = "\n".join(lines).strip()
    text = re.sub(r"^/\*\s?|\s*\*/$", "", text)
    return re.sub(r"^ \* ?", "", text, flags=re.MULTILINE)


def fenced(kind, text):
    return f"```{kind}\n{text}\n```\n"


def parts(header):
    """The header as (kind, text): section, comment or code; blank lines divide code."""
    lines = iter(header.splitlines())
    code = []
    for line in lines:
        section = SECTION.match(line)
        if line.startswith("/*"):
            if code:
                yield "code", "\n".join(code)
                code = []
            if section:
                yield "section", section[1]
                continue
            block = [line]
            while not block[-1].rstrip().endswith("*/"):
                block.append(next(lines))
            yield "comment", comment_text(block)
        elif line.strip():
            code.append(line)
        elif code and "\n".join(code).count("{") == "\n".join(code).count("}"):
            yield "code", "\n".join(code)
            code = []
            yield "gap", ""
        elif not code:
            yield "gap", ""
    if code:
        yield "code", "\n".join(code)


def page(header):
    """The page, in Markdown."""
    out = ["# Reference of the C interface\n",
           "Made from `c/include/shmheap.h`: names, words and order are the header's.\n"]
    words = None
    for kind, text in parts(header):
        if kind == "section":
            words = None
            out.append(f"## {text.rstrip('.')}\n")
        elif kind == "comment":
            if words is not None:
                out.append(fenced("text", words))
            words = text
        elif kind == "gap" and words is not None:
            # The comment of the file, or of a section.
            if len(out) == 2:
                out.append("## Conventions\n")
            out.append(fenced("text", words))
            words = None
        elif kind == "code":
            names = [one or other for one, other in NAMES.findall(text)]
            names = [name for name in names if name.lower().startswith("shmheap")]
            if not names or text.startswith(("#ifndef", "#if", "#ifdef")):
                if words is not None and len(out) == 2:
                    out += ["## Conventions\n", fenced("text", words)]
                words = None
                continue
            out += [f"### {name}\n" for name in names]
            out.append(fenced("c", text))
            if words is not None:
                out.append(fenced("text", words))
            words = None
    return "\n".join(out)
