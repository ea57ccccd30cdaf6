"""What a server does by itself in the queues of batch systems: nodes that are due, ends that nobody told (SJ9, SY5)."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from torc_core.errors import TorcError
from torc_core.model import ActionId, JobStatus, Query, Totals, Value, Waiting, Workflow, WorkflowId
from torc_core.protocols import Batch, Clock, Outlook, Store

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks into the store."""
GRACE = 30.0
"""Seconds for which a firing is left to those who are nearer to it: a command that submits, a runner."""
FRESH = 30.0
"""So old may be what a batch system has answered: one question is enough for all workflows (`slurm.md` RB2)."""
ROUND = 60.0
"""Seconds between two rounds in which batch systems are asked (`slurm.md` RB2)."""
OF_RUNNERS = ("on_worker_start", "on_worker_complete")
"""Triggers whose actions runners carry out, and nobody else."""
LOOKED_AT = 200
"""Newest workflows of the user that are looked at."""


class Seen:
    """A queue as it was seen in the last rounds: a request does not wait for the commands of a batch system."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def waiting(self, numbers: Sequence[str], *, age: float = 2 * ROUND) -> Mapping[str, Waiting]:
        """Which allocations waited, and for what."""
        return self._batch.waiting(numbers, age=max(age, 2 * ROUND))

    def reluctance(self, workflow: WorkflowId) -> Sequence[str]:
        """Why ready jobs that lack allocations are given none."""
        return self._batch.reluctance(workflow)


class Tender:
    """Cares for the allocations of workflows of one user.

    Parameters
    ----------
    batches
        Opens the batch systems of this host, by the type of their schedulers.
    user
        Whose workflows: nobody else's are submitted in his name.
    submits
        Asks for nodes that are due, and calls off what nothing needs; without it, ends that nobody told are still found.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        batches: Callable[[], Mapping[str, Batch]],
        user: str,
        *,
        submits: bool = True,
        look: float = LOOK,
        grace: float = GRACE,
        round: float = ROUND,
    ) -> None:
        self._store = store
        self._clock = clock
        self._open = batches
        self._user = user
        self._submits = submits
        self._look = look
        self._grace = grace
        self._round = round
        self._batches: Mapping[str, Batch] = {}
        self._seen: dict[ActionId, float] = {}
        self._last = float("-inf")
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="torc-tend", daemon=True)

    def start(self) -> None:
        """Begin, if there is a batch system here at all."""
        self._batches = self._open()
        if self._batches:
            log.info("tending batches=%s user=%s", ",".join(self._batches), self._user)
            self._thread.start()

    def close(self) -> None:
        """End; a command that is under way is not waited for."""
        self._closed.set()

    def calls(self) -> Mapping[tuple[str, str], int]:
        """How often batch systems were asked in the last minute, by their name and the command."""
        return Counter(
            {
                (name, command): count
                for name, batch in self._batches.items()
                for command, count in batch.calls().items()
            }
        )

    def queues(self) -> Sequence[Outlook]:
        """What is known of the queues, without asking anew as long as we look into them ourselves."""
        return [Seen(batch) for batch in self._batches.values()]

    def look(self) -> Collection[WorkflowId]:
        """Do what is due now; the workflows that were cared for."""
        now = self._clock.monotonic()
        living = self._living()
        going = [one for one in living if not one.complete] if self._submits else []
        due = self._due([one.workflow.id for one in going], now)
        asked: set[WorkflowId] = set()
        if now - self._last >= self._round:
            self._last = now
            asked = {one.workflow.id for one in living if one.pending_allocations or one.active_allocations}
            # The last runner may have closed the last allocation, with jobs left that nobody else asks for.
            due |= {
                one.workflow.id
                for one in going
                if one.workflow.submit_options and one.counts.get(JobStatus.READY)
            }
        for workflow in sorted(due | asked):
            if self._closed.is_set():
                break
            try:
                self._care(workflow, sync=workflow in asked)
            except TorcError as error:
                log.warning("tending failed workflow_id=%d why=%s", workflow, error)
            except Exception:
                # A bug met in one workflow must not end the care for others.
                log.exception("tending failed workflow_id=%d", workflow)
        return due | asked

    def _care(self, workflow: WorkflowId, *, sync: bool) -> None:
        for batch in self._batches.values():
            if sync:
                batch.sync(workflow, age=FRESH)
            if not self._submits:
                continue
            done = batch.tend(workflow)
            for sentence in done.waiting:
                log.info("batch_waits workflow_id=%d why=%s", workflow, sentence)

    def _living(self) -> Sequence[Totals]:
        """Our user's workflows that something may be done for."""
        where: dict[str, Value | tuple[Value, ...]] = {"user": self._user, "is_archived": False}
        newest = self._store.find(Workflow, Query(where=where, reverse=True, limit=LOOKED_AT)).items
        totals = self._store.totals([one.id for one in newest]) if newest else []
        return [
            one for one in totals if not one.complete or one.pending_allocations or one.active_allocations
        ]

    def _due(self, workflows: Sequence[WorkflowId], now: float) -> set[WorkflowId]:
        """Those with a firing that has been left alone for a while."""
        fired = {
            action.id: workflow
            for workflow in workflows
            for action in self._store.due_actions(workflow)
            if action.action_type == "schedule_nodes"
            and not action.executed
            and action.trigger_type not in OF_RUNNERS
        }
        self._seen = {id: self._seen.get(id, now) for id in fired}
        return {fired[id] for id, since in self._seen.items() if now - since >= self._grace}

    def _run(self) -> None:
        while not self._closed.wait(self._look):
            try:
                self.look()
            except TorcError as error:
                log.warning("tending failed why=%s", error)
            except Exception:
                # A bug here must not end all care to come.
                log.exception("tending failed")
