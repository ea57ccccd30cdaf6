"""Why a claim came back empty, in a sentence with figures (`engine.md` §7.9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torc_core.engine.claim import Room, why_never, why_not_now
from torc_core.model import JobId, JobStatus, Node, Shape
from torc_core.model.resources import GIB, MIB
from torc_core.record import record

_ORDER = ("label", "scheduler", "time", "nodes", "gpus", "memory", "cpus", "together", "hold")


@record(frozen=True, slots=True, kw_only=True)
class Empty:
    """Why nothing was given; `never`: nothing that is ready could run here even if the node were empty."""

    reason: str
    never: bool = False


def explain_empty(ready: Iterable[tuple[Shape, int]], room: Room, waits_for: JobId | None = None) -> Empty:
    """Say what keeps the ready jobs, given as (shape, number), off this node."""
    obstacles: dict[str, int] = {}
    total, never = 0, True
    for shape, count in ready:
        total += count
        never = never and why_never(shape, room) is not None
        obstacle = why_not_now(shape, room) or ("hold" if waits_for is not None else "together")
        obstacles[obstacle] = obstacles.get(obstacle, 0) + count
    if not total:
        return Empty(reason="no job is ready")
    parts = [_clause(kind, obstacles[kind], room, waits_for) for kind in _ORDER if kind in obstacles]
    jobs = "1 ready job" if total == 1 else f"{total} ready jobs"
    return Empty(reason=f"{jobs}: {', '.join(parts)}", never=never)


def drained(node: Node) -> str:
    """Say that a node is given nothing because a person wants it so (`engine.md` §15.7)."""
    return f"node {node.id} ({node.hostname}) is draining; it is given no further jobs"


def nothing_ready(counts: Mapping[JobStatus, int]) -> str:
    """Say what the jobs of a workflow wait for when none of them is ready."""
    shown = (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.BLOCKED, JobStatus.PENDING_FAILED)
    parts = [
        f"{counts[status]} {status.label}"
        for status in (*shown, JobStatus.UNINITIALIZED)
        if counts.get(status)
    ]
    if later := counts.get(JobStatus.READY):
        parts.insert(0, f"{later} to be tried again later")
    return "no job is ready" + (f": {', '.join(parts)}" if parts else "; all have ended")


def _clause(kind: str, count: int, room: Room, waits_for: JobId | None) -> str:
    need = "needs" if count == 1 else "need"
    if kind == "label":
        carry = "carries" if count == 1 else "carry"
        return (
            f'{count} {carry} another label than "{room.label}"' if room.label else f"{count} {carry} a label"
        )
    if kind == "scheduler":
        return f"{count} {'belongs' if count == 1 else 'belong'} to another scheduler"
    if kind == "time":
        return f"{count} {need} longer than the {_time(room.time_limit or 0)} left"
    if kind == "nodes":
        return f"{count} {need} more whole idle nodes than there are"
    if kind == "gpus":
        return f"{count} {need} more GPUs than the {_most(room, 'gpus')} free"
    if kind == "memory":
        return f"{count} {need} more memory than the {_size(_most(room, 'memory'))} free"
    if kind == "cpus":
        return f"{count} {need} more CPUs than the {_most(room, 'cpus')} free"
    if kind == "hold":
        return (
            f"{count} {'waits' if count == 1 else 'wait'} behind job {waits_for}, which needs the room first"
        )
    return f"{count} {need} more at once than any one node has free"


def _most(room: Room, field: str) -> int:
    most = max((int(getattr(free, field)) for free in room.free), default=0)
    return most if room.left is None else max(0, min(most, int(getattr(room.left, field))))


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.1f} MiB"


def _time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
