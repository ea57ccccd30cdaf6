"""All records of a kind, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from torc_core.model import Query, WorkflowId

if TYPE_CHECKING:
    from torc_core.protocols import Store

R = TypeVar("R")

PAGE = 10_000


def every(store: Store, kind: type[R], workflow: WorkflowId) -> Iterator[R]:
    """All records of a kind, a page at a time."""
    above = 0
    while True:
        items = store.find(kind, Query(workflow=workflow, above=above, limit=PAGE)).items
        yield from items
        if len(items) < PAGE:
            return
        above = items[-1].id  # type: ignore[attr-defined]  # every record has an id
