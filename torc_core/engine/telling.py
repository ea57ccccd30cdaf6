"""The events that changes leave behind, with the data that is published (`engine.md` §13, `observability.md` OB22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.model import EVENTS, MANY_EQUAL, Allocation, JobStatus, Json, Node, NodeState
from torc_core.model.allocation import shown

Told = tuple[str, Mapping[str, Json]]
"""An event before it has an id: its name and its data."""

LONGEST_CATEGORY = 255

_ENDED = {
    JobStatus.COMPLETED: "job_completed",
    JobStatus.FAILED: "job_failed",
    JobStatus.CANCELED: "job_canceled",
    JobStatus.TERMINATED: "job_terminated",
    JobStatus.PENDING_FAILED: "job_pending_failed",
}


def job_started(job: int, name: str, node: int | None, run: int, attempt: int) -> Told:
    """A job is running on record."""
    data: dict[str, Json] = {
        "job_id": job,
        "job_name": name,
        "compute_node_id": node,
        "run_id": run,
        "attempt_id": attempt,
    }
    return "job_started", data


def job_moved(name: str, job: int, title: str, node: int | None, run: int, attempt: int) -> Told:
    """A job is ready, claimed or given back: told only where debug events are wanted."""
    data: dict[str, Json] = {"job_id": job, "job_name": title, "compute_node_id": node}
    return name, {**data, "run_id": run, "attempt_id": attempt}


def job_ended(
    job: int, name: str, status: JobStatus, code: int | None, reason: str | None, run: int, attempt: int
) -> Told:
    """A job has ended, or waits to be classified; `code` is None when it never ran."""
    data: dict[str, Json] = {"job_id": job, "job_name": name, "status": status.label, "return_code": code}
    return _ENDED[status], data | {"run_id": run, "attempt_id": attempt, "reason": reason}


def job_retried(job: int, name: str, run: int, before: int, after: int, message: str) -> Told:
    """A job is ready once more, with a new attempt."""
    data: dict[str, Json] = {
        "event_type": "job_retried",
        "job_id": job,
        "job_name": name,
        "previous_attempt": before,
    }
    return "job_retried", {**data, "new_attempt": after, "run_id": run, "message": message}


def override(job: int, before: JobStatus, after: JobStatus) -> Told:
    """Somebody reported the end of a job that had not been started."""
    return "override", {"job_id": job, "from": before.label, "to": after.label}


def different_result(job: int, run: int, attempt: int, status: JobStatus, code: int) -> Told:
    """A second, different result for an attempt was refused; `status` and `code` are the refused ones."""
    data: dict[str, Json] = {
        "job_id": job,
        "run_id": run,
        "attempt_id": attempt,
        "status": status.label,
        "return_code": code,
    }
    return "different_result", data


def stale_result(job: int, run: int, attempt: int, status: JobStatus, code: int) -> Told:
    """A result came for an attempt that is no longer anybody's: the job was set back, retried or given to others."""
    name, data = different_result(job, run, attempt, status, code)
    return name, {**data, "verdict": "stale"}


def leftovers(job: int, attempt: int, count: int) -> Told:
    """A job left processes behind, which its runner ended."""
    return "leftover_processes", {"job_id": job, "attempt_id": attempt, "count": count}


def node_started(node: Node) -> Told:
    """A runner has joined."""
    return "compute_node_started", _of_node(node)


def node_stopped(node: Node, usage: Mapping[str, Json]) -> Told:
    """A runner has left, or is known to be dead; `usage` may also say what proves it."""
    return "compute_node_stopped", {**_of_node(node), "duration_seconds": node.duration_seconds, **usage}


def node_drained(node: Node, reason: str | None) -> Told:
    """A person wants a node to be given no further jobs, or to be given some again."""
    data: dict[str, Json] = {
        "operation": "drain" if node.draining else "undrain",
        "kind": "node",
        "id": node.id,
    }
    return "user_action", {**data, "reason": reason, "fields": ["draining"]}


def replanned(workflow: int, allocations: int) -> Told:
    """A planner has changed where the jobs of a workflow run."""
    data: dict[str, Json] = {"operation": "replan", "kind": "workflow", "id": workflow}
    return "user_action", {**data, "allocations": allocations, "fields": []}


def node_silent(node: Node) -> Told:
    """A runner has not been heard of for some time, or for so long that it counts as lost."""
    name = "compute_node_lost" if node.state is NodeState.LOST else "compute_node_unreachable"
    return name, {**_of_node(node), "last_beat": node.last_beat, "on_lost": node.on_lost}


def recovery_started(run: int, jobs: Sequence[int]) -> Told:
    """Jobs that failed in a run are about to run again."""
    return "recovery_started", {"run_id": run, "jobs": len(jobs), "job_ids": list(jobs[:MANY_EQUAL])}


def recovery_finished(run: int, counts: Mapping[str, int]) -> Told:
    """They are ready, or wait for each other; how many there were of which cause."""
    return "recovery_finished", {"run_id": run, "counts": dict(counts)}


def resource_adjusted(jobs: Sequence[int], field: str, old: Json, new: Json, cause: str) -> Told:
    """Jobs ask for more, or less, of one thing."""
    data: dict[str, Json] = {"job_ids": list(jobs[:MANY_EQUAL]), "jobs": len(jobs), "field": field}
    return "resource_adjusted", {**data, "old": old, "new": new, "cause": cause}


def allocation_created(allocation: Allocation) -> Told:
    """The batch system knows an allocation."""
    data: dict[str, Json] = {
        "scheduled_compute_node_id": allocation.id,
        "scheduler_id": allocation.scheduler_id,
        "scheduler_config_id": allocation.scheduler_config_id,
        "scheduler_type": allocation.scheduler_type,
        "status": shown(allocation.status),
    }
    return "scheduler_node_created", data


def jobs_spawned(caller: int, lineage: str, iteration: int, jobs: Sequence[int]) -> Told:
    """A running job has added others."""
    data: dict[str, Json] = {"caller_job_id": caller, "lineage": lineage, "iteration": iteration}
    return "jobs_spawned", {**data, "count": len(jobs), "first_job_id": min(jobs), "last_job_id": max(jobs)}


def of_action(name: str, action: int, run: int, message: str | None = None) -> Told:
    """An action has fired, is done or has failed."""
    data: dict[str, Json] = {"action_id": action, "run_id": run}
    return name, data if message is None else {**data, "message": message}


def of_workflow(name: str, workflow: int, title: str, run: int, **more: Json) -> Told:
    """Something happened to a workflow as a whole."""
    return name, {"workflow_id": workflow, "name": title, "run_id": run, **more}


def file_changed(file: int, path: str, change: str) -> Told:
    """A file is another than when jobs ran."""
    return "file_changed", {"file_id": file, "path": path, "change": change}


def repair(*, statuses: int, sets: int, waiting_jobs: int, classes: int) -> Told:
    """So many counters of a workflow were not what they had to be, and are now (`engine.md` §18)."""
    data: dict[str, Json] = {
        "statuses": statuses,
        "sets": sets,
        "waiting_jobs": waiting_jobs,
        "classes": classes,
    }
    return "repair", data


def bundled(told: Sequence[Told]) -> list[Told]:
    """The same events, but more than `MANY_EQUAL` of one name about jobs as one, with a count and an id range."""
    if len(told) <= MANY_EQUAL:
        return list(told)
    by_name: dict[str, list[Mapping[str, Json]]] = {}
    for name, data in told:
        if "job_id" in data:
            by_name.setdefault(name, []).append(data)
    many = {name: equal for name, equal in by_name.items() if len(equal) > MANY_EQUAL}
    kept: list[Told] = []
    for name, data in told:
        equal = many.get(name) if "job_id" in data else None
        if equal is None:
            kept.append((name, data))
        elif equal[0] is data:
            ids = [job for entry in equal if isinstance(job := entry["job_id"], int)]
            kept.append((name, {"count": len(ids), "first_job_id": min(ids), "last_job_id": max(ids)}))
    return kept


def ours(category: str) -> bool:
    """Whether only the store itself writes events of this name; clients can neither post nor change them."""
    return category in EVENTS and category != "user"


def category_of(data: Json) -> str:
    """The category of an event that a client posts: its own in `data.category`, unless that is one of ours; else `user`."""
    given = data.get("category") if isinstance(data, Mapping) else None
    return (
        given
        if isinstance(given, str) and given and not ours(given) and len(given) <= LONGEST_CATEGORY
        else "user"
    )


def _of_node(node: Node) -> dict[str, Json]:
    return {
        "compute_node_id": node.id, "hostname": node.hostname, "pid": node.pid, "num_cpus": node.capacity.cpus,
        "memory_gb": node.capacity.memory / 1024**3, "num_gpus": node.capacity.gpus, "compute_node_type": node.type,
    }  # fmt: skip
