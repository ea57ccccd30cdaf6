"""How a workflow stands, with all that our own views show: the same for `torc status` and `GET …/status?view=full`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torc_core.engine.liveness import seen
from torc_core.model import Json, Node, NodeState, Query, Stage, Totals
from torc_core.store.explaining import explained_workflow

if TYPE_CHECKING:
    from torc_core.protocols import Store

GOING = frozenset({"running", "done"})
"""Reasons that are none: nothing keeps these jobs from running."""


def additions(store: Store, totals: Totals, now: int, *, by_stage: bool = False) -> dict[str, Json]:
    """What `torc.status/1` has besides the published model (`observability.md` §1)."""
    workflow = totals.workflow.id
    nodes = (
        store.find(Node, Query(workflow=workflow, where={"is_active": True})).items
        if totals.active_nodes
        else ()
    )
    waiting: Mapping[str, Json] = {}
    if not totals.complete:
        _, groups = explained_workflow(store, workflow, now)
        waiting = {one.code: one.count for one in groups if one.code not in GOING}
    failures: Mapping[str, Json] = dict(totals.failures)
    more: dict[str, Json] = {
        "unreachable_compute_nodes": sum(seen(one, now) is NodeState.UNREACHABLE for one in nodes),
        "elapsed_seconds": totals.elapsed_seconds(now),
        "eta": None,
        "failures_by_reason": failures,
        "waiting": waiting,
    }
    if by_stage:
        more["stages"] = [stage_json(one) for one in store.stages(workflow)]
    return more


def stage_json(stage: Stage) -> dict[str, Json]:
    """A stage; `remaining_seconds` is execution time still to come, one job after the other."""
    middle = stage.median_seconds
    return {
        "stage": stage.name, "total": stage.total, "done": stage.done, "running": stage.running, "failed": stage.failed,
        "median_seconds": middle,
        "remaining_seconds": None if middle is None else middle * (stage.total - stage.done),
    }  # fmt: skip
