"""What a runner says in JSON, as the turn that a store takes (`wire.md` X1 to X7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torc_core.model import (
    Beat,
    Ending,
    FileId,
    Fingerprint,
    Held,
    Job,
    JobId,
    JobStatus,
    JobUsage,
    NewNode,
    Node,
    NodeId,
    Offer,
    Query,
    Requirement,
    Resources,
    SchedulerId,
    Shape,
    Turn,
    WorkflowId,
)
from torc_core.model.resources import duration_seconds
from torc_http.published.nouns import spread

if TYPE_CHECKING:
    from torc_core.protocols import Store

Body = Mapping[str, Any]


def new_node(body: Body) -> NewNode:
    """Who wants to join."""
    limit, scheduler = body.get("time_limit"), body.get("scheduler_config_id")
    return NewNode(
        workflow_id=WorkflowId(body["workflow_id"]),
        epoch=body["epoch"],
        hostname=body["hostname"],
        pid=body["pid"],
        boot_id=body["boot_id"],
        process_start=body["process_start"],
        capacity=Resources(cpus=body["num_cpus"], memory=body["memory_gb"], gpus=body["num_gpus"]),
        gpus=tuple(body.get("gpu_ids", ())),
        num_nodes=body["num_nodes"],
        type=body["compute_node_type"],
        label=body.get("label") or None,
        scheduler_id=None if scheduler is None else SchedulerId(scheduler),
        output_dir=body.get("output_dir"),
        time_limit=duration_seconds(limit) if limit else None,
        scheduler=body.get("scheduler"),
        submission_key=body.get("submission_key"),
        restart_count=body.get("restart_count"),
        fences=body.get("fences", False),
    )


def turn_of(store: Store, node: NodeId, body: Body) -> Turn:
    """A turn of these parts; those that are not there are empty."""
    claim, beat = body.get("claim"), body.get("beat")
    return Turn(
        node=node,
        epoch=body["epoch"],
        endings=[ending_of(one, node) for one in body.get("results", ())],
        starts=[held_of(one) for one in body.get("starts", ())],
        give_back=body.get("give_back", ()),
        beat=None if beat is None else beat_of(beat),
        offer=None if claim is None else offer_of(store, node, claim),
    )


def held_of(body: Body) -> Held:
    """An attempt that a node holds."""
    return Held(job=JobId(body["job_id"]), attempt_id=body["attempt_id"], lease=body["lease"])


def beat_of(body: Body) -> Beat:
    """What a node has."""
    return Beat(held=body["held"], running=body["running"], number=body.get("number", 0))


def ending_of(body: Body, node: NodeId | None) -> Ending:
    """The end of an attempt."""
    return Ending(
        job=JobId(body["job_id"]),
        run_id=body["run_id"],
        attempt_id=body["attempt_id"],
        lease=body.get("lease"),
        status=body["status"],
        return_code=body["return_code"],
        reason=body.get("reason"),
        exec_minutes=body["exec_minutes"],
        completed_at=body["completed_at"],
        node=node,
        usage=JobUsage(**spread(body, "usage")),
        outputs=[print_of(one) for one in body.get("outputs", ())],
        leftovers=body.get("leftover_processes", 0),
    )


def print_of(body: Body) -> Fingerprint:
    """What a file looked like; of one that is not there nothing is known."""
    there = body["exists"]
    return Fingerprint(
        file=FileId(body["id"]),
        st_mtime=body.get("st_mtime") if there else None,
        size=body.get("size") if there else None,
        content_hash=body.get("content_hash") if there else None,
    )


def offer_of(store: Store, node: NodeId, body: Body) -> Offer:
    """What a node has free, and what it asks for."""
    free = body["free"]
    ahead = body.get("ahead", 0)
    busy = [_shape(one) for one in body["busy"]] if "busy" in body else _busy(store, node) if ahead else ()
    return Offer(
        claim_id=body["claim_id"],
        free=[_amount(one) for one in free["nodes"]] if "nodes" in free else [_amount(free)],
        limit=body["limit"],
        time_limit=body.get("time_left_s"),
        by_count=body.get("by_count", False),
        start=body.get("start", True),
        strict_scheduler_match=body.get("strict_scheduler_match", False),
        ahead=ahead,
        start_ahead=body.get("start_ahead", 0),
        busy=busy,
        wait_ms=body.get("wait_ms", 0),
    )


def _amount(body: Body) -> Resources:
    return Resources(cpus=body["cpus"], memory=body["memory_bytes"], gpus=body["gpus"])


def _shape(body: Body) -> Shape:
    scheduler = body.get("scheduler_config_id")
    return Shape(
        cpus=body["cpus"], memory=body["memory_bytes"], gpus=body["gpus"], nodes=body["nodes"], runtime=body["runtime_s"],
        scheduler=None if scheduler is None else SchedulerId(scheduler), label=body.get("label") or None,
    )  # fmt: skip


def _busy(store: Store, node: NodeId) -> Sequence[Shape]:
    """The classes of what a node runs by the records, for one that does not say them itself."""
    workflow = store.get(Node, node).workflow_id
    running = Query(workflow=workflow, where={"node_id": node, "status": JobStatus.RUNNING})
    jobs = store.find(Job, running).items
    ids = tuple({one.requirement_id for one in jobs})
    needs = {
        one.id: one
        for one in (store.find(Requirement, Query(workflow=workflow, where={"id": ids})).items if ids else ())
    }
    found = {
        Shape(
            cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes,
            runtime=need.runtime_s, scheduler=job.scheduler_id, label=job.label,
        )
        for job in jobs
        if (need := needs.get(job.requirement_id)) is not None
    }  # fmt: skip
    return tuple(found)
