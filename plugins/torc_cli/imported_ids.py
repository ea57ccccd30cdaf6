"""Commands of an imported workflow that may still name user data by the ids it had where it was exported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.model import Query, UserData, WorkflowId
from torc_core.protocols import Store

PAGE = 10_000
NUMBER = re.compile(r"(?<![\w.])[0-9]{1,18}(?![\w.])")


def warning(document: Mapping[str, Any], store: Store, workflow: WorkflowId) -> str | None:
    """What to look at in the commands, if anything.

    `${user_data.output.NAME}` is an id by the time a workflow is exported (`workflow-spec.md` §15); ids are new after an
    import, and whether a number in a command is one of them only its author knows.
    """
    records = document.get("user_data") or []
    suspects = _suspects(document, {one["id"] for one in records if one.get("data") is None})
    if not suspects:
        return None
    new = _new_ids(records, store, workflow)
    moved = [(job, old) for job, old in suspects if new.get(old) != old]
    if not moved:
        return None
    job, old = moved[0]
    others = "" if len(moved) == 1 else f" (so may {len(moved) - 1} more)"
    now = f" is {new[old]} now" if old in new else " has another id now"
    return f"the command of job '{job}' may name user data {old}, which{now}{others}; look at it before you run it"


def _suspects(document: Mapping[str, Any], empty: set[int]) -> Sequence[tuple[str, int]]:
    """Jobs whose command has the id of user data that they write, or read without a value, as a number of its own."""
    groups = document.get("input_groups") or []
    found = []
    for job in document.get("jobs") or []:
        read = [*(job.get("input_user_data_ids") or ())]
        for place in job.get("input_groups") or ():
            read += groups[place]["ids"] if groups[place]["kind"] == "user_data" else ()
        own = {*(job.get("output_user_data_ids") or ()), *(one for one in read if one in empty)}
        text = f"{job.get('invocation_script') or ''} {job.get('command') or ''}"
        named = own and [number for number in map(int, NUMBER.findall(text)) if number in own]
        if named:
            found.append((job["name"], named[0]))
    return found


def _new_ids(records: Sequence[Mapping[str, Any]], store: Store, workflow: WorkflowId) -> Mapping[int, int]:
    """The new id of each old one: both stand in the order in which they were made."""
    made: list[int] = []
    while len(made) < len(records):
        page = store.find(UserData, Query(workflow=workflow, limit=PAGE, offset=len(made))).items
        if not page:
            return {}
        made += [one.id for one in page]
    return dict(zip(sorted(one["id"] for one in records), made, strict=False))
