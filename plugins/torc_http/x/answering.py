"""What a store answers to a turn, as JSON (`wire.md` X2 to X7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torc_core.model import (
    Assignment,
    FailureHandler,
    Held,
    Job,
    JobId,
    Node,
    Orders,
    Query,
    Turn,
    Verdict,
    WorkflowId,
)
from torc_http.published.jobs import related
from torc_http.wire.fields import Plain
from torc_http.wire.jobs import RELATIONS, JobModel
from torc_http.wire.plans import writer
from torc_http.wire.turns import triple, without_none

if TYPE_CHECKING:
    from torc_core.protocols import Store

FLAG_SECONDS = 90
GRACE_SECONDS = 30

ENDED: Mapping[Verdict, str] = {
    Verdict.DONE: "ok", Verdict.RETRY: "ok", Verdict.SAME: "same", Verdict.CANCELED: "ok",
    Verdict.DIFFERENT: "different", Verdict.STALE: "stale",
}  # fmt: skip
"""What became of a result."""

STARTED: Mapping[Verdict, str] = {
    Verdict.DONE: "ok", Verdict.SAME: "already", Verdict.CANCELED: "canceled", Verdict.STALE: "lost",
}  # fmt: skip
"""What became of a start."""

RECOVERED: Mapping[Verdict, str] = {**ENDED, Verdict.RETRY: "retry", Verdict.CANCELED: "canceled"}
"""What became of a job whose recovery script has ended."""

REFUSED = ("stale", "different")


def turned(store: Store, turn: Turn, orders: Orders, beat_seconds: int) -> dict[str, Any]:
    """The answer to a whole turn: a part for each part that it had, and what the server wants besides."""
    workflow = store.get(Node, turn.node).workflow_id
    told: dict[str, Any] = {
        "orders": told_orders(store, workflow, turn, orders),
        "workflow": standing(orders),
    }
    if turn.endings:
        told["results"] = results(store, workflow, turn, orders)
        told["progress"] = progress(store, workflow, orders)
    if turn.starts:
        told["starts"] = starts(turn, orders)
    if turn.give_back:
        told["give_back"] = [_named(one, "ok") for one in turn.give_back]
    if turn.beat is not None:
        told["beat"] = beat(store, turn, told["orders"], standing(orders), beat_seconds)
    if turn.offer is not None:
        told["claim"] = claimed(store, workflow, orders)
    return told


def results(store: Store, workflow: WorkflowId, turn: Turn, orders: Orders) -> list[dict[str, Plain]]:
    """What became of each result; a retry says when, a recovery with which script."""
    again = [
        ending.job
        for ending, verdict in zip(turn.endings, orders.endings, strict=True)
        if verdict is Verdict.RETRY
    ]
    jobs = by_id(store, workflow, again)
    scripts = {(one.job, one.attempt_id): one for one in orders.recover}
    now = store.get(Node, turn.node).last_beat or 0 if again else 0
    told = []
    for ending, verdict in zip(turn.endings, orders.endings, strict=True):
        entry: dict[str, Plain] = {
            "job_id": ending.job, "attempt_id": ending.attempt_id, "answer": ENDED[verdict],
        }  # fmt: skip
        job = jobs.get(ending.job)
        if verdict is Verdict.RETRY and job is not None:
            wait = 0 if job.not_before is None else max(0, job.not_before - now) / 1000
            entry["retry"] = {"attempt_id": job.attempt_id, "after_s": wait}
        script = scripts.get((ending.job, ending.attempt_id))
        if script is not None:
            entry["recover"] = {"script": script.script, "return_code": script.return_code}
        told.append(entry)
    return told


def progress(store: Store, workflow: WorkflowId, orders: Orders) -> dict[str, Plain]:
    """How far the workflow is."""
    counts = store.totals([workflow])[0].counts
    ready = sum(count for status, count in counts.items() if status.label == "ready")
    return {"ready": ready, "left": orders.remaining}


def starts(turn: Turn, orders: Orders) -> list[dict[str, Plain]]:
    """What became of each start."""
    pairs = zip(turn.starts, orders.starts, strict=True)
    return [_named(one, STARTED.get(verdict, "lost")) for one, verdict in pairs]


def _named(one: Held, answer: str) -> dict[str, Plain]:
    return {"job_id": one.job, "attempt_id": one.attempt_id, "answer": answer}


def told_orders(store: Store, workflow: WorkflowId, turn: Turn | None, orders: Orders) -> dict[str, Plain]:
    """What a node is to do."""
    beat = None if turn is None else turn.beat
    known = {one.job: one for one in (*beat.held, *beat.running)} if beat is not None else {}
    wanted = {*orders.cancel, *orders.recall, *orders.unknown}
    jobs = by_id(store, workflow, sorted(wanted)) if wanted else {}

    def attempt(id: JobId) -> Held | None:
        job = jobs.get(id)
        if id in known or job is None:
            return known.get(id)
        return Held(job=job.id, attempt_id=job.attempt_id, lease=job.lease or "")

    cancel = []
    for id in orders.cancel:
        held, job = attempt(id), jobs.get(id)
        cancel.append(
            without_none(
                job_id=id,
                attempt_id=None if held is None else held.attempt_id,
                stop="terminate" if id in orders.terminate else "cancel",
                grace_s=GRACE_SECONDS,
                reason=None if job is None else job.reason,
            )
        )
    return {
        "cancel": cancel,
        "recall": [triple(held) for id in orders.recall if (held := attempt(id)) is not None],
        "unknown": [triple(held) for id in orders.unknown if (held := attempt(id)) is not None],
        "recover": [
            {
                "job_id": one.job, "attempt_id": one.attempt_id, "lease": one.lease, "script": one.script,
                "return_code": one.return_code,
            }
            for one in orders.recover
        ],
        "due_actions": list(orders.due),
        "drain": orders.drain,
        **without_none(retry_ms=orders.retry_ms),
    }  # fmt: skip


def beat(
    store: Store, turn: Turn, told: Mapping[str, Plain], workflow: Mapping[str, Plain], beat_seconds: int
) -> dict[str, Plain]:
    """The answer to a heartbeat."""
    node = store.get(Node, turn.node)
    left = None if node.time_limit is None else max(0, node.time_limit - _age(node))
    return {
        "orders": told,
        "workflow": workflow,
        **lease(node, beat_seconds),
        **without_none(time_left_s=left),
    }  # fmt: skip


def standing(orders: Orders) -> dict[str, Plain]:
    """Whether there is anything left to do."""
    return {"is_complete": orders.complete, "is_canceled": orders.canceled, "left": orders.remaining}


def lease(node: Node, beat_seconds: int) -> dict[str, Plain]:
    """How often a node has to be heard, and how long it keeps its jobs without being heard."""
    return {"beat_seconds": beat_seconds, "fence_seconds": node.lease_seconds}


def _age(node: Node) -> int:
    heard = node.start_time if node.last_beat is None else node.last_beat
    return max(0, heard - node.start_time) // 1000


def claimed(store: Store, workflow: WorkflowId, orders: Orders) -> dict[str, Plain]:
    """Jobs that were given out, each with all that a runner needs to start it."""
    return {
        "jobs": assignments(store, workflow, orders.jobs),
        **without_none(reason=orders.reason, pause_ms=orders.pause_ms or None, never=orders.never or None),
    }


def assignments(store: Store, workflow: WorkflowId, given: Sequence[Assignment]) -> list[dict[str, Plain]]:
    """Claimed jobs."""
    if not given:
        return []
    write = writer(JobModel, without=RELATIONS)
    lists = {one.job_id: one for one in store.relations([one.job.id for one in given])}
    wanted = tuple({one.job.failure_handler_id for one in given if one.job.failure_handler_id is not None})
    rules = {
        one.id: list(one.rules)
        for one in (
            store.find(FailureHandler, Query(workflow=workflow, where={"id": wanted})).items if wanted else ()
        )
    }
    found = []
    for one in given:
        job, shape = one.job, one.shape
        body = {
            **write(job),
            **(related(lists[job.id]) if job.id in lists else {}),
            "lease": job.lease,
            "requirements": without_none(
                num_cpus=shape.cpus, memory_bytes=shape.memory, num_gpus=shape.gpus, num_nodes=shape.nodes,
                runtime_s=shape.runtime, scheduler_config_id=shape.scheduler, label=shape.label,
                memory_stated=one.stated,
            ),
            "handler_rules": rules.get(job.failure_handler_id, []) if job.failure_handler_id is not None else [],
            "output_files": [{"id": file.file, "name": file.name, "path": file.path} for file in one.outputs],
            "started": one.started,
            "ahead": one.ahead,
            "node_index": one.node_index,
            **without_none(capability=one.capability),
        }  # fmt: skip
        found.append(body)
    return found


def by_id(store: Store, workflow: WorkflowId, ids: Sequence[int]) -> Mapping[int, Job]:
    """Jobs by their ids; those that are not there any more are left out."""
    if not ids:
        return {}
    query = Query(workflow=workflow, where={"id": tuple(dict.fromkeys(ids))})
    return {one.id: one for one in store.find(Job, query).items}
