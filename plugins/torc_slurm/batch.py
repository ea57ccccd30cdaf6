"""Slurm in the service of one store: what the core asks of a batch system (`torc_core.protocols.Batch`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torc_core.protocols import Synced, Tended, Withdrawn
from torc_slurm.scheduler.slurm import Slurm

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.model import NodeId, WorkflowId
    from torc_core.protocols import Clock, Store


class SlurmBatch:
    """Slurm in the service of one store.

    Parameters
    ----------
    url
        The address under which other hosts reach the store; None: not known here.
    """

    def __init__(self, store: Store, config: Config, clock: Clock, url: str | None) -> None:
        self.store = store
        self.config = config
        self.clock = clock
        self.url = url
        self.slurm = Slurm.of(config, clock)

    def here(self) -> bool:
        """Whether sbatch is on this host."""
        return self.slurm.here()

    def tend(self, workflow: WorkflowId, *, node: NodeId | None = None) -> Tended:
        """Do all that is due."""
        return Tended()

    def withdraw(self, workflow: WorkflowId, *, running: bool, reason: str) -> Withdrawn:
        """Call off what is queued, and, if `running`, what runs."""
        return Withdrawn()

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False) -> Synced:
        """Find allocations that are over and record it."""
        return Synced()

    def calls(self) -> Mapping[str, int]:
        """Calls of the last minute, by command."""
        return self.slurm.budget.per_minute()
