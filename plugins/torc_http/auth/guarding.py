"""Ties every call to the workflows it names, before its handler sees it (`security.md` Z1, Z2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from torc_core.errors import Forbidden
from torc_core.model import Job, Workflow
from torc_core.store.guarded import Guarded
from torc_core.store.principal import ORDER, Principal, Right
from torc_core.store.rights import OF_NO_WORKFLOW

if TYPE_CHECKING:
    from torc_core.protocols import Store
    from torc_http.call import Call

NAME, JOBS = "workflow_id", "job_ids"


def guard(call: Call) -> Store:
    """The store as far as the caller may use it on this route.

    Raises
    ------
    NotFound
        For what the caller may not read, as if it were not there.
    Forbidden
        For what the caller may read and not do.
    """
    principal = cast("Principal", call.principal)
    if principal.is_admin:
        return call.store
    store = Guarded(call.store, principal)
    right = Right(call.route.access)
    if right in ORDER:
        named = list(_named(call))
        for kind, ids in named:
            store.admit(right, kind, ids)
        if not named and right not in principal.rights:
            raise Forbidden(f"this needs the right to {right}, which what was presented does not give")
    return cast("Store", store)


def _named(call: Call) -> Iterator[tuple[type[Any], Sequence[int]]]:
    """The records that path, query and body name outright; what else a body names, the store checks."""
    kind = call.route.of
    if kind is not None and kind not in OF_NO_WORKFLOW and "id" in call.ids:
        yield kind, (call.ids["id"],)
    body = call.body if isinstance(call.body, Mapping) else {}
    parts = [
        part
        for value in body.values()
        if isinstance(value, list)
        for part in value
        if isinstance(part, Mapping)
    ]
    found = [place.get(NAME) for place in (call.ids, call.query, body, *parts)]
    # PERF: a hundred thousand entries of one workflow are one question.
    for workflow in dict.fromkeys(one for one in found if isinstance(one, int)):
        yield Workflow, (workflow,)
    if jobs := body.get(JOBS):
        yield Job, jobs
