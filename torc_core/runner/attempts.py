"""The attempts on this node: reserved, forked, stopped, judged. Decides nothing about what comes next."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from torc_core.model import Assignment, Beat, Ending, JobId, JobStatus, JobUsage, NodeId, RequirementId, Shape
from torc_core.protocols import Clock, Executor, Exit, Queueing, Task
from torc_core.runner.attempt import Attempt, Workplace
from torc_core.runner.deadlines import Deadlines
from torc_core.runner.ledger import Ledger
from torc_core.runner.limits import CLOSE, KernelKills, Limits
from torc_core.runner.log import log
from torc_core.runner.outcome import OF_ONE_JOB, Cause, beyond_memory, beyond_runtime, outcome
from torc_core.runner.outputs import Search, is_full
from torc_core.runner.report import MOST_FAILURES, End
from torc_core.runner.stock import Stock

OUTPUT_FULL = "output_unwritable: ENOSPC"
"""Reason of a job that failed while there was no room for its output."""


@dataclass(slots=True)
class Taken:
    """What followed from some exits.

    Parameters
    ----------
    begun
        Jobs that have begun in the places of others.
    recalled
        Jobs that the executor has given back.
    vacant
        Whether a place has become free.
    """

    ends: list[End] = field(default_factory=list)
    begun: list[Attempt] = field(default_factory=list)
    recalled: list[Attempt] = field(default_factory=list)
    vacant: bool = False


class Observer(Protocol):
    """Measures jobs; must be quick."""

    def begun(self) -> None:
        """Jobs were started."""
        ...

    def ended(self, job: JobId, kernel: JobUsage) -> JobUsage:
        """What a job used that has ended: what the kernel says of it, and what was seen."""
        ...


class Attempts:
    """Everything that was given to this runner and has not gone back.

    Parameters
    ----------
    node
        In whose name ends are reported.
    """

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        place: Workplace,
        ledger: Ledger,
        stock: Stock,
        node: NodeId,
        patience: float | None = None,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._place = place
        self._ledger = ledger
        self._stock = stock
        self._node = node
        self._all: dict[JobId, Attempt] = {}
        self._shapes: dict[Shape, Shape] = {}
        self._tasks: list[Task] = []
        self._queueing = executor if isinstance(executor, Queueing) else None
        self._lines: dict[int, list[Attempt]] = {}
        self._searching: dict[JobId, Attempt] = {}
        self._stopping: dict[JobId, Attempt] = {}
        self.tally: Counter[JobStatus] = Counter()
        self.failures: list[End] = []
        self.observer: Observer | None = None
        """Measures jobs; None: only the kernel does."""
        self.limits: Limits | None = None
        """Keeps jobs within their memory; None: the executor does, or nobody."""
        self.unstated: Collection[RequirementId] = ()
        """Requirements whose runtime nobody stated, so that it is no limit."""
        self._kills: KernelKills | None = None
        self._deadlines = Deadlines(stated=place.execution.limit_runtime, patience=patience)

    def __len__(self) -> int:
        return len(self._all)

    def get(self, job: JobId) -> Attempt | None:
        """The attempt at this job, if it is here."""
        return self._all.get(job)

    def add(self, given: Assignment) -> Attempt | None:
        """Take what was given; None: it is here already. It is not kept while another attempt at its job is here."""
        attempt = self._place.attempt(given)
        here = self._all.setdefault(given.job.id, attempt)
        if here is not attempt and here.held == attempt.held:
            return None
        attempt.since = self._clock.monotonic()
        # PERF: shapes are keys everywhere, and what is the same need not be compared field by field.
        attempt.shape = self._shapes.setdefault(attempt.shape, attempt.shape)
        return attempt

    def remove(self, attempt: Attempt) -> None:
        """Forget a job that was never forked."""
        self._ledger.release(attempt.held.job)
        del self._all[attempt.held.job]

    def start(self, attempt: Attempt) -> bool:
        """Reserve and start; whether there was room."""
        slot = attempt.slot or self._ledger.reserve(attempt.held.job, attempt.shape, attempt.given.node_index)
        if slot is None:
            return False
        attempt.slot, attempt.forked = slot, True
        self._stock.busy[attempt.shape] += 1
        if attempt.given.stated or self._deadlines.active:
            attempt.begun = self._clock.monotonic()
            if attempt.given.stated:
                self._watch(attempt)
            if self._deadlines.active:
                limited = attempt.given.job.requirement_id not in self.unstated
                self._deadlines.begun(attempt, limited=limited)
        if not attempt.handed:
            self._tasks.append(self._place.task(attempt, slot.gpus, self._stock.line(attempt.shape)))
        return True

    def expect(self, attempt: Attempt) -> None:
        """Keep a job that is started on record until one of its shape ends, with the executor if that can wait."""
        self._stock.expect(attempt)
        line = self._stock.line(attempt.shape)
        if self._queueing and line:
            attempt.handed = True
            self._lines.setdefault(line, []).append(attempt)

    def _watch(self, attempt: Attempt) -> None:
        """A job with stated memory begins."""
        if self._kills is None:
            self._kills = KernelKills(self._clock)
        elif attempt.begun > self._kills.noted:
            self._kills.note()
        if attempt.limit and self.limits:
            self.limits.begun([attempt])

    def fork(self) -> None:
        """Hand what was started or is expected to the executor, in one batch each."""
        if self._tasks:
            self._executor.start(self._tasks)
            self._tasks = []
            if self.observer:
                self.observer.begun()
        if self._queueing and self._lines:
            for line, attempts in self._lines.items():
                tasks = [self._place.task(attempt, (), line) for attempt in attempts]
                self._queueing.queue(line, self._stock.busy[attempts[0].shape], tasks)
            self._lines = {}

    def recall(self, attempts: Sequence[Attempt]) -> None:
        """Ask the executor for jobs that it has in its lines; they come back with `take`, if not started."""
        self.fork()
        if self._queueing and attempts:
            self._queueing.recall([attempt.held.job for attempt in attempts])

    def stop(self, attempts: Iterable[Attempt], cause: Cause, lead: float, now: float) -> None:
        """Signal jobs, and kill them when `lead` seconds are over. The first cause stands, and the earliest end."""
        self.fork()
        for attempt in attempts:
            if not attempt.forked or attempt.exit is not None:
                continue
            if attempt.cause is None:
                attempt.cause = cause
                attempt.kill_at = now + lead
                self._stopping[attempt.held.job] = attempt
                self._executor.signal(attempt.held.job, self._place.execution.termination_signal)
            elif attempt.kill_at is not None:
                attempt.kill_at = min(attempt.kill_at, now + lead)

    def everything(self) -> list[Attempt]:
        """All attempts."""
        return list(self._all.values())

    def beat(self) -> Beat:
        """What is here: not forked, and forked."""
        everything = self._all.values()
        return Beat(
            held=[one.held for one in everything if not one.forked],
            running=[one.held for one in everything if one.forked],
        )

    def disowned(self, beat: Beat | None, unknown: Collection[JobId]) -> set[JobId]:
        """Of jobs that are not this node's, those whose very attempt the beat named: others were given since."""
        here = {job: self._all[job].held for job in unknown if job in self._all}
        return set() if beat is None else {job for job, held in here.items() if beat.names(held)}

    def kill_forked(self) -> None:
        """Kill whatever runs, unrecorded: this runner is about to fail."""
        self._executor.kill([job for job, attempt in self._all.items() if attempt.forked])

    def take(self, exits: Sequence[Exit], now: float) -> Taken:
        """Processes have ended: their places go to those that are expected, or are free."""
        instant = self._clock.now()
        taken = Taken()
        for one in exits:
            attempt = self._all.get(one.job)
            if attempt is None or attempt.exit is not None:
                continue
            if one.recalled:
                self._stock.drop(attempt)
                taken.recalled.append(attempt)
                continue
            attempt.exit, attempt.killed = one, attempt.killed and one.killed
            if not one.signalled and attempt.cause in OF_ONE_JOB:
                attempt.cause = None  # it had ended by itself by then
            self._stock.busy[attempt.shape] -= 1
            self._ledger.release(one.job)
            # The executor and the stock take from the same line in the same order: what the executor has started
            # in this place is the first that is expected.
            following = self._stock.successor(attempt.shape)
            if following is None:
                taken.vacant = True
            elif self.start(following):
                taken.begun.append(following)
            if self._stopping:
                self._stopping.pop(one.job, None)
            if self._deadlines.active:
                self._deadlines.ended(attempt, one.seconds, good=one.return_code == 0 and not attempt.cause)
            if attempt.given.stated:
                self._judge_memory(attempt, one)
            if one.error is None:
                self._stock.note(attempt.shape, one.seconds)
                if attempt.given.outputs and one.return_code == 0 and not attempt.cause:
                    attempt.search = Search(self._place.cwd, now, attempt.given.outputs)
                    attempt.search.look()
                    if attempt.search.next_look is not None:
                        self._searching[one.job] = attempt
                        continue
            taken.ends.append(self._end(attempt, one, instant))
        return taken

    def _judge_memory(self, attempt: Attempt, end: Exit) -> None:
        """Whether a job with stated memory was killed for it: by the executor, or by the kernel."""
        if self.limits:
            self.limits.ended(attempt)
        peak = attempt.peak = max(attempt.peak, end.usage.peak_memory_bytes or 0)
        if attempt.cause is not None or end.error is not None:
            return
        near = peak >= CLOSE * attempt.shape.memory
        by_kernel = (
            end.return_code == -signal.SIGKILL and near and self._kills and self._kills.since(attempt.begun)
        )
        if end.oom or by_kernel:
            attempt.cause = Cause.MEMORY

    def next_time(self) -> float | None:
        """When something is due, monotonic seconds; None: nothing is."""
        deadline = self._deadlines.next_time() if self._deadlines.active else None
        if not self._stopping and not self._searching:
            return deadline
        times = [one.kill_at for one in self._stopping.values() if one.kill_at is not None]
        times += [deadline] if deadline is not None else ()
        looks = [one.search.next_look for one in self._searching.values() if one.search]
        return min((*times, *(look for look in looks if look is not None)), default=None)

    def tend(self, now: float, *, hurry: bool) -> list[End]:
        """End what is beyond its limits, kill what did not end in time, look again for outputs.

        `hurry`: for the last time.
        """
        if self._deadlines.active:
            self.stop(self._deadlines.due(now), Cause.RUNTIME, self._place.execution.lead, now)
        for attempt in self.limits.over() if self.limits else ():
            if attempt.exit is None and attempt.cause is None:
                attempt.cause = Cause.MEMORY
                self._executor.kill([attempt.held.job])
        late = [job for job, one in self._stopping.items() if one.kill_at is not None and one.kill_at <= now]
        if late:
            log.warning("killed jobs=%s", ",".join(map(str, late)))
            self._executor.kill(late)
            for job in late:
                self._stopping[job].kill_at, self._stopping[job].killed = None, True
        ends = []
        for attempt in list(self._searching.values()):
            search, end = attempt.search, attempt.exit
            assert search is not None
            assert end is not None
            due = search.next_look
            if due is not None and (due <= now or hurry):
                search.look()
            if search.next_look is None or hurry:
                ends.append(self._end(attempt, end, self._clock.now()))
        return ends

    def forgive(self, end: End) -> None:
        """An end was not the last word: the job is tried again."""
        self.tally[end.ending.status] -= 1
        if end in self.failures:
            self.failures.remove(end)

    def blame(self, end: End, status: JobStatus | None = None) -> None:
        """An end that was forgiven is the last word after all."""
        self.tally[status or end.ending.status] += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(end)

    def give_up(self) -> list[End]:
        """Judge what runs as killed, although it cannot be killed; what is in a line may run unseen."""
        killed, instant = -signal.SIGKILL, self._clock.now()
        return [
            self._end(one, one.exit or Exit(job=job, return_code=killed, lost=not one.forked), instant)
            for job, one in list(self._all.items())
        ]

    def _end(self, attempt: Attempt, exit: Exit, instant: int) -> End:
        """Judge an attempt whose process has ended, and forget it."""
        search, job = attempt.search, attempt.given.job
        judged = outcome(
            exit,
            attempt.cause,
            search.missing if search else (),
            killed=attempt.killed,
            told=_told(attempt, exit),
            execution=self._place.execution,
        )
        good = judged.status is JobStatus.COMPLETED
        if judged.reason == "exit_code" and attempt.stdio and is_full(self._place.stdio_dir):
            judged = judged._replace(reason=OUTPUT_FULL)
        usage = self.observer.ended(job.id, exit.usage) if self.observer else exit.usage
        if attempt.peak > (usage.peak_memory_bytes or 0):
            usage = replace(usage, peak_memory_bytes=attempt.peak)
        ending = Ending(
            job=job.id,
            run_id=job.run_id,
            attempt_id=job.attempt_id,
            lease=attempt.held.lease,
            status=judged.status,
            return_code=judged.return_code,
            reason=judged.reason,
            exec_minutes=exit.seconds / 60,
            completed_at=instant,
            node=self._node,
            usage=usage,
            outputs=search.fingerprints if search and good else (),
            leftovers=exit.leftovers,
        )
        del self._all[job.id]
        self._searching.pop(job.id, None)
        self.tally[judged.status] += 1
        wrote = exit.error is None or not exit.error.startswith("output_unwritable")
        end = End(
            given=attempt.given,
            ending=ending,
            stdout=attempt.stdout if wrote else None,
            stderr=attempt.stderr if wrote else None,
            delete_on_success=attempt.delete_on_success,
        )
        if not good:
            log.warning(
                "job_ended workflow_id=%d job_id=%d run_id=%d attempt_id=%d status=%s return_code=%d reason=%s",
                *(job.workflow_id, job.id, job.run_id, job.attempt_id),
                *(judged.status.label, judged.return_code, judged.reason),
            )
            if len(self.failures) < MOST_FAILURES:
                self.failures.append(end)
        if exit.leftovers:
            log.warning("leftover_processes job_id=%d processes=%d", job.id, exit.leftovers)
        return end


def _told(attempt: Attempt, end: Exit) -> str:
    """What the reason of a job says of the limit that it exceeded."""
    match attempt.cause:
        case Cause.MEMORY:
            return beyond_memory(attempt.peak, attempt.shape.memory)
        case Cause.RUNTIME:
            return beyond_runtime(end.seconds, attempt.allowed)
        case _:
            return ""
