"""One transaction on one workflow: moves, what follows from them, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from torc_core.engine import telling
from torc_core.engine.completion import CASCADE
from torc_core.engine.moves import legal
from torc_core.engine.release import settle
from torc_core.errors import Invalid
from torc_core.model import (
    Allocation,
    AllocationId,
    AllocationStatus,
    Ending,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeId,
    NodeState,
    Recovery,
    Result,
    ResultId,
    Usage,
)
from torc_core.store.rules import USUAL, StoreRules
from torc_core.testing.memory import triggers
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.hashing import keep_values

FREED: dict[str, Any] = {"node_id": None, "lease": None, "prefetched": False, "stop": 0, "not_before": None}
"""What a job loses when no node has it any more."""

_NAMES = tuple(field.name for field in fields(Job))
_VALUES = attrgetter(*_NAMES)


class Change:
    """Moves jobs of one workflow; `settle` carries the moves on to those who wait."""

    def __init__(self, flow: Flow, now: int, number: Callable[[str], int], rules: StoreRules = USUAL) -> None:
        self.flow = flow
        self.rules = rules
        self.now = now
        self.number = number
        self.told: list[telling.Told] = []
        self.moved: dict[str, int] = {}
        self.touched = False
        self.recoveries: list[Recovery] = []
        self._vanished: set[JobId] = set()
        self._was_complete = flow.complete
        self._moves: dict[JobId, tuple[JobStatus, JobStatus]] = {}

    def move(self, job: Job, status: JobStatus, **fields: Any) -> Job:
        """Move a job to another status, and set further fields of it.

        Raises
        ------
        Invalid
            If the move is not legal.
        """
        if not legal(job.status, status):
            raise Invalid(f"job {job.id} cannot go from {job.status.label} to {status.label}")
        self._moves[job.id] = (self._moves.get(job.id, (job.status,))[0], status)
        return self.set(job, status=status, **fields)

    def set(self, job: Job, **values: Any) -> Job:
        """Change fields of a job without consequences for others."""
        if values.get("status", job.status) is not job.status:
            label = values["status"].label
            self.moved[label] = self.moved.get(label, 0) + 1
        # PERF: `replace` looks at each field in Python; this is half of its time, and a job changes four times.
        changed = Job(**(dict(zip(_NAMES, _VALUES(job), strict=True)) | values))
        self.flow.put(changed)
        self.touched = True
        return changed

    def vanish(self, jobs: Sequence[Job]) -> None:
        """Let those who wait for jobs go on as if these were disabled: they are about to be removed."""
        self._moves.update((job.id, (job.status, JobStatus.DISABLED)) for job in jobs)
        self._vanished.update(job.id for job in jobs)
        self.settle()

    def settle(self, *, restores: bool = True) -> None:
        """Release, cancel and restore those who waited for what has moved since the last time (§5.4, §5.7).

        Nobody is restored by a reset, since its waiters start over themselves: `restores`.
        """
        moves, self._moves = self._moves, {}
        if not moves:
            return
        flow = self.flow
        before = {id: flow.jobs[id].status for id in flow.jobs} if triggers.watching(flow) else {}
        settled = settle(moves, flow, restores=restores)
        flow.links.counts.update(settled.counts)
        for id, unmet in settled.unmet.items():
            self.set(flow.jobs[id], unmet=unmet)
        for id, blocker in sorted(settled.canceled.items()):
            job, reason = flow.jobs[id], f"{CASCADE}{blocker}"
            if job.status is not JobStatus.CANCELED:
                self.tell(
                    telling.job_ended(
                        id, job.name, JobStatus.CANCELED, None, reason, job.run_id, job.attempt_id
                    )
                )
            self.set(job, status=JobStatus.CANCELED, reason=reason)
        for id, status in settled.restored.items():
            since = self.now if status is JobStatus.READY else None
            self.set(flow.jobs[id], status=status, reason=None, ready_since=since)
        for id in settled.released:
            self.set(flow.jobs[id], status=JobStatus.READY, ready_since=self.now)
        freed = [id for id, status in settled.restored.items() if status is JobStatus.READY]
        ready = [id for id, (was, now) in moves.items() if now is JobStatus.READY is not was]
        keep_values(self, [*freed, *settled.released])
        self.tell_moved("job_ready", [*ready, *freed, *settled.released])
        if before:
            follow = (*settled.canceled, *settled.restored, *settled.released)
            told = moves | {id: (before[id], flow.jobs[id].status) for id in follow}
            triggers.watch(self, {id: told[id] for id in told if id not in self._vanished})

    def again(self, job: Job, **fields: Any) -> Job:
        """Make a job ready again that a node held or ran: nobody has it any more."""
        return self.move(
            job, JobStatus.READY, ready_since=self.now, claimed_at=None, start_time=None, reason=None, **(FREED | fields)
        )  # fmt: skip

    def keep(
        self,
        job: Job,
        ending: Ending,
        status: JobStatus,
        run: int,
        attempt: int,
        *,
        provisional: bool = False,
        replaces: ResultId | None = None,
    ) -> ResultId:
        """Store the result of an attempt, or put it in the place of another; its id, which the job has to remember."""
        result = Result(
            id=replaces or ResultId(self.number("result")), workflow_id=job.workflow_id, job_id=job.id, job_name=job.name,
            run_id=run, attempt_id=attempt, node_id=ending.node or job.node_id, status=status,
            return_code=ending.return_code, reason=ending.reason, exec_minutes=ending.exec_minutes,
            completed_at=ending.completed_at or self.now, usage=ending.usage, provisional=provisional,
        )  # fmt: skip
        self.flow.keep(result)
        if provisional:
            self.flow.leases[result.id] = ending.lease or ""
        return result.id

    def gone(self, id: NodeId, usage: Usage | None = None, **more: Any) -> None:
        """A node has left, or is known to be dead; `more` is told with the event."""
        nodes: dict[int, Node] = self.flow.tables[Node]
        node = nodes[id]
        if node.state is NodeState.ENDED:
            return
        seconds = (self.now - node.start_time) / 1000
        node = nodes[id] = replace(
            node, is_active=False, state=NodeState.ENDED, end_time=self.now, usage=usage or node.usage,
            duration_seconds=seconds if node.duration_seconds is None else node.duration_seconds,
        )  # fmt: skip
        said = {} if usage is None else {field.name: getattr(usage, field.name) for field in fields(usage)}
        self.tell(telling.node_stopped(node, {**said, **more}))
        self._complete(node.allocation_id)

    def _complete(self, allocation: AllocationId | None) -> None:
        """With its last node an allocation is over (`engine.md` §15.5)."""
        table: dict[int, Allocation] = self.flow.tables[Allocation]
        if allocation is None or table[allocation].status is not AllocationStatus.ACTIVE:
            return
        nodes: Iterable[Node] = self.flow.tables[Node].values()
        if all(node.state is NodeState.ENDED for node in nodes if node.allocation_id == allocation):
            table[allocation] = replace(table[allocation], status=AllocationStatus.COMPLETE)

    def tell(self, told: telling.Told) -> None:
        """Write an event."""
        self.told.append(told)
        self.touched = True

    def tell_moved(self, name: str, jobs: Iterable[JobId]) -> None:
        """Write an event of severity debug about each of these jobs, where such events are wanted."""
        for id in jobs if self.rules.debug_events else ():
            job = self.flow.jobs[id]
            self.tell(telling.job_moved(name, id, job.name, job.node_id, job.run_id, job.attempt_id))

    def close(self) -> list[telling.Told]:
        """Settle what is left; all that has to be told."""
        self.settle()
        workflow = self.flow.workflow
        if self.flow.complete and not self._was_complete and not workflow.is_canceled:
            self.tell(telling.of_workflow("workflow_completed", workflow.id, workflow.name, workflow.run_id))
            triggers.complete(self)
        return telling.bundled(self.told)
