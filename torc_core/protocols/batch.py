"""What a batch system does for workflows: allocations asked for, followed, called off (`slurm.md` §3, §8, §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torc_core.model import Allocation, JobId, NodeId, Waiting, WorkflowId
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Tended:
    """What one round of care for a workflow has done.

    Parameters
    ----------
    submitted
        Allocations that are known to be in the queue since this round, those included that were there already though
        nobody had heard of it.
    refused
        Allocations that the batch system does not want, each with its words as `reason`.
    unclear
        Allocations of which nobody knows yet whether they are in the queue; they are looked for again later.
    withdrawn
        Queued allocations that nothing needed any more.
    waiting
        Sentences about what is due and cannot be done from here.
    """

    submitted: Sequence[Allocation] = ()
    refused: Sequence[Allocation] = ()
    unclear: Sequence[Allocation] = ()
    withdrawn: Sequence[Allocation] = ()
    waiting: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.submitted or self.refused or self.unclear or self.withdrawn)


@record(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """What became of the allocations of a canceled workflow.

    Parameters
    ----------
    numbers
        How the batch system calls those that were called off.
    errors
        A sentence for each that could not be.
    """

    numbers: Sequence[str] = ()
    errors: Sequence[str] = ()


@record(frozen=True, slots=True, kw_only=True)
class LostJob:
    """A job whose allocation has ended under it.

    Parameters
    ----------
    state
        How the batch system says that the allocation ended, in its own word.
    """

    job: JobId
    name: str
    number: str
    state: str


@record(frozen=True, slots=True, kw_only=True)
class Synced:
    """What was found when the store and the batch system were compared (`slurm.md` §9).

    Parameters
    ----------
    ended
        Allocations that are over though the store took them to be running.
    cleaned
        Allocations that are over though the store took them to be queued.
    running_jobs
        Jobs that ran in what has ended.
    released
        How many jobs were claimed there and had not been started: they are ready again.
    unanswered
        Why nothing could be said, if the batch system did not answer; nothing was changed then.
    """

    ended: Sequence[Allocation] = ()
    cleaned: Sequence[Allocation] = ()
    running_jobs: Sequence[LostJob] = ()
    released: int = 0
    unanswered: str | None = None


class Outlook(Protocol):
    """What a batch system says of the allocations to come. Any number of threads."""

    def waiting(self, numbers: Sequence[str], *, age: float = 30.0) -> Mapping[str, Waiting]:
        """Which allocations wait, and for what, by the batch system's own numbers; nothing if it does not answer.

        Parameters
        ----------
        age
            What the batch system has answered so many seconds ago will do.
        """
        ...

    def reluctance(self, workflow: WorkflowId) -> Sequence[str]:
        """Why ready jobs of a workflow that lack allocations are given none, in sentences; nothing is done."""
        ...


class Batch(Outlook, Protocol):
    """A batch system in the service of one store. Any number of threads."""

    def here(self) -> bool:
        """Whether it can be asked from this host."""
        ...

    def tend(self, workflow: WorkflowId, *, node: NodeId | None = None, leaving: bool = False) -> Tended:
        """Do all that is due: scheduled nodes, intents in doubt, missing capacity, allocations that nothing needs.

        Nothing is done twice, whoever else does the same at the same time; a batch system that does not answer, or
        the store, is met with patience: what could not be done is due again.

        Parameters
        ----------
        node
            Which runner does it; None: a command or a server.
        leaving
            That runner is about to end; what is due when it begins is not due then, and the other way round.
        """
        ...

    def withdraw(self, workflow: WorkflowId, *, running: bool, reason: str) -> Withdrawn:
        """Call off what is queued for a workflow, and, if `running`, what runs."""
        ...

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0) -> Synced:
        """Find allocations that are over and record it.

        Parameters
        ----------
        age
            What the batch system has answered so many seconds ago will do, for whom asks about many workflows.
        """
        ...

    def calls(self) -> Mapping[str, int]:
        """How often the batch system was asked in the last minute by this user from this host, by command."""
        ...
