"""Slurm as torc asks it: each command with a time limit and within the budget, each answer read with care."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.errors import Unavailable
from torc_slurm.scheduler import programs
from torc_slurm.scheduler.answers import (
    QUEUE_FORMAT,
    Accounted,
    Outcome,
    Queued,
    Ran,
    Refused,
    Sightings,
    Submitted,
    Unclear,
)
from torc_slurm.scheduler.budget import OVERLOADED, QUERIES, SUBMISSIONS, Budget, shared_file
from torc_slurm.scheduler.sharing import PATIENCE, Answer, queue_file
from torc_slurm.scheduler.times import moment

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.protocols import Clock

log = logging.getLogger(__name__)

TOOLS = ("sbatch", "squeue", "scancel", "sacct", "sinfo", "scontrol")
LONGEST_SUBMISSION = 85.0
"""Seconds that sbatch may take at most: others take over where there was no sign of life for two minutes, of which the
time since the last one is a part."""
MOST_IDS = 1_000
"""Numbers in one command line."""

_NUMBER = re.compile(r"([0-9]+)(?:;(\S+))?")
_REFUSED = re.compile(
    r"batch job submission failed|invalid|unrecogni[sz]ed|unable to (open|read|contact)|not (permitted|allowed|available)"
    r"|no such|does not exist|access.* denied|permission denied|limit|must (be|specify)|requires|command not found",
    re.IGNORECASE,
)
_UNCLEAR = re.compile(
    r"timed? ?out|unexpected|zero bytes|transport|communication|connection (reset|closed)|interrupted|try again",
    re.IGNORECASE,
)
_AWAY = re.compile(r"unable to contact|connection refused|temporarily (unable|unavailable)", re.IGNORECASE)
_NO_ACCOUNTING = re.compile(r"accounting storage is disabled|slurm accounting.*disabled", re.IGNORECASE)


class SlurmSilent(Unavailable):
    """Slurm does not answer"""


class Slurm:
    """The commands of Slurm.

    Parameters
    ----------
    environ
        Where the commands are looked for, and what they are given, cleared of what would change their answers.
    limit
        Seconds that one command may take.
    """

    def __init__(
        self, environ: Mapping[str, str], budget: Budget, clock: Clock, *, limit: float = 60.0
    ) -> None:
        self._environ = environ
        self._given = programs.environment(environ)
        self.budget = budget
        self._clock = clock
        self._limit = limit
        self._asking = threading.Lock()
        self._answer = Answer(queue_file(environ), clock)
        self.accounting = True
        """Whether the cluster keeps accounts, as far as we know."""

    @classmethod
    def of(cls, config: Config, clock: Clock, *, limit: float = 60.0) -> Slurm:
        """Slurm as configured; all processes of the user on this host share one budget."""
        keys = config.client.slurm
        rates = {QUERIES: keys.rpc_per_minute, SUBMISSIONS: keys.submit_per_minute}
        return cls(config.environ, Budget(shared_file(config.environ), rates, clock), clock, limit=limit)

    def here(self, tool: str = "sbatch") -> bool:
        """Whether a command is on this host."""
        return programs.found(tool, self._environ) is not None

    def path(self, tool: str) -> str | None:
        """Where a command is; None: not on this host."""
        return programs.found(tool, self._environ)

    def ran(
        self,
        tool: str,
        *args: str,
        bucket: str | None = QUERIES,
        given: str = "",
        limit: float | None = None,
        ready: Callable[[], object] | None = None,
        patience: float | None = None,
    ) -> Ran:
        """Run a command to its end.

        Parameters
        ----------
        bucket
            Of the budget; None: it counts nowhere.
        given
            Its standard input.
        ready
            Called when the budget allows the command, just before it runs; an exception of it prevents that.
        patience
            Seconds for which the budget is waited for; None: until it allows the command.
        """
        program = programs.found(tool, self._environ)
        if program is None:
            return Ran(code=127, out="", err=f"{tool}: command not found")
        if bucket is not None and not self.budget.take(bucket, patience):
            return Ran(
                code=75, out="", err=f"{tool} is not asked now: too many calls of late (torc slurm rpc)"
            )
        if ready is not None:
            ready()
        done = programs.run([program, *args], self._given, limit or self._limit, given)
        if bucket is not None:
            self.budget.record(tool, done.took, done.code, done.err if done.code else "")
        if done.code:
            log.debug("slurm_failed command=%s code=%s said=%s", tool, done.code, done.said)
        return done

    def asked(self, tool: str, *args: str, patience: float | None = None) -> str:
        """What a question is answered.

        Parameters
        ----------
        patience
            Seconds for which the budget, and then the command, is waited for; None: as long as usual.

        Raises
        ------
        SlurmSilent
            If the command fails or takes too long; nothing can be concluded then.
        """
        limit = self._limit if patience is None else min(patience, self._limit)
        done = self.ran(tool, *args, limit=limit, patience=patience)
        if done.code != 0:
            what = f"did not answer in {limit:.0f} s" if done.code is None else f"failed: {done.said}"
            raise SlurmSilent(f"{tool} {what}")
        return done.out

    def sbatch(self, script: str, *options: str, ready: Callable[[], object] | None = None) -> Outcome:
        """Submit a script; `ready` as in `ran`."""
        limit = min(self._limit, LONGEST_SUBMISSION)
        done = self.ran(
            "sbatch", "--parsable", *options, script, bucket=SUBMISSIONS, limit=limit, ready=ready
        )
        return outcome(done, limit)

    def queue(
        self, numbers: Sequence[str] | None = None, *, age: float = 0.0, patience: float | None = None
    ) -> list[Queued]:
        """What squeue shows of us, ended allocations included as long as it knows them; `numbers` None: all of ours.

        Parameters
        ----------
        age
            An answer that is so many seconds old will do, whichever process of ours was given it.
        patience
            As of `asked`.

        Raises
        ------
        SlurmSilent
            If squeue does not answer.
        """
        if numbers is not None and not numbers:
            return []
        text = self._answer.known(age)
        if text is None:
            text = self._asked_queue(age, patience)
        rows = [row for line in text.splitlines() if (row := Queued.of(line)) is not None]
        wanted = None if numbers is None else set(numbers)
        return [row for row in rows if wanted is None or row.number in wanted]

    def _asked_queue(self, age: float, patience: float | None) -> str:
        if not self._asking.acquire(timeout=-1 if patience is None else patience):
            raise SlurmSilent(f"squeue was asked already, and did not answer in {patience:.0f} s")
        try:
            # NOTE: always all of ours: one unknown number among the `-j` of squeue can make the whole question fail.
            words = ("--me", "-h", "-t", "all", "-o", QUEUE_FORMAT)
            return self._answer.get(
                age,
                lambda: self.asked("squeue", *words, patience=patience),
                PATIENCE if patience is None else min(PATIENCE, patience),
            )
        finally:
            self._asking.release()

    def accounts(
        self,
        fields: Sequence[str],
        *,
        numbers: Sequence[str] | None = None,
        since: int | None = None,
        steps: bool = False,
    ) -> list[Accounted] | None:
        """What sacct knows; None: the cluster keeps no accounts.

        Parameters
        ----------
        numbers
            Only these allocations.
        since
            Milliseconds since 1970; None with numbers: whenever they were.
        steps
            The steps of each too.

        Raises
        ------
        SlurmSilent
            If sacct does not answer.
        """
        if not self.accounting or not self.here("sacct"):
            return None
        if numbers is not None and not numbers:
            return []
        words = ["-n", "-P", "--noconvert", *([] if steps else ["-X"]), f"--format={','.join(fields)}"]
        if since is not None:
            words += ["-S", moment(since)]
        elif numbers is not None:
            # Without a beginning only today's are shown.
            words += ["-S", "1970-01-02"]
        if numbers is not None:
            words += ["-j", ",".join(numbers)]
        done = self.ran("sacct", *words)
        if done.code != 0:
            if _NO_ACCOUNTING.search(done.err):
                self.accounting = False
                log.info("slurm_accounting state=disabled")
                return None
            raise SlurmSilent(f"sacct failed: {done.said}")
        return [
            Accounted(fields=dict(zip(fields, line.split("|", len(fields) - 1), strict=True)))
            for line in done.out.splitlines()
            if line.count("|") >= len(fields) - 1
        ]

    def sightings(self, numbers: Sequence[str], *, age: float = 0.0) -> Sightings:
        """How allocations are: one question to the queue, one to the accounting for those that it no longer shows.

        Parameters
        ----------
        age
            An answer of the queue that is so many seconds old will do.

        Raises
        ------
        SlurmSilent
            If one of the two does not answer; nothing can be concluded then.
        """
        rows = self.queue(numbers, age=age)
        states = {row.number: row.state for row in rows}
        reasons = {row.number: row.reason for row in rows}
        starts = {row.number: row.start for row in rows if row.start is not None}
        missing = [one for one in numbers if one not in states]
        accounted = True
        for first in range(0, len(missing), MOST_IDS):
            found = self.accounts(("JobIDRaw", "State"), numbers=missing[first : first + MOST_IDS])
            accounted = accounted and found is not None
            for one in found or ():
                # A requeued allocation may have a line that is over and one that waits; what lives counts.
                if one.number not in states or not one.standing.over:
                    states[one.number] = one.state
        return Sightings(states=states, reasons=reasons, starts=starts, accounted=accounted)

    def cancel(self, numbers: Sequence[str], *, queued_only: bool = False) -> list[str]:
        """Call allocations off, one command for each thousand; what went wrong, in sentences.

        Parameters
        ----------
        queued_only
            Leave alone those that have just started.
        """
        errors = []
        guard = ("--state=PENDING",) if queued_only else ()
        for first in range(0, len(numbers), MOST_IDS):
            done = self.ran("scancel", *guard, *numbers[first : first + MOST_IDS], bucket=SUBMISSIONS)
            if done.code != 0 and not _gone(done):
                errors.append(f"scancel failed: {done.said}")
        return errors


def outcome(done: Ran, limit: float) -> Outcome:
    """What an end of sbatch means (`slurm.md` SJ2-SJ4): where there is any doubt, it is unclear."""
    if done.code is None:
        return Unclear(message=f"sbatch did not answer in {limit:.0f} s")
    if done.code == 0:
        for line in reversed(done.out.splitlines()):
            if found := _NUMBER.fullmatch(line.strip()):
                return Submitted(number=found[1], cluster=found[2])
        return Unclear(message=f"sbatch answered {done.out.strip()[:200]!r} instead of a number")
    said = done.said
    if done.code == 127 and not done.out:
        return Refused(message=said)
    doubtful = _UNCLEAR.search(said) or any(words in said.lower() for words in OVERLOADED[:2])
    if doubtful or done.out.strip() or not _REFUSED.search(done.err):
        return Unclear(message=said)
    return Refused(message=said, away=bool(_AWAY.search(said)))


def _gone(done: Ran) -> bool:
    """Whether scancel only complains that what we call off is over already."""
    complaints = [line for line in done.err.splitlines() if "error" in line.lower()]
    over = ("invalid job id", "already completing or completed", "already finished")
    return bool(complaints) and all(any(words in line.lower() for words in over) for line in complaints)
