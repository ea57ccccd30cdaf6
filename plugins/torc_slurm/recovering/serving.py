"""What commands hand to a recovery: Slurm, if it is here, who plans, and what the cluster has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from torc_core.engine.allocating import OVER
from torc_core.errors import TorcError
from torc_core.model import Allocation, AllocationId, Intent, Query, Replan
from torc_core.protocols import Batch, Synced, Tended, Withdrawn
from torc_slurm.recovering.limits import Room
from torc_slurm.recovering.looking import uses_slurm
from torc_slurm.recovering.providing import Provided, Provider, Wanted
from torc_slurm.recovering.replanning import Replanning
from torc_terminal.serving import served

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torc_core.model import NodeId, SlurmScheduler, Waiting, WorkflowId
    from torc_core.session import Session
    from torc_slurm.profiles.model import Profile


class Fresh:
    """Slurm in the service of a session's store, which may be closed and opened again between two calls."""

    def __init__(self, session: Session, url: str | None) -> None:
        self._session = session
        self.url = url

    def here(self) -> bool:
        """Whether it can be asked from this host."""
        return self._batch() is not None

    def tend(self, workflow: WorkflowId, *, node: NodeId | None = None, leaving: bool = False) -> Tended:
        """Do all that is due."""
        return self._there().tend(workflow, node=node, leaving=leaving)

    def withdraw(self, workflow: WorkflowId, *, running: bool, reason: str) -> Withdrawn:
        """Call off what is queued, and, if `running`, what runs."""
        return self._there().withdraw(workflow, running=running, reason=reason)

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0) -> Synced:
        """Find allocations that are over and record it."""
        return self._there().sync(workflow, dry_run=dry_run, age=age)

    def waiting(self, numbers: Sequence[str], *, age: float = 30.0) -> Mapping[str, Waiting]:
        """Which allocations wait, and for what."""
        return self._there().waiting(numbers, age=age)

    def reluctance(self, workflow: WorkflowId) -> Sequence[str]:
        """Why ready jobs that lack allocations are given none."""
        return self._there().reluctance(workflow)

    def calls(self) -> Mapping[str, int]:
        """Calls of the last minute, by command."""
        return self._there().calls()

    @cached_property
    def profile(self) -> Profile:
        """What the cluster is made of, asked once.

        Raises
        ------
        UsageError, Unavailable
            If nobody knows.
        """
        from torc_slurm.profiles.reading import profile_for

        return profile_for(self._session, None)

    def _batch(self) -> Batch | None:
        session = self._session
        return session.host.batches(session.store(), session.clock, self.url).get("slurm")

    def _there(self) -> Batch:
        batch = self._batch()
        assert batch is not None, "asked only where it is"
        return batch


def slurm_of(session: Session, workflow: WorkflowId, *, reachable: bool) -> Fresh | None:
    """Slurm, if the workflow is run by it and it is on this host.

    Parameters
    ----------
    reachable
        Allocations are going to be asked for, so that other hosts have to reach the store.

    Raises
    ------
    Conflict, Unavailable
        If they cannot, and no server can be started for it.
    """
    if not uses_slurm(session.store(), workflow):
        return None
    if not Fresh(session, None).here():
        return None
    return Fresh(session, served(session).url if reachable else None)


def provider(session: Session, slurm: Fresh | None) -> Provider | None:
    """Who plans and submits what jobs lack; None: nobody can from here."""
    return None if slurm is None else Replanning(session, slurm, slurm.url, lambda: slurm.profile)


def of_scheduler(session: Session, batch: Batch, scheduler: SlurmScheduler, count: int) -> Provider:
    """Allocations of an existing scheduler, as many as the user says, those included that are queued or run."""

    def provide(workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        if dry_run:
            return Provided(intended=count)
        store, nodes = session.store(), scheduler.fields.get("nodes")
        rows = store.find(Allocation, Query(workflow=workflow, limit=2**31)).items
        there = sum(one.scheduler_config_id == scheduler.id and one.status not in OVER for one in rows)
        missing = max(0, count - there)
        if missing:
            # NOTE: intents of nobody, so that whoever is asked to care submits them at once.
            intent = Intent(
                scheduler=scheduler.name, count=missing, nodes=nodes if isinstance(nodes, int) else 1
            )
            newest = max((one.id for one in rows), default=AllocationId(0))
            store.replan(workflow, Replan(allocations=[intent], newest=newest))
        return Provided(intended=missing, tended=batch.tend(workflow))

    return provide


def partitions(slurm: Fresh | None) -> Callable[[], Sequence[Room]]:
    """The partitions of the cluster, asked for only when somebody needs to know; none where nobody knows the cluster."""

    def known() -> Sequence[Room]:
        try:
            return () if slurm is None else slurm.profile.partitions
        except TorcError:
            return ()

    return known
