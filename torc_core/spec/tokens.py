"""Fills `{name}` and `{name:format}`: a text is taken apart once, then filled for every combination of values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import Any, cast

from torc_core.errors import BadValue
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.parameters import Scalar, Values, count

TOKEN = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|(\$?)\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")

_FORMAT = re.compile(r"0?[0-9]{1,3}d|(?:0[0-9]{1,3})?\.[0-9]{1,2}f|\.[0-9]{1,2}[eg]")

Row = tuple[str, ...]
Rendering = Callable[[Scalar], str]


class Template:
    """A text with holes, each of which is a column of a row."""

    __slots__ = ("columns", "holes", "pick", "size")

    def __init__(self, holes: str, columns: tuple[tuple[str, str, bool], ...]) -> None:
        self.holes = holes
        self.columns = columns
        self.size = len(holes)
        self.pick: Callable[[Row], Any] = itemgetter(0)

    def fill(self, row: Row) -> str:
        """The text for one combination of values."""
        return cast(str, self.holes % self.pick(row))


Text = str | Template
"""A text that is the same for every copy, or a template."""


class Scope:
    """The parameters that are active in one object, and the columns its texts need.

    Parameters
    ----------
    parameters
        In the order in which they vary, the slowest first.
    known
        Names of variables.
    pool
        Names of the parameters of the workflow, for suggestions.
    """

    def __init__(
        self, parameters: Mapping[str, Values], *, together: bool, known: Iterable[str], pool: Iterable[str]
    ) -> None:
        self.parameters = parameters
        self.together = together
        self.known = known
        self.pool = pool
        self.places: dict[tuple[str, str, bool], Path] = {}
        self._templates: list[Template] = []
        self._refused: set[Path] = set()

    @property
    def copies(self) -> int:
        """How many rows there will be, by arithmetic alone."""
        sizes = [count(values) for values in self.parameters.values()]
        if self.together:
            return sizes[0] if sizes else 1
        total = 1
        for size in sizes:
            total *= size
        return total

    def template(
        self, text: str, path: Path, report: Report, *, strict: bool = False, regex: bool = False
    ) -> Text:
        """Take a text apart; in a strict text (names, references, paths) an unknown token is an error.

        Values put into a regex are escaped there, so that `1.5` matches only `1.5`.
        """
        if "{" not in text:
            return text
        holes, columns, end = "", [], 0
        for found in TOKEN.finditer(text):
            holes += text[end : found.start()].replace("%", "%%")
            end = found.end()
            escape, dollar, name, form = found.groups()
            if escape and (escape in self.parameters or escape in self.known):
                holes += "{" + escape + "}"
            elif escape or dollar or name not in self.parameters:
                holes += found[0].replace("%", "%%")
                if name and not dollar and not regex and name not in self.known:
                    self._unresolved(found[0], name, path, report, strict=strict)
            else:
                if form is not None and not _FORMAT.fullmatch(form):
                    message = f"unknown format '{form[:40]}'; use 03d, .2f, .2e or .3g"
                    report.error("bad-format", path, message)
                    self._refused.add(path)
                    form = None
                holes += "%s"
                column = (name, form or "", regex)
                columns.append(column)
                self.places.setdefault(column, path)
        holes += text[end:].replace("%", "%%")
        if not columns:
            return holes.replace("%%", "%")
        template = Template(holes, tuple(columns))
        self._templates.append(template)
        return template

    def reference(self, text: str, path: Path, report: Report) -> Text | None:
        """Take a name, reference or path apart; None if it was complained about."""
        found = self.template(text, path, report, strict=True)
        return None if path in self._refused else found

    def rows(self) -> Iterator[Row]:
        """A row of rendered values for each combination, the first parameter varying slowest.

        Raises
        ------
        Unfit
            If a format does not fit a value.
        """
        by_name: dict[str, list[tuple[str, str, bool]]] = {name: [] for name in self.parameters}
        for column in self.places:
            by_name[column[0]].append(column)
        order = {column: k for k, column in enumerate(itertools.chain.from_iterable(by_name.values()))}
        for template in self._templates:
            template.pick = itemgetter(*[order[column] for column in template.columns])
        if not self.parameters:
            return iter([()])
        bundles = [self._bundles(name, columns) for name, columns in by_name.items()]
        if len(bundles) == 1:
            return bundles[0]
        if self.together:
            return map(_joined, zip(*bundles, strict=True))
        rest = [_joined(parts) for parts in itertools.product(*map(list, bundles[1:]))]
        return (head + tail for head in bundles[0] for tail in rest)

    def _bundles(self, name: str, columns: list[tuple[str, str, bool]]) -> Iterator[Row]:
        renderings = [rendering(form, escaped=regex) for _, form, regex in columns]
        for value in self.parameters[name]:
            try:
                yield tuple([render(value) for render in renderings])
            except BadValue:
                for column, render in zip(columns, renderings, strict=True):
                    try:
                        render(value)
                    except BadValue as error:
                        text = f"'{value}'" if isinstance(value, str) else plain(value)
                        raise Unfit(
                            f"{error}, but {name} has the value {text}", self.places[column]
                        ) from error

    def _unresolved(self, token: str, name: str, path: Path, report: Report, *, strict: bool) -> None:
        active = [*self.parameters, *self.known]
        if strict:
            remedy = report.meant(name, [*active, *self.pool])
            if name in self.pool:
                remedy = f'; add "use_parameters: [{name}]"'
            self._refused.add(path)
            report.error("bad-token", path, f"no parameter or variable '{name}' here{remedy}")
        elif name in self.pool or alike(name, [*active, *self.pool], report):
            message = f"{token} is left as it is: there is no parameter or variable '{name}' here"
            report.warning("unresolved-token", path, message)


class Unfit(BadValue):
    """a format does not fit a value"""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


def rendering(form: str, *, escaped: bool = False) -> Rendering:
    """How values are written under a format; the function raises `BadValue` when the format does not fit."""
    if not form:
        return (lambda value: re.escape(plain(value))) if escaped else plain
    number = _whole if form.endswith("d") else _number
    if escaped:
        return lambda value: re.escape(format(number(value, form), form))
    return lambda value: format(number(value, form), form)


def plain(value: Scalar) -> str:
    """A value without a format: floats as the shortest decimal that reads back, never with an exponent."""
    if not isinstance(value, float):
        return str(value)
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def alike(name: str, known: Iterable[str], report: Report) -> bool:
    """Whether a name is one edit away from a known one."""
    return report.guess() and any(
        abs(len(name) - len(other)) <= 1 and distance(name, other, 1) == 1
        for other in itertools.islice(known, 1000)
    )


def distance(one: str, other: str, most: int) -> int:
    """Edit distance (Levenshtein: insert, delete, replace), or `most` + 1 when it is greater."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, against in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (char != against))
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _joined(parts: Iterable[Row]) -> Row:
    return tuple(itertools.chain.from_iterable(parts))


def _whole(value: Scalar, form: str) -> int:
    if isinstance(value, str) or value != value // 1:
        raise BadValue(f"format '{form}' needs a whole number")
    return int(value)


def _number(value: Scalar, form: str) -> int | float:
    if isinstance(value, str):
        raise BadValue(f"format '{form}' needs a number")
    return value
