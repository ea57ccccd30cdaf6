"""Runners as the store knows them."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.ids import NodeId, SchedulerId, WorkflowId
from torc_core.model.resources import Resources
from torc_core.record import record


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


@record(frozen=True, slots=True, kw_only=True)
class Node:
    """A registered runner; instants in milliseconds since 1970."""

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


@record(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a runner used in its life: percent of one core, bytes."""

    avg_cpu_percent: float | None = None
    peak_cpu_percent: float | None = None
    avg_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
