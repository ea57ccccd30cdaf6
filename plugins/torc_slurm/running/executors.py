"""How jobs become processes in an allocation: by the execution mode, and by what is at hand (`slurm.md` §6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torc_core.detection import Detected
from torc_core.model import Workflow
from torc_core.protocols import Executor, Store
from torc_slurm.running.allocation import Place

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
    local = open_local(session)
    executor: Executor = local
    try:
        yield executor, detected
    finally:
        executor.close()


def open_local(session: Session) -> Executor:
    """Processes of this node."""
    provider = session.host.executors[EXECUTOR]
    executor: Executor = provider.open(session.host.settings("executors", provider))
    return executor
