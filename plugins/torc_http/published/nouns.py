"""What the operations of most nouns have in common: one, a list, a removal, the removal of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema

from torc_core.errors import Invalid, NotFound
from torc_core.model import Query, WorkflowId
from torc_core.record import record
from torc_core.store.fields import FIELDS
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Kind, Plain
from torc_http.wire.lists import MOST, Count, OfWorkflow, Removed, WholeWorkflow, asked, listing, page_of
from torc_http.wire.plans import writer

ERRORS = (403, 404, 500)
"""What the contract lists for most operations."""


@record(frozen=True, slots=True, kw_only=True)
class Noun:
    """A kind of record and how it is served.

    Parameters
    ----------
    filters
        Parameters of the list, with the field of the query that each means.
    access, access_to_all
        The class of removing one, and of removing all; None: the same.
    kept
        Of the records of a workflow those that the removal of all leaves there.
    wordy
        The removal of all answers in words too.
    """

    kind: type[Any]
    schema: type[Schema]
    path: str
    group: str
    access: str = "edit"
    access_to_all: str | None = None
    filters: Mapping[str, tuple[Kind, str]] | None = None
    kept: Callable[[Any], bool] = lambda one: False
    wordy: bool = False
    show: Callable[[Call, Sequence[Any]], Sequence[Plain]] | None = None

    @property
    def name(self) -> str:
        """What users call such a record."""
        return FIELDS[self.kind].noun

    def shown(self, call: Call, records: Sequence[Any]) -> Sequence[Plain]:
        """Records as bodies."""
        if self.show is not None:
            return self.show(call, records)
        write = writer(self.schema, as_text=call.as_text)
        return [write(one) for one in records]

    def one(self, call: Call, found: Any) -> Plain:
        """A record as a body."""
        return self.shown(call, [found])[0]

    def get(self, call: Call) -> object:
        """One record."""
        return self.one(call, call.store.get(self.kind, call.id))

    def list(self, call: Call) -> object:
        """A page of the records of a workflow."""
        query = call.query
        where = {field: query.get(name) for name, (_, field) in (self.filters or {}).items()}
        workflow = query["workflow_id"]
        there(call, workflow)
        found = call.store.find(self.kind, asked(self.kind, self.schema, query, workflow, where))
        return page_of(found, self.shown(call, found.items), query)

    def remove(self, call: Call) -> object:
        """Remove one record; it is answered as it was."""
        with call.together():
            body = self.get(call)
            if not call.store.remove(self.kind, [call.id]):
                raise NotFound(f"no {self.name} {call.id}")
        return body

    def remove_all(self, call: Call) -> object:
        """Remove all records of a workflow."""
        with call.together():
            count = remove_all(call, self.kind, call.query["workflow_id"], self.kept)
        if not self.wordy:
            return {"count": count}
        return {"count": count, "deleted_count": count, "message": f"removed {count} {self.name}s"}

    def answer(self) -> Schema:
        """What a list answers."""
        return listing(self.schema)()

    def listing_query(self) -> type[Schema]:
        """The parameters of the list."""
        fields: dict[str, Any] = {name: kind for name, (kind, _) in (self.filters or {}).items()}
        return type(f"{self.kind.__name__}List", (OfWorkflow,), {"__doc__": "Which records.", **fields})

    def routes(
        self, *, get: str, remove: str, list: str | None = None, remove_all: str | None = None
    ) -> tuple[Route, ...]:
        """The routes, by operation ids."""
        one, noun = f"{self.path}/{{id}}", self.name
        shared: dict[str, Any] = {"group": self.group, "of": self.kind, "statuses": ERRORS}
        found = [
            Route(
                method="GET", path=one, operation_id=get, access="read", handler=self.get, answer=self.schema(),
                summary=f"Show one {noun}.", **shared,
            ),
            Route(
                method="DELETE", path=one, operation_id=remove, access=self.access, handler=self.remove,
                answer=self.schema(), summary=f"Remove one {noun}; it is answered as it was.", **shared,
            ),
        ]  # fmt: skip
        whole: dict[str, Any] = {"group": self.group, "statuses": ERRORS}
        if list is not None:
            found.append(
                Route(
                    method="GET", path=self.path, operation_id=list, access="read", handler=self.list,
                    query=self.listing_query(), answer=self.answer(),
                    summary=f"List the {noun}s of a workflow.", **whole,
                )
            )  # fmt: skip
        if remove_all is not None:
            found.append(
                Route(
                    method="DELETE", path=self.path, operation_id=remove_all, access=self.access_to_all or self.access, handler=self.remove_all,
                    query=WholeWorkflow, answer=Removed() if self.wordy else Count(),
                    summary=f"Remove all {noun}s of a workflow.", **whole,
                )
            )  # fmt: skip
        return tuple(found)


def there(call: Call, workflow: int) -> None:
    """Refuse a workflow that is not there, or not for the caller.

    Raises
    ------
    NotFound
        If so.
    """
    from torc_core.model import Workflow

    call.store.get(Workflow, workflow)


def remove_all(call: Call, kind: type[Any], workflow: int, kept: Callable[[Any], bool]) -> int:
    """Remove the records of a kind of one workflow, but for those that are kept; how many there were."""
    there(call, workflow)
    above, count = 0, 0
    while True:
        page = call.store.find(kind, Query(workflow=WorkflowId(workflow), above=above, limit=MOST))
        ids = [one.id for one in page.items if not kept(one)]
        count += call.store.remove(kind, ids) if ids else 0
        if len(page.items) < MOST:
            return count
        above = page.items[-1].id


def same_place(call: Call, stored: Any, body: Mapping[str, Any], *fields: str) -> None:
    """Refuse a body that wants to move a record: its keys stay as they are.

    Raises
    ------
    Invalid
        Naming the field.
    """
    for name in fields:
        if name in body and body[name] != getattr(stored, name):
            raise Invalid(
                f"{name} of {FIELDS[type(stored)].noun} {stored.id} is {getattr(stored, name)}; it cannot be changed",
                details={"field": name, "value": body[name]},
            )


def spread(body: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Those of the values whose names begin with `part.`, without it."""
    start = f"{part}."
    return {name.removeprefix(start): value for name, value in body.items() if name.startswith(start)}


def together_with(stored: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a nested record, with those that are given put in."""
    from dataclasses import fields

    return {field.name: given.get(field.name, getattr(stored, field.name)) for field in fields(stored)}
