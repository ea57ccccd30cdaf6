"""Asks a user at a terminal what is to be done about failures: a table and a question for each cause (`slurm.md` §10)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.errors import Conflict
from torc_core.model import Json, Query, SlurmScheduler, WorkflowId
from torc_core.model.resources import duration_text, memory_text
from torc_core.record import record
from torc_slurm.recovering.adjusting import Factors
from torc_slurm.recovering.deciding import Decision
from torc_slurm.recovering.diagnosis import Cause, Diagnosis, by_cause
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.recovery import Wish
from torc_terminal.output import table
from torc_terminal.output.cells import Column, plain

if TYPE_CHECKING:
    from torc_core.session import Session

HEADS = {
    Cause.OOM: "Out of memory",
    Cause.TIMEOUT: "Out of time",
    Cause.NODE_LOST: "Lost with their node",
    Cause.UNKNOWN: "Of unknown cause",
}
_ID = (
    Column(title="ID", key="id", right=True),
    Column(title="Name", key="name"),
    Column(title="RC", key="code", right=True),
)
_REASON = Column(title="Reason", key="reason")
_MEMORY = (Column(title="Memory", key="memory", right=True), Column(title="Peak", key="peak", right=True))
_RUNTIME = (Column(title="Runtime", key="runtime", right=True), Column(title="Exec", key="exec", right=True))
COLUMNS = {
    Cause.OOM: (*_ID, *_MEMORY, _REASON),
    Cause.TIMEOUT: (*_ID, *_RUNTIME, _REASON),
    Cause.NODE_LOST: (*_ID, *_RUNTIME, _REASON),
    Cause.UNKNOWN: (*_ID, *_MEMORY, *_RUNTIME, _REASON),
}
LISTED = 20
"""Jobs in one table."""


@record(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the user wants.

    Parameters
    ----------
    scheduler
        The existing scheduler that allocations are asked of; None: they are planned anew.
    count
        How many of that one.
    """

    wish: Wish
    scheduler: SlurmScheduler | None = None
    count: int = 1


class Wizard:
    """Asks on standard error, reads from standard input."""

    def __init__(self, session: Session, workflow: WorkflowId) -> None:
        self._session = session
        self._workflow = workflow

    def causes(self, found: Sequence[Diagnosis], wish: Wish) -> Wish:
        """Show the failures of each cause, and ask what is to be done about them."""
        skip: set[Cause] = set(wish.skip)
        factors, unknown = wish.factors, wish.retry_unknown
        for cause in Cause:
            some = by_cause(found, cause)
            if not some:
                continue
            self._show(cause, some)
            if cause in (Cause.OOM, Cause.TIMEOUT):
                answer = self._ask(
                    f"[R]etry with {factors.of(cause):g}x / [A]djust / [S]kip? [R] ", "ras", default="r"
                )
                if answer == "a":
                    factors = _with(factors, cause, self._factor(factors.of(cause)))
            else:
                default = "r" if cause is Cause.NODE_LOST or unknown else "s"
                answer = self._ask(f"[R]etry / [S]kip? [{default.upper()}] ", "rs", default=default)
                if cause is Cause.UNKNOWN:
                    unknown = answer == "r"
            if answer == "s" and cause is not Cause.UNKNOWN:
                skip.add(cause)
        return replace(wish, factors=factors, retry_unknown=unknown, skip=frozenset(skip), hook=None)

    def plan(self, decision: Decision) -> None:
        """Show what would be done."""
        self._say("")
        self._say("Plan:")
        for line in decision.lines(dry_run=True):
            self._say(f"  {plain(line)}")

    def scheduler(self, wish: Wish) -> Chosen:
        """Ask how allocations are to be had."""
        query = Query(workflow=self._workflow)
        known: Mapping[int, SlurmScheduler] = {
            one.id: one for one in self._session.store().find(SlurmScheduler, query).items
        }
        self._session.close()
        for one in known.values():
            wall = one.fields.get("walltime") or ""
            self._say(f"  scheduler {one.id}: {plain(one.name)} {plain(str(wall))}".rstrip())
        while True:
            answer = self._line("Allocations: [A]uto-generate, or the id of a scheduler? [A] ").lower() or "a"
            if answer in ("a", "auto", "auto-generate"):
                walltime = self._line("Walltime? [as planned] ") or wish.wanted.walltime
                return Chosen(wish=replace(wish, wanted=_walled(wish.wanted, walltime)))
            if answer.isascii() and answer.isdigit() and int(answer) in known:
                count = self._number("How many allocations? [1] ", 1)
                return Chosen(wish=wish, scheduler=known[int(answer)], count=count)
            self._say(f"'{plain(answer)}' is neither A nor one of {', '.join(map(str, known))}")

    def sure(self, decision: Decision) -> None:
        """Ask whether it is to be done; without a yes it is not.

        Raises
        ------
        Conflict
            If the answer is not yes.
        """
        count = len(decision.jobs)
        question = (
            f"Reset {count} job{'' if count == 1 else 's'} of workflow {self._workflow} and go on? [y/N] "
        )
        if self._line(question).lower() not in ("y", "yes"):
            raise Conflict("not confirmed; nothing was changed")

    def _show(self, cause: Cause, some: Sequence[Diagnosis]) -> None:
        self._say("")
        self._say(f"{HEADS[cause]}: {len(some)} job{'' if len(some) == 1 else 's'}")
        sys.stderr.write(table.text(COLUMNS[cause], [_row(one) for one in some[:LISTED]]))
        if len(some) > LISTED:
            self._say(f"… and {len(some) - LISTED} more")

    def _factor(self, default: float) -> float:
        return self._until(
            f"By which factor? [{default:g}] ", default, _factor_of, "a factor from 1.01 to 100"
        )

    def _number(self, question: str, default: int) -> int:
        return int(self._until(question, default, _count_of, "a number from 1 to 10000"))

    def _until(self, question: str, default: float, read: Callable[[str], float | None], what: str) -> float:
        while True:
            text = self._line(question)
            value = default if not text else read(text)
            if value is not None:
                return value
            self._say(f"'{plain(text)}' is not {what}")

    def _ask(self, question: str, letters: str, *, default: str) -> str:
        while True:
            answer = self._line(question).lower()[:1] or default
            if answer in letters:
                return answer
            self._say(f"'{plain(answer)}' is none of {', '.join(letters.upper())}")

    def _line(self, question: str) -> str:
        """What is typed; nobody is kept from the store meanwhile.

        Raises
        ------
        Conflict
            If the input is at its end.
        """
        self._session.close()
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise Conflict("no answer; nothing was changed")
        return line.strip()

    def _say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _row(one: Diagnosis) -> Mapping[str, Json]:
    result = one.result
    return {
        "id": one.job.id, "name": one.job.name, "code": None if result is None else result.return_code,
        "memory": one.needs.memory, "peak": memory_text(one.peak) if one.peak else None,
        "runtime": duration_text(one.needs.runtime_s), "exec": duration_text(one.used) if result else None,
        "reason": one.evidence,
    }  # fmt: skip


def _with(factors: Factors, cause: Cause, value: float) -> Factors:
    return replace(factors, **{"memory" if cause is Cause.OOM else "runtime": value})


def _walled(wanted: Wanted, walltime: str | None) -> Wanted:
    return replace(wanted, walltime=walltime)


def _factor_of(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1 < value <= 100 else None


def _count_of(text: str) -> float | None:
    return int(text) if text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000 else None
