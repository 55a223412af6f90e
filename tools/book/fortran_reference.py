"""The reference of the Fortran modules, as a page of the book, made from their sources.

Each type and each procedure that a program can call gets a heading. The words are those of the
comments. Of a procedure the page shows its first line and the declarations of its arguments and
result.
"""

import re

from reference import fenced

PROCEDURE = re.compile(r"^ +(?:(?:pure|elemental|recursive) +)*(?:subroutine|function) +(\S+?)\(")
TYPE = re.compile(r"^ +type, public :: (\w+)")
MODULE = re.compile(r"^module (\w+)")
BOUND = re.compile(r"(?:^ +procedure\b.*?::|^ +generic\b.*?=>|^ +public ::)((?:.*&\n)*.*)",
                   re.MULTILINE)
NAME = re.compile(r"(?:\w+ *=> *)?((?:\w|\$\{tag\}\$)+)")


def without_fypp(source):
    """The source without the lines for Fypp: a name such as allocate_${tag}$ stands for many."""
    kept, continues = [], False
    for line in source.splitlines():
        is_fypp = continues or line.startswith(("#:", "#!"))
        continues = is_fypp and line.rstrip().endswith("&")
        if not is_fypp:
            kept.append(line)
    return kept


def callable_names(sources):
    """The procedures that are bound to a type, or public."""
    text = "\n".join(line for source in sources for line in without_fypp(source))
    return {name for names in BOUND.findall(text) for name in NAME.findall(names)}


def interface(lines, first):
    """A procedure's first line, and the declarations of its arguments and its result."""
    head = [lines[first]]
    while head[-1].rstrip().endswith("&"):
        head.append(lines[first + len(head)])
    arguments = set(re.findall(r"\w+", " ".join(head)))
    shown = []
    for line in lines[first + len(head):]:
        if "::" in line and arguments & set(re.findall(r"\w+", line.split("::")[1])):
            shown.append(line)
        elif "::" not in line and not line.strip().startswith(("!", "use ")):
            break
    return "\n".join(line[2:] for line in head + shown)


def type_lines(lines, first):
    last = first
    while not lines[last].strip().startswith("end type"):
        last += 1
    return "\n".join(line[2:] for line in lines[first:last + 1])


def section(source, names):
    """The part of the page for one file."""
    lines, words, out = without_fypp(source), [], []
    for number, line in enumerate(lines):
        if line.strip().startswith("!"):
            words.append(re.sub(r"^ *! ?", "", line))
            continue
        module, kind, procedure = MODULE.match(line), TYPE.match(line), PROCEDURE.match(line)
        text = "\n".join(words).strip()
        words = []
        if module:
            out += [f"## Module {module[1]}\n", fenced("text", text)]
        elif kind:
            out += [f"### type {kind[1]}\n", fenced("fortran", type_lines(lines, number))]
        elif procedure and procedure[1] in names:
            out += [f"### {procedure[1]}\n", fenced("fortran", interface(lines, number))]
        else:
            continue
        if text and not module:
            out.append(fenced("text", text))
    return out


def page(sources):
    """The page, in Markdown."""
    out = ["# Reference of the Fortran modules\n",
           "Made from the modules' sources. [Fortran](fortran.md) shows how to use them. In the "
           "names of procedures `${tag}$` stands for type, kind and rank, as in "
           "`allocate_I4_1D`.\n"]
    names = callable_names(sources)
    for source in sources:
        out += section(source, names)
    return "\n".join(out)
