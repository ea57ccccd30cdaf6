"""One transaction on one workflow: moves, what follows from them, and the events that tell of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

from torc_core.engine import telling
from torc_core.engine.claim import room, taken
from torc_core.engine.completion import CASCADE
from torc_core.engine.moves import legal
from torc_core.engine.release import Settled, settle
from torc_core.errors import Conflict, Invalid
from torc_core.model import (
    BAD,
    OPEN,
    Ending,
    Job,
    JobId,
    JobStatus,
    Json,
    Node,
    NodeId,
    Offer,
    Progress,
    Recovery,
    Resources,
    ResultId,
    Usage,
    WorkflowId,
)
from torc_sql import hashing, rows, triggers
from torc_sql.graph import Graph
from torc_sql.rows import STATUSES
from torc_sql.shapes import Shapes, shape_of, used
from torc_sql.state import JobState, job_state, workflow_state
from torc_sql.transaction import Transaction

_USAGE = tuple(field.name for field in fields(Usage))

Moves = dict[JobId, tuple[JobStatus, JobStatus]]
"""Jobs with their statuses before and after."""

RELEASED = (JobStatus.BLOCKED, JobStatus.READY)


class Change:
    """Moves jobs of one workflow; `settle` carries the moves on to those who wait."""

    def __init__(self, tx: Transaction, wf: WorkflowId, shapes: Shapes) -> None:
        self.tx = tx
        self.shapes = shapes
        self.state = workflow_state(tx, wf)
        self.wf = wf
        self.tally = dict.fromkeys(STATUSES, 0)
        for status, count in tx.rows("COUNTS", wf_=wf):
            self.tally[STATUSES[status]] = count
        self._moved: dict[JobStatus, int] = {}
        self.canceled = self.state.is_canceled == 1
        self.run_id = self.state.run_id
        self._was_complete = self.complete
        self._was_live = self.live
        self.fired = False
        self._vanished: set[JobId] = set()
        self.delayed = False
        self.recoveries: list[Recovery] = []
        self._moves: Moves = {}
        self._minutes = 0.0
        self._last_end: int | None = None
        self._summed = self.state.summed == 1
        self._starts = False
        self._results: list[tuple[Any, ...]] = []
        self._numbers: list[int] = []
        self._ahead: dict[tuple[NodeId, int], list[JobId]] = {}
        self._held_ahead: dict[NodeId, bool] = {}
        self._placed: set[JobId] = set()
        self._left: dict[NodeId, Resources] = {}
        self._known: dict[JobId, JobState] = {}
        self._late: dict[str, list[dict[str, object]]] = {}

    @property
    def remaining(self) -> int:
        """Jobs that are neither ended nor disabled."""
        return sum(self.tally[status] for status in OPEN)

    @property
    def complete(self) -> bool:
        """Canceled, or nothing is left to do (`engine.md` §4)."""
        return self.canceled or (self.run_id > 0 and not self.remaining)

    def know(self, jobs: Sequence[JobId]) -> None:
        """Read what verbs look at of many jobs at once; `job` then answers without asking again, once for each.

        PERF: one statement for all jobs of a turn; one for each job was a fifth of what a turn took.
        """
        if len(jobs) > 1:
            found = self.tx.rows("JOB_STATES", jobs_=json.dumps(jobs))
            self._known = {row[0]: JobState(*row) for row in found if row[9] == self.wf}

    def job(self, id: JobId) -> JobState | None:
        """A job of the workflow, as it is now; None: there is no such job."""
        return self._known.pop(id, None) or job_state(self.tx, id, self.wf)

    def move(
        self, job: JobState, status: JobStatus, statement: str, *, held: bool = False, **values: object
    ) -> None:
        """Move a job to another status with a statement that carries the present one as its guard.

        `held`: it cannot be claimed yet, although it is ready.

        Raises
        ------
        Invalid
            If the move is not legal.
        Conflict
            If the job has moved since it was read.
        """
        self._guard(job, status)
        if self.tx.run(statement, job_=job.id, was_=job.code, status_=int(status), **values) != 1:
            raise Conflict(f"job {job.id} is no longer {job.status.label}; look again and repeat the command")
        self.note(job, status, held=held)

    def move_late(self, job: JobState, status: JobStatus, statement: str, **values: object) -> None:
        """The same, written together with others of its kind when the change settles.

        PERF: a turn ends and starts a dozen jobs; written one by one they took three times as long.
        """
        self._guard(job, status)
        self._late.setdefault(statement, []).append(
            {"job_": job.id, "was_": job.code, "status_": int(status), **values}
        )
        self.note(job, status)

    def _guard(self, job: JobState, status: JobStatus) -> None:
        if not legal(job.status, status):
            raise Invalid(f"job {job.id} cannot go from {job.status.label} to {status.label}")

    def note(self, job: JobState, status: JobStatus, *, held: bool = False) -> None:
        """Remember a move that has been written, for the counts and for those who wait."""
        before = job.status
        if status is JobStatus.RUNNING:
            self.started()
        if job.result_id is not None:
            # A job that moves on may lose its current result, or get another.
            self.unsum()
        first = self._moves.get(job.id)
        self._moves[job.id] = (before if first is None else first[0], status)
        self.shifted(before, status)
        if before is JobStatus.READY and job.not_before is None and job.node_id is None:
            self.tx.ready(job.class_id, -1)
        if status is JobStatus.READY and not held:
            self.tx.ready(job.class_id, 1)
            self.tx.wake(self.wf)

    def confirm(self, job: JobState, result: int | None) -> None:
        """A node has no part in a job any more that it was ordered to stop; if it is ready it can be claimed now."""
        self.tx.run("CONFIRM", job_=job.id, result_=result)
        if job.status is JobStatus.READY and job.node_id is not None:
            self.tx.ready(job.class_id, 1)
            self.tx.wake(self.wf)

    def shifted(self, before: JobStatus, after: JobStatus, count: int = 1) -> None:
        """Count jobs that have gone from one status to the other."""
        self.tally[before] -= count
        self.tally[after] += count
        self.tx.moved(self.wf, before, after, count)
        self._moved[after] = self._moved.get(after, 0) + count
        if before.ended:
            self.unsum()

    def added(self, status: JobStatus, count: int = 1) -> None:
        """Count jobs that have come, or gone when negative."""
        self.tally[status] += count
        self.tx.counted(self.wf, status, count)

    def vanish(self, jobs: Sequence[Job]) -> None:
        """Let those who wait for jobs go on as if these were disabled: they are about to be removed."""
        for job in jobs:
            self._moves[job.id] = (job.status, JobStatus.DISABLED)
            self.tx.free("UPDATE job SET status = ? WHERE id = ?", (int(JobStatus.DISABLED), job.id))
        self._vanished.update(job.id for job in jobs)
        self.settle()
        for job in jobs:
            self.added(job.status, -1)
            if job.status is JobStatus.READY and job.not_before is None:
                self.tx.ready(self.tx.row("CLASS_OF_JOB", job_=job.id)[0], -1)

    def settle(self, *, restores: bool = True) -> None:
        """Release, cancel and restore those who waited for what has moved since the last time (§5.4, §5.7).

        Nobody is restored by a reset, since its waiters start over themselves: `restores`.
        """
        self.write_late()
        moves, self._moves = self._moves, {}
        if not moves:
            return
        if all(before in OPEN and after not in OPEN and after not in BAD for before, after in moves.values()):
            follow = self._release(moves)
        else:
            graph = Graph(self.tx)
            follow = self._write(settle(moves, graph, restores=restores), graph)
        released = [job for job, (_, now) in follow.items() if now is JobStatus.READY]
        if released and self.has_data:
            hashing.keep_values(self, released)
        if self.tx.rules.debug_events:
            ready = [job for job, (was, now) in (moves | follow).items() if now is JobStatus.READY is not was]
            self.tell_moved("job_ready", ready)
        if self.state.has_job_triggers:
            told = moves | follow
            triggers.watch(self, {job: told[job] for job in told if job not in self._vanished})

    def again(self, job: JobState, attempt: int | None = None) -> None:
        """Make a job ready again that a node held or ran: nobody has it any more."""
        if job.result_id is not None:
            self.unsum()
        self.move(job, JobStatus.READY, "AGAIN", attempt_=attempt or job.attempt_id, now_=self.tx.now)

    def result(
        self,
        job: JobState,
        ending: Ending,
        status: JobStatus,
        run: int,
        attempt: int,
        *,
        provisional: bool = False,
    ) -> ResultId:
        """Store the result of an attempt; its id, which the caller writes into the job."""
        if not self._numbers:
            self.reserve(1)
        id = ResultId(self._numbers.pop())
        usage = ending.usage
        self.ended_at(run, ending.completed_at or self.tx.now)
        self._results.append((
            id, self.wf, job.id, run, attempt, ending.node or job.node_id, int(status), ending.return_code,
            ending.reason, ending.exec_minutes, ending.completed_at or self.tx.now, usage.peak_memory_bytes,
            usage.avg_memory_bytes, usage.peak_cpu_percent, usage.avg_cpu_percent, provisional, ending.lease,
        ))  # fmt: skip
        return id

    def started(self) -> None:
        """Jobs start on record."""
        self._starts = True

    def spent(self, minutes: float) -> None:
        """A job that had no current result has one now."""
        self._minutes += minutes

    def ended_at(self, run: int, instant: int) -> None:
        """An attempt of a run has ended."""
        if run == self.run_id:
            self._last_end = max(instant, self._last_end or 0)

    def unsum(self) -> None:
        """Current results are taken away or replaced: their sum has to be found again."""
        self._summed = False

    def begun(self) -> None:
        """A new run has begun; a sum that is nothing stays so, since jobs only lose results by that."""
        self.state = self.state._replace(first_start=None)
        if self.tx.row("SUMS", wf_=self.wf)[0]:
            self.unsum()

    def _write_sums(self) -> None:
        starts = self._starts and self.state.first_start is None
        if self._last_end is not None or starts or self._minutes:
            self.tx.run(
                "ADD_SUMS", wf_=self.wf, minutes_=self._minutes, start_=self.tx.now if starts else None,
                end_=self._last_end,
            )  # fmt: skip
        if not self._summed and self.state.summed:
            self.tx.run("UNSUM", wf_=self.wf)

    def reserve(self, results: int) -> None:
        """Take the ids of results that are about to come up, all at once."""
        first = self.tx.ids("result", results)
        self._numbers = list(range(first + results - 1, first - 1, -1))

    @cached_property
    def has_outputs(self) -> bool:
        """Whether any job of the workflow has to leave files behind."""
        return self.tx.row("ANY_OUTPUT", wf_=self.wf) is not None

    @cached_property
    def has_data(self) -> bool:
        """Whether the workflow has user data."""
        return self.tx.row("ANY_DATA", wf_=self.wf) is not None

    @cached_property
    def has_sets(self) -> bool:
        """Whether any job of the workflow waits for another."""
        return self.tx.row("ANY_SET", wf_=self.wf) is not None

    def fill_place(self, node: NodeId, job_class: int) -> None:
        """A place on a node is free: the job of this class that was started ahead for it has it from now on (§7.7)."""
        held = self._held_ahead.get(node)
        if held is None:
            held = self._held_ahead[node] = self.tx.row("ANY_AHEAD", node_=node) is not None
        if not held:
            return
        waiting = self._ahead.get((node, job_class))
        if waiting is None:
            rows = self.tx.rows("STARTED_AHEAD", node_=node, class_=job_class)
            waiting = self._ahead[node, job_class] = [id for (id,) in reversed(rows)]
        while waiting:
            next_ = waiting.pop()
            if next_ not in self._moves:
                self._placed.add(next_)
                if next_ in self._known:
                    self._known[next_] = self._known[next_]._replace(prefetched=0)
                return

    def takes_place(self, node: Node, job_class: int) -> bool:
        """Whether the node has a place for another job of this class; if so, it is taken."""
        left = self._left.get(node.id)
        if left is None:
            left = (
                room(Offer(claim_id="", free=()), node, used(self.tx, node, self.shapes)).left or Resources()
            )
        need = taken(shape_of(self.tx, self.shapes, job_class), node.capacity)
        fits = left.covers(need)
        self._left[node.id] = left - need if fits else left
        return fits

    def write_late(self) -> None:
        """Write the moves and places that were put off; what was known of nodes is read anew from now on.

        Raises
        ------
        Conflict
            If a job has moved since it was read.
        """
        for statement, values in self._late.items():
            if self.tx.many(statement, values) != len(values):
                raise Conflict("a job has moved since it was read; look again and repeat the command")
        placed = [{"job_": job} for job in self._placed if job not in self._moves]
        if placed:
            self.tx.many("PLACE", placed)
        for known in (self._late, self._placed, self._left, self._ahead, self._held_ahead):
            known.clear()

    def write_results(self) -> None:
        """Write the results that have come up, so that they can be looked for."""
        if self._results:
            self.tx.many("INSERT_RESULT", self._results)
            self._results.clear()

    def gone(self, node: NodeId, usage: Usage | None = None, **more: Json) -> None:
        """A node has left, or is known to be dead; `more` is told with the event."""
        said = {} if usage is None else {name: getattr(usage, name) for name in _USAGE}
        given = {f"{name}_": said.get(name) for name in _USAGE}
        row = self.tx.row("END_NODE", node_=node, now_=self.tx.now, **given)
        if row is None:
            return
        ended = rows.node(row)
        self.tell(telling.node_stopped(ended, {**said, **more}))
        if ended.allocation_id is not None:
            self.tx.run("COMPLETE_ALLOCATION", id_=ended.allocation_id)

    def free(self, job: JobState) -> None:
        """No node has a job any more; its status stays."""
        self.tx.run("FREE", job_=job.id)
        if job.status is JobStatus.READY:
            self.tx.ready(job.class_id, 1)
            self.tx.wake(self.wf)

    def tell(self, told: telling.Told) -> None:
        """Write an event."""
        self.tx.tell(self.wf, *told)

    def tell_moved(self, name: str, jobs: Sequence[JobId]) -> None:
        """Write an event of severity debug about each of these jobs, where such events are wanted."""
        if self.tx.rules.debug_events and jobs:
            for row in self.tx.rows("JOB_STATES", jobs_=json.dumps(jobs)):
                job = JobState(*row)
                self.tell(telling.job_moved(name, job.id, job.name, job.node_id, job.run_id, job.attempt_id))

    @property
    def live(self) -> int:
        """Jobs that are pending or running."""
        return self.tally[JobStatus.PENDING] + self.tally[JobStatus.RUNNING]

    @property
    def progress(self) -> Progress:
        """What the change has moved."""
        moved = {status.label: count for status, count in self._moved.items()}
        return Progress(workflow=self.wf, run_id=self.run_id, moved=moved)

    def close(self) -> None:
        """Settle what is left."""
        self.write_results()
        self.settle()
        self._write_sums()
        if self._was_live and not self.live:
            # Whoever waits may hear now that nothing will ever come.
            self.tx.wake(self.wf)
        if self.complete and not self._was_complete:
            self.tx.wake(self.wf)
            if not self.canceled:
                self.tell(telling.of_workflow("workflow_completed", self.wf, self.state.name, self.run_id))
                triggers.complete(self)

    def _release(self, moves: Moves) -> Moves:
        """The same for ends that are all good.

        PERF: one statement for each job that ended and one for each group that is done, however many wait for it; the
        general walk reads every waiter. Held equal to `settle` by the model-based test of the store contract.
        """
        freed: Moves = {}
        for job in moves if self.has_sets else ():
            for group, remaining in self.tx.rows("LESSEN", job_=job):
                if remaining:
                    continue
                self.tx.run("LESSEN_OTHERS", set_=group)
                for job_class, unmet, waiter, node in self.tx.rows("RELEASE", set_=group, now_=self.tx.now):
                    if not unmet:
                        self.tx.ready(job_class, node is None)
                        freed[waiter] = RELEASED
        if freed:
            self.shifted(JobStatus.BLOCKED, JobStatus.READY, len(freed))
            self.tx.wake(self.wf)
        return freed

    def _write(self, settled: Settled, graph: Graph) -> Moves:
        tx, unmet, follow = self.tx, dict(settled.unmet), dict[JobId, tuple[JobStatus, JobStatus]]()
        tx.many(
            "WRITE_SET",
            [
                {"set_": group, "remaining_": left, "bad_": bad}
                for group, (left, bad) in settled.counts.items()
            ],
        )
        canceled = []
        for job, blocker in sorted(settled.canceled.items()):
            was, before, _, name, run, attempt, _ = graph.row(job)
            reason = f"{CASCADE}{blocker}"
            canceled.append({"job_": job, "reason_": reason, "unmet_": unmet.pop(job, before)})
            self.shifted(was, JobStatus.CANCELED)
            follow[job] = (was, JobStatus.CANCELED)
            self.tell(telling.job_ended(job, name, JobStatus.CANCELED, None, reason, run, attempt))
        tx.many("CANCEL_WAITER", canceled)
        freed = []
        for job, status in (*settled.restored.items(), *((job, JobStatus.READY) for job in settled.released)):
            was, before, job_class, *_, node = graph.row(job)
            since = tx.now if status is JobStatus.READY else None
            freed.append(
                {"job_": job, "status_": int(status), "since_": since, "unmet_": unmet.pop(job, before)}
            )
            self.shifted(was, status)
            follow[job] = (was, status)
            if status is JobStatus.READY:
                tx.ready(job_class, node is None)
                tx.wake(self.wf)
        tx.many("FREE_WAITER", freed)
        tx.many("WRITE_UNMET", [{"job_": job, "unmet_": count} for job, count in unmet.items()])
        return follow
