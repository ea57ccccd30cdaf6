"""Slurm in the service of one store: what the core asks of a batch system (`torc_core.protocols.Batch`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.errors import Conflict
from torc_core.model import Allocation, AllocationStatus, Query, Waiting, Workflow
from torc_core.protocols import Synced, Tended, Withdrawn
from torc_slurm.scheduler.pending import meaning
from torc_slurm.scheduler.slurm import Slurm, SlurmSilent
from torc_slurm.scheduler.states import Standing
from torc_slurm.settings import SlurmSettings
from torc_slurm.submission.due import Due
from torc_slurm.submission.holding import name_of_us
from torc_slurm.submission.keeper import lacking, request_id
from torc_slurm.submission.submitting import Result, Submitter
from torc_slurm.submission.sync import adopted, sync
from torc_slurm.submission.terms import Terms
from torc_slurm.submission.unneeded import unneeded, withdraw

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.model import NodeId, WorkflowId
    from torc_core.protocols import Clock, Store

log = logging.getLogger(__name__)

FRESH = 30.0
"""So old may be what the queue has answered, for those who only tell (`slurm.md` RB2)."""
NEW = 5.0
"""So old may it be where an allocation is not in it."""
PATIENCE = 10.0
"""Seconds that somebody who only wants to see something waits for Slurm."""
OPEN = (AllocationStatus.INTENDED, AllocationStatus.PENDING, AllocationStatus.ACTIVE)


class SlurmBatch:
    """Slurm in the service of one store.

    Parameters
    ----------
    url
        The address under which other hosts reach the store; None: not known here.
    told
        Called with the result of each submission as soon as it is known.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        clock: Clock,
        url: str | None,
        *,
        told: Callable[[Result], object] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._url = url
        settings: SlurmSettings = config.settings("launchers", "slurm", SlurmSettings)
        self.slurm = Slurm.of(config, clock, limit=settings.answer_seconds)
        submitter = Submitter(store, self.slurm, clock, settings, told=told, wait=wait)
        self._due = Due(store, clock, submitter)

    def here(self) -> bool:
        """Whether sbatch is on this host."""
        return self.slurm.here()

    def tend(self, workflow: WorkflowId, *, node: NodeId | None = None, leaving: bool = False) -> Tended:
        """Do all that is due."""
        totals = self._store.totals([workflow])[0]
        now = totals.workflow
        results: list[Result] = []
        waiting: list[str] = []
        if not totals.complete and not now.is_archived:
            try:
                results = self.submit(now, node=node, leaving=leaving)
                results += self._topped_up(now, waiting)
            except Conflict as error:
                waiting.append(str(error))
        off: list[Allocation] = []
        if self._config.client.slurm.cancel_unneeded:
            off, errors = withdraw(self._store, self.slurm, unneeded(self._store, totals))
            waiting += errors
        return Tended(
            submitted=[one.allocation for one in results if one.submitted],
            refused=[one.allocation for one in results if one.refused],
            unclear=[one.allocation for one in results if one.unclear],
            withdrawn=off,
            waiting=waiting,
        )

    def _topped_up(self, workflow: Workflow, waiting: list[str]) -> list[Result]:
        """Ask for what ready jobs lack, in a workflow that has been submitted."""
        if not workflow.submit_options:
            return []
        results: list[Result] = []
        for one in lacking(self._store, self._clock, workflow, self._config.client.slurm.max_node_hours):
            if one.why_not is not None:
                waiting.append(one.why_not)
                continue
            name = request_id(workflow, one)
            intent = one.intent
            made = self._store.intend(workflow.id, name, one.scheduler.id, intent.count, intent.nodes)
            # The same request gives all executors the same intents; one of them gets them to submit.
            us = name_of_us(self._clock)
            ours = {row.id for row in self._store.take_intents(workflow.id, us, name)}
            fresh = [replace(row, submitted_by=us) for row in made if row.id in ours]
            if fresh:
                log.info("slurm_topped_up workflow_id=%d scheduler=%s ready=%d allocations=%d", workflow.id,
                         one.scheduler.name, one.ready, len(fresh))  # fmt: skip
                results += self.submit_intents(workflow, us, fresh)
        return results

    def submit(
        self, workflow: Workflow, *, node: NodeId | None = None, leaving: bool = False
    ) -> list[Result]:
        """Submit what is due.

        Raises
        ------
        Conflict
            If something is due and no other host could reach the store.
        """
        terms = lambda: Terms.of(workflow, self._config, self._url)  # noqa: E731
        return self._due.carry_out(workflow, terms, node, leaving=leaving)

    def submit_intents(self, workflow: Workflow, holder: str, intents: Sequence[Allocation]) -> list[Result]:
        """Submit what this holder has intended without an action.

        Raises
        ------
        Conflict
            If no other host could reach the store, or others have taken the intents over.
        """
        terms = Terms.of(workflow, self._config, self._url)
        return self._due.submit_intents(workflow, holder, intents, terms)

    def withdraw(self, workflow: WorkflowId, *, running: bool, reason: str) -> Withdrawn:
        """Call off what is queued, and, if `running`, what runs."""
        numbers: list[str] = []
        errors: list[str] = []
        try:
            # What was submitted without an answer is called off only under its number.
            adopted(self._store, self.slurm, workflow)
        except SlurmSilent as error:
            errors.append(f"{error}; what was being submitted may be queued all the same: squeue --me")
        rows = self._store.find(Allocation, Query(workflow=workflow, limit=2**31)).items
        open_ones = [one for one in rows if one.status in OPEN and one.scheduler_type == "slurm"]
        for one in open_ones:
            if one.scheduler_id is None:
                self._store.withdrawn(one.id, reason)
        waiting = [one for one in open_ones if one.status is AllocationStatus.PENDING]
        active = [one for one in open_ones if one.status is AllocationStatus.ACTIVE] if running else []
        for group in (waiting, active):
            off, wrong = withdraw(self._store, self.slurm, group, reason, running=running)
            numbers += [one.scheduler_id for one in off if one.scheduler_id is not None]
            errors += wrong
        return Withdrawn(numbers=numbers, errors=errors)

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0) -> Synced:
        """Find allocations that are over and record it."""
        return sync(self._store, self.slurm, self._clock, workflow, dry_run=dry_run, age=age)

    def waiting(self, numbers: Sequence[str], *, age: float = FRESH) -> Mapping[str, Waiting]:
        """Which allocations wait in the queue, and for what."""
        try:
            rows = self.slurm.queue(numbers, age=age, patience=PATIENCE)
            if age > NEW and len(rows) < len(set(numbers)):
                # What is missing may have been submitted since.
                rows = self.slurm.queue(numbers, age=NEW, patience=PATIENCE)
        except SlurmSilent as error:
            log.info("slurm_waiting why=%s", error)
            return {}
        return {
            row.number: Waiting(
                reason=_reason(row.reason), text=meaning(_reason(row.reason)), start=row.start
            )
            for row in rows
            if row.standing is Standing.QUEUED
        }

    def reluctance(self, workflow: WorkflowId) -> Sequence[str]:
        """Why ready jobs that lack allocations are given none."""
        now = self._store.get(Workflow, workflow)
        if not now.submit_options or now.is_archived or now.is_canceled:
            return []
        short = lacking(self._store, self._clock, now, self._config.client.slurm.max_node_hours)
        return [one.why_not for one in short if one.why_not is not None]

    def calls(self) -> Mapping[str, int]:
        """Calls of the last minute, by command."""
        return self.slurm.budget.per_minute()


def _reason(text: str) -> str:
    """Why squeue says that something waits; empty: it does not say."""
    return "" if text in ("None", "(null)") else text.strip("()")
