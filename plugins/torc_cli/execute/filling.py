"""Puts values into commands by name: `torc exec -c 'train {lr:.3f}' --param lr=0.1:0.5:0.1`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from torc_cli.execute.commands import lines_of, read_list
from torc_cli.execute.inputs import MOST_COMMANDS, Made
from torc_core.errors import UsageError
from torc_core.spec.complaint import Report
from torc_core.spec.document import Position
from torc_core.spec.parameters import Values, parameters
from torc_core.spec.shape import Reading
from torc_core.spec.tokens import Scope, Template, Unfit
from torc_terminal.standing import amount

LINKS = ("product", "zip")

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")


def read_parameters(texts: Sequence[str]) -> Mapping[str, Values]:
    """Read `NAME=VALUE` options: a range, a list, a single value, or `@file` with a value on each line.

    Raises
    ------
    UsageError
        If one is not such an option, or a file cannot be read.
    """
    tree: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise UsageError(f"--param '{text}' has no value; write e.g. --param lr=0.1:0.5:0.1")
        if name in tree:
            raise UsageError(f"--param '{name}' is given twice")
        tree[name] = (
            [typed(line) for line in lines_of(read_list(value[1:])[0])] if value[:1] == "@" else value
        )
    report = Report()
    read = parameters(Reading(report), tree, ())
    refuse(report)
    return {name: values for name, values in read.items() if values is not None}


def typed(line: str) -> int | float | str:
    """A line of a file as a number, where it is one."""
    if _WHOLE.fullmatch(line):
        return int(line)
    return float(line) if _NUMBER.fullmatch(line) else line


def fill(commands: Sequence[str], values: Mapping[str, Values], link: str) -> Iterator[Made]:
    """Each command with each combination of values: all of them, or position by position (`zip`).

    Raises
    ------
    UsageError
        If the lengths differ for `zip`, a format does not fit, or there are too many combinations.
    """
    if link not in LINKS:
        raise UsageError(f"--link '{link}' is unknown; choose from {', '.join(LINKS)}")
    together = link == "zip"
    lengths = {
        name: Scope({name: one}, together=False, known=(), pool=()).copies for name, one in values.items()
    }
    if together and len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {amount(length, 'value')}" for name, length in lengths.items())
        raise UsageError(f"--link zip needs equal lengths: {told}")
    report = Report()
    names = [Scope(values, together=together, known=(), pool=()) for _ in commands]
    total = sum(scope.copies for scope in names)
    if total > MOST_COMMANDS:
        raise UsageError(f"the parameters make {total} commands; at most {MOST_COMMANDS} are allowed")
    for command, scope in zip(commands, names, strict=True):
        template = scope.template(command, ("command",), report)
        labels = [scope.template(f"{{{name}}}", ("command",), report) for name in values]
        refuse(report)
        try:
            for row in scope.rows():
                made = template.fill(row) if isinstance(template, Template) else template
                shown = tuple(one.fill(row) if isinstance(one, Template) else one for one in labels)
                yield Made(command=made, values=shown)
        except Unfit as error:
            raise UsageError(f"{error}") from error


def refuse(report: Report) -> None:
    """Turn complaints into an error of the command line.

    Raises
    ------
    UsageError
        If there are any.
    """
    for complaint in report.sorted("--param", lambda path: Position(1, 1)):
        if complaint.severity == "error":
            name = f" '{complaint.path[0]}'" if complaint.path else ""
            raise UsageError(f"--param{name}: {complaint.message}")
