"""Where a value comes from, and what is wrong with it there."""

from __future__ import annotations

from typing import Any, Literal

from torc_core.record import record

Layer = Literal["default", "system", "user", "project", "env", "flag"]

Severity = Literal["error", "warning"]

LAYERS: tuple[Layer, ...] = ("default", "system", "user", "project", "env", "flag")
"""From the weakest to the strongest (`cli.md` §7.1)."""


@record(frozen=True, slots=True, kw_only=True)
class Source:
    """The origin of a value.

    Parameters
    ----------
    name
        The variable or the option, with layers `env` and `flag`.
    file, line
        With the layers that are files; `line` from 1, 0 when not known.
    """

    layer: Layer = "default"
    name: str | None = None
    file: str | None = None
    line: int = 0

    def __str__(self) -> str:
        if self.layer == "env":
            return f"env {self.name}"
        if self.layer == "flag":
            return f"flag {self.name}"
        return f"{self.file}:{self.line}" if self.file else "default"


@record(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value with its key (`client.run.output_dir`) and its origin."""

    key: str
    value: Any
    source: Source


@record(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in a layer; `severity` is `error` or `warning`."""

    severity: Severity
    message: str
    source: Source = Source()
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.source.file}:{self.source.line}" if self.source.file else ""
        if place and self.column:
            place += f":{self.column}"
        return f"{place}: {self.message}" if place else self.message
