"""How a workflow stands, with all that our own views show: the same for `torc status` and `GET …/status?view=full`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from torc_core.engine.liveness import seen as seen_node
from torc_core.model import Json, NodeState, Stage, Standing, WorkflowId
from torc_core.store.explaining import active_nodes, reasons
from torc_core.store.forecasting import foreseen

if TYPE_CHECKING:
    from torc_core.protocols import Store

GOING = frozenset({"running", "done"})
"""Reasons that are none: nothing keeps these jobs from running."""


def seen(store: Store, workflow: WorkflowId, now: int, *, by_stage: bool = False) -> Standing:
    """Look at a workflow; in one snapshot when the caller sees to it."""
    (totals,) = store.totals([workflow])
    nodes = active_nodes(store, workflow) if totals.active_nodes else ()
    waiting: Mapping[str, int] = {}
    due = 0
    if not totals.complete:
        groups = reasons(store, totals, now, nodes=nodes)
        waiting = {one.code: one.count for one in groups if one.code not in GOING}
        due = sum(one.action_type == "schedule_nodes" for one in store.due_actions(workflow))
    return Standing(
        totals=totals,
        nodes=nodes,
        waiting=waiting,
        nodes_due=due,
        eta=foreseen(store, totals, [replace(one, state=seen_node(one, now)) for one in nodes]),
        stages=store.stages(workflow) if by_stage else None,
    )


def additions(look: Standing, now: int) -> dict[str, Json]:
    """What `torc.status/1` has besides the published model (`observability.md` §1)."""
    failures: Mapping[str, Json] = dict(look.totals.failures)
    waiting: Mapping[str, Json] = dict(look.waiting)
    more: dict[str, Json] = {
        "unreachable_compute_nodes": sum(seen_node(one, now) is NodeState.UNREACHABLE for one in look.nodes),
        "elapsed_seconds": look.totals.elapsed_seconds(now),
        "eta": None if look.eta is None else asdict(look.eta),
        "failures_by_reason": failures,
        "waiting": waiting,
    }
    if look.stages is not None:
        more["stages"] = [stage_json(one) for one in look.stages]
    return more


def stage_json(stage: Stage) -> dict[str, Json]:
    """A stage; `remaining_seconds` is execution time still to come, one job after the other."""
    middle = stage.median_seconds
    return {
        "stage": stage.name, "total": stage.total, "done": stage.done, "running": stage.running, "failed": stage.failed,
        "median_seconds": middle,
        "remaining_seconds": None if middle is None else middle * (stage.total - stage.done),
    }  # fmt: skip
