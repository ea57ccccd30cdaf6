"""What a runner and a store say to each other in one call (`engine.md` §7.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from torc_core.model.ids import ActionId, FileId, JobId, NodeId, SchedulerId, WorkflowId
from torc_core.model.job import Job, Shape
from torc_core.model.resources import Resources
from torc_core.model.result import Ending
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a node has free, and what it asks for (`engine.md` §7.1).

    Parameters
    ----------
    claim_id
        A UUID made once per intention; becomes the lease of the jobs. The same one again gives the same jobs.
    free
        Of each node of the allocation, in the node's order.
    limit
        At most so many jobs, 0-10,000; 0 only listens.
    time_limit
        Seconds left here; None: no end.
    by_count
        Ignore resources and schedulers, take by priority and id (queue-depth mode).
    start
        Write what fits now as running in the same transaction.
    ahead
        Up to so many further jobs of the classes in `busy`, held without capacity (`engine.md` §7.7).
    start_ahead
        So many of those given ahead are written as running at once, as if their start had been said in the next turn.
    wait_ms
        0-20,000: how long the answer may be held when there is nothing to give.
    scheduler, node
        Of a client that claims by hand: to which scheduler it belongs, and which node it is; what it is given is then
        also limited by what that node has left by the records.
    """

    claim_id: str
    free: Sequence[Resources]
    limit: int = 64
    time_limit: int | None = None
    by_count: bool = False
    start: bool = True
    strict_scheduler_match: bool = False
    ahead: int = 0
    start_ahead: int = 0
    busy: Sequence[Shape] = ()
    wait_ms: int = 0
    scheduler: SchedulerId | None = None
    node: NodeId | None = None


@record(frozen=True, slots=True, kw_only=True)
class Held:
    """An attempt that a node holds."""

    job: JobId
    attempt_id: int
    lease: str


@record(frozen=True, slots=True, kw_only=True)
class Beat:
    """I am alive, and this is what I have: claimed but not forked; forked and not yet acknowledged as ended.

    Parameters
    ----------
    number
        From 1, one more with each beat of a runner, so that one which was under way for long is not taken for the
        present; 0: not numbered.
    """

    held: Sequence[Held] = ()
    running: Sequence[Held] = ()
    number: int = 0

    def names(self, held: Held) -> bool:
        """Whether it is about this very attempt, not an earlier one at the same job."""
        return held in self.held or held in self.running


@record(frozen=True, slots=True, kw_only=True)
class Turn:
    """One call of a runner: each part is executed in this order, all in one transaction."""

    node: NodeId
    epoch: str
    endings: Sequence[Ending] = ()
    starts: Sequence[Held] = ()
    give_back: Sequence[Held] = ()
    beat: Beat | None = None
    offer: Offer | None = None


class Verdict(StrEnum):
    """What became of an ending, a start or a give-back.

    `done`: it is recorded. `same`: it was recorded before. `retry`: recorded, and the job is ready again.
    `canceled`: do not start it. `different`: another result stands for this attempt. `stale`: no longer yours.
    """

    DONE = "done"
    SAME = "same"
    RETRY = "retry"
    CANCELED = "canceled"
    DIFFERENT = "different"
    STALE = "stale"


@record(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job has to leave behind."""

    file: FileId
    name: str
    path: str


@record(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A claimed job with everything a runner needs to start it.

    Parameters
    ----------
    shape
        What it takes.
    started
        It is running on record: fork it.
    ahead
        It holds no capacity yet: start it when a job of its class ends.
    node_index
        Which of the offered nodes it was fitted to.
    stated
        Whether the user stated its memory (more than 1 MiB), so that it may be enforced.
    api_access, generation
        Of its workflow: what the job's capability may do, and which generation it is of (`security.md` O2, O3).
    capability
        The token with which the job may speak to the server that gave it; stores leave it out.
    """

    job: Job
    shape: Shape
    outputs: Sequence[Output] = ()
    started: bool = True
    ahead: bool = False
    node_index: int = 0
    stated: bool = False
    api_access: str = "edit"
    generation: int = 0
    capability: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Recovery:
    """An order to run a recovery script before the next attempt (`engine.md` §9)."""

    job: JobId
    attempt_id: int
    lease: str
    script: str
    return_code: int


@record(frozen=True, slots=True, kw_only=True)
class Orders:
    """The answer to a turn.

    Parameters
    ----------
    endings, starts
        A verdict for each ending and start of the turn, in its order.
    cancel
        Running jobs of this node that have to be stopped.
    unknown
        Listed by the beat, but not this node's: kill them.
    recall
        Held ahead, wanted elsewhere: give them back.
    terminate
        Those of `cancel` that are to end as terminated.
    recover
        Ended attempts whose recovery script has to be run now; answered by `recovered`.
    due
        Actions that have fired in this run and that nobody executes yet.
    retry_ms
        When the next delayed retry of the workflow is due, in milliseconds from now; None: none waits.
    reason
        Why nothing was given, in a sentence with figures.
    never
        Nothing that is ready fits this node even when it is empty, and nothing runs anywhere.
    pause_ms
        Ask again after so long: too many wait for work already.
    remaining
        Jobs of the workflow that are neither ended nor disabled.
    complete, canceled
        Of the workflow.
    """

    endings: Sequence[Verdict] = ()
    starts: Sequence[Verdict] = ()
    jobs: Sequence[Assignment] = ()
    cancel: Sequence[JobId] = ()
    unknown: Sequence[JobId] = ()
    recall: Sequence[JobId] = ()
    terminate: Sequence[JobId] = ()
    recover: Sequence[Recovery] = ()
    due: Sequence[ActionId] = ()
    retry_ms: int | None = None
    drain: bool = False
    reason: str | None = None
    never: bool = False
    pause_ms: int = 0
    remaining: int = 0
    complete: bool = False
    canceled: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a verb changed.

    Parameters
    ----------
    moved
        Jobs by the label of the status they were moved to.
    """

    workflow: WorkflowId
    run_id: int
    moved: Mapping[str, int] = field(default_factory=dict)
