"""What all groups of records do alike: list, show and delete one kind of record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Generic, TypeVar

from torc_core.errors import UsageError
from torc_core.model import Page, Query
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item
from torc_terminal.paging import check_sort
from torc_terminal.selector import confirm, ids

R = TypeVar("R")


@record(frozen=True, slots=True, kw_only=True)
class Noun(Generic[R]):
    """One kind of record, and how it is shown.

    Parameters
    ----------
    group
        The command word, also part of the schema names: `user-data` gives `torc.user-data.list/1`.
    one, many
        What people call it: `job`, `jobs`.
    item
        From the record to its JSON.
    columns
        Of tables.
    sorts
        JSON field names that the store calls otherwise.
    """

    record: type[R]
    group: str
    one: str
    many: str
    item: Callable[[R], Item]
    columns: Sequence[Column]
    sorts: Mapping[str, str] = field(default_factory=dict)

    def page(self, session: Session, query: Query) -> Listing:
        """The records that the query finds, as an answer."""
        return self.listing(self.found(session, query))

    def found(self, session: Session, query: Query) -> Page[R]:
        """The records that the query finds.

        Raises
        ------
        UsageError
            If they cannot be sorted so.
        """
        check_sort(self.record, query, f"torc.{self.group}.list/1", self.sorts)
        return session.store().find(self.record, query)

    def listing(self, page: Page[R]) -> Listing:
        """Found records as an answer."""
        return Listing(
            schema=f"torc.{self.group}.list/1",
            noun=self.many,
            items=[self.item(record) for record in page.items],
            columns=self.columns,
            total=page.total,
            offset=page.offset,
        )

    def shown(self, session: Session, numbers: Sequence[str]) -> Record | Listing:
        """Records by id: one as a record, several as a list.

        Raises
        ------
        UsageError
            If there is no id, or it is none.
        NotFound
            If one of them does not exist.
        """
        wanted = self.ids(numbers)
        if len(wanted) == 1:
            refuse_csv(session)
            return self.told(self.fetched(session, wanted[0]))
        records = [self.fetched(session, number) for number in wanted]
        return self.listing(Page(items=records, total=len(records)))

    def told(self, record: R, *, hint: str | None = None) -> Record:
        """One record as an answer."""
        return Record(schema=f"torc.{self.group}.get/1", data=self.item(record), hint=hint)

    def fetched(self, session: Session, number: int) -> R:
        """One record by id."""
        return session.store().get(self.record, number)

    def ids(self, numbers: Sequence[str]) -> list[int]:
        """The ids that were given: at least one.

        Raises
        ------
        UsageError
            If there is none, or a text is no id.
        """
        if not numbers:
            raise UsageError(f"no {self.one} id given; pass at least one, e.g. 'torc {self.group} get 7'")
        return ids(numbers)

    def deleted(self, session: Session, numbers: Sequence[str], *, yes: bool) -> Outcome:
        """Delete records by id, after the user has confirmed it.

        Raises
        ------
        NotFound
            If one of them does not exist; none is deleted then.
        Conflict
            If it was not confirmed.
        """
        refuse_csv(session)
        wanted = self.ids(numbers)
        for number in wanted:
            self.fetched(session, number)
        sure(session, f"Delete {self.counted(len(wanted))}?", yes=yes)
        count = session.store().remove(self.record, wanted)
        return Outcome(message=f"Deleted {self.counted(count)}", extra={"count": count, "ids": wanted})

    def counted(self, count: int) -> str:
        """`1 job`, `3 jobs`."""
        return f"{count} {self.one if count == 1 else self.many}"


def sure(session: Session, question: str, *, yes: bool) -> None:
    """As `confirm`; meanwhile the store is closed, so that no other program waits for somebody's answer.

    Raises
    ------
    Conflict
        If it was not confirmed.
    """
    if not yes:
        session.close()
    confirm(session, question, yes)
