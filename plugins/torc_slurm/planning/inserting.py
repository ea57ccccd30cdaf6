"""A plan put into the text of a YAML document, so that its comments and its form stay (`slurm.md` §7.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torc_core.spec.complaint import Complaints
from torc_core.spec.document import Document
from torc_slurm.planning.writing import ACTIONS, SCHEDULERS, bare

TITLE = "Allocations planned by 'torc slurm generate'"
"""How the comments begin that are put on top."""

_NAME = re.compile(r"(?:-[ ]+)?name[ ]*:")


def inserted(
    text: str,
    document: Document,
    tree: Mapping[str, Any],
    load: Callable[[str], Document],
    dump: Callable[[Mapping[str, Any]], str],
) -> str | None:
    """The text with what the new tree has more; None: that cannot be done by adding lines.

    Parameters
    ----------
    text, document
        What was read.
    tree
        What it is to become.
    load, dump
        Of YAML.
    """
    if SCHEDULERS in document.tree or ACTIONS in document.tree:
        return None
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    more: dict[int, str] = {}
    for place, job in enumerate(tree["jobs"]):
        if "scheduler" not in job:
            continue
        if "scheduler" in document.tree["jobs"][place]:
            return None
        at = document.locate(("jobs", place, "name"))
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        indent = line[: at.column - 1]
        if not _NAME.match(line[at.column - 1 :]) or indent.strip(" -") or at.line in more:
            return None
        more[at.line] = " " * len(indent) + dump({"scheduler": job["scheduler"]})
    added = {key: tree[key] for key in (SCHEDULERS, ACTIONS) if key in tree}
    new = "".join(line + more.get(number, "") for number, line in enumerate(lines, 1)) + dump(added)
    try:
        read = load(new).tree
    except Complaints:
        return None
    return new if bare(read) == bare(tree) else None


def without_header(text: str) -> str:
    """The text without the comments that an earlier plan has put on top."""
    lines = text.splitlines(keepends=True)
    if not lines or TITLE not in lines[0]:
        return text
    body: Sequence[str] = lines
    while body and body[0].lstrip().startswith(("#", "//")):
        body = body[1:]
    return "".join(body[1:] if body and not body[0].strip() else body)
