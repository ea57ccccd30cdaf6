"""Runners as the store knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from torc_core.model.ids import AllocationId, NodeId, SchedulerId, WorkflowId
from torc_core.model.plan import Json
from torc_core.model.resources import Resources
from torc_core.record import record


class NodeState(StrEnum):
    """How a node is, by its beats (`engine.md` §15.3)."""

    ACTIVE = "active"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    ENDED = "ended"


@record(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a runner used in its life: percent of one core, bytes."""

    avg_cpu_percent: float | None = None
    peak_cpu_percent: float | None = None
    avg_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
    sample_count: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A runner that asks to work on a workflow (`runner.md` §2.5).

    Parameters
    ----------
    epoch
        A UUID made once per runner process; the same epoch again is the same node.
    boot_id, process_start
        Which life of the host and of the process `pid` this is; `process_start` in clock ticks since boot.
    capacity
        Of each node.
    gpus
        Device ids as the runner found them, one node's.
    submission_key
        Of the allocation that was intended for it (`slurm.md` SJ5).
    fences
        It ends its jobs in any case when it cannot reach the store for the length of its lease.
    """

    workflow_id: WorkflowId
    epoch: str
    hostname: str
    pid: int
    boot_id: str
    process_start: int
    capacity: Resources
    gpus: Sequence[str] = ()
    num_nodes: int = 1
    type: str = "local"
    label: str | None = None
    scheduler_id: SchedulerId | None = None
    output_dir: str | None = None
    time_limit: int | None = None
    scheduler: Mapping[str, Json] | None = None
    submission_key: str | None = None
    restart_count: int | None = None
    fences: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Node:
    """A registered runner; instants in milliseconds since 1970.

    Parameters
    ----------
    state
        `active`, `unreachable`, `lost` or `ended` (`engine.md` §15.3).
    on_lost
        What it does when it cannot reach the store for the length of its lease: `fence` or `drain` (§15.4).
    lease_seconds
        W, as it was when the node joined.
    beats
        Whether it has a lease at all: nodes of published clients never beat, and have none.
    draining
        It gets no further jobs (§15.7).
    scheduler
        Free JSON; for Slurm `{type, slurm_job_id, scheduler_id}`.
    duration_seconds
        From its start to its end, filled in when it ends.
    """

    id: NodeId
    workflow_id: WorkflowId
    epoch: str
    hostname: str
    pid: int
    boot_id: str
    process_start: int
    capacity: Resources
    gpus: Sequence[str] = ()
    num_nodes: int = 1
    type: str = "local"
    label: str | None = None
    scheduler_id: SchedulerId | None = None
    output_dir: str | None = None
    time_limit: int | None = None
    is_active: bool = True
    start_time: int = 0
    last_beat: int | None = None
    end_time: int | None = None
    state: NodeState = NodeState.ACTIVE
    on_lost: str = "drain"
    lease_seconds: int = 1_200
    beats: bool = True
    draining: bool = False
    scheduler: Mapping[str, Json] | None = None
    allocation_id: AllocationId | None = None
    restart_count: int | None = None
    duration_seconds: float | None = None
    usage: Usage = Usage()
