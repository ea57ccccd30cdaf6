"""How attempts begin and end on record (`engine.md` §8): judged one by one by the rules, written together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torc_core.engine import completion as rules
from torc_core.engine import telling
from torc_core.engine.completion import Judgement
from torc_core.errors import NotFound, TorcError
from torc_core.model import BAD, OPEN, Ending, Held, JobId, JobStatus, NodeId, Verdict, WorkflowId
from torc_sql.release import follow
from torc_sql.rows import STATUSES
from torc_sql.state import JobState, WorkflowState, job_state
from torc_sql.transaction import Transaction


class Endings:
    """A batch of ends, and what becomes of each.

    Parameters
    ----------
    refusals
        Why entries were refused, for calls that stand alone.
    """

    def __init__(self, tx: Transaction, state: WorkflowState) -> None:
        self._tx = tx
        self._state = state
        self._moved: dict[JobId, tuple[JobStatus, JobStatus]] = {}
        self._results: list[tuple[Any, ...]] = []
        self.refusals: list[TorcError] = []

    def record(self, endings: Sequence[Ending]) -> list[Verdict]:
        """Record them, release and cancel what waited; a refused one harms no other."""
        self._next = self._tx.ids("result", len(endings))
        verdicts = [self._one(ending) for ending in endings]
        if self._results:
            self._tx.many("INSERT_RESULT", self._results)
        if self._moved:
            follow(self._tx, self._state.id, self._moved)
        return verdicts
