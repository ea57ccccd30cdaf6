"""How records are asked for, without SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Generic, TypeVar

from torc_core.model.ids import WorkflowId
from torc_core.record import record

R = TypeVar("R")

Value = None | bool | int | float | str
"""What a field can be compared with."""


@record(frozen=True, slots=True, kw_only=True)
class Query:
    """Which records of a kind, in which order, and how many.

    Parameters
    ----------
    workflow
        Only this workflow's. Kinds other than workflows need it, unless `where` names ids.
    where
        Field to value; a tuple means any of its values. Statuses are compared by number. Fields are those of the
        record that the kind allows (`FIELDS`), anything else is refused.
    like
        Field to shell pattern (`*`, `?`, `[...]`), case-sensitive.
    above
        Only records whose id is greater.
    since
        Only records (events) at or after this instant, milliseconds since 1970.
    sort
        A field of the record; ties are broken by id.
    limit
        At most so many records.
    """

    workflow: WorkflowId | None = None
    where: Mapping[str, Value | Sequence[Value]] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)
    above: int = 0
    since: int | None = None
    sort: str = "id"
    reverse: bool = False
    offset: int = 0
    limit: int = 100_000


@record(frozen=True, slots=True, kw_only=True)
class Page(Generic[R]):
    """A part of a list: `total` counts all that match."""

    items: Sequence[R]
    total: int
    offset: int = 0

    @property
    def has_more(self) -> bool:
        """Whether records follow this page."""
        return self.offset + len(self.items) < self.total
