"""What a runner does besides running jobs: actions, recovery scripts, provenance, as the loop sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torc_core.model import JobStatus, Node, Orders, Verdict, Workflow
from torc_core.protocols import Batch, Clock, Executor, Exit
from torc_core.runner.actions import Actions, ChoreStore
from torc_core.runner.attempt import Workplace
from torc_core.runner.attempts import Attempts
from torc_core.runner.errands import Errands
from torc_core.runner.ledger import Ledger
from torc_core.runner.provenance import Recorder
from torc_core.runner.recovery import Recoveries
from torc_core.runner.report import End


class Chores:
    """Actions, recovery scripts and provenance of one runner; every method is called by its loop."""

    def __init__(
        self,
        store: ChoreStore,
        executor: Executor,
        clock: Clock,
        workflow: Workflow,
        node: Node,
        place: Workplace,
        ledger: Ledger,
        attempts: Attempts,
        output_dir: str,
        batches: Callable[[], Sequence[Batch]] | None = None,
    ) -> None:
        self._attempts = attempts
        self._signal = place.execution.termination_signal
        self._errands = Errands(executor)
        self._actions = Actions(store, self._errands, clock, node, workflow, place, output_dir, batches)
        self.recoveries = Recoveries(store, self._errands, node, place, ledger)
        self._recorder = (
            Recorder(store, workflow, place.cwd, self._errands.wake) if workflow.enable_ro_crate else None
        )
        self._finished = False
        self._stop_by: float | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being done that the runner must not leave behind."""
        return self._actions.busy or bool(self.recoveries) or bool(self._errands)

    @property
    def running(self) -> bool:
        """Whether a command of an action or a script runs."""
        return bool(self._errands)

    @property
    def failures(self) -> Sequence[str]:
        """Sentences about actions that failed."""
        return tuple(self._actions.failures)

    def begin(self) -> bool:
        """Do what is due when a worker starts; whether there is something, which jobs wait for."""
        if self._recorder is not None:
            self._recorder.begin()
        self._actions.begin()
        return self._actions.busy

    def tend(self, now: float) -> bool:
        """Start what was asked for, kill what has had its time; whether places of scripts have become free."""
        self._errands.start(now)
        self._errands.tend(now)
        answers = self.recoveries.answers()
        for end, verdict in answers:
            if verdict in (Verdict.DONE, Verdict.CANCELED):
                self._attempts.blame(end, JobStatus.CANCELED if verdict is Verdict.CANCELED else None)
        return bool(answers)

    def take(self, exits: Sequence[Exit]) -> list[Exit]:
        """Take the ends of our processes; those of jobs are left."""
        return self._errands.take(exits)

    def hear(self, orders: Orders, ends: Sequence[tuple[End, Verdict]], lead: float, now: float) -> None:
        """The store has answered: scripts to run, scripts to stop, actions that are due; ends that are not final."""
        for end in self.recoveries.order(orders.recover, [end for end, _ in ends]):
            self._attempts.forgive(end)
        for end, verdict in ends:
            if verdict is Verdict.RETRY:
                self._attempts.forgive(end)
        if self._recorder is not None:
            self._recorder.hear(ends)
        self.recoveries.stop([*orders.cancel, *orders.unknown], self._signal, lead, now)
        if self._stop_by is not None:
            # They were ordered for ends that came before this runner had to leave.
            self.recoveries.stop([one.job for one in orders.recover], self._signal, self._stop_by - now, now)
        self._actions.hear(orders.due)

    def stop(self, lead: float, now: float) -> None:
        """The runner has to leave: what runs is ended like jobs."""
        self._stop_by = now + lead
        self._errands.stop_all(self._signal, lead, now)

    def hurry(self) -> None:
        """The runner has to leave now: no action starts anything more."""
        self._actions.hurry()

    def finish(self, *, hurry: bool) -> bool:
        """Do what is due when a worker goes, but not in a hurry; whether all is done."""
        if not self._finished and not hurry:
            self._finished = True
            self._actions.finish()
        if self._recorder is not None and not hurry:
            self._recorder.end()
            return not self.busy and self._recorder.done
        return not self.busy

    def next_time(self) -> float | None:
        """When something is due, monotonic seconds; None: nothing is."""
        return self._errands.next_time()

    def close(self) -> None:
        """Do nothing more, wait for nothing more."""
        self._actions.close()
        self.recoveries.close()
        if self._recorder is not None:
            self._recorder.close()
