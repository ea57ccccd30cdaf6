"""The options that every list has: which part of it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.model import Query, Value, WorkflowId
from torc_core.record import record
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
