"""The loop on a node: claims jobs, starts them, waits for their ends and reports these, one turn at a time."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torc_core.detection import Detected
from torc_core.errors import Fenced, NotFound
from torc_core.model import (
    Assignment,
    Beat,
    JobStatus,
    Node,
    Query,
    Requirement,
    Usage,
    Verdict,
    Workflow,
)
from torc_core.protocols import Clock, Executor, Limiting, Locating, Monitor, Queue
from torc_core.runner import environment
from torc_core.runner.actions import ChoreStore
from torc_core.runner.attempt import Attempt, Workplace
from torc_core.runner.attempts import Attempts, Taken
from torc_core.runner.caller import Answer, Caller
from torc_core.runner.chores import Chores
from torc_core.runner.keeping import ABSENT, Keeping
from torc_core.runner.lease import Lease, insist
from torc_core.runner.ledger import Ledger
from torc_core.runner.limits import Limits
from torc_core.runner.log import log, log_to
from torc_core.runner.monitoring import metered
from torc_core.runner.options import Execution, Options
from torc_core.runner.outcome import Cause
from torc_core.runner.place import Place, output_folder, room_to_work
from torc_core.runner.report import End, Leaving, Report, Tally, Watcher
from torc_core.runner.seat import Seat, log_start, notice, registration
from torc_core.runner.signals import patient, signals_to
from torc_core.runner.stock import Stock
from torc_core.runner.timeline import Timeline
from torc_core.runner.turns import Turns

CANCEL_LEAD = 10.0
"""Most seconds between the signal and SIGKILL for a canceled job."""
LEAVE_WITHIN = 60.0
"""Seconds from a signal until the runner has left, whatever its jobs do."""
LAST_CALL = 5.0
"""Seconds that the store has to answer what is on its way when the runner leaves."""


class Runner:
    """Runs the jobs of one workflow on this node until there is a reason to leave.

    Parameters
    ----------
    detected
        What this node has, as far as it may be used.
    environ
        The runner's own environment, which its jobs inherit but for secrets.
    watcher
        Follows the runner; None: nobody does.
    chores
        The store once more, for actions and recovery scripts; None: neither is executed.
    monitor
        Measures jobs as the workflow's `resource_monitor` says; None: only the kernel does.
    sampler
        Opens what measures jobs with a memory limit, where the executor does not enforce it; None: nobody does.
    seat
        Where a batch system has put it; None: it was started by hand.
    """

    def __init__(
        self,
        store: Queue,
        executor: Executor,
        clock: Clock,
        workflow: Workflow,
        detected: Detected,
        *,
        environ: Mapping[str, str],
        options: Options | None = None,
        watcher: Watcher | None = None,
        chores: ChoreStore | None = None,
        monitor: Monitor | None = None,
        sampler: Callable[[], Monitor] | None = None,
        seat: Seat | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._workflow = workflow
        self._detected = detected
        self._environ = environ
        self._options = options or Options()
        self._seat = seat or Seat()
        self._execution = Execution.of(workflow.execution_config)
        self._watcher = watcher
        self._chore_store = chores
        self._chores: Chores | None = None
        self._monitor = monitor
        self._sampler = sampler
        self._timeline = Timeline.of(self._options, self._execution, workflow)
        self._walltime = False
        self._signals: deque[int] = deque()
        self._idle_since = 0.0
        self._leaving: Leaving | None = None
        self._detail: str | None = None
        self._signal: int | None = None
        self._leave_by: float | None = None
        self._stop_by: tuple[Cause, float] | None = None
        self._beginning = self._overdue = self._hurried = False
        self._unwanted: set[tuple[int, str | None]] = set()

    def interrupt(self, number: int) -> None:
        """Obey a signal (`runner.md` §10.3); callable from any thread and from a signal handler."""
        self._signals.append(number)
        self._executor.wake()

    def run(self) -> Report:
        """Work until there is a reason to leave.

        Raises
        ------
        UsageError
            If the output directory cannot be written to, or hardly any file or process is allowed.
        TorcError
            If the store refuses this runner; its jobs have been killed then.
        """
        room_to_work()
        output_dir, place, workflow = output_folder(self._options.output_dir), Place.here(), self._workflow
        name = self._options.log or f"job_runner_{place.hostname}_wf{workflow.id}_r{workflow.run_id}.log"
        with log_to(f"{output_dir}/{name}"), signals_to(self.interrupt):
            mark = f"{self._store.server_id}.{workflow.id}"
            if strays := self._executor.sweep(f"{mark}."):
                log.warning("strays_killed workflow_id=%d processes=%d", workflow.id, strays)
            node, joined = self._join(place, output_dir)
            self._lease = Lease(self._clock, node, joined, self._options.beat, distant=self._options.spools)
            self._keeping = Keeping(
                self._store, self._executor, self._clock, self._options, node, workflow, place, output_dir,
                self._chore_store,
            )  # fmt: skip
            shared = environment.base(
                self._environ, workflow, output_dir=output_dir, runner=f"{place.pid}.{place.start}"
            )
            gpus = self._detected.capacity.gpus
            workplace = Workplace(
                execution=self._execution,
                base=shared,
                cwd=os.getcwd(),
                stdio_dir=f"{output_dir}/job_stdio",
                mark=mark,
                counted=not self._options.max_parallel_jobs,
                hidden=bool(self._execution.limit_resources and workflow.uses_gpus and gpus),
                amd=self._detected.amd,
                job_url=self._options.job_url if workflow.api_access != "none" else None,
            )
            return self._work(node, workplace, output_dir)

    def _join(self, place: Place, output_dir: str) -> tuple[Node, float]:
        """Register; the record, and when the request was sent that the store answered."""
        detected, workflow = self._detected, self._workflow
        new = registration(
            workflow,
            detected,
            self._options,
            self._seat,
            place,
            epoch=self._clock.uuid(),
            output_dir=output_dir,
            now=self._clock.monotonic(),
        )
        node, sent = insist(
            lambda: self._store.join(new),
            self._clock,
            60.0 * workflow.compute_node_wait_for_healthy_database_minutes,
            patient(self._executor.wait, self._signals),
        )
        log_start(workflow, node, self._options, self._execution)
        return node, sent

    def _work(self, node: Node, workplace: Workplace, output_dir: str) -> Report:
        """The loop."""
        detected, clock = self._detected, self._clock
        limit = self._options.max_parallel_jobs
        ledger = Ledger(detected.capacity, detected.gpus, nodes=detected.num_nodes, limit=limit)
        self._stock = Stock()
        self._attempts = Attempts(
            self._executor, clock, workplace, ledger, self._stock, node.id, self._options.patience
        )
        meter = metered(
            self._monitor, self._executor, clock, self._workflow, node, self._attempts, self._environ,
            self._options.series,
        )  # fmt: skip
        self._limit()
        lease = self._lease
        caller = Caller(self._store, clock, self._executor.wake, self._keeping.before_sending(), lease.allows)
        self._turns = Turns(
            caller, clock, node, ledger, self._stock, self._options, lease, self._beat, self._timeline
        )
        self._idle_since = clock.monotonic()
        if self._chore_store is not None:
            self._chores = Chores(
                self._chore_store, self._executor, clock, self._workflow, node, workplace, ledger, self._attempts,
                output_dir, self._options.batches,
            )  # fmt: skip
        try:
            self._beginning = self._chores is not None and self._chores.begin()
            self._turns.claiming = not self._beginning
            while True:
                now = clock.monotonic()
                self._watch_lease(now)
                self._obey(now)
                self._watch_end(now)
                while answer := caller.answer():
                    self._hear(answer, ledger, now)
                self._tell(self._attempts.tend(now, hurry=self._signal is not None), now)
                self._attempts.fork()
                self._tend_chores(now)
                if self._may_leave(now) and self._finished(now):
                    break
                self._turns.speak(now)
                exits = self._executor.wait(self._pause(clock.monotonic()))
                if exits and self._chores is not None:
                    exits = self._chores.take(exits)
                if exits:
                    now = clock.monotonic()
                    self._watch_lease(now)
                    self._take(self._attempts.take(exits, now), now)
        except BaseException as error:
            self._attempts.kill_forked()
            if not isinstance(error, NotFound):  # of what was deleted nothing can be told
                self._keeping.fail(self._turns.unacknowledged())
            raise
        finally:
            if self._chores is not None:
                self._chores.close()
            if self._attempts.limits:
                self._attempts.limits.close()
            usage = meter.close(draws=self._signal is None) if meter else None
            caller.close(LAST_CALL)
        self._leave(usage)
        caller.join(LAST_CALL)
        report = self._report()
        log.info(
            "runner_left workflow_id=%d node_id=%d leaving=%s", node.workflow_id, node.id, report.leaving
        )
        return report

    def _leave(self, usage: Usage | None) -> None:
        """Say goodbye; what could not be said is kept."""
        lost = self._turns.unacknowledged()
        self._keeping.keep(lost)
        away = self._turns.away or lost
        if self._leaving is Leaving.FENCED or away:
            self._detail = self._keeping.sentence() or self._detail or (str(away) if away else None)
        if self._leaving is Leaving.COMPLETE:
            self._keeping.goodbye(usage, ())
        elif self._leaving is not Leaving.FENCED and not away:
            # What a call has brought whose answer never came was not forked (`engine.md` §7.10).
            self._keeping.goodbye(usage, [self._turns.last_beat() for _ in range(ABSENT)])

    def _beat(self) -> Beat:
        """Everything that is here; a job whose recovery script runs counts as running (`engine.md` §15.2)."""
        beat = self._attempts.beat()
        if self._chores is None or not self._chores.recoveries:
            return beat
        return replace(beat, running=[*beat.running, *self._chores.recoveries.held])

    def _watch_lease(self, now: float) -> None:
        """What follows when the store is silent for long, and when it is back (`runner.md` §9.3)."""
        lease = self._lease
        if (silent := lease.silence(now)) is not None:
            log.warning("store_silent seconds=%.0f lease=%.0f why=%s", silent, lease.length, self._turns.away)
        if lease.begins_to_be_over(now):
            log.error(
                "lease_over seconds=%.0f then=%s", now - lease.heard, "fence" if lease.fences else "drain"
            )
            self._keeping.keep(self._turns.unacknowledged())
            if lease.fences:
                self._stop_all(Leaving.AWAY, Cause.LEASE, min(self._execution.lead, CANCEL_LEAD), now)
            else:
                self._let_go()
                self._turns.claiming = False
        elif lease.is_back(now):
            log.warning("lease_good_again")
            self._turns.claiming = self._leaving is None and not self._beginning
        self._keeping.renew(lease)

    def _let_go(self) -> None:
        """What is not forked goes back, and must not be started before it has."""
        self._attempts.fork()
        handed = self._stock.clear()
        # Also what is just being started on record: whether that was heard may never be known.
        for attempt in [one for one in self._attempts.everything() if not (one.forked or one.handed)]:
            self._return(attempt)
        self._attempts.recall(handed)

    def _limit(self) -> None:
        """See that jobs stay within what was stated for them."""
        execution, executor = self._execution, self._executor
        enforced = isinstance(executor, Limiting) and executor.limits_memory
        if execution.limit_resources and not enforced:
            if self._sampler and isinstance(executor, Locating):
                self._attempts.limits = Limits(self._sampler, executor, executor.wake)
            else:
                log.warning("memory_not_limited workflow_id=%d reason=nothing_measures", self._workflow.id)
        if execution.limit_runtime and self._chore_store is not None:
            default = Query(workflow=self._workflow.id, where={"name": "default"})
            self._attempts.unstated = {one.id for one in self._chore_store.find(Requirement, default).items}

    def _watch_end(self, now: float) -> None:
        """What the end of this runner's time demands (`runner.md` §7.2)."""
        times = self._timeline
        if times is None or now < times.stop:
            return
        if self._leaving is None:
            self._stop_taking(Leaving.END_TIME)
        if now >= times.signal and not self._walltime:
            self._walltime = True
            self._leave_by = times.leave if self._leave_by is None else min(self._leave_by, times.leave)
            self._stop_all(Leaving.END_TIME, Cause.WALLTIME, times.kill - now, now)

    def _take(self, taken: Taken, now: float) -> None:
        """Jobs have ended."""
        self._turns.ask |= taken.vacant
        for attempt in taken.recalled:
            self._return(attempt)
        if self._stop_by is not None and taken.begun:
            # They began while they were being recalled.
            cause, deadline = self._stop_by
            self._attempts.stop(taken.begun, cause, deadline - now, now)
        self._attempts.fork()
        self._idle_since = now
        self._tell(taken.ends, now)

    def _tell(self, ends: Sequence[End], now: float) -> None:
        """Ends go into the next turn, and to the watcher at once."""
        if self._unwanted:
            ends = [end for end in ends if (end.ending.job, end.ending.lease) not in self._unwanted]
        if ends:
            self._turns.report(ends, now)
            if self._turns.away or self._leaving is Leaving.FENCED:
                self._keeping.keep(ends)
            if self._watcher:
                self._watcher.ended(ends)

    def _start(self, attempt: Attempt) -> None:
        """Start a job that is running on record; without a place for it here it goes back."""
        if self._closed or not self._attempts.start(attempt):
            self._return(attempt)

    @property
    def _closed(self) -> bool:
        """Nothing may be started here."""
        return self._leaving is not None or self._lease.lost

    def _return(self, attempt: Attempt) -> None:
        self._attempts.remove(attempt)
        self._turns.give_back(attempt.held)

    def _hear(self, answer: Answer, ledger: Ledger, now: float) -> None:
        """The store has answered."""
        try:
            ends, starts = self._turns.settle(answer, now)
        except Fenced as error:
            self._detail = str(error)
            self._keeping.keep(self._turns.unacknowledged())
            self._turns.abandon()
            self._stop_all(Leaving.FENCED, Cause.LEASE, 0.0, now)
            self._leaving = Leaving.FENCED
            return
        orders = answer.orders
        if orders is None:
            self._keeping.keep(self._turns.unacknowledged())
            return
        if ends:
            self._keeping.answered(ends)
        for attempt, verdict in starts:
            if self._attempts.get(attempt.held.job) is not attempt:
                self._turns.give_back(attempt.held)
            elif verdict not in (Verdict.DONE, Verdict.SAME):
                self._attempts.remove(attempt)
            elif self._closed or attempt.slot or ledger.fits(attempt.shape):
                self._start(attempt)
            else:
                self._attempts.expect(attempt)
        self._receive(orders.jobs, ledger, now)
        lead = min(self._execution.lead, CANCEL_LEAD)
        if orders.canceled and self._leaving is None:
            self._stop_all(Leaving.CANCELED, Cause.CANCELED, lead, now)
        elif orders.drain and self._leaving is None:
            self._stop_taking(Leaving.DRAINED)
        unknown = self._attempts.disowned(answer.turn.beat, orders.unknown)
        for job in {*orders.cancel, *unknown, *orders.recall}:
            attempt_here = self._attempts.get(job)
            if attempt_here is None or self._turns.is_starting(attempt_here):
                continue
            if attempt_here.since > answer.sent and job not in unknown:
                # That was said of an earlier attempt; what is meant for this one is said again.
                continue
            if attempt_here.handed and not attempt_here.forked:
                self._attempts.recall([attempt_here])
            elif not attempt_here.forked:
                self._stock.drop(attempt_here)
                self._return(attempt_here)
            elif job in unknown:
                log.warning("not_ours job_id=%d attempt_id=%d", job, attempt_here.held.attempt_id)
                self._unwanted.add((job, attempt_here.held.lease))
                self._attempts.stop([attempt_here], Cause.CANCELED, 0.0, now)
            elif job not in orders.recall:
                self._attempts.stop([attempt_here], Cause.CANCELED, lead, now)
        if self._chores is not None:
            self._chores.hear(orders, ends, lead, now)
        if self._watcher:
            self._watcher.turned(self._tally())

    def _tend_chores(self, now: float) -> None:
        """See to actions and recovery scripts; jobs are claimed when the actions of the start are over."""
        if self._chores is None:
            return
        if self._chores.tend(now):
            self._turns.ask, self._idle_since = True, now
        if self._beginning and not self._chores.busy:
            self._beginning, self._idle_since = False, now
            self._turns.claiming = self._leaving is None

    def _finished(self, now: float) -> bool:
        """Whether the actions of the end are over, or cannot be waited for (`runner.md` §10.2)."""
        if self._chores is None or self._overdue or self._leaving in (Leaving.AWAY, Leaving.FENCED):
            return True
        self._turns.claiming = False
        return self._chores.finish(hurry=self._hurried)

    def _receive(self, jobs: Sequence[Assignment], ledger: Ledger, now: float) -> None:
        """Take what was given; what has no place here goes back."""
        for given in jobs:
            attempt = self._attempts.add(given)
            if attempt is None:
                continue
            if self._attempts.get(given.job.id) is not attempt:
                # An earlier one, which is this node's no longer, still dies here.
                self._turns.give_back(attempt.held)
            elif self._closed:
                self._return(attempt)
            elif not given.started:
                self._stock.hold(attempt)
            elif given.ahead and not ledger.fits(attempt.shape):
                self._attempts.expect(attempt)
            else:
                self._start(attempt)
        self._attempts.fork()
        if jobs:
            self._idle_since = now
            log.info("claimed workflow_id=%d jobs=%d", self._workflow.id, len(jobs))

    def _obey(self, now: float) -> None:
        """Signals to this process (`runner.md` §10.3)."""
        while self._signals:
            number = self._signals.popleft()
            cause, lead = Cause.INTERRUPTED, self._execution.lead
            if number != signal.SIGINT:
                cause, lead = notice(self._options, self._execution, self._seat, now)
            elif self._signal == signal.SIGINT:
                lead, self._hurried = 0.0, True
                if self._chores is not None:
                    self._chores.hurry()
            if self._signal is None:
                self._signal = number
                self._leave_by = now + LEAVE_WITHIN
            log.warning("signal number=%d", number)
            self._stop_all(Leaving.SIGNAL, cause, lead, now)

    def _stop_taking(self, leaving: Leaving) -> None:
        """No new work: what does not run goes back."""
        self._leaving = self._leaving or leaving
        self._turns.claiming = False
        self._let_go()

    def _stop_all(self, leaving: Leaving, cause: Cause, lead: float, now: float) -> None:
        """No new work, and what runs ends."""
        self._stop_taking(leaving)
        self._stop_by = cause, now + lead
        self._attempts.stop(self._attempts.everything(), cause, lead, now)
        if self._chores is not None:
            self._chores.stop(lead, now)

    def _pause(self, now: float) -> float | None:
        """How long to wait for ends and answers: until the next thing is due; None: there is nothing."""
        chores = None if self._chores is None else self._chores.next_time()
        times = (
            self._turns.next_time(),
            self._attempts.next_time(),
            self._leave_by,
            self._idle_until(),
            None if self._timeline is None else self._timeline.next_time(now),
            chores,
            self._lease.next_time(),
        )
        due = [time for time in times if time is not None]
        return max(0.0, min(due) - now) if due else None

    def _idle_until(self) -> float | None:
        """When this runner leaves for idleness; None: never, or it is not idle."""
        own = self._options.idle
        patience = self._workflow.compute_node_wait_for_new_jobs_seconds if own is None else own
        orders, held = self._turns.orders, self._workflow.compute_node_ignore_workflow_completion
        kept = (orders.complete and held) or (self._options.persistent and orders.remaining)
        busy = len(self._attempts) or (self._chores is not None and self._chores.busy)
        waits = busy or not self._turns.idle or self._turns.away
        if not patience or kept or waits or self._leaving is not None:
            return None
        return max(self._idle_since, self._turns.next_retry) + patience

    def _may_leave(self, now: float) -> bool:
        """Whether to leave now, for the reason in `_leaving` (`runner.md` §10.1)."""
        if self._leave_by is not None and now >= self._leave_by:
            self._leave_by = now + LAST_CALL
            if len(self._attempts):
                self._tell(self._attempts.give_up(), now)
            elif self._turns.idle:
                self._overdue = True  # what is still being done besides is ended
            else:
                # Not even the store answers: what it does not know by now is told later.
                self._leaving, self._overdue = Leaving.AWAY, True
        if len(self._attempts):
            return False
        gone = self._lease.lost or (self._leaving is Leaving.AWAY and self._turns.away is not None)
        if gone and self._leaving is not Leaving.FENCED:
            works = self._chores is not None and self._chores.running
            if not (self._overdue or (not works and self._turns.is_gone(now))):
                return False
            self._leaving = Leaving.AWAY
        if self._chores is not None and self._chores.recoveries and not self._overdue:
            return gone
        if gone or self._overdue or self._leaving is Leaving.FENCED:
            return True
        if not self._turns.idle:
            return False
        if self._leaving is not None:
            return True
        orders = self._turns.orders
        if orders.complete and not self._workflow.compute_node_ignore_workflow_completion:
            self._leaving = Leaving.COMPLETE
        elif (
            orders.never and not (orders.retry_ms or self._options.persistent) and self._options.idle is None
        ):
            self._leaving, self._detail = Leaving.NOTHING_FITS, orders.reason
        elif (idle := self._idle_until()) is not None and now >= idle:
            if self._options.expects is not None and self._options.expects():
                self._idle_since = now
                return False
            self._leaving, self._detail = Leaving.IDLE, orders.reason
        return self._leaving is not None

    def _tally(self) -> Tally:
        counts = self._attempts.tally
        return Tally(
            running=self._stock.busy.total(),
            completed=counts[JobStatus.COMPLETED],
            failed=counts[JobStatus.FAILED],
            canceled=counts[JobStatus.CANCELED],
            terminated=counts[JobStatus.TERMINATED],
            remaining=self._turns.orders.remaining,
        )

    def _report(self) -> Report:
        assert self._leaving is not None
        return Report(
            leaving=self._leaving,
            tally=self._tally(),
            failures=tuple(self._attempts.failures),
            detail=self._detail,
            signal=self._signal,
            warnings=() if self._chores is None else self._chores.failures,
        )
