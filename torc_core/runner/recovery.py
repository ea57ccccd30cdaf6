"""Recovery scripts: run before the next attempt of a job, in its place, once per attempt (`runner.md` §11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event, Thread

from torc_core.errors import TorcError
from torc_core.model import Held, JobId, Node, Recovery, Verdict
from torc_core.protocols import Exit
from torc_core.runner.actions import ChoreStore, Insistent
from torc_core.runner.attempt import Workplace
from torc_core.runner.errands import Errand, Errands
from torc_core.runner.ledger import Ledger
from torc_core.runner.log import log
from torc_core.runner.report import End

LONGEST = 3_600.0
"""Seconds that a script may take."""


@dataclass(slots=True)
class Under:
    """A script that was ordered."""

    order: Recovery
    end: End
    errand: Errand | None = None

    @property
    def held(self) -> Held:
        """The attempt that it belongs to."""
        return Held(job=self.order.job, attempt_id=self.order.attempt_id, lease=self.order.lease)


class Recoveries:
    """The scripts of this runner, from the order to the answer of the store."""

    def __init__(
        self, store: ChoreStore, errands: Errands, node: Node, place: Workplace, ledger: Ledger
    ) -> None:
        self._store = store
        self._errands = errands
        self._node = node
        self._place = place
        self._ledger = ledger
        self._closed = Event()
        self._insist = Insistent(self._closed)
        self._under: dict[JobId, Under] = {}
        self._answers: deque[tuple[Under, Verdict]] = deque()

    def __len__(self) -> int:
        return len(self._under)

    @property
    def held(self) -> list[Held]:
        """The attempts whose scripts run: they count as running (`engine.md` §15.2)."""
        return [one.held for one in self._under.values()]

    def order(self, orders: Sequence[Recovery], ends: Sequence[End]) -> list[End]:
        """Start scripts; the ends that are thereby not the last word. An order that is repeated is obeyed once."""
        ended = {end.ending.job: end for end in ends}
        taken = []
        for one in orders:
            end = ended.get(one.job)
            if end is None or one.job in self._under:
                continue
            taken.append(end)
            under = self._under[one.job] = Under(one, end)
            shape = replace(end.given.shape, gpus=0)
            # Where its place was taken meanwhile, the script runs beside: it must not wait for days.
            self._ledger.reserve(one.job, shape, end.given.node_index)
            under.errand = self._errands.ask(
                lambda number, under=under: self._place.recovery(under.end.given, under.order, number),  # type: ignore[misc]
                lambda end, under=under: self._ended(under, end),  # type: ignore[misc]
                within=LONGEST,
            )
            log.info("recovery_started job_id=%d attempt_id=%d", one.job, one.attempt_id)
        return taken

    def stop(self, jobs: Sequence[JobId], number: int, lead: float, now: float) -> None:
        """Stop the scripts of these jobs."""
        for job in jobs:
            under = self._under.get(job)
            if under is not None and under.errand is not None:
                self._errands.stop(under.errand, number, lead, now)

    def answers(self) -> list[tuple[End, Verdict]]:
        """What became of the jobs whose scripts have ended since the last time."""
        found = []
        while self._answers:
            under, verdict = self._answers.popleft()
            del self._under[under.order.job]
            found.append((under.end, verdict))
        return found

    def close(self) -> None:
        """Wait for no answer any more."""
        self._closed.set()

    def _ended(self, under: Under, exit: Exit) -> None:
        self._ledger.release(under.order.job)
        ok = exit.return_code == 0 and exit.error is None
        log.info("recovery_ended job_id=%d attempt_id=%d ok=%s", under.order.job, under.order.attempt_id, ok)
        Thread(target=self._tell, args=(under, ok), name="torc-recovery", daemon=True).start()

    def _tell(self, under: Under, ok: bool) -> None:
        node = self._node
        try:
            verdict = self._insist(lambda: self._store.recovered(node.id, node.epoch, under.held, ok))
        except TorcError as error:
            log.warning("recovery_lost job_id=%d why=%s", under.order.job, error)
            verdict = Verdict.STALE
        self._answers.append((under, verdict))
        self._errands.wake()
