"""The loop on a node: claims jobs, starts them, waits for their ends and reports these, one turn at a time."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from torc_core.detection import Detected
from torc_core.errors import Fenced, Unavailable, UsageError
from torc_core.model import (
    Assignment,
    Ending,
    Held,
    JobId,
    JobStatus,
    NewNode,
    Offer,
    Orders,
    Shape,
    Turn,
    Verdict,
    Workflow,
)
from torc_core.protocols import Clock, Executor, Exit, Queue, Task
from torc_core.runner import environment
from torc_core.runner.attempt import Attempt, Workplace
from torc_core.runner.caller import Answer, Caller
from torc_core.runner.ledger import Ledger
from torc_core.runner.log import log, log_to
from torc_core.runner.options import Execution, Options
from torc_core.runner.outcome import Cause, outcome
from torc_core.runner.outputs import Search
from torc_core.runner.pace import Pace
from torc_core.runner.place import Place
from torc_core.runner.report import MOST_FAILURES, End, Leaving, Report, Tally, Watcher
from torc_core.runner.signals import signals_to

LINGER = 0.025
"""Seconds that ends may wait for company while every slot is busy and has its successor at hand."""
QUIET = 0.02
"""Seconds without news after which a runner begins to listen; the next end in a chain comes sooner."""
LISTEN_MS = 20_000
STALE = 0.05
"""Seconds after which a held turn that a later one should have ended is ended by another."""
CANCEL_LEAD = 10.0
RESERVE = 10.0
"""Seconds of the grace after SIGTERM that are kept for the results."""
LEAVE_WITHIN = 60.0
"""Seconds from a signal until the runner has left, whatever its jobs do."""


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
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._workflow = workflow
        self._detected = detected
        self._environ = environ
        self._options = options or Options()
        self._execution = Execution.of(workflow.execution_config)
        self._watcher = watcher
        self._ledger = Ledger(
            detected.capacity,
            detected.gpus,
            nodes=detected.num_nodes,
            limit=self._options.max_parallel_jobs,
        )
        self._pace = Pace()
        self._signals: deque[int] = deque()
        # Every attempt that is here, and the states it can be in.
        self._attempts: dict[JobId, Attempt] = {}
        self._held: defaultdict[Shape, deque[Attempt]] = defaultdict(deque)
        self._starting: list[Attempt] = []
        self._due: defaultdict[Shape, deque[Attempt]] = defaultdict(deque)
        self._tasks: list[Task] = []
        self._busy: Counter[Shape] = Counter()
        self._searching: dict[JobId, Attempt] = {}
        self._stopping: dict[JobId, Attempt] = {}
        # What the next turn carries, and what is on its way.
        self._endings: list[End] = []
        self._give_back: list[Held] = []
        self._sent: list[End] | None = None
        self._listening: Turn | None = None
        self._overtaken = False
        self._ask = True
        # How things stand.
        self._tally: Counter[JobStatus] = Counter()
        self._failures: list[End] = []
        self._orders = Orders()
        self._oldest_end = self._news = self._idle_since = 0.0
        self._listen_from = 0.0
        self._leaving: Leaving | None = None
        self._detail: str | None = None
        self._signal: int | None = None
        self._leave_by: float | None = None

    def interrupt(self, number: int) -> None:
        """Obey a signal (`runner.md` §10.3); callable from any thread and from a signal handler."""
        self._signals.append(number)
        self._executor.wake()

    def run(self) -> Report:
        """Work until there is a reason to leave.

        Raises
        ------
        UsageError
            If the output directory cannot be written to.
        TorcError
            If the store refuses this runner; its jobs have been killed then.
        """
        output_dir, place = _prepare(self._options.output_dir), Place.here()
        workflow = self._workflow
        name = f"job_runner_{place.hostname}_wf{workflow.id}_r{workflow.run_id}.log"
        with log_to(f"{output_dir}/{name}"), signals_to(self.interrupt):
            mark = f"{self._store.server_id}.{workflow.id}"
            strays = self._executor.sweep(f"{mark}.")
            if strays:
                log.warning("strays_killed workflow_id=%d processes=%d", workflow.id, strays)
            self._join(place, output_dir)
            base = environment.base(
                self._environ,
                workflow,
                output_dir=output_dir,
                api_url=self._options.api_url,
                runner=f"{place.pid}.{place.start}",
            )
            counted = not self._options.max_parallel_jobs
            self._place = Workplace(
                execution=self._execution,
                base=base,
                cwd=os.getcwd(),
                stdio_dir=f"{output_dir}/job_stdio",
                mark=mark,
                counted=counted,
                hidden=bool(
                    self._execution.limit_resources and workflow.uses_gpus and self._detected.capacity.gpus
                ),
                amd=self._detected.amd,
            )
            return self._work()

    def _join(self, place: Place, output_dir: str) -> None:
        options, detected = self._options, self._detected
        new = NewNode(
            workflow_id=self._workflow.id,
            epoch=self._clock.uuid(),
            hostname=place.hostname,
            pid=place.pid,
            boot_id=place.boot_id,
            process_start=place.start,
            capacity=detected.capacity,
            gpus=detected.gpus,
            num_nodes=detected.num_nodes,
            label=options.label,
            scheduler_id=options.scheduler_id,
            output_dir=output_dir,
        )
        self._node = self._store.join(new)
        log.info(
            "runner_started workflow_id=%d run_id=%d node_id=%d pid=%d cpus=%d memory=%d gpus=%s parallel=%d "
            "signal=%d lead=%g stdio=%s",
            *(self._workflow.id, self._workflow.run_id, self._node.id, place.pid, detected.capacity.cpus),
            *(detected.capacity.memory, ",".join(detected.gpus) or "-", options.max_parallel_jobs),
            *(self._execution.termination_signal, self._execution.lead, self._execution.stdio.mode),
        )

    def _work(self) -> Report:
        """The loop."""
        patience = 60.0 * self._workflow.compute_node_wait_for_healthy_database_minutes
        self._caller = Caller(self._store, self._clock, self._executor.wake, patience)
        self._idle_since = self._clock.monotonic()
        try:
            while True:
                now = self._clock.monotonic()
                self._obey(now)
                while answer := self._caller.answer():
                    self._hear(answer, now)
                self._kill_and_search(now)
                self._fork()
                if self._may_leave(now):
                    break
                self._speak(now)
                exits = self._executor.wait(self._pause(self._clock.monotonic()))
                if exits:
                    self._take(exits, self._clock.monotonic())
        except BaseException:
            self._executor.kill([job for job, one in self._attempts.items() if one.forked])
            raise
        finally:
            self._caller.close()
        if self._leaving not in (Leaving.AWAY, Leaving.FENCED):
            self._store.leave(self._node.id, None)
        self._caller.join(5.0)
        report = self._report()
        log.info(
            "runner_left workflow_id=%d node_id=%d leaving=%s", self._workflow.id, self._node.id, report.leaving
        )
        return report

    # Ends.

    def _take(self, exits: Sequence[Exit], now: float) -> None:
        """Processes ended: free their slots, fill these with what was started ahead, then judge."""
        ends: list[End] = []
        instant = self._clock.now()
        for one in exits:
            attempt = self._attempts.get(one.job)
            if attempt is None:
                continue
            shape = attempt.shape
            attempt.exit = one
            self._free(attempt)
            if one.error is None:
                self._pace.note(shape, one.seconds)
            if one.return_code == 0 and attempt.given.outputs and one.error is None and not attempt.cause:
                attempt.search = Search(self._place.cwd, now, attempt.given.outputs)
                attempt.search.look()
                if attempt.search.next_look is not None:
                    self._searching[one.job] = attempt
                    continue
            ends.append(self._end(attempt, instant))
        self._idle_since = now
        self._tell(ends, now)

    def _free(self, attempt: Attempt) -> None:
        """The tree is gone: its place goes to one that was started ahead, or is offered again."""
        job, shape = attempt.held.job, attempt.shape
        self._busy[shape] -= 1
        self._stopping.pop(job, None)
        self._ledger.release(job)
        if self._due[shape]:
            self._start(self._due[shape].popleft())
        else:
            self._ask = True

    def _end(self, attempt: Attempt, instant: int) -> End:
        """Judge an attempt whose process has ended, and forget it."""
        assert attempt.exit is not None
        exit, search, job = attempt.exit, attempt.search, attempt.given.job
        judged = outcome(exit, attempt.cause, search.missing if search else ())
        good = judged.status is JobStatus.COMPLETED
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
            node=self._node.id,
            usage=exit.usage,
            outputs=search.fingerprints if search and good else (),
            leftovers=exit.leftovers,
        )
        del self._attempts[job.id]
        self._tally[judged.status] += 1
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
                *(job.workflow_id, job.id, job.run_id, job.attempt_id, judged.status.label, judged.return_code),
                judged.reason,
            )
            if len(self._failures) < MOST_FAILURES:
                self._failures.append(end)
        if exit.leftovers:
            log.warning("leftover_processes job_id=%d processes=%d", job.id, exit.leftovers)
        return end

    def _tell(self, ends: Sequence[End], now: float) -> None:
        """Ends go into the next turn, and to the watcher at once."""
        if not ends:
            return
        if not self._endings:
            self._oldest_end = now
        self._endings += ends
        log.debug("ended jobs=%d", len(ends))
        if self._watcher:
            self._watcher.ended(ends)

    def _kill_and_search(self, now: float) -> None:
        """Do what is due: kill what did not end in time, look again for outputs."""
        late = [job for job, one in self._stopping.items() if one.kill_at is not None and one.kill_at <= now]
        if late:
            log.warning("killed jobs=%s", ",".join(map(str, late)))
            self._executor.kill(late)
            for job in late:
                self._stopping[job].kill_at = None
        ends = []
        for job, attempt in list(self._searching.items()):
            assert attempt.search is not None
            due = attempt.search.next_look
            if due is not None and (due <= now or self._signal is not None):
                attempt.search.look()
            if attempt.search.next_look is None or self._signal is not None:
                del self._searching[job]
                ends.append(self._end(attempt, self._clock.now()))
        self._tell(ends, now)

    # Starts.

    def _start(self, attempt: Attempt) -> bool:
        """Fork a job that is running on record, if its place is free."""
        job = attempt.held.job
        slot = attempt.slot or self._ledger.reserve(job, attempt.shape, attempt.given.node_index)
        if slot is None or self._leaving is not None:
            self._return(attempt)
            return False
        attempt.slot, attempt.forked = slot, True
        self._busy[attempt.shape] += 1
        self._tasks.append(self._place.task(attempt, slot))
        return True

    def _return(self, attempt: Attempt) -> None:
        """Give back a job that was never forked."""
        self._ledger.release(attempt.held.job)
        del self._attempts[attempt.held.job]
        self._give_back.append(attempt.held)

    def _fork(self) -> None:
        if self._tasks:
            self._executor.start(self._tasks)
            self._tasks = []

    # Orders and signals.

    def _obey(self, now: float) -> None:
        """Signals to this process (`runner.md` §10.3)."""
        while self._signals:
            number = self._signals.popleft()
            log.warning("signal number=%d", number)
            if self._signal is None:
                self._signal = number
                self._leave_by = now + LEAVE_WITHIN
                lead = self._execution.lead
                if number != signal.SIGINT:
                    lead = min(lead, max(1.0, self._options.grace - RESERVE))
                self._stop_all(Leaving.SIGNAL, Cause.INTERRUPTED, lead, now)
            elif number == signal.SIGINT == self._signal:
                for attempt in self._stopping.values():
                    attempt.kill_at = now

    def _stop_all(self, leaving: Leaving, cause: Cause, lead: float, now: float) -> None:
        """No new work; end what runs, give back what does not."""
        self._leaving = self._leaving or leaving
        self._fork()
        for attempt in list(self._attempts.values()):
            if attempt.forked:
                self._stop(attempt, cause, lead, now)
        for queues in (self._held, self._due):
            for queue in queues.values():
                for attempt in queue:
                    self._return(attempt)
                queue.clear()

    def _stop(self, attempt: Attempt, cause: Cause, lead: float, now: float) -> None:
        """Signal a job, and kill it when `lead` seconds are over; an earlier cause stands."""
        job = attempt.held.job
        if attempt.exit is not None:
            return
        if attempt.cause is None:
            attempt.cause = cause
            self._executor.signal(job, self._execution.termination_signal)
            self._stopping[job] = attempt
            attempt.kill_at = now + lead
        elif attempt.kill_at is not None:
            attempt.kill_at = min(attempt.kill_at, now + lead)

    def _hear(self, answer: Answer, now: float) -> None:
        """The store has answered."""
        turn, orders, error = answer
        held_turn = turn is self._listening
        if held_turn:
            self._listening, self._overtaken = None, False
        if orders is None:
            self._lose(error, now)
            if not held_turn:
                self._sent, self._starting = None, []
            return
        self._orders = orders
        brought = bool(orders.jobs)
        if not held_turn:
            self._settle(turn, orders)
            self._listen_from = now + QUIET if brought else now
        self._receive(orders.jobs, now)
        self._fork()
        lead = min(self._execution.lead, CANCEL_LEAD)
        if orders.canceled and self._leaving is None:
            self._stop_all(Leaving.CANCELED, Cause.CANCELED, lead, now)
        for job in {*orders.cancel, *orders.unknown, *orders.recall}:
            attempt = self._attempts.get(job)
            if attempt is None or attempt in self._starting:
                continue
            if attempt.forked:
                if job not in orders.recall:
                    self._stop(attempt, Cause.CANCELED, lead, now)
            else:
                for queue in (self._held[attempt.shape], self._due[attempt.shape]):
                    with suppress(ValueError):
                        queue.remove(attempt)
                self._return(attempt)
        if self._watcher:
            self._watcher.turned(self._count())

    def _settle(self, turn: Turn, orders: Orders) -> None:
        """What became of the ends and starts of a turn."""
        sent, starting = self._sent or [], self._starting
        self._sent, self._starting = None, []
        for end, verdict in zip(sent, orders.endings, strict=True):
            if verdict in (Verdict.STALE, Verdict.DIFFERENT):
                log.warning("ending_refused job_id=%d verdict=%s", end.ending.job, verdict)
            elif end.delete_on_success and end.ending.status is JobStatus.COMPLETED:
                for path in {end.stdout, end.stderr} - {None}:
                    with suppress(OSError):
                        os.unlink(path or "")
        for attempt, verdict in zip(starting, orders.starts, strict=True):
            if verdict in (Verdict.DONE, Verdict.SAME):
                if self._leaving is not None or attempt.slot or self._ledger.fits(attempt.shape):
                    self._start(attempt)
                else:
                    self._due[attempt.shape].append(attempt)
            else:
                self._ledger.release(attempt.held.job)
                del self._attempts[attempt.held.job]

    def _receive(self, jobs: Sequence[Assignment], now: float) -> None:
        """Take what was given; what has no place here goes back."""
        for given in jobs:
            if given.job.id in self._attempts:
                continue
            attempt = self._place.attempt(given)
            self._attempts[given.job.id] = attempt
            if self._leaving is not None:
                self._return(attempt)
            elif given.started and not given.ahead:
                self._start(attempt)
            elif given.started:
                self._due[given.shape].append(attempt)
            else:
                self._held[given.shape].append(attempt)
        if jobs:
            self._idle_since = now
            log.info("claimed workflow_id=%d node_id=%d jobs=%d", self._workflow.id, self._node.id, len(jobs))

    def _lose(self, error: BaseException | None, now: float) -> None:
        """A turn failed for good: kill everything, and leave."""
        if not isinstance(error, Unavailable | Fenced):
            assert error is not None
            raise error
        self._detail = str(error)
        self._stop_all(
            Leaving.FENCED if isinstance(error, Fenced) else Leaving.AWAY, Cause.INTERRUPTED, 0.0, now
        )

    # Turns.

    def _speak(self, now: float) -> None:
        """Send a turn if one is due and none is on its way; else see that one listens."""
        if self._sent is not None:
            return
        if self._leaving in (Leaving.AWAY, Leaving.FENCED):
            self._endings, self._give_back = [], []
            return
        starts = self._promote()
        if starts or self._give_back or self._endings_due(now) or (self._ask and self._leaving is None):
            self._send(starts)
        elif self._leaving is None and now >= self._listen_from:
            if self._listening is None:
                limit = max(0, self._ledger.spare())
                self._listening = self._turn(offer=self._offer(limit=limit, wait_ms=LISTEN_MS))
                self._caller.listen(self._listening)
            elif self._overtaken and now >= self._listen_from + STALE:
                self._listen_from = now
                self._send([])

    def _send(self, starts: list[Attempt]) -> None:
        spare = max(0, self._ledger.spare())
        ahead, busy = self._wanted_ahead(starts)
        offer = None
        if self._leaving is None and (spare or ahead):
            offer = self._offer(limit=max(spare, 1), ahead=ahead, busy=busy)
        self._sent, self._endings, self._starting = self._endings, [], starts
        give_back, self._give_back = self._give_back, []
        self._ask, self._overtaken = False, self._listening is not None
        self._caller.send(
            self._turn(
                endings=[end.ending for end in self._sent],
                starts=[attempt.held for attempt in starts],
                give_back=give_back,
                offer=offer,
            )
        )

    def _turn(
        self,
        *,
        endings: Sequence[Ending] = (),
        starts: Sequence[Held] = (),
        give_back: Sequence[Held] = (),
        offer: Offer | None = None,
    ) -> Turn:
        node = self._node
        return Turn(
            node=node.id, epoch=node.epoch, endings=endings, starts=starts, give_back=give_back, offer=offer
        )

    def _offer(self, *, limit: int, ahead: int = 0, busy: Sequence[Shape] = (), wait_ms: int = 0) -> Offer:
        options = self._options
        return Offer(
            claim_id=self._clock.uuid(),
            free=self._ledger.free(),
            limit=min(limit, 10_000),
            by_count=bool(options.max_parallel_jobs),
            strict_scheduler_match=options.strict_scheduler_match,
            ahead=ahead,
            busy=busy,
            wait_ms=wait_ms,
        )

    def _promote(self) -> list[Attempt]:
        """Of the jobs held ahead, those to be started on record: for free places, and ahead of ends to come."""
        starts: list[Attempt] = []
        for shape, queue in self._held.items():
            while queue and (slot := self._ledger.reserve(queue[0].held.job, shape)):
                queue[0].slot = slot
                starts.append(queue.popleft())
            wanted, due = self._pace.started(shape, self._busy[shape]), len(self._due[shape])
            if queue and (2 * due < wanted or self._endings):
                for _ in range(min(wanted - due, len(queue))):
                    starts.append(queue.popleft())
        return starts

    def _wanted_ahead(self, starting: Sequence[Attempt]) -> tuple[int, list[Shape]]:
        """How many more jobs to hold ahead, and of which shapes."""
        on_the_way = Counter(attempt.shape for attempt in starting if not attempt.slot)
        ahead, shapes = 0, []
        for shape, busy in self._busy.items():
            have = len(self._held[shape]) + len(self._due[shape]) + on_the_way[shape]
            more = self._pace.held(shape, busy) - have
            if busy and more > 0:
                ahead += more
                shapes.append(shape)
        return ahead, shapes

    def _endings_due(self, now: float) -> bool:
        """Whether ends have to be reported now: at once, unless every slot is busy and has its successors."""
        if not self._endings:
            return False
        if self._ask or now >= self._oldest_end + LINGER or self._leaving is not None:
            return True
        return any(
            busy and 2 * len(self._due[shape]) < max(1, self._pace.started(shape, busy))
            for shape, busy in self._busy.items()
        )

    def _pause(self, now: float) -> float | None:
        """How long to wait for ends and answers: until the next thing is due; None: there is nothing."""
        times = [one.kill_at for one in self._stopping.values() if one.kill_at is not None]
        times += [
            one.search.next_look
            for one in self._searching.values()
            if one.search and one.search.next_look is not None
        ]
        if self._leave_by is not None:
            times.append(self._leave_by)
        if self._sent is None and self._leaving is None:
            if self._endings:
                times.append(self._oldest_end + LINGER)
            if self._listening is None:
                times.append(self._listen_from)
            elif self._overtaken:
                times.append(self._listen_from + STALE)
            if (idle := self._idle_until()) is not None:
                times.append(idle)
        return max(0.0, min(times) - now) if times else None

    # Leaving.

    def _idle_until(self) -> float | None:
        """When this runner leaves for idleness; None: never, or it is not idle."""
        patience = self._workflow.compute_node_wait_for_new_jobs_seconds
        if not patience or self._busy_here or (self._options.persistent and self._orders.remaining):
            return None
        return self._idle_since + patience

    @property
    def _busy_here(self) -> bool:
        return bool(self._attempts or self._endings or self._give_back or self._sent is not None)

    def _may_leave(self, now: float) -> bool:
        """Whether to leave now, for the reason in `_leaving` (`runner.md` §10.1)."""
        if self._leave_by is not None and now >= self._leave_by:
            self._give_up()
        if self._busy_here:
            return False
        if self._leaving is not None:
            return True
        orders = self._orders
        if orders.complete and not self._workflow.compute_node_ignore_workflow_completion:
            self._leaving = Leaving.COMPLETE
        elif orders.never and not self._options.persistent:
            self._leaving, self._detail = Leaving.NOTHING_FITS, orders.reason
        elif (idle := self._idle_until()) is not None and now >= idle:
            self._leaving, self._detail = Leaving.IDLE, orders.reason
        return self._leaving is not None

    def _give_up(self) -> None:
        """The time to leave is over: report what cannot be killed as ended, and leave."""
        self._leave_by = None
        for job, attempt in list(self._attempts.items()):
            if attempt.forked:
                attempt.exit = attempt.exit or Exit(job=job, return_code=-signal.SIGKILL)
                self._endings.append(self._end(attempt, self._clock.now()))

    def _count(self) -> Tally:
        tally = self._tally
        return Tally(
            running=sum(self._busy.values()),
            completed=tally[JobStatus.COMPLETED],
            failed=tally[JobStatus.FAILED],
            canceled=tally[JobStatus.CANCELED],
            terminated=tally[JobStatus.TERMINATED],
            remaining=self._orders.remaining,
        )

    def _report(self) -> Report:
        assert self._leaving is not None
        return Report(
            leaving=self._leaving,
            tally=self._count(),
            failures=tuple(self._failures),
            detail=self._detail,
            signal=self._signal,
        )


def _prepare(output_dir: str) -> str:
    """Make the output directory absolute, create it and its parts, and prove that it can be written to.

    Raises
    ------
    UsageError
        If it cannot.
    """
    path = os.path.abspath(output_dir)
    try:
        for one in (path, f"{path}/job_stdio"):
            os.makedirs(one, mode=0o700, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(f"{path}/.torc-output", flags, 0o600), "w", encoding="utf-8") as file:
            json.dump({"schema": "torc.output/1"}, file)
    except OSError as error:
        raise UsageError(
            f"cannot write to {path!r}: {os.strerror(error.errno or 0)}; choose another with --output-dir"
        ) from error
    return path
