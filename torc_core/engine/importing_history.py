"""What has happened to a workflow, read from a document: results, runners, allocations, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.engine.exporting import ALLOCATION, EVENT_IDS, NODE, NODE_USAGE, USAGE
from torc_core.engine.reading import Entry, sound
from torc_core.engine.telling import ours
from torc_core.model import (
    EVENTS,
    Allocation,
    AllocationStatus,
    Event,
    JobId,
    JobStatus,
    JobUsage,
    Node,
    NodeId,
    NodeState,
    Resources,
    Result,
    ResultId,
    RoCrateEntity,
    Severity,
    Usage,
    WorkflowId,
)
from torc_core.model.instants import instant_of

Ids = Mapping[str, Mapping[int, int]]
"""Position by id, for each list of the document."""

LABELS = {status.label: status for status in JobStatus}
_NOWHERE = WorkflowId(0)


def results(found: Sequence[Entry], ids: Ids) -> tuple[list[Result], dict[int, int]]:
    """The results, and for each job the current one."""
    made, current = [], {}
    seen: set[tuple[int, int, int]] = set()
    for at, one in enumerate(found):
        label = one.need("status", str)
        if label not in LABELS:
            raise one.wrong("status", f"{label!r} is not known; choose from {', '.join(LABELS)}", label)
        job = one.one("job_id", ids["jobs"])
        if job is None:
            raise one.wrong("job_id", "is missing", None)
        node: Any = one.get("compute_node_id", int)
        if node is not None:
            # NOTE: results outlive their nodes; a node that is not in the document is not known here.
            node = ids["compute_nodes"].get(node)
        key = (job, one.need("run_id", int), one.get("attempt_id", int) or 1)
        if key in seen:
            raise one.wrong("attempt_id", f"{key[2]} of this job and run has a result already", key[2])
        seen.add(key)
        figures: dict[str, Any] = {
            name: one.get(name, int if name.endswith("bytes") else float) for name in USAGE
        }
        made.append(Result(
            id=ResultId(at), workflow_id=_NOWHERE, job_id=JobId(job), job_name="", run_id=key[1], attempt_id=key[2],
            node_id=node, status=LABELS[label], return_code=one.need("return_code", int),
            reason=one.get("reason", str), exec_minutes=one.get("exec_time_minutes", float) or 0.0,
            completed_at=one.read("completion_time", instant_of) or 0, usage=JobUsage(**figures),
            provisional=bool(one.get("provisional", bool)), current=False,
        ))  # fmt: skip
        if one.get("current", bool):
            current[job] = at
    return made, current


def node(one: Entry, ids: Ids) -> Node:
    """A runner that has ended."""
    kinds: dict[str, type[Any]] = {
        "hostname": str, "label": str, "output_dir": str, "duration_seconds": float,
        "avg_cpu_percent": float, "peak_cpu_percent": float,
    }  # fmt: skip
    given: dict[str, Any] = {name: one.get(name, kinds.get(name, int)) for name in NODE}
    memory = one.get("memory_bytes", int)
    if memory is None:
        memory = int(min(one.get("memory_gb", float) or 0.0, 2**32) * 1024**3)
    start = one.read("start_time", instant_of) or 0
    return Node(
        id=NodeId(0), workflow_id=_NOWHERE, epoch="", boot_id="", process_start=0,
        **{**given, "hostname": one.need("hostname", str), "pid": given["pid"] or 0,
           "num_nodes": given["num_nodes"] or 1},
        capacity=Resources(
            cpus=one.get("num_cpus", int) or 0, memory=memory, gpus=one.get("num_gpus", int) or 0
        ),
        gpus=tuple(str(gpu) for gpu in one.get("gpu_ids", list) or ()), type=one.get("compute_node_type", str) or "local",
        scheduler_id=one.one("scheduler_config_id", ids["slurm_schedulers"]),
        allocation_id=one.one("scheduled_compute_node_id", ids["scheduled_compute_nodes"]),
        is_active=False, state=NodeState.ENDED, beats=False, start_time=start,
        end_time=one.read("end_time", instant_of), scheduler=one.get("scheduler", dict),
        usage=Usage(**{name: one.get(name, kinds.get(name, int)) for name in NODE_USAGE}),
    )  # fmt: skip


def allocation(one: Entry, ids: Ids) -> Allocation:
    """An allocation that is over."""
    given: dict[str, Any] = {name: one.get(name, int if name == "nodes" else str) for name in ALLOCATION
                             if name != "scheduler_id"}  # fmt: skip
    number = one.value.get("scheduler_id")
    # What was under way where it came from is over here.
    over = {"pending": "canceled", "active": "complete", "intended": "canceled", "failed": "canceled"}
    status = one.need("status", str)
    if status not in {*over, "complete", "canceled"}:
        raise one.wrong("status", f"{status!r} is not known", status)
    return Allocation(
        workflow_id=_NOWHERE, **{name: value for name, value in given.items() if value is not None},
        scheduler_id=None if number is None else str(number), status=AllocationStatus(over.get(status, status)),
        scheduler_config_id=one.one("scheduler_config_id", ids["slurm_schedulers"]),
        submitted_at=one.read("submitted_at", instant_of),
    )  # fmt: skip


def entity(one: Entry, ids: Ids) -> RoCrateEntity:
    """An RO-Crate entity."""
    made: RoCrateEntity = sound(one, RoCrateEntity(
        workflow_id=_NOWHERE, entity_id=one.need("entity_id", str), entity_type=one.need("entity_type", str),
        file_id=one.one("file_id", ids["files"]), metadata=one.get("metadata", dict) or {},
    ))  # fmt: skip
    return made


def event(one: Entry, ids: Ids) -> Event:
    """An event; the ids in its data are positions."""
    data = dict(one.get("data", dict) or {})
    category = one.get("category", str) or str(data.get("category") or "user")
    severity = None if ours(category) else one.read("severity", Severity)
    known = severity or EVENTS.get(category, Severity.INFO)
    for key, name in EVENT_IDS.items():
        id = data.get(key)
        if type(id) is int:
            # What is gone since then is named no more.
            data[key] = ids[name].get(id)
    return Event(
        workflow_id=_NOWHERE,
        timestamp=one.get("timestamp", int) or 0,
        category=category,
        severity=known,
        data=data,
    )
