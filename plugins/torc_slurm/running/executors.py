"""How jobs become processes in an allocation: by the execution mode, and by what is at hand (`slurm.md` §6)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.detection import Detected
from torc_core.model import Workflow
from torc_core.protocols import Executor, Store
from torc_core.runner.log import log
from torc_slurm.running.allocation import Place
from torc_slurm.scheduler import programs

if TYPE_CHECKING:
    from torc_core.session import Session

EXECUTOR = "subprocess"


def mode_of(workflow: Workflow) -> str:
    """`direct` or `slurm`; in an allocation `auto` is the latter."""
    mode = str((workflow.execution_config or {}).get("mode") or "direct").lower()
    return "slurm" if mode == "auto" else mode


@contextmanager
def opened(
    session: Session, store: Store, workflow: Workflow, place: Place, detected: Detected, end: float | None
) -> Iterator[tuple[Executor, Detected]]:
    """An executor for the nodes of this allocation, and what can be offered with it."""
    executor, offered = _opened(session, store, workflow, place, detected, end)
    try:
        yield executor, offered
    finally:
        executor.close()


def open_local(session: Session) -> Executor:
    """Processes of this node."""
    provider = session.host.executors[EXECUTOR]
    executor: Executor = provider.open(session.host.settings("executors", provider))
    return executor


def _opened(
    session: Session, store: Store, workflow: Workflow, place: Place, detected: Detected, end: float | None
) -> tuple[Executor, Detected]:
    environ = session.config.environ
    srun = programs.found("srun", environ)
    if mode_of(workflow) == "slurm":
        if srun is not None:
            from torc_slurm.running.steps import open_steps

            return open_steps(session, open_local(session), store, workflow, place, detected, end), detected
        log.warning("srun_missing workflow_id=%d then=direct", workflow.id)
    local = open_local(session)
    if detected.num_nodes == 1:
        return local, detected
    if srun is None or len(place.names) < detected.num_nodes:
        log.warning(
            "one_node_only nodes=%d why=srun_missing remedy=start_one_worker_per_node", detected.num_nodes
        )
        return local, replace(detected, num_nodes=1)
    from torc_slurm.running.nodes import gathered

    nodes, count = gathered(
        local, session.clock, environ, place.name, place.names, detected.capacity.cpus, end_this
    )
    log.info("nodes workflow_id=%d reached=%d of=%d", workflow.id, count, detected.num_nodes)
    return nodes, replace(detected, num_nodes=count)


def end_this() -> None:
    """Let this runner end in order: a node is gone, and Slurm ends the allocation for it."""
    os.kill(os.getpid(), signal.SIGTERM)
