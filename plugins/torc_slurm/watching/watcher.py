"""Follows a workflow to its end: woken by events, at the latest after the poll interval (`slurm.md` §11)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from torc_core.errors import Conflict, Invalid, TimedOut, TorcError, Unavailable
from torc_core.model import Event, Json, Query, Totals, WorkflowId
from torc_core.record import record
from torc_slurm.recovering.looking import standing
from torc_slurm.recovering.providing import Provided, Provider, Wanted
from torc_slurm.recovering.recovery import Recovered, Recovery
from torc_slurm.watching.diary import Diary
from torc_slurm.watching.scheduling import Rules, Verdict, judge
from torc_slurm.watching.seeing import figures
from torc_terminal.following import Wanted as Events
from torc_terminal.following import follow
from torc_terminal.standing import ORDER

if TYPE_CHECKING:
    from torc_core.protocols import Batch
    from torc_core.session import Session

WAKING = (
    "workflow_completed", "workflow_canceled", "workflow_deleted", "workflow_started", "workflow_reinitialized",
    "compute_node_stopped", "compute_node_unreachable", "compute_node_lost", "job_retried", "jobs_spawned",
    "job_failed", "job_terminated", "action_triggered", "action_failed", "scheduler_node_created",
)  # fmt: skip
"""Events after which it is worth a look."""

GENTLE = 1.0
"""Seconds between two looks at least, however much happens."""
LOOK = 2.0
"""Seconds between two looks at a database that nobody serves."""
SYNC = 300.0
"""Seconds between two comparisons with Slurm while nothing is wrong."""
FRESH, ALARMED = 30.0, 5.0
"""So many seconds old may be what Slurm's queue has told another process; the second when a runner falls silent."""
TEND = 60.0
"""Seconds between two rounds of care for what is due."""
PATIENCE = 1_200.0
"""Seconds for which the store may be away."""


@record(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a workflow is followed.

    Parameters
    ----------
    poll
        Seconds between two looks at most.
    counts
        Say how many jobs there are of each status.
    recovers
        Recover failures; `rounds` at most, 0: as long as it helps.
    rules
        Ask for allocations by these; None: not by itself.
    timeout
        Seconds until the watch ends in any case; None: at the end of the workflow.
    """

    poll: float = 60.0
    counts: bool = False
    recovers: bool = False
    rounds: int = 3
    rules: Rules | None = None
    wanted: Wanted = Wanted()
    timeout: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a watch ended.

    Parameters
    ----------
    why
        Why it ended though failures are left, in a sentence.
    timed_out
        The time was over before the workflow.
    """

    totals: Totals
    recoveries: int
    allocations: int
    why: str | None = None
    timed_out: bool = False


class Watcher:
    """Follows one workflow.

    Parameters
    ----------
    batch
        Slurm in the service of the store; None: it is not on this host, or the workflow is not run by it.
    recovery
        Made anew for each round.
    """

    def __init__(
        self,
        session: Session,
        workflow: WorkflowId,
        manner: Manner,
        diary: Diary,
        *,
        batch: Batch | None = None,
        provide: Provider | None = None,
        recovery: Callable[[], Recovery] | None = None,
    ) -> None:
        self._session = session
        self._workflow = workflow
        self._manner = manner
        self._diary = diary
        self._batch = batch
        self._provide = provide
        self._recovery = recovery
        self._synced = self._tended = self._told = self._looked = float("-inf")
        self._recoveries = self._allocations = 0
        self._given_up: str | None = None
        self._silent = False

    def run(self) -> Watched:
        """Watch until the workflow is over and nothing more is done about it, or the time is over.

        Raises
        ------
        Unavailable
            If the store stays away.
        TimedOut
            If the time is over while it is away.
        NotFound
            If the workflow is deleted.
        """
        clock = self._session.clock
        end = None if self._manner.timeout is None else clock.monotonic() + self._manner.timeout
        away_since: float | None = None
        while True:
            began = clock.monotonic()
            try:
                after = self._newest()
                over = self._round()
                away_since = None
            except Unavailable as error:
                away_since = began if away_since is None else away_since
                if began - away_since > PATIENCE:
                    raise
                if end is not None and clock.monotonic() >= end:
                    raise TimedOut(f"the time is over, and the store does not answer: {error}") from error
                self._diary.say_new("away", f"the store does not answer: {error}")
                self._session.close()
                time.sleep(GENTLE)
                continue
            left = None if end is None else end - clock.monotonic()
            if over is not None or (left is not None and left <= 0):
                totals = over or self._session.store().totals([self._workflow])[0]
                return Watched(
                    totals=totals, recoveries=self._recoveries, allocations=self._allocations, why=self._given_up,
                    timed_out=over is None,
                )  # fmt: skip
            self._wait(after, left)
            rest = GENTLE - (clock.monotonic() - began)
            if rest > 0:
                # What happens at once is looked at together.
                time.sleep(rest)

    def _round(self) -> Totals | None:
        """Look, and do what is due; the totals if there is nothing more to do."""
        now = standing(self._session.store(), self._workflow)
        self._tell(now.totals)
        if now.totals.complete:
            return self._completed(now.totals)
        self._compare(urgent=any(not node.is_active or node.state.value != "active" for node in now.nodes))
        self._tend()
        if self._manner.rules is not None:
            self._schedule(self._manner.rules)
        return None

    def _completed(self, totals: Totals) -> Totals | None:
        """The end, unless failures are recovered; None: there is more to come."""
        if totals.good or totals.workflow.is_canceled or not self._manner.recovers or self._recovery is None:
            return totals
        if self._manner.rounds and self._recoveries >= self._manner.rounds:
            self._given_up = f"Max retries ({self._manner.rounds}) exceeded. Manual intervention required."
            return totals
        self._tend()
        recovery = self._recovery()
        if not self._settled(recovery):
            self._diary.say_new(
                "leaving", "the workflow is complete; waiting for its runners and allocations to end"
            )
            return None
        try:
            done = recovery.done()
        except (Conflict, Invalid) as conflict:
            # Somebody else was faster, or has begun to work on it: look again.
            self._diary.say_new("conflict", f"not recovered: {conflict}")
            return None
        return self._recovered(totals, done)

    def _settled(self, recovery: Recovery) -> bool:
        """Whether nobody works on it any more; Slurm is asked when the store says so, else once in a while."""
        now = self._session.clock.monotonic()
        if standing(self._session.store(), self._workflow).busy and now - self._looked < TEND:
            return False
        self._looked = now
        return not recovery.settled().busy

    def _recovered(self, totals: Totals, done: Recovered) -> Totals | None:
        self._diary.say("\n".join(done.lines))
        if done.progress is None and not done.already:
            self._given_up = "Nothing was left to recover automatically. Manual intervention required."
            return totals
        self._recoveries += 1
        if done.provided is not None:
            self._allocations += len(done.provided.tended.submitted)
        if not done.slurm:
            self._diary.say(f"run it: torc run {self._workflow}")
        return None

    def _compare(self, *, urgent: bool) -> None:
        """Compare with Slurm, once in five minutes or when a runner falls silent."""
        if self._batch is None:
            return
        now = self._session.clock.monotonic()
        fresh = urgent and not self._silent
        self._silent = urgent
        if not fresh and now - self._synced < SYNC:
            return
        self._synced = now
        # Many watch: what the queue has told one of them lately will do for the others, less so after an alarm.
        found = self._batch.sync(self._workflow, age=ALARMED if fresh else FRESH)
        if found.unanswered:
            self._diary.say_new("slurm", f"Slurm does not answer: {found.unanswered}")
        for job in found.running_jobs:
            self._diary.say(f"job {job.job} ({job.name}) was lost: allocation {job.number} is {job.state}")
        if found.cleaned:
            self._diary.say(f"{len(found.cleaned)} queued allocation(s) are gone")

    def _tend(self) -> None:
        """Carry out what is due: scheduled nodes, intents in doubt, allocations that nothing needs."""
        if self._batch is None:
            return
        now = self._session.clock.monotonic()
        if now - self._tended < TEND:
            return
        self._tended = now
        self._count(Provided(tended=self._batch.tend(self._workflow)))

    def _schedule(self, rules: Rules) -> None:
        """Ask for allocations where they are missing, and say why, or why not."""
        store, clock = self._session.store(), self._session.clock
        if self._provide is None:
            self._diary.say_new(
                "schedule", "not scheduling: Slurm is not on this host, or the workflow has no scheduler"
            )
            return
        verdict = judge(figures(store, self._workflow, clock.now()), rules)
        if not verdict.go:
            if verdict.reason and self._diary.say_new("schedule", verdict.line()):
                self._event(verdict, 0)
            return
        try:
            provided = self._provide(self._workflow, self._manner.wanted)
        except Conflict as conflict:
            # Another watcher has asked for them; its allocations are seen at the next look.
            self._diary.say_new("schedule", f"not scheduling: {conflict}")
            return
        except TorcError as error:
            if isinstance(error, Unavailable):
                raise
            if self._diary.say_new("schedule", f"not scheduling: {error}"):
                self._event(Verdict(go=False, reason=str(error)), 0)
            return
        line = (
            verdict.line(provided.intended)
            if provided.intended
            else f"not scheduling: {provided.why_not or 'nothing is missing'}"
        )
        if self._diary.say_new("schedule", line):
            self._event(verdict, provided.intended)
        self._count(provided)

    def _count(self, provided: Provided) -> None:
        self._allocations += len(provided.tended.submitted)
        for line in provided.lines:
            self._diary.say_new(line, line)

    def _event(self, verdict: Verdict, allocations: int) -> None:
        data: dict[str, Json] = {
            "scheduler": "slurm", "allocations": allocations, "reason": verdict.reason, "source": "watch",
        }  # fmt: skip
        event = Event(workflow_id=self._workflow, category="scheduling_decision", data=data)
        self._session.store().add([event])

    def _tell(self, totals: Totals) -> None:
        """Say how far it is, once in each interval."""
        now = self._session.clock.monotonic()
        if now - self._told < self._manner.poll:
            return
        self._told = now
        self._diary.say_new("status", counts(totals) if self._manner.counts else progress(totals))

    def _newest(self) -> int:
        """The number of the latest event."""
        found = self._session.store().find(Event, Query(workflow=self._workflow, reverse=True, limit=1)).items
        return found[0].id if found else 0

    def _wait(self, after: int, left: float | None) -> None:
        """Come back when something has happened that is worth a look, or the interval or the time is over."""
        seconds = self._manner.poll if left is None else max(0.0, min(self._manner.poll, left))
        events = follow(
            self._session, self._workflow, after=after, wanted=Events(types=WAKING), seconds=seconds,
            pause=min(LOOK, seconds), filename=None,
        )  # fmt: skip
        try:
            next(iter(events), None)
        finally:
            events.close()  # type: ignore[attr-defined]  # a generator


def progress(totals: Totals) -> str:
    """`61/100 jobs done, 3 runners, 2 allocations queued`."""
    parts = [f"{totals.done}/{totals.total} jobs done"]
    for count, one in (
        (totals.active_nodes, "runner"),
        (totals.active_allocations, "live allocation"),
        (totals.pending_allocations, "queued allocation"),
    ):
        if count:
            parts.append(f"{count} {one}{'' if count == 1 else 's'}")
    return ", ".join(parts)


def counts(totals: Totals) -> str:
    """`completed=61, running=8, failed=2`."""
    told = [f"{status.label}={totals.counts[status]}" for status in ORDER if totals.counts.get(status)]
    return ", ".join(told) or "no jobs"
