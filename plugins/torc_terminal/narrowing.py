"""Ids that narrow a list: one of something that is not there is told as such, instead of an empty list."""

from __future__ import annotations

from typing import Any

from torc_core.errors import NotFound
from torc_core.model import Allocation, Job, Node, SlurmScheduler, WorkflowId
from torc_core.session import Session
from torc_core.store.fields import FIELDS

GROUPS: dict[type[Any], str] = {
    Job: "jobs",
    Node: "compute-nodes",
    Allocation: "scheduled-compute-nodes",
    SlurmScheduler: "slurm",
}
"""The group of commands of each kind of record that lists are narrowed by."""


def refuse_unknown(
    session: Session, workflow: WorkflowId, total: int | None, *narrowed: tuple[type[Any], int | None]
) -> None:
    """Look whether a list is empty because it was narrowed by what the workflow does not have.

    Parameters
    ----------
    total
        Of what was found; where that is something, everything is there.
    narrowed
        Kinds of records and their ids; None: not narrowed by it.

    Raises
    ------
    NotFound
        Naming the first that is not there.
    """
    for kind, number in narrowed if not total else ():
        if number is not None and not _there(session, workflow, kind, number):
            raise NotFound(
                f"workflow {workflow} has no {FIELDS[kind].noun} {number}; "
                f"list them with 'torc {GROUPS[kind]} list {workflow}'"
            )


def _there(session: Session, workflow: WorkflowId, kind: type[Any], number: int) -> bool:
    try:
        return bool(session.store().get(kind, number).workflow_id == workflow)
    except NotFound:
        return False
