"""The options that every list has: which part of it, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from torc_core.errors import UsageError, did_you_mean
from torc_core.model import Query, Value, WorkflowId
from torc_core.record import record
from torc_core.store.fields import FIELDS, PAIRS
from torc_terminal.options import Flag

MOST = 100_000
"""As many records as a list has without `--limit`."""


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which part of a list, and in which order.

    Parameters
    ----------
    limit
        At most so many.
    offset
        Skip so many first.
    sort_by
        Field to sort by.
    reverse_sort
        Largest first.
    """

    limit: Annotated[int, Parameter(name=["--limit", "-l"])] = MOST
    offset: int = 0
    sort_by: str = "id"
    reverse_sort: Flag = False

    def query(
        self,
        workflow: WorkflowId | None = None,
        where: Mapping[str, Value | tuple[Value, ...]] | None = None,
        *,
        like: Mapping[str, str | None] | None = None,
        sorts: Mapping[str, str] | None = None,
        above: int = 0,
        since: int | None = None,
    ) -> Query:
        """The question to the store.

        Parameters
        ----------
        like
            Patterns by field; those that are None are left out.
        sorts
            JSON field names that the store calls otherwise.

        Raises
        ------
        UsageError
            If limit or offset is negative, or beyond what stores count.
        """
        for name, number in (("--limit", self.limit), ("--offset", self.offset)):
            if number < 0:
                raise UsageError(f"{name} '{number}' is negative")
            if number >= 2**63:
                raise UsageError(f"{name} '{number}' is beyond 64 bits; write a number up to 2^63 - 1")
        return Query(
            workflow=workflow,
            where=where or {},
            like={field: pattern for field, pattern in (like or {}).items() if pattern is not None},
            above=above,
            since=since,
            sort=(sorts or {}).get(self.sort_by, self.sort_by),
            reverse=self.reverse_sort,
            offset=self.offset,
            limit=self.limit,
        )


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class ShortPaging(Paging):
    """The same with the short forms `-o`, `-s` and `-r` of the published system, where they are free."""

    offset: Annotated[int, Parameter(name=["--offset", "-o"])] = 0
    sort_by: Annotated[str, Parameter(name=["--sort-by", "-s"])] = "id"
    reverse_sort: Annotated[Flag, Parameter(name=["--reverse-sort", "-r"])] = False


WHOLE = Paging()
SHORT = ShortPaging()
"""The defaults of the list options."""


def check_sort(kind: type[Any], query: Query, schema: str, sorts: Collection[str] = ()) -> None:
    """Refuse an order that no store knows, in the words of the JSON that users see.

    Parameters
    ----------
    schema
        Of the list, whose fields are those that users see.
    sorts
        Fields of it that the store calls otherwise.

    Raises
    ------
    UsageError
        The sentence lists what the list can be sorted by.
    """
    plain = () if kind in PAIRS else FIELDS[kind].plain
    if query.sort != "id" and query.sort not in plain:
        from torc_terminal.schemas import item_fields

        fields = item_fields(schema)
        raise unsorted(
            FIELDS[kind].noun, query.sort, [name for name in fields if name in sorts or name in plain]
        )


def unsorted(noun: str, name: str, offered: Iterable[str]) -> UsageError:
    """That records cannot be sorted by this, but by what is offered."""
    offered = list(offered)
    choices = f" (choose from {', '.join(offered)})" if offered else "; there is no choice"
    return UsageError(f"{noun}s cannot be sorted by '{name}'{did_you_mean(name, offered)}{choices}")
