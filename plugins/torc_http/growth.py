"""How far a workflow may grow on a server: jobs, events that users write, records of spawning (`security.md` R4)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torc_core.engine.telling import ours
from torc_core.errors import Invalid
from torc_core.model import (
    EVENTS,
    OF_COMMANDS,
    Event,
    Job,
    JobId,
    Json,
    NewJob,
    Plan,
    Query,
    Spawn,
    Spawned,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Clock, Store
from torc_core.record import record

R = TypeVar("R")

LINEAGES = "__torc_lineage__*"
"""Names of the records that generations of spawned jobs leave."""

COUNT_AGAIN = 5.0
"""Seconds after which it is looked again whether a full workflow has room for events."""

MOST_COUNTED = 10_000
"""Workflows whose events are counted in memory."""


@record(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one workflow may have."""

    jobs: int = 1_000_000
    user_events: int = 100_000
    generations: int = 10_000


class Growth:
    """The limits of a server, and what has been counted so far."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._events: dict[WorkflowId, tuple[int, float]] = {}

    def check_jobs(self, there: int, more: int, whose: str) -> None:
        """Refuse jobs beyond the limit.

        Raises
        ------
        Invalid
            With the numbers.
        """
        if there + more > self.limits.jobs:
            raise Invalid(
                f"jobs: {whose} has {there}, and {more} more are above the limit of {self.limits.jobs}; make another"
                " workflow, or raise server.limits.jobs_per_workflow",
                details={"field": "jobs", "value": more},
            )

    def check_events(self, store: Store, workflow: WorkflowId, more: int) -> None:
        """Count events that a user is about to write, and refuse those beyond the limit.

        PERF: counted in the store once, then here; what users remove meanwhile is found when the limit is reached.

        Raises
        ------
        Invalid
            With the numbers.
        """
        now, most = self._clock.monotonic(), self.limits.user_events
        with self._lock:
            there, counted = self._events.get(workflow, (None, 0.0))
        if there is None or (there + more > most and now - counted >= COUNT_AGAIN):
            there, counted = _user_events(store, workflow), now
        fits = there + more <= most
        with self._lock:
            if len(self._events) >= MOST_COUNTED:
                self._events.clear()
            self._events[workflow] = (there + more if fits else there, counted)
        if not fits:
            raise Invalid(
                f"events: workflow {workflow} has {there} events of users, and the limit is {most}; remove some, or raise"
                " server.limits.user_events_per_workflow",
                details={"field": "data", "value": more},
            )

    def check_generations(self, store: Store, workflow: WorkflowId) -> None:
        """Refuse one generation more than the limit.

        Raises
        ------
        Invalid
            With the number.
        """
        asked = Query(workflow=workflow, like={"name": LINEAGES}, limit=1)
        there = store.find(UserData, asked).total
        if there >= self.limits.generations:
            raise Invalid(
                f"workflow {workflow} has spawned {there} generations, and the limit is {self.limits.generations}; make"
                " another workflow",
                details={"field": "jobs", "value": there},
            )


class Growing:
    """The `Store` protocol, in which workflows grow no further than the server wants."""

    def __init__(self, store: Store, growth: Growth) -> None:
        self._store = store
        self._growth = growth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create a workflow."""
        self._growth.check_jobs(0, len(plan.jobs), f"workflow '{plan.workflow.name}'")
        return self._store.create(plan, user)

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs."""
        if jobs:
            self._check_jobs(jobs[0].workflow_id, len(jobs))
        return self._store.add_jobs(jobs)

    def spawn(self, job: JobId, spawn: Spawn) -> Spawned:
        """Add jobs in the name of a running one."""
        workflow = self._store.get(Job, job).workflow_id
        self._check_jobs(workflow, len(spawn.jobs))
        self._growth.check_generations(self._store, workflow)
        return self._store.spawn(job, spawn)

    def import_workflow(
        self, document: Mapping[str, Json], user: str, *, keep_status: bool = False
    ) -> Workflow:
        """Take a workflow in."""
        jobs = document.get("jobs")
        self._growth.check_jobs(0, len(jobs) if isinstance(jobs, list) else 0, "the workflow")
        return self._store.import_workflow(document, user, keep_status=keep_status)

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records."""
        events: dict[WorkflowId, int] = {}
        for one in records:
            if isinstance(one, Event) and (not ours(one.category) or one.category in OF_COMMANDS):
                events[one.workflow_id] = events.get(one.workflow_id, 0) + 1
        for workflow, count in events.items():
            self._growth.check_events(self._store, workflow, count)
        return self._store.add(records)

    def _check_jobs(self, workflow: WorkflowId, more: int) -> None:
        (totals,) = self._store.totals([workflow])
        self._growth.check_jobs(totals.total, more, f"workflow {workflow}")


def _user_events(store: Store, workflow: WorkflowId) -> int:
    """Events of a workflow that the store did not write itself."""
    own = tuple(name for name in EVENTS if ours(name) and name not in OF_COMMANDS)
    total = store.find(Event, Query(workflow=workflow, limit=1)).total
    return total - store.find(Event, Query(workflow=workflow, where={"category": own}, limit=1)).total
